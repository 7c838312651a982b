// Progress of long work on standard error: a bar with rate and time left on a terminal, plain lines now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace citius {

enum class ProgressUnit { kItems, kBytes, kShare };  // kShare: shown in percent of the total

class Progress {
 public:
  /// `total` 0 means that it is not known. Nothing is printed before half a second (5 s where not a terminal) has passed.
  Progress(std::string what, uint64_t total, ProgressUnit unit = ProgressUnit::kItems);
  /// Wipes the bar where finish() was not called.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of total. Cheap: prints at most ten times a second. Not from several threads at once.
  void update(uint64_t done);
  /// Goes on with other work, of the same total and unit, `done` of which is done already and does not count in the rate: its amount
  /// and rate are its own, the pauses between two lines are not, so that many short works are seen too.
  void begin(std::string what, uint64_t done);
  /// Said behind what is known of the work.
  void set_note(std::string note) { note_ = std::move(note); }
  /// Takes the bar away, before other things are written; the next update() may bring it back.
  void wipe();
  /// Work that was there already and shall not count in the rate (a resumed download).
  void skip(uint64_t done) { skipped_ = done; }
  void finish();

  /// The line as it would be shown, for a width of `columns`; 0 columns gives the form of plain lines.
  std::string line(uint64_t done, double seconds, int columns) const;

 private:
  double elapsed() const;

  std::string what_;
  uint64_t total_;
  ProgressUnit unit_;
  uint64_t skipped_ = 0;
  uint64_t done_ = 0;
  bool terminal_;
  bool shown_ = false;
  std::string note_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;  // when something was last printed; the beginning, where nothing was
};

/// "1.5 GB", "340 kB", "12 B" (decimal units, as network and disk makers count).
std::string format_bytes(double bytes);
/// "2 h 05 min", "3 min 20 s", "12 s".
std::string format_duration(double seconds);

}  // namespace citius
