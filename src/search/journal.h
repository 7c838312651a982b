// Measurements of a search that is under way, one JSON line a candidate, so that an interrupted search goes on where it
// stopped. A journal counts only for the same model, options and machine.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "search/candidate.h"

namespace citius {

class Journal {
 public:
  /// Opens `<directory>/journal.jsonl` and holds the directory until the object ends. A journal of another key is emptied;
  /// damaged lines at its end (an interrupted write) are dropped. Throws Error{kUsage} where the directory holds files that
  /// are no journal's, Error{kResource} where another process has it open or it cannot be written.
  Journal(std::filesystem::path directory, std::string key);
  /// The directory goes with the object where nothing was kept.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Fills in the measurements of the candidate with this plan, where they are known.
  bool find(Candidate& candidate) const;
  void keep(const Candidate& candidate);
  /// Anything else that took long to find, by name; null where it is not known.
  json::value note(const std::string& name) const;
  void keep_note(const std::string& name, json::value value);
  size_t size() const { return entries_.size(); }
  /// Removes the journal and its directory: what it held is of no more use.
  void discard();

 private:
  void lock();
  void read();
  void write() const;

  std::filesystem::path directory_, path_;
  std::string key_;
  int lock_ = -1;
  std::map<std::string, json::object> entries_;  // by plan, as JSON
  std::map<std::string, json::value> notes_;
};

}  // namespace citius
