#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <string_view>

namespace citius {
namespace {

void write_error(std::string_view text) { [[maybe_unused]] const ssize_t put = ::write(STDERR_FILENO, text.data(), text.size()); }

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

std::string format_items(double items) {
  if (items >= 100 || items == std::floor(items)) return fmt::format("{:.0f}", items);
  return fmt::format("{:.1f}", items);
}

}  // namespace

std::string format_bytes(double bytes) {
  if (bytes < 1000) return fmt::format("{:.0f} B", bytes);
  const char* const units[] = {"kB", "MB", "GB", "TB"};
  int unit = 0;
  double value = bytes / 1000;
  while (value >= 999.5 && unit < 3) {
    value /= 1000;
    ++unit;
  }
  return value < 99.95 ? fmt::format("{:.1f} {}", value, units[unit]) : fmt::format("{:.0f} {}", value, units[unit]);
}

std::string format_duration(double seconds) {
  const auto total = static_cast<int64_t>(std::llround(std::min(seconds, 1e9)));
  if (total < 60) return fmt::format("{} s", total);
  if (total < 3600) return fmt::format("{} min {:02d} s", total / 60, total % 60);
  return fmt::format("{} h {:02d} min", total / 3600, total / 60 % 60);
}

Progress::Progress(std::string what, uint64_t total, ProgressUnit unit)
    : what_(std::move(what)),
      total_(total),
      unit_(unit),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

Progress::~Progress() { wipe(); }

void Progress::begin(std::string what, uint64_t done) {
  what_ = std::move(what);
  start_ = std::chrono::steady_clock::now();
  done_ = skipped_ = done;
}

double Progress::elapsed() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

std::string Progress::line(uint64_t done, double seconds, int columns) const {
  const auto amount = [&](double value) {
    if (unit_ == ProgressUnit::kShare) return fmt::format("{:.1f} %", 100 * value / static_cast<double>(total_));
    return unit_ == ProgressUnit::kBytes ? format_bytes(value) : format_items(value);
  };
  const double fresh = static_cast<double>(done - std::min(done, skipped_));
  const double rate = seconds > 0 ? fresh / seconds : 0;
  std::string facts = amount(static_cast<double>(done));
  if (total_ > 0 && unit_ != ProgressUnit::kShare) facts += fmt::format(" of {}", amount(static_cast<double>(total_)));
  if (rate > 0) facts += fmt::format(", {}/s", amount(rate));
  if (rate > 0 && total_ > done) {
    facts += fmt::format(", {} left", format_duration(static_cast<double>(total_ - done) / rate));
  }
  if (!note_.empty()) facts += "; " + note_;
  if (columns == 0) return fmt::format("{}: {}", what_, facts);
  const int room = columns - static_cast<int>(what_.size() + facts.size()) - 6;
  std::string bar;
  if (total_ > 0 && room >= 10) {
    const int width = std::min(room, 30);
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    const int filled = static_cast<int>(share * width);
    bar = fmt::format(" [{}{}]", std::string(static_cast<size_t>(filled), '='), std::string(static_cast<size_t>(width - filled), ' '));
  }
  std::string text = fmt::format("{}{} {}", what_, bar, facts);
  if (text.size() >= static_cast<size_t>(columns)) text.resize(static_cast<size_t>(columns) - 1);
  return text;
}

void Progress::update(uint64_t done) {
  done_ = done;
  const auto now = std::chrono::steady_clock::now();
  const std::chrono::duration<double> pause(terminal_ ? (shown_ ? 0.1 : 0.5) : 5.0);
  if (now - last_ < pause) return;
  last_ = now;
  shown_ = true;
  write_error(terminal_ ? "\r\x1b[K" + line(done, elapsed(), terminal_columns()) : line(done, elapsed(), 0) + "\n");
}

void Progress::wipe() {
  if (terminal_ && shown_) write_error("\r\x1b[K");
  shown_ = false;
}

void Progress::finish() {
  const bool say = shown_ || elapsed() > 1;
  wipe();
  if (say) write_error(line(done_, elapsed(), 0) + "\n");
}

}  // namespace citius
