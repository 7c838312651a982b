// Text as it is generated, watched for stop strings. What could be the beginning of one is held back until it is certain.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace citius {

class StopText {
 public:
  /// `emit` gets the text piece by piece and may return false to end it.
  StopText(std::vector<std::string> stops, std::function<bool(const std::string&)> emit);

  /// Adds text. False when a stop string was found (the text ends before it) or emit asked to end; further text is ignored.
  bool push(const std::string& piece);
  /// Gives out what was held back and returns the whole text.
  std::string finish();

 private:
  bool give_out(size_t end);

  std::vector<std::string> stops_;
  std::function<bool(const std::string&)> emit_;
  std::string text_;
  size_t given_ = 0;
  bool stopped_ = false;
};

}  // namespace citius
