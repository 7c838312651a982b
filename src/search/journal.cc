#include "search/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace citius {
namespace {

constexpr const char* kJournalFile = "journal.jsonl";
constexpr const char* kLockFile = "lock";

// The journal, what an interrupted write of it left, and the lock.
bool is_ours(const std::filesystem::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  return name == kJournalFile || name == kLockFile || name.starts_with(std::string(kJournalFile) + ".tmp");
}

std::string plan_key(const Candidate& candidate) { return json::serialize(plan_json(candidate.plan)); }

}  // namespace

Journal::Journal(std::filesystem::path directory, std::string key)
    : directory_(std::move(directory)), path_(directory_ / kJournalFile), key_(std::move(key)) {
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  if (error) fail(ErrorKind::kResource, directory_.string(), "cannot be made: {}", error.message());
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (is_ours(entry)) continue;
    fail(ErrorKind::kUsage, directory_.string(), "holds '{}', expected nothing but a journal of optimize; move it, or name another --out",
         entry.path().filename().string());
  }
  lock();
  try {
    read();
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

Journal::~Journal() {
  std::error_code ignored;
  if (lock_ < 0) return;
  if (std::filesystem::exists(path_, ignored)) {
    ::close(lock_);
  } else {
    discard();
  }
}

void Journal::discard() {
  std::error_code ignored;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, ignored)) {
    if (is_ours(entry)) files.push_back(entry.path());
  }
  for (const auto& file : files) std::filesystem::remove(file, ignored);
  std::filesystem::remove(directory_, ignored);  // fails, as it should, where anything else is in it by now
  ::close(std::exchange(lock_, -1));
}

void Journal::lock() {
  const std::filesystem::path file = directory_ / kLockFile;
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) fail(ErrorKind::kResource, file.string(), "cannot be opened: {}", std::strerror(errno));
  struct stat info{};
  // A file without a name is what another search left open as it ended.
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0 && ::fstat(lock_, &info) == 0 && info.st_nlink > 0) return;
  ::close(lock_);
  fail(ErrorKind::kResource, directory_.string(), "is in use by another optimize with this --out; wait for it, or name another");
}

void Journal::read() {
  if (!std::filesystem::exists(path_)) return;
  const std::string text = read_file(path_, size_t{64} << 20);
  size_t begin = 0;
  bool first = true;
  while (begin < text.size()) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    try {
      const json::value line = parse_json(std::string_view(text).substr(begin, end - begin), path_.string());
      const JsonObject object(line, path_.string());
      if (first && object.get_string("key") != key_) {
        log_warning("{}: holds what a search with another model, machine or options measured; it is replaced", directory_.string());
        break;
      }
      if (!first && object.has("note")) {
        notes_[object.get_string("note")] = object.at("value");
      } else if (!first) {
        Candidate check;
        read_measurements(object.get_object("candidate").object(), path_.string(), check);
        entries_[object.get_string("plan")] = object.get_object("candidate").object();
      }
    } catch (const Error&) {
      break;
    }
    first = false;
    begin = end + 1;
  }
}

bool Journal::find(Candidate& candidate) const {
  const auto entry = entries_.find(plan_key(candidate));
  if (entry == entries_.end()) return false;
  read_measurements(entry->second, path_.string(), candidate);
  return true;
}

void Journal::keep(const Candidate& candidate) {
  entries_[plan_key(candidate)] = to_json(candidate);
  write();
}

json::value Journal::note(const std::string& name) const {
  const auto found = notes_.find(name);
  return found == notes_.end() ? json::value() : found->second;
}

void Journal::keep_note(const std::string& name, json::value value) {
  notes_[name] = std::move(value);
  write();
}

void Journal::write() const {
  std::string text = json::serialize(json::object{{"key", key_}}) + "\n";
  for (const auto& [name, value] : notes_) text += json::serialize(json::object{{"note", name}, {"value", value}}) + "\n";
  for (const auto& [plan, candidate] : entries_) {
    text += json::serialize(json::object{{"plan", plan}, {"candidate", candidate}}) + "\n";
  }
  write_file(path_, text);
}

}  // namespace citius
