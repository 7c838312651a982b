#include "base/json.h"

#include <cmath>

#include "base/error.h"
#include "base/file.h"

namespace citius {
namespace {

std::string kind_name(const json::value& value) { return std::string(json::to_string(value.kind())); }

}  // namespace

void check_json_elements(std::string_view text, std::string_view where) {
  constexpr int64_t kMost = int64_t{1} << 22;
  int64_t count = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') in_string = !in_string;
    if (in_string) {
      i += c == '\\';  // what is escaped ends no string
    } else {
      count += c == ',' || c == '[' || c == '{';
    }
  }
  if (count > kMost) fail_input(where, "got JSON of {} elements, expected at most {}", count, kMost);
}

json::value parse_json(std::string_view text, std::string_view where) {
  check_json_elements(text, where);
  json::parse_options options;
  options.max_depth = 64;
  json::stream_parser parser({}, options);
  json::error_code error;
  const size_t parsed = parser.write(text.data(), text.size(), error);
  if (!error) parser.finish(error);
  if (error) fail_input(where, "is not valid JSON near byte {}: {}", parsed, error.message());
  return parser.release();
}

json::value read_json(const std::filesystem::path& path, size_t max_bytes) { return parse_json(read_file(path, max_bytes), path.string()); }

JsonObject::JsonObject(const json::value& value, std::string where) : where_(std::move(where)) {
  if (!value.is_object()) fail_input(where_, "got {}, expected an object", kind_name(value));
  object_ = &value.as_object();
}

bool JsonObject::has(std::string_view key) const {
  const json::value* value = object_->if_contains(key);
  return value != nullptr && !value->is_null();
}

const json::value& JsonObject::at(std::string_view key) const {
  const json::value* value = object_->if_contains(key);
  if (value == nullptr) fail_input(where_, "key '{}' is missing", key);
  return *value;
}

int64_t JsonObject::get_int(std::string_view key) const {
  const json::value& value = at(key);
  if (value.is_int64()) return value.get_int64();
  if (value.is_double() && std::nearbyint(value.get_double()) == value.get_double() && std::fabs(value.get_double()) < 9e15) {
    return static_cast<int64_t>(value.get_double());
  }
  fail_input(where_, "key '{}': got {}, expected an integer", key, kind_name(value));
}

double JsonObject::get_number(std::string_view key) const {
  const json::value& value = at(key);
  if (value.is_double()) return value.get_double();
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  fail_input(where_, "key '{}': got {}, expected a number", key, kind_name(value));
}

bool JsonObject::get_bool(std::string_view key) const {
  const json::value& value = at(key);
  if (!value.is_bool()) fail_input(where_, "key '{}': got {}, expected true or false", key, kind_name(value));
  return value.get_bool();
}

std::string JsonObject::get_string(std::string_view key) const {
  const json::value& value = at(key);
  if (!value.is_string()) fail_input(where_, "key '{}': got {}, expected a string", key, kind_name(value));
  return std::string(value.get_string());
}

std::vector<std::string> JsonObject::get_strings(std::string_view key) const {
  std::vector<std::string> strings;
  for (const json::value& item : get_array(key)) {
    if (!item.is_string()) fail_input(where_, "key '{}': got {} inside, expected strings", key, kind_name(item));
    strings.emplace_back(item.get_string());
  }
  return strings;
}

const json::array& JsonObject::get_array(std::string_view key) const {
  const json::value& value = at(key);
  if (!value.is_array()) fail_input(where_, "key '{}': got {}, expected an array", key, kind_name(value));
  return value.get_array();
}

JsonObject JsonObject::get_object(std::string_view key) const { return JsonObject(at(key), where_ + ": " + std::string(key)); }

}  // namespace citius
