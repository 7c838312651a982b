// Boost.JSON with limits and with errors that name the file and the key. JSON files are hostile: size, depth and
// duplicate keys are checked.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace citius {

namespace json = boost::json;

/// Throws Error{kInput} where a text may hold more elements than any sound file does (four million): a value takes many times the
/// memory of its two or three bytes.
void check_json_elements(std::string_view text, std::string_view where);

/// Parses strict JSON, at most 64 levels deep and of a bounded number of elements. `where` is named in errors. Throws Error{kInput}.
/// Boost.JSON keeps the last of duplicated keys; readers of formats that forbid duplicates check for themselves.
json::value parse_json(std::string_view text, std::string_view where);

/// read_file + parse_json.
json::value read_json(const std::filesystem::path& path, size_t max_bytes = size_t{256} << 20);

/// A JSON object whose getters check types and name file and key in errors.
/// Refers to, and does not own, the object it was made of.
class JsonObject {
 public:
  JsonObject(const json::value& value, std::string where);
  JsonObject(const json::object& object, std::string where) : object_(&object), where_(std::move(where)) {}

  bool has(std::string_view key) const;  // present and not null
  int64_t get_int(std::string_view key) const;
  double get_number(std::string_view key) const;
  bool get_bool(std::string_view key) const;
  std::string get_string(std::string_view key) const;
  int64_t get_int(std::string_view key, int64_t fallback) const { return has(key) ? get_int(key) : fallback; }
  double get_number(std::string_view key, double fallback) const { return has(key) ? get_number(key) : fallback; }
  bool get_bool(std::string_view key, bool fallback) const { return has(key) ? get_bool(key) : fallback; }
  std::string get_string(std::string_view key, std::string_view fallback) const {
    return has(key) ? get_string(key) : std::string(fallback);
  }
  std::vector<std::string> get_strings(std::string_view key) const;
  JsonObject get_object(std::string_view key) const;
  const json::array& get_array(std::string_view key) const;
  const json::value& at(std::string_view key) const;  // an error where it is absent

  const json::object& object() const { return *object_; }
  const std::string& where() const { return where_; }

 private:
  const json::object* object_;
  std::string where_;
};

}  // namespace citius
