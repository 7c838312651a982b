#include "quant/format.h"

#include <array>
#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "quant/ggml_basic.h"
#include "quant/ggml_iq.h"
#include "quant/ggml_k.h"
#include "quant/int_groups.h"

namespace citius {
namespace {

struct FormatInfo {
  std::string_view name;
  int64_t elements;
  size_t bytes;
};

constexpr FormatInfo kInfos[] = {
#define CITIUS_FORMAT(enumerator, name, elements, bytes) {name, elements, bytes},
#include "quant/formats.inc"
#undef CITIUS_FORMAT
};
constexpr size_t kNumFormats = std::size(kInfos);

const FormatInfo& info_of(Format format) {
  CHECK(static_cast<size_t>(format) < kNumFormats);
  return kInfos[static_cast<size_t>(format)];
}

quant::BlockCodec block_codec(Format format) {
  switch (format) {
    case Format::kF32:
    case Format::kF16:
    case Format::kBF16:
    case Format::kInt8:
    case Format::kInt7: return {};
    case Format::kInt8G32: return quant::int8_group_codec<32>();
    case Format::kInt8G64: return quant::int8_group_codec<64>();
    case Format::kInt8G128: return quant::int8_group_codec<128>();
    case Format::kInt4G32: return quant::int4_group_codec<32>();
    case Format::kInt4G64: return quant::int4_group_codec<64>();
    case Format::kInt4G128: return quant::int4_group_codec<128>();
    case Format::kInt4ZG32: return quant::int4z_group_codec<32>();
    case Format::kInt4ZG64: return quant::int4z_group_codec<64>();
    case Format::kInt4ZG128: return quant::int4z_group_codec<128>();
    case Format::kQ4_0: return quant::q4_0_codec();
    case Format::kQ4_1: return quant::q4_1_codec();
    case Format::kQ5_0: return quant::q5_0_codec();
    case Format::kQ5_1: return quant::q5_1_codec();
    case Format::kQ8_0: return quant::q8_0_codec();
    case Format::kQ2K: return quant::q2_k_codec();
    case Format::kQ3K: return quant::q3_k_codec();
    case Format::kQ4K: return quant::q4_k_codec();
    case Format::kQ5K: return quant::q5_k_codec();
    case Format::kQ6K: return quant::q6_k_codec();
    case Format::kIQ4NL: return quant::iq4_nl_codec();
    case Format::kIQ4XS: return quant::iq4_xs_codec();
    case Format::kMXFP4: return quant::mxfp4_codec();
  }
  return {};
}

// One load at program start instead of a switch per row.
const quant::BlockCodec& codec_of(Format format) {
  static const std::array<quant::BlockCodec, kNumFormats> codecs = [] {
    std::array<quant::BlockCodec, kNumFormats> all;
    for (size_t i = 0; i < kNumFormats; ++i) all[i] = block_codec(static_cast<Format>(i));
    return all;
  }();
  return codecs[static_cast<size_t>(format)];
}

void encode_plain_row(Format format, const float* values, int64_t cols, uint8_t* row) {
  if (format == Format::kF32) {
    std::memcpy(row, values, static_cast<size_t>(cols) * sizeof(float));
    return;
  }
  for (int64_t i = 0; i < cols; ++i) {
    quant::store_u16(row + 2 * i, format == Format::kF16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]));
  }
}

void check_finite(Format format, const float* values, int64_t cols) {
  bool finite = true;
  for (int64_t i = 0; i < cols; ++i) finite &= std::isfinite(values[i]);
  if (!finite) fail_input("quantize", "the weights hold NaN or infinity, which {} cannot store", format_name(format));
}

}  // namespace

std::string_view format_name(Format format) { return info_of(format).name; }

std::optional<Format> parse_format(std::string_view name) {
  for (size_t i = 0; i < kNumFormats; ++i) {
    if (kInfos[i].name == name) return static_cast<Format>(i);
  }
  return std::nullopt;
}

const std::vector<Format>& all_formats() {
  static const std::vector<Format> formats = [] {
    std::vector<Format> all;
    for (size_t i = 0; i < kNumFormats; ++i) all.push_back(static_cast<Format>(i));
    return all;
  }();
  return formats;
}

int64_t format_block_elements(Format format) { return std::max<int64_t>(info_of(format).elements, 1); }

size_t format_row_bytes(Format format, int64_t cols) {
  const FormatInfo& info = info_of(format);
  CHECK(cols >= 0);
  if (format_is_per_row(format)) return sizeof(float) + static_cast<size_t>(cols);
  CHECK(cols % info.elements == 0);
  return static_cast<size_t>(cols / info.elements) * info.bytes;
}

double format_bits_per_weight(Format format, int64_t cols) {
  return cols == 0 ? 0.0 : 8.0 * static_cast<double>(format_row_bytes(format, cols)) / static_cast<double>(cols);
}

bool format_is_float(Format format) { return format == Format::kF32 || format == Format::kF16 || format == Format::kBF16; }

bool format_is_per_row(Format format) { return format == Format::kInt8 || format == Format::kInt7; }

ActivationFormat format_activation(Format format) {
  switch (format) {
    case Format::kF32:
    case Format::kF16: return ActivationFormat::kF32;
    case Format::kBF16: return ActivationFormat::kBF16;
    case Format::kInt8:
    case Format::kInt7: return ActivationFormat::kInt8PerToken;
    case Format::kInt8G64:
    case Format::kInt4G64:
    case Format::kInt4ZG64: return ActivationFormat::kInt8G64;
    case Format::kInt8G128:
    case Format::kInt4G128:
    case Format::kInt4ZG128: return ActivationFormat::kInt8G128;
    default: return ActivationFormat::kInt8G32;
  }
}

void decode_row(Format format, const std::byte* row, int64_t cols, float* out) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(row);
  switch (format) {
    case Format::kF32: std::memcpy(out, row, static_cast<size_t>(cols) * sizeof(float)); return;
    case Format::kF16:
      for (int64_t i = 0; i < cols; ++i) out[i] = quant::load_f16(bytes + 2 * i);
      return;
    case Format::kBF16:
      for (int64_t i = 0; i < cols; ++i) out[i] = bf16_to_f32(quant::load_u16(bytes + 2 * i));
      return;
    case Format::kInt8:
    case Format::kInt7: quant::decode_int8_row(bytes, cols, out); return;
    default: break;
  }
  const FormatInfo& info = info_of(format);
  CHECK(cols % info.elements == 0);
  const auto decode = codec_of(format).decode;
  for (int64_t i = 0; i < cols; i += info.elements, bytes += info.bytes) decode(bytes, out + i);
}

void encode_row(Format format, const float* values, int64_t cols, std::byte* row) {
  auto* bytes = reinterpret_cast<uint8_t*>(row);
  if (format_is_float(format)) return encode_plain_row(format, values, cols, bytes);
  check_finite(format, values, cols);
  if (format_is_per_row(format)) return quant::encode_int8_row(values, cols, format == Format::kInt7 ? 63 : 127, bytes);
  const FormatInfo& info = info_of(format);
  CHECK(cols % info.elements == 0);
  const auto encode = codec_of(format).encode;
  if (encode == nullptr) fail(ErrorKind::kUsage, "quantize", "{} can be read but not written", info.name);
  for (int64_t i = 0; i < cols; i += info.elements, bytes += info.bytes) {
    if (!encode(values + i, bytes)) {
      fail_input("quantize", "the weights are too large for the 16-bit scales of {}", info.name);
    }
  }
}

bool can_encode(Format format) { return format_is_float(format) || format_is_per_row(format) || codec_of(format).encode != nullptr; }

OwnedMatrix convert_matrix(const EncodedMatrix& source, Format target) {
  if (source.cols % format_block_elements(target) != 0) {
    fail_input("quantize", "a row of {} weights cannot be stored as {}, expected a multiple of {}", source.cols, format_name(target),
               format_block_elements(target));
  }
  const size_t row_bytes = format_row_bytes(target, source.cols);
  auto storage = std::make_shared<std::vector<std::byte>>(row_bytes * static_cast<size_t>(source.rows));
  std::vector<float> values(static_cast<size_t>(source.cols));
  for (int64_t i = 0; i < source.rows; ++i) {
    decode_row(source.format, source.row(i), source.cols, values.data());
    encode_row(target, values.data(), source.cols, storage->data() + static_cast<size_t>(i) * row_bytes);
  }
  return {{target, source.rows, source.cols, storage->data()}, storage};
}

}  // namespace citius
