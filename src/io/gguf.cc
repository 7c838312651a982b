#include "io/gguf.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/error.h"
#include "io/gguf_reader.h"

namespace citius {
namespace {

constexpr int64_t kMaxParts = 1024;

template <typename T>
T load(const std::byte* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

bool is_integer(GgufType type) {
  return gguf_scalar_bytes(type) != 0 && type != GgufType::kF32 && type != GgufType::kF64 && type != GgufType::kBool;
}

// nullopt for a u64 beyond int64.
std::optional<int64_t> integer_at(GgufType type, const std::byte* data) {
  switch (type) {
    case GgufType::kU8: return load<uint8_t>(data);
    case GgufType::kI8: return load<int8_t>(data);
    case GgufType::kU16: return load<uint16_t>(data);
    case GgufType::kI16: return load<int16_t>(data);
    case GgufType::kU32: return load<uint32_t>(data);
    case GgufType::kI32: return load<int32_t>(data);
    case GgufType::kI64: return load<int64_t>(data);
    case GgufType::kU64: {
      const auto value = load<uint64_t>(data);
      if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return static_cast<int64_t>(value);
      return std::nullopt;
    }
    default: return std::nullopt;
  }
}

std::optional<double> number_at(GgufType type, const std::byte* data) {
  if (type == GgufType::kF32) return load<float>(data);
  if (type == GgufType::kF64) return load<double>(data);
  if (type == GgufType::kU64) return static_cast<double>(load<uint64_t>(data));
  if (const auto integer = integer_at(type, data)) return static_cast<double>(*integer);
  return std::nullopt;
}

[[noreturn]] void wrong_type(const std::string& where, std::string_view key, const GgufValue& value, std::string_view expected) {
  fail_input(where, "metadata key '{}' is {}{}, expected {}", key, gguf_type_name(value.type),
             value.type == GgufType::kArray ? fmt::format(" of {}", gguf_type_name(value.element)) : "", expected);
}

std::string_view string_payload(std::span<const std::byte> payload) {
  return {reinterpret_cast<const char*>(payload.data()) + 8, payload.size() - 8};
}

// "name-00001-of-00003.gguf" with another number.
std::filesystem::path part_path(const std::filesystem::path& first, int64_t index, int64_t count) {
  const std::string name = first.filename().string(), ending = first.extension().string();
  const std::string suffix = fmt::format("-00001-of-{:05}{}", count, ending);
  if (!name.ends_with(suffix)) {
    fail_input(first.string(), "is the first of {} parts, so its name should end in '{}'", count, suffix);
  }
  return first.parent_path() / fmt::format("{}-{:05}-of-{:05}{}", name.substr(0, name.size() - suffix.size()), index + 1, count, ending);
}

}  // namespace

bool has_gguf_ending(const std::filesystem::path& path) { return lower_extension(path) == ".gguf"; }

std::shared_ptr<const GgufFile> GgufFile::open(const std::filesystem::path& path) {
  auto gguf = std::make_shared<GgufFile>();
  gguf->where_ = path.string();
  gguf->add_part(path, /*first=*/true);
  const int64_t count = gguf->get_int("split.count").value_or(1);
  if (count < 0 || count > kMaxParts) fail_input(path.string(), "split.count is {}, expected at most {}", count, kMaxParts);
  if (count <= 1) return gguf;
  if (const int64_t number = gguf->get_int("split.no").value_or(0); number != 0) {
    fail_input(path.string(), "is part {} of {}; give the first part", number + 1, count);
  }
  for (int64_t index = 1; index < count; ++index) gguf->add_part(part_path(path, index, count), /*first=*/false);
  if (const auto total = gguf->get_int("split.tensors.count"); total && static_cast<uint64_t>(*total) != gguf->names_.size()) {
    fail_input(path.string(), "the parts hold {} tensors, expected {} (split.tensors.count)", gguf->names_.size(), *total);
  }
  return gguf;
}

void GgufFile::add_part(const std::filesystem::path& path, bool first) {
  const auto file = std::make_shared<MappedFile>(path);
  const std::string where = path.string();
  GgufHeader header = read_gguf_header(file->bytes(), where);
  files_.push_back(file);
  if (first) {
    header_bytes_ = header.data_begin;
    for (auto& [key, value] : header.values) {
      keys_.push_back(key);
      values_.emplace(std::move(key), value);
    }
  } else {
    for (const auto& [key, value] : header.values) {
      if (key != "split.no" || !is_integer(value.type)) continue;
      const auto number = integer_at(value.type, value.payload.data());
      if (number != static_cast<int64_t>(files_.size()) - 1) {
        fail_input(where, "split.no is {}, expected {}", number.value_or(-1), files_.size() - 1);
      }
    }
  }
  for (GgufTensorInfo& info : header.tensors) {
    const Tensor tensor{info.format, info.shape, file->bytes().data() + header.data_begin + info.offset, file};
    if (!tensors_.emplace(info.name, tensor).second) fail_input(where, "tensor '{}' is in another part too", info.name);
    names_.push_back(std::move(info.name));
  }
}

Shape GgufFile::shape(std::string_view name) const {
  const auto found = tensors_.find(std::string(name));
  CHECK(found != tensors_.end());
  return found->second.shape;
}

OwnedMatrix GgufFile::matrix(std::string_view name) const {
  const auto found = tensors_.find(std::string(name));
  CHECK(found != tensors_.end());
  const Tensor& tensor = found->second;
  const int64_t rows = tensor.shape.rank() < 2 ? 1 : tensor.shape[0];
  const int64_t inner = tensor.shape.rank() < 2 ? tensor.shape[0] : tensor.shape.row_elements();
  return {{tensor.format, rows, inner, tensor.data}, tensor.file};
}

bool GgufFile::is_float(std::string_view name) const { return format_is_float(format(name)); }

Format GgufFile::format(std::string_view name) const {
  const auto found = tensors_.find(std::string(name));
  CHECK(found != tensors_.end());
  return found->second.format;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = values_.find(std::string(key));
  return found == values_.end() ? nullptr : &found->second;
}

std::optional<int64_t> GgufFile::get_int(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!is_integer(value->type)) wrong_type(where_, key, *value, "an integer");
  const auto integer = integer_at(value->type, value->payload.data());
  if (!integer) fail_input(where_, "metadata key '{}' is too large", key);
  return integer;
}

std::optional<double> GgufFile::get_number(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto number = gguf_scalar_bytes(value->type) == 0 ? std::nullopt : number_at(value->type, value->payload.data());
  if (!number) wrong_type(where_, key, *value, "a number");
  return number;
}

std::optional<bool> GgufFile::get_bool(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kBool) wrong_type(where_, key, *value, "bool");
  return value->payload[0] != std::byte{0};
}

std::optional<std::string> GgufFile::get_string(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kString) wrong_type(where_, key, *value, "a string");
  return std::string(string_payload(value->payload));
}

std::optional<std::vector<std::string>> GgufFile::get_strings(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kArray || value->element != GgufType::kString) wrong_type(where_, key, *value, "an array of strings");
  std::vector<std::string> strings;
  strings.reserve(value->count);
  ByteReader in(value->payload, where_);
  for (uint64_t i = 0; i < value->count; ++i) strings.emplace_back(in.read_string());
  return strings;
}

std::optional<std::vector<int64_t>> GgufFile::get_ints(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kArray || !is_integer(value->element)) wrong_type(where_, key, *value, "an array of integers");
  std::vector<int64_t> integers;
  integers.reserve(value->count);
  const size_t size = gguf_scalar_bytes(value->element);
  for (uint64_t i = 0; i < value->count; ++i) {
    const auto integer = integer_at(value->element, value->payload.data() + i * size);
    if (!integer) fail_input(where_, "metadata key '{}' holds a number that is too large", key);
    integers.push_back(*integer);
  }
  return integers;
}

std::optional<std::vector<float>> GgufFile::get_floats(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  const size_t size = gguf_scalar_bytes(value->element);
  if (value->type != GgufType::kArray || size == 0 || value->element == GgufType::kBool) {
    wrong_type(where_, key, *value, "an array of numbers");
  }
  std::vector<float> numbers;
  numbers.reserve(value->count);
  for (uint64_t i = 0; i < value->count; ++i) {
    numbers.push_back(static_cast<float>(number_at(value->element, value->payload.data() + i * size).value_or(0)));
  }
  return numbers;
}

std::string GgufFile::describe(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return "";
  switch (value->type) {
    case GgufType::kArray: return fmt::format("[{} {}]", value->count, gguf_type_name(value->element));
    case GgufType::kString: return std::string(string_payload(value->payload));
    case GgufType::kBool: return *get_bool(key) ? "true" : "false";
    case GgufType::kF32:
    case GgufType::kF64: return fmt::format("{}", *get_number(key));
    case GgufType::kU64: return fmt::format("{}", load<uint64_t>(value->payload.data()));
    default: return fmt::format("{}", *get_int(key));
  }
}

}  // namespace citius
