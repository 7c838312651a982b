#include "io/gguf_reader.h"

#include <algorithm>
#include <unordered_set>

namespace citius {
namespace {

constexpr uint64_t kMaxKeys = 65536, kMaxTensors = 1 << 18;
constexpr size_t kMaxKeyBytes = 65535, kMaxNameBytes = 1024;
constexpr int kMaxArrayDepth = 4;
constexpr uint64_t kDefaultAlignment = 32, kMaxAlignment = 1 << 20;

struct GgmlType {
  uint32_t number;
  std::string_view name;
  std::optional<Format> format;  // none: refused by name
};

const GgmlType* ggml_type(uint32_t number) {
  static const GgmlType kTypes[] = {
      {0, "F32", Format::kF32},
      {1, "F16", Format::kF16},
      {2, "Q4_0", Format::kQ4_0},
      {3, "Q4_1", Format::kQ4_1},
      {4, "Q4_2", {}},
      {5, "Q4_3", {}},
      {6, "Q5_0", Format::kQ5_0},
      {7, "Q5_1", Format::kQ5_1},
      {8, "Q8_0", Format::kQ8_0},
      {9, "Q8_1", {}},
      {10, "Q2_K", Format::kQ2K},
      {11, "Q3_K", Format::kQ3K},
      {12, "Q4_K", Format::kQ4K},
      {13, "Q5_K", Format::kQ5K},
      {14, "Q6_K", Format::kQ6K},
      {15, "Q8_K", {}},
      {16, "IQ2_XXS", {}},
      {17, "IQ2_XS", {}},
      {18, "IQ3_XXS", {}},
      {19, "IQ1_S", {}},
      {20, "IQ4_NL", Format::kIQ4NL},
      {21, "IQ3_S", {}},
      {22, "IQ2_S", {}},
      {23, "IQ4_XS", Format::kIQ4XS},
      {24, "I8", {}},
      {25, "I16", {}},
      {26, "I32", {}},
      {27, "I64", {}},
      {28, "F64", {}},
      {29, "IQ1_M", {}},
      {30, "BF16", Format::kBF16},
      {31, "Q4_0_4_4", {}},
      {32, "Q4_0_4_8", {}},
      {33, "Q4_0_8_8", {}},
      {34, "TQ1_0", {}},
      {35, "TQ2_0", {}},
      {36, "IQ4_NL_4_4", {}},
      {37, "IQ4_NL_4_8", {}},
      {38, "IQ4_NL_8_8", {}},
      {39, "MXFP4", Format::kMXFP4},
      {40, "NVFP4", {}},
  };
  return number < std::size(kTypes) ? &kTypes[number] : nullptr;
}

constexpr std::string_view kReadTypes = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS or MXFP4";

class HeaderReader {
 public:
  HeaderReader(std::span<const std::byte> file, const std::string& where) : file_(file), in_(file, where), where_(where) {}

  GgufHeader read() {
    GgufHeader header;
    header.version = read_version();
    const auto num_tensors = in_.read<uint64_t>(), num_values = in_.read<uint64_t>();
    check_count("tensors", num_tensors, kMaxTensors, 24);
    check_count("metadata keys", num_values, kMaxKeys, 13);
    read_values(header, num_values);
    read_tensors(header, num_tensors);
    header.data_begin = (in_.at() + alignment_ - 1) / alignment_ * alignment_;
    check_layout(header);
    return header;
  }

 private:
  uint32_t read_version() {
    const std::span<const std::byte> magic = in_.take(4);
    if (std::memcmp(magic.data(), "GGUF", 4) != 0) fail_input(where_, "is not a GGUF file");
    const auto version = in_.read<uint32_t>();
    if ((version & 0xffff) == 0 && version != 0) fail_input(where_, "is a big-endian GGUF file, expected little-endian");
    if (version != 2 && version != 3) fail_input(where_, "is GGUF version {}, expected 2 or 3; convert it again", version);
    return version;
  }

  // Every item takes at least `bytes` in the file, so that a count alone cannot make us allocate.
  void check_count(std::string_view what, uint64_t count, uint64_t limit, uint64_t bytes) const {
    if (count > limit || count > in_.remaining() / bytes) {
      fail_input(where_, "claims {} {}, which is more than the file can hold or than the limit of {}", count, what, limit);
    }
  }

  void read_values(GgufHeader& header, uint64_t count) {
    std::unordered_set<std::string_view> seen;
    for (uint64_t i = 0; i < count; ++i) {
      const std::string_view key = in_.read_string();
      if (key.empty() || key.size() > kMaxKeyBytes) fail_input(where_, "metadata key {} has {} bytes", i, key.size());
      if (!seen.insert(key).second) fail_input(where_, "metadata key '{}' appears twice", key.substr(0, 64));
      header.values.emplace_back(std::string(key), read_value(key));
      if (key == "general.alignment") set_alignment(header.values.back().second);
    }
  }

  GgufType read_type(std::string_view key) {
    const auto type = in_.read<uint32_t>();
    if (type > static_cast<uint32_t>(GgufType::kF64)) {
      fail_input(where_, "metadata key '{}' has the unknown type {}", key.substr(0, 64), type);
    }
    return static_cast<GgufType>(type);
  }

  GgufValue read_value(std::string_view key) {
    GgufValue value;
    value.type = read_type(key);
    if (value.type == GgufType::kArray) {
      value.element = read_type(key);
      value.count = in_.read<uint64_t>();
    }
    const uint64_t begin = in_.at();
    if (value.type == GgufType::kArray) {
      skip_elements(key, value.element, value.count, 1);
    } else {
      skip(key, value.type, 1, 0);
    }
    value.payload = file_.subspan(begin, in_.at() - begin);
    return value;
  }

  void skip(std::string_view key, GgufType type, uint64_t count, int depth) {
    if (type == GgufType::kString) {
      for (uint64_t i = 0; i < count; ++i) in_.read_string();
    } else if (type == GgufType::kArray) {
      for (uint64_t i = 0; i < count; ++i) {
        const GgufType element = read_type(key);
        skip_elements(key, element, in_.read<uint64_t>(), depth + 1);
      }
    } else {
      const std::span<const std::byte> bytes = in_.take(count * gguf_scalar_bytes(type));
      if (type != GgufType::kBool) return;
      for (std::byte b : bytes) {
        if (b > std::byte{1}) fail_input(where_, "metadata key '{}': got {} for a truth value", key.substr(0, 64), static_cast<int>(b));
      }
    }
  }

  void skip_elements(std::string_view key, GgufType element, uint64_t count, int depth) {
    if (depth > kMaxArrayDepth) {
      fail_input(where_, "metadata key '{}' nests arrays more than {} deep", key.substr(0, 64), kMaxArrayDepth);
    }
    const uint64_t bytes = element == GgufType::kString ? 8 : element == GgufType::kArray ? 12 : gguf_scalar_bytes(element);
    if (count > in_.remaining() / bytes) {
      fail_input(where_, "metadata key '{}' claims {} elements, but only {} bytes follow", key.substr(0, 64), count, in_.remaining());
    }
    skip(key, element, count, depth);
  }

  void set_alignment(const GgufValue& value) {
    if (value.type != GgufType::kU32) fail_input(where_, "general.alignment is {}, expected u32", gguf_type_name(value.type));
    uint32_t alignment;
    std::memcpy(&alignment, value.payload.data(), sizeof alignment);
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > kMaxAlignment) {
      fail_input(where_, "general.alignment is {}, expected a power of two up to {}", alignment, kMaxAlignment);
    }
    alignment_ = alignment;
  }

  void read_tensors(GgufHeader& header, uint64_t count) {
    std::unordered_set<std::string_view> seen;
    for (uint64_t i = 0; i < count; ++i) {
      const std::string_view name = in_.read_string();
      if (name.empty() || name.size() > kMaxNameBytes) fail_input(where_, "the name of tensor {} has {} bytes", i, name.size());
      if (!seen.insert(name).second) fail_input(where_, "tensor '{}' appears twice", name);
      header.tensors.push_back(read_tensor(std::string(name)));
    }
  }

  GgufTensorInfo read_tensor(std::string name) {
    GgufTensorInfo info;
    info.name = std::move(name);
    const auto rank = in_.read<uint32_t>();
    if (rank == 0 || rank > Shape::kMaxRank) fail_input(where_, "tensor '{}' has {} dimensions, expected 1 to 4", info.name, rank);
    int64_t dims[Shape::kMaxRank];
    uint64_t elements = 1;
    for (uint32_t axis = 0; axis < rank; ++axis) {
      const auto dim = in_.read<uint64_t>();
      if (dim == 0 || dim > (uint64_t{1} << 48) || elements > (uint64_t{1} << 56) / dim) {
        fail_input(where_, "tensor '{}' has an impossible dimension of {}", info.name, dim);
      }
      elements *= dim;
      dims[axis] = static_cast<int64_t>(dim);
    }
    switch (rank) {  // outermost first, the reverse of the file's order
      case 1: info.shape = {dims[0]}; break;
      case 2: info.shape = {dims[1], dims[0]}; break;
      case 3: info.shape = {dims[2], dims[1], dims[0]}; break;
      default: info.shape = {dims[3], dims[2], dims[1], dims[0]}; break;
    }
    const auto number = in_.read<uint32_t>();
    const GgmlType* type = ggml_type(number);
    if (type == nullptr) fail_input(where_, "tensor '{}' has the unknown type {}, expected {}", info.name, number, kReadTypes);
    if (!type->format)
      fail_input(where_, "tensor '{}' has type {}, which is not supported; expected {}", info.name, type->name, kReadTypes);
    info.format = *type->format;
    const int64_t block = format_block_elements(info.format);
    if (dims[0] % block != 0) {
      fail_input(where_, "tensor '{}' has rows of {} weights, expected a multiple of {} for {}", info.name, dims[0], block, type->name);
    }
    info.bytes = format_row_bytes(info.format, dims[0]) * (elements / static_cast<uint64_t>(dims[0]));
    info.offset = in_.read<uint64_t>();
    return info;
  }

  // Tensors follow one another in some order, each at the next aligned byte.
  void check_layout(GgufHeader& header) const {
    std::vector<const GgufTensorInfo*> order;
    for (const GgufTensorInfo& info : header.tensors) order.push_back(&info);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->offset < b->offset; });
    const uint64_t data_bytes = header.data_begin <= file_.size() ? file_.size() - header.data_begin : 0;
    uint64_t at = 0;
    for (const GgufTensorInfo* info : order) {
      if (info->offset > data_bytes || info->bytes > data_bytes - info->offset) {
        fail_input(where_, "tensor '{}' needs {} bytes at {}, but the file holds {} bytes of data; it is truncated or damaged", info->name,
                   info->bytes, info->offset, data_bytes);
      }
      const uint64_t expected = (at + alignment_ - 1) / alignment_ * alignment_;
      if (info->offset != expected) {
        fail_input(where_, "tensor '{}' begins at {}, which leaves {} after the tensor before it, expected {}", info->name, info->offset,
                   info->offset > expected ? "a hole" : "an overlap", expected);
      }
      at = info->offset + info->bytes;
    }
    const uint64_t padded = (at + alignment_ - 1) / alignment_ * alignment_;
    if (data_bytes > padded) fail_input(where_, "has {} bytes after the last tensor, expected none", data_bytes - padded);
  }

  std::span<const std::byte> file_;
  ByteReader in_;
  const std::string& where_;
  uint64_t alignment_ = kDefaultAlignment;
};

}  // namespace

size_t gguf_scalar_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool: return 1;
    case GgufType::kU16:
    case GgufType::kI16: return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32: return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64: return 8;
    case GgufType::kString:
    case GgufType::kArray: return 0;
  }
  return 0;
}

std::string_view gguf_type_name(GgufType type) {
  constexpr std::string_view kNames[] = {"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<size_t>(type)];
}

std::optional<uint32_t> ggml_type_of(Format format) {
  for (uint32_t number = 0; const GgmlType* type = ggml_type(number); ++number) {
    if (type->format == format) return number;
  }
  return std::nullopt;
}

GgufHeader read_gguf_header(std::span<const std::byte> file, const std::string& where) { return HeaderReader(file, where).read(); }

}  // namespace citius
