#include "search/journal.h"

#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace citius {
namespace {

std::string plan_key(const Candidate& candidate) { return json::serialize(plan_json(candidate.plan)); }

}  // namespace

Journal::Journal(std::filesystem::path directory, std::string key) : path_(directory / "journal.jsonl"), key_(std::move(key)) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) fail(ErrorKind::kResource, directory.string(), "cannot be made: {}", error.message());
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
      if (first && object.get_string("key") != key_) break;
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
