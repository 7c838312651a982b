#include "io/safetensors_header.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <limits>
#include <optional>
#include <unordered_set>

#include "base/error.h"

namespace citius {
namespace {

constexpr DType kTypes[] = {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kF8E4M3, DType::kF8E5M2,
                            DType::kI8,  DType::kI16, DType::kI32, DType::kI64,  DType::kU8,     DType::kBool};

std::optional<DType> parse_type(std::string_view name) {
  for (DType type : kTypes) {
    if (dtype_name(type) == name) return type;
  }
  return std::nullopt;
}

constexpr size_t kMaxTensors = 1 << 18;
constexpr size_t kMaxNameBytes = 4096;

// Builds entries from parser events. Depth 1 is the header, 2 a tensor or the metadata, 3 an array in a tensor.
class Handler {
 public:
  static constexpr size_t max_object_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_array_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_key_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_string_size = std::numeric_limits<size_t>::max();
  using error_code = boost::json::error_code;
  using string_view = boost::json::string_view;

  explicit Handler(const std::string& where) : where_(where) {}
  SafetensorsHeader take() { return std::move(header_); }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) {
    if (in_array_ || depth_ >= 2 || (depth_ == 1 && !key_pending_)) wrong("an object");
    ++depth_;
    key_pending_ = false;
    if (depth_ == 2 && !in_metadata_) {
      if (header_.entries.size() >= kMaxTensors) fail_input(where_, "has more than {} tensors", kMaxTensors);
      entry_ = {key_, DType::kF32, {}, 0, 0};
      dtype_seen_ = shape_seen_ = offsets_seen_ = false;
    }
    return true;
  }
  bool on_object_end(size_t, error_code&) {
    if (depth_ == 2 && !in_metadata_) finish_entry();
    if (depth_ == 2) in_metadata_ = false;
    --depth_;
    return true;
  }
  bool on_array_begin(error_code&) {
    if (depth_ != 2 || in_metadata_ || in_array_ || (key_ != "shape" && key_ != "data_offsets")) wrong("an array");
    in_array_ = true;
    numbers_.clear();
    return true;
  }
  bool on_array_end(size_t, error_code&) {
    in_array_ = false;
    if (key_ == "shape") {
      set_shape();
    } else {
      if (numbers_.size() != 2) fail_input(where_, "tensor '{}': data_offsets has {} numbers, expected 2", entry_.name, numbers_.size());
      entry_.begin = numbers_[0];
      entry_.end = numbers_[1];
    }
    return true;
  }
  bool on_key_part(string_view part, size_t, error_code&) {
    append(partial_, part);
    return true;
  }
  bool on_key(string_view part, size_t, error_code&) {
    append(partial_, part);
    key_ = std::exchange(partial_, {});
    on_complete_key();
    return true;
  }
  bool on_string_part(string_view part, size_t, error_code&) {
    partial_.append(part.data(), part.size());
    return true;
  }
  bool on_string(string_view part, size_t, error_code&) {
    partial_.append(part.data(), part.size());
    const std::string value = std::exchange(partial_, {});
    if (in_array_ || depth_ != 2 || (!in_metadata_ && key_ != "dtype")) wrong("a string");
    if (in_metadata_) {
      if (!header_.metadata.emplace(key_, value).second) duplicate(key_);
      return true;
    }
    const std::optional<DType> dtype = parse_type(value);
    if (!dtype) {
      fail_input(where_,
                 "tensor '{}' has type '{}', which is not supported; expected F64, F32, F16, BF16, F8_E4M3, F8_E5M2, "
                 "I8, I16, I32, I64, U8 or BOOL",
                 entry_.name, value.substr(0, 32));
    }
    entry_.dtype = *dtype;
    return true;
  }
  bool on_number_part(string_view, error_code&) { return true; }
  bool on_int64(int64_t value, string_view, error_code&) {
    if (value < 0) fail_input(where_, "tensor '{}' has {} in its {}, expected sizes", entry_.name, value, key_);
    return on_count(static_cast<uint64_t>(value));
  }
  bool on_uint64(uint64_t value, string_view, error_code&) { return on_count(value); }
  bool on_double(double, string_view, error_code&) { wrong("a fraction"); }
  bool on_bool(bool, error_code&) { wrong("a truth value"); }
  bool on_null(error_code&) { wrong("null"); }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

 private:
  [[noreturn]] void wrong(std::string_view got) const {
    if (in_metadata_ && depth_ == 2) fail_input(where_, "__metadata__ '{}' is not a string", key_.substr(0, 64));
    fail_input(where_, "the header is damaged: {} where it does not belong (near '{}')", got, key_.substr(0, 64));
  }
  [[noreturn]] void duplicate(std::string_view name) const { fail_input(where_, "the header names '{}' twice", name.substr(0, 64)); }
  void append(std::string& text, string_view part) const {
    if (text.size() + part.size() > kMaxNameBytes) fail_input(where_, "the header has a name of more than {} bytes", kMaxNameBytes);
    text.append(part.data(), part.size());
  }
  void on_complete_key() {
    key_pending_ = true;
    if (depth_ == 1) {
      if (!names_.insert(key_).second) duplicate(key_);
      in_metadata_ = key_ == "__metadata__";
    } else if (!in_metadata_) {
      bool* seen = key_ == "dtype" ? &dtype_seen_ : key_ == "shape" ? &shape_seen_ : key_ == "data_offsets" ? &offsets_seen_ : nullptr;
      if (seen == nullptr) fail_input(where_, "tensor '{}' has the unexpected key '{}'", entry_.name, key_.substr(0, 64));
      if (*seen) fail_input(where_, "tensor '{}' has the key '{}' twice", entry_.name, key_);
      *seen = true;
    }
  }
  bool on_count(uint64_t value) {
    if (!in_array_) wrong("a number");
    if (numbers_.size() >= 16) wrong("a long array");
    numbers_.push_back(value);
    return true;
  }
  void set_shape() {
    if (numbers_.size() > Shape::kMaxRank) {
      fail_input(where_, "tensor '{}' has {} dimensions, expected at most {}", entry_.name, numbers_.size(), Shape::kMaxRank);
    }
    for (uint64_t dim : numbers_) {
      if (dim > (uint64_t{1} << 48)) fail_input(where_, "tensor '{}' has a dimension of {}, which is too large", entry_.name, dim);
    }
    const auto dim = [&](size_t i) { return static_cast<int64_t>(numbers_[i]); };
    switch (numbers_.size()) {
      case 0: entry_.shape = Shape{}; break;
      case 1: entry_.shape = {dim(0)}; break;
      case 2: entry_.shape = {dim(0), dim(1)}; break;
      case 3: entry_.shape = {dim(0), dim(1), dim(2)}; break;
      default: entry_.shape = {dim(0), dim(1), dim(2), dim(3)}; break;
    }
  }
  void finish_entry() {
    if (!dtype_seen_ || !shape_seen_ || !offsets_seen_) {
      fail_input(where_, "tensor '{}' lacks dtype, shape or data_offsets", entry_.name);
    }
    header_.entries.push_back(std::move(entry_));
  }

  const std::string& where_;
  SafetensorsHeader header_;
  SafetensorsRecord entry_;
  std::unordered_set<std::string> names_;
  std::string key_, partial_;
  std::vector<uint64_t> numbers_;
  int depth_ = 0;
  bool in_metadata_ = false, in_array_ = false, key_pending_ = false;
  bool dtype_seen_ = false, shape_seen_ = false, offsets_seen_ = false;
};

// Bytes of a tensor; refuses what does not fit in 63 bits, beside a dimension of 0 too: elements are counted from the left.
uint64_t tensor_bytes(const SafetensorsRecord& entry, const std::string& where) {
  uint64_t bytes = dtype_bytes(entry.dtype);
  bool empty = false;
  for (int axis = 0; axis < entry.shape.rank(); ++axis) {
    const auto dim = static_cast<uint64_t>(entry.shape[axis]);
    if (dim == 0) {
      empty = true;
      continue;
    }
    if (bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / dim) {
      fail_input(where, "tensor '{}' has the impossible shape {}", entry.name, entry.shape.str());
    }
    bytes *= dim;
  }
  return empty ? 0 : bytes;
}

void check_layout(const SafetensorsHeader& header, uint64_t data_bytes, const std::string& where) {
  uint64_t at = 0;
  for (const SafetensorsRecord& entry : header.entries) {
    if (entry.begin > entry.end || entry.end > data_bytes) {
      fail_input(where, "tensor '{}' has the offsets [{}, {}), but the file holds {} bytes of data; it may be truncated", entry.name,
                 entry.begin, entry.end, data_bytes);
    }
    const uint64_t expected = tensor_bytes(entry, where);
    if (entry.end - entry.begin != expected) {
      fail_input(where, "tensor '{}' takes {} bytes, expected {} for {} {}", entry.name, entry.end - entry.begin, expected,
                 dtype_name(entry.dtype), entry.shape.str());
    }
    if (entry.begin != at) {
      fail_input(where, "tensor '{}' begins at {}, which {} the tensor before it, expected {}", entry.name, entry.begin,
                 entry.begin > at ? "leaves a hole after" : "overlaps", at);
    }
    at = entry.end;
  }
  if (at != data_bytes) fail_input(where, "has {} bytes after the last tensor, expected none", data_bytes - at);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes, const std::string& where) {
  if (text.empty() || text[0] != '{') fail_input(where, "the header is not JSON of a safetensors file, expected an object");
  boost::json::parse_options options;
  options.max_depth = 4;
  boost::json::basic_parser<Handler> parser(options, where);
  boost::json::error_code error;
  const size_t parsed = parser.write_some(/*more=*/false, text.data(), text.size(), error);
  if (error) fail_input(where, "the header is not valid JSON near byte {}: {}", parsed, error.message());
  if (parsed != text.size()) fail_input(where, "the header has {} bytes after its JSON", text.size() - parsed);
  SafetensorsHeader header = parser.handler().take();
  std::sort(header.entries.begin(), header.entries.end(),
            [](const SafetensorsRecord& a, const SafetensorsRecord& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  check_layout(header, data_bytes, where);
  return header;
}

}  // namespace citius
