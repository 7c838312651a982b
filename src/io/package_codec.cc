#include "io/package_codec.h"

#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "quant/blocks.h"

namespace citius {

bool is_int8_group(Format format) { return format == Format::kInt8G32 || format == Format::kInt8G64 || format == Format::kInt8G128; }
bool is_int4_group(Format format) { return format == Format::kInt4G32 || format == Format::kInt4G64 || format == Format::kInt4G128; }
bool is_int4_zero_group(Format format) {
  return format == Format::kInt4ZG32 || format == Format::kInt4ZG64 || format == Format::kInt4ZG128;
}
int64_t group_size(Format format) {
  return is_int8_group(format) || is_int4_group(format) || is_int4_zero_group(format) ? format_block_elements(format) : 0;
}

std::vector<PackagePart> package_parts(const std::string& name, Format format, int64_t rows, int64_t cols) {
  if (format_is_float(format)) return {};
  if (format_is_per_row(format)) {
    return {{name, DType::kI8, {rows, cols}}, {name + "_scale", DType::kF32, {rows, 1}}};
  }
  const int64_t group = group_size(format);
  if (group == 0) return {{name, DType::kU8, {rows, static_cast<int64_t>(format_row_bytes(format, cols))}}};
  const PackagePart scale{name + "_scale", DType::kF16, {rows, cols / group}};
  if (is_int8_group(format)) return {{name, DType::kI8, {rows, cols}}, scale};
  std::vector<PackagePart> parts = {{name + "_packed", DType::kI32, {rows, cols / 8}}, scale, {name + "_shape", DType::kI64, {2}}};
  if (is_int4_zero_group(format)) parts.push_back({name + "_zero_point", DType::kI32, {(rows + 7) / 8, cols / group}});
  return parts;
}

namespace {

// Sizes of one block of a group format: { f16 scale; [u8 zero;] codes }.
struct GroupLayout {
  int64_t group;
  size_t head;   // bytes before the codes
  size_t codes;  // bytes of codes
  bool four_bits;
  size_t block() const { return head + codes; }
};

GroupLayout layout_of(Format format) {
  const int64_t group = group_size(format);
  CHECK(group > 0);
  const bool four = !is_int8_group(format);
  return {group, is_int4_zero_group(format) ? size_t{3} : size_t{2}, static_cast<size_t>(four ? group / 2 : group), four};
}

int get_nibble(const std::byte* block_codes, int64_t group, int64_t i) {
  const auto byte = static_cast<int>(block_codes[i < group / 2 ? i : i - group / 2]);
  return i < group / 2 ? byte & 15 : byte >> 4;
}

void set_nibble(std::byte* block_codes, int64_t group, int64_t i, int value) {
  std::byte& byte = block_codes[i < group / 2 ? i : i - group / 2];
  byte |= static_cast<std::byte>(i < group / 2 ? value : value << 4);
}

// Eight 4-bit numbers a word; nibble j of a row of words is number j.
int get_packed(const std::byte* words, int64_t j) { return (static_cast<int>(words[j / 2]) >> (j % 2 == 0 ? 0 : 4)) & 15; }
void set_packed(std::byte* words, int64_t j, int value) { words[j / 2] |= static_cast<std::byte>(j % 2 == 0 ? value : value << 4); }

size_t part_bytes(const PackagePart& part) {
  size_t bytes = dtype_bytes(part.dtype);
  for (int64_t dim : part.shape) bytes *= static_cast<size_t>(dim);
  return bytes;
}

void split_groups(const EncodedMatrix& m, std::vector<std::vector<std::byte>>& parts) {
  const GroupLayout layout = layout_of(m.format);
  const int64_t groups = m.cols / layout.group;
  const size_t row_codes = layout.codes * static_cast<size_t>(groups);
  for (int64_t row = 0; row < m.rows; ++row) {
    std::byte* codes = parts[0].data() + static_cast<size_t>(row) * row_codes;
    for (int64_t g = 0; g < groups; ++g) {
      const std::byte* block = m.row(row) + static_cast<size_t>(g) * layout.block();
      std::memcpy(parts[1].data() + (row * groups + g) * 2, block, 2);
      if (!layout.four_bits) {
        std::memcpy(codes + static_cast<size_t>(g) * layout.codes, block + layout.head, layout.codes);
        continue;
      }
      for (int64_t i = 0; i < layout.group; ++i) {
        set_packed(codes, g * layout.group + i, get_nibble(block + layout.head, layout.group, i));
      }
      if (layout.head == 3) {  // zero points run along rows: word [row / 8, g], number row % 8
        set_packed(parts[3].data() + (row / 8 * groups + g) * 4, row % 8, static_cast<int>(block[2]));
      }
    }
  }
  if (layout.four_bits) {
    const int64_t shape[2] = {m.rows, m.cols};
    std::memcpy(parts[2].data(), shape, sizeof shape);
  }
}

void join_groups(const EncodedMatrix& m, std::byte* out, const std::vector<const SafetensorsEntry*>& parts, const std::string& where) {
  const GroupLayout layout = layout_of(m.format);
  const int64_t groups = m.cols / layout.group;
  const size_t row_codes = layout.codes * static_cast<size_t>(groups);
  for (int64_t row = 0; row < m.rows; ++row) {
    const std::byte* codes = parts[0]->bytes.data() + static_cast<size_t>(row) * row_codes;
    for (int64_t g = 0; g < groups; ++g, out += layout.block()) {
      std::memcpy(out, parts[1]->bytes.data() + (row * groups + g) * 2, 2);
      if (!std::isfinite(quant::load_f16(reinterpret_cast<const uint8_t*>(out)))) fail_input(where, "a scale is not finite");
      if (!layout.four_bits) {
        std::memcpy(out + layout.head, codes + static_cast<size_t>(g) * layout.codes, layout.codes);
        continue;
      }
      if (layout.head == 3) {
        out[2] = static_cast<std::byte>(get_packed(parts[3]->bytes.data() + (row / 8 * groups + g) * 4, row % 8));
      }
      for (int64_t i = 0; i < layout.group; ++i) {
        set_nibble(out + layout.head, layout.group, i, get_packed(codes, g * layout.group + i));
      }
    }
  }
  if (layout.four_bits) {
    int64_t shape[2];
    std::memcpy(shape, parts[2]->bytes.data(), sizeof shape);
    if (shape[0] != m.rows || shape[1] != m.cols) {
      fail_input(where, "its shape tensor says [{}, {}], expected [{}, {}]", shape[0], shape[1], m.rows, m.cols);
    }
  }
}

}  // namespace

std::vector<std::vector<std::byte>> split_matrix(const EncodedMatrix& matrix, const std::vector<PackagePart>& parts) {
  std::vector<std::vector<std::byte>> bytes;
  for (const PackagePart& part : parts) bytes.emplace_back(part_bytes(part));
  if (format_is_per_row(matrix.format)) {
    for (int64_t row = 0; row < matrix.rows; ++row) {
      std::memcpy(bytes[1].data() + row * 4, matrix.row(row), 4);
      std::memcpy(bytes[0].data() + row * matrix.cols, matrix.row(row) + 4, static_cast<size_t>(matrix.cols));
    }
  } else if (group_size(matrix.format) > 0) {
    split_groups(matrix, bytes);
  } else {
    std::memcpy(bytes[0].data(), matrix.data, bytes[0].size());
  }
  return bytes;
}

OwnedMatrix join_matrix(Format format, int64_t rows, int64_t cols, const std::vector<const SafetensorsEntry*>& parts,
                        std::shared_ptr<const void> owner, const std::string& where) {
  EncodedMatrix matrix{format, rows, cols, parts[0]->bytes.data()};
  if (!format_is_per_row(format) && group_size(format) == 0) return {matrix, std::move(owner)};  // rows as they are
  auto storage = std::make_shared<std::vector<std::byte>>(matrix.row_bytes() * static_cast<size_t>(rows));
  if (format_is_per_row(format)) {
    for (int64_t row = 0; row < rows; ++row) {
      std::byte* out = storage->data() + static_cast<size_t>(row) * matrix.row_bytes();
      std::memcpy(out, parts[1]->bytes.data() + row * 4, 4);
      float scale;
      std::memcpy(&scale, out, 4);
      if (!std::isfinite(scale)) fail_input(where, "a scale is not finite");
      std::memcpy(out + 4, parts[0]->bytes.data() + row * cols, static_cast<size_t>(cols));
    }
  } else {
    join_groups(matrix, storage->data(), parts, where);
  }
  matrix.data = storage->data();
  if (format_is_per_row(format) || is_int8_group(format)) {
    const int most = format == Format::kInt7 ? 63 : 127;
    for (const std::byte byte : parts[0]->bytes) {
      const int code = static_cast<int8_t>(byte);
      if (code < -most || code > most) fail_input(where, "a code is {}, expected {} to {}", code, -most, most);
    }
  }
  return {matrix, storage};
}

}  // namespace citius
