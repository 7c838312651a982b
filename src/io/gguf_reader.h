// One GGUF file's header, read with bounds checks into spans of the mapped bytes.
#pragma once

#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/gguf.h"

namespace citius {

/// Reads forward and refuses to pass the end.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  template <typename T>
  T read() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::span<const std::byte> take(uint64_t count) {
    if (count > remaining()) {
      fail_input(where_, "ends early: {} bytes are needed at byte {}, {} are left; the file is truncated or damaged", count, at_,
                 remaining());
    }
    const std::span<const std::byte> part = bytes_.subspan(at_, count);
    at_ += count;
    return part;
  }
  /// A string with its 64-bit length before it.
  std::string_view read_string() {
    const auto size = read<uint64_t>();
    const std::span<const std::byte> text = take(size);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }
  uint64_t at() const { return at_; }
  uint64_t remaining() const { return bytes_.size() - at_; }

 private:
  std::span<const std::byte> bytes_;
  const std::string& where_;
  uint64_t at_ = 0;
};

struct GgufTensorInfo {
  std::string name;
  Format format = Format::kF32;
  Shape shape;
  uint64_t offset = 0;  // in the data section
  uint64_t bytes = 0;
};

struct GgufHeader {
  uint32_t version = 0;
  std::vector<std::pair<std::string, GgufValue>> values;
  std::vector<GgufTensorInfo> tensors;
  uint64_t data_begin = 0;  // byte of the file
};

/// Bytes of a scalar of this type; 0 for strings and arrays.
size_t gguf_scalar_bytes(GgufType type);

/// Parses and validates everything, the layout of the tensors included. Throws Error{kInput} naming `where`.
GgufHeader read_gguf_header(std::span<const std::byte> file, const std::string& where);

}  // namespace citius
