#include "runtime/stop_text.h"

#include <algorithm>

namespace citius {

StopText::StopText(std::vector<std::string> stops, std::function<bool(const std::string&)> emit)
    : stops_(std::move(stops)), emit_(std::move(emit)) {}

bool StopText::give_out(size_t end) {
  if (end <= given_) return true;
  const std::string piece = text_.substr(given_, end - given_);
  given_ = end;
  return emit_(piece);
}

bool StopText::push(const std::string& piece) {
  if (stopped_) return false;
  text_ += piece;
  size_t found = std::string::npos;
  for (const std::string& stop : stops_) found = std::min(found, text_.find(stop, given_));
  if (found != std::string::npos) {
    text_.resize(found);
    stopped_ = true;
    return false;
  }
  size_t held = 0;  // longest end of the text that a stop string begins with
  for (const std::string& stop : stops_) {
    for (size_t length = std::min(stop.size() - 1, text_.size() - given_); length > held; --length) {
      if (text_.compare(text_.size() - length, length, stop, 0, length) == 0) held = length;
    }
  }
  if (!give_out(text_.size() - held)) stopped_ = true;
  return !stopped_;
}

std::string StopText::finish() {
  give_out(text_.size());
  stopped_ = true;
  return text_;
}

}  // namespace citius
