// Every format: decode against the gguf package, encode against it where it has a quantizer, and against error bounds that
// follow from the layout elsewhere.
#include "quant/format.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "quant/blocks.h"

namespace citius {
namespace {

struct Record {
  Format format;
  bool encode;
  std::string row;
  std::vector<float> values;
};

std::vector<Record> read_goldens() {
  const std::string data = read_file(CITIUS_TEST_DIR "/golden/quant/blocks.bin", 1 << 22);
  std::vector<Record> records;
  size_t at = 0;
  const auto number = [&](size_t bytes) {
    uint32_t value = 0;
    std::memcpy(&value, data.data() + at, bytes);
    at += bytes;
    return value;
  };
  while (at < data.size()) {
    const size_t name_size = number(1);
    const auto format = parse_format(data.substr(at, name_size));
    at += name_size;
    Record record{format.value(), number(1) == 1, {}, {}};
    const size_t row_bytes = number(4), cols = number(4);
    record.row = data.substr(at, row_bytes);
    at += row_bytes;
    record.values.resize(cols);
    std::memcpy(record.values.data(), data.data() + at, cols * 4);
    at += cols * 4;
    records.push_back(std::move(record));
  }
  return records;
}

// Weights as models have them: normal, now and then an outlier.
std::vector<float> random_weights(uint64_t seed, int64_t count, float spread = 0.05f) {
  const CounterRng rng(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(rng.normal(i)) * spread * (rng.uniform(i + 1'000'000) < 0.01 ? 5.0f : 1.0f);
  }
  return values;
}

std::vector<std::byte> encode(Format format, const std::vector<float>& values) {
  std::vector<std::byte> row(format_row_bytes(format, static_cast<int64_t>(values.size())));
  encode_row(format, values.data(), static_cast<int64_t>(values.size()), row.data());
  return row;
}

std::vector<float> decode(Format format, const std::vector<std::byte>& row, size_t cols) {
  std::vector<float> values(cols);
  decode_row(format, row.data(), static_cast<int64_t>(cols), values.data());
  return values;
}

double relative_error(const std::vector<float>& got, const std::vector<float>& want) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(static_cast<double>(got[i]) - want[i], 2);
    norm += std::pow(static_cast<double>(want[i]), 2);
  }
  return std::sqrt(difference / norm);
}

TEST(Format, DecodesAsTheGgufPackage) {
  int checked = 0;
  for (const Record& record : read_goldens()) {
    if (record.encode) continue;
    const auto cols = static_cast<int64_t>(record.values.size());
    ASSERT_EQ(record.row.size(), format_row_bytes(record.format, cols));
    std::vector<float> got(record.values.size());
    decode_row(record.format, reinterpret_cast<const std::byte*>(record.row.data()), cols, got.data());
    for (size_t i = 0; i < got.size(); ++i) {
      // A NaN's sign and payload depend on the order of operands, which IEEE 754 leaves open.
      if (std::isnan(record.values[i]) && std::isnan(got[i])) continue;
      ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(record.values[i]))
          << format_name(record.format) << " element " << i << ": " << got[i] << " against " << record.values[i];
    }
    ++checked;
  }
  EXPECT_EQ(checked, 15);
}

TEST(Format, EncodesAsTheGgufPackage) {
  int checked = 0;
  for (const Record& record : read_goldens()) {
    if (!record.encode) continue;
    const std::vector<std::byte> got = encode(record.format, record.values);
    ASSERT_EQ(got.size(), record.row.size());
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(static_cast<int>(got[i]), static_cast<uint8_t>(record.row[i])) << format_name(record.format) << " byte " << i;
    }
    ++checked;
  }
  EXPECT_EQ(checked, 7);
}

TEST(Format, NamesAndSizes) {
  for (Format format : all_formats()) {
    EXPECT_EQ(parse_format(format_name(format)), format);
    EXPECT_TRUE(can_encode(format)) << format_name(format);
  }
  EXPECT_EQ(parse_format("q9_9"), std::nullopt);
  EXPECT_EQ(format_row_bytes(Format::kInt8, 100), 104u);
  EXPECT_EQ(format_row_bytes(Format::kInt7, 100), 104u);
  EXPECT_EQ(format_row_bytes(Format::kQ4K, 512), 288u);
  EXPECT_DOUBLE_EQ(format_bits_per_weight(Format::kQ8_0, 64), 8.5);
}

// Normal weights: the error of an optimal uniform quantizer with these steps, with a third of slack for the scales' own
// rounding and for outliers. A wrong shift or scale gives errors near 1.
TEST(Format, EncodersAreAccurate) {
  const std::map<Format, double> bounds = {
      {Format::kF32, 0},          {Format::kF16, 5e-4},       {Format::kBF16, 4e-3},     {Format::kInt8, 0.03},
      {Format::kInt7, 0.06},      {Format::kInt8G32, 0.009},  {Format::kInt8G64, 0.011}, {Format::kInt8G128, 0.013},
      {Format::kInt4G32, 0.13},   {Format::kInt4G64, 0.16},   {Format::kInt4G128, 0.20}, {Format::kInt4ZG32, 0.12},
      {Format::kInt4ZG64, 0.145}, {Format::kInt4ZG128, 0.19}, {Format::kQ4_0, 0.13},     {Format::kQ4_1, 0.12},
      {Format::kQ5_0, 0.065},     {Format::kQ5_1, 0.06},      {Format::kQ8_0, 0.009},    {Format::kQ2K, 0.36},
      {Format::kQ3K, 0.20},       {Format::kQ4K, 0.10},       {Format::kQ5K, 0.05},      {Format::kQ6K, 0.028},
      {Format::kIQ4NL, 0.10},     {Format::kIQ4XS, 0.10},     {Format::kMXFP4, 0.16}};
  const std::vector<float> values = random_weights(7, 4096);
  for (Format format : all_formats()) {
    const double error = relative_error(decode(format, encode(format, values), values.size()), values);
    EXPECT_LE(error, bounds.at(format)) << format_name(format);
    EXPECT_GE(error, bounds.at(format) / 5) << format_name(format) << ": the bound is too loose to mean anything";
  }
}

// Our own formats: no error beyond half a step, plus what the clamped ends can lose to the scale's rounding to f16
// (2^-11 of the largest magnitude) and, for signed int4, to the shorter side.
TEST(Format, IntegerGroupsRoundToNearest) {
  struct Case {
    Format format;
    int group;
    float steps;  // between -largest and +largest
    float ends;   // largest loss at the ends, in steps
  };
  for (const Case& c : {Case{Format::kInt8G32, 32, 254, 0}, Case{Format::kInt8G64, 64, 254, 0}, Case{Format::kInt8G128, 128, 254, 0},
                        Case{Format::kInt4G32, 32, 16, 0.5f}, Case{Format::kInt4G128, 128, 16, 0.5f}}) {
    const std::vector<float> values = random_weights(11, 1024);
    const std::vector<float> got = decode(c.format, encode(c.format, values), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      float largest = 0;
      for (size_t j = i / c.group * c.group; j < (i / c.group + 1) * c.group; ++j) {
        largest = std::max(largest, std::fabs(values[j]));
      }
      const float step = 2 * largest / c.steps;
      EXPECT_LE(std::fabs(got[i] - values[i]), step * (0.5f + c.ends) * 1.001f + largest * 0x1.0p-11f)
          << format_name(c.format) << " element " << i;
    }
  }
}

TEST(Format, ZeroRowsStayZero) {
  const std::vector<float> zeros(512, 0.0f);
  for (Format format : all_formats()) {
    for (float value : decode(format, encode(format, zeros), zeros.size())) EXPECT_EQ(value, 0.0f) << format_name(format);
  }
}

TEST(Format, ConstantAndOneSidedRows) {
  for (float value : {-3.0f, 0.125f, 1e-2f, 100.0f}) {
    const std::vector<float> values(256, value);
    for (Format format : all_formats()) {
      if (format == Format::kMXFP4) continue;  // its scale is a power of two
      const std::vector<float> got = decode(format, encode(format, values), values.size());
      // One code per block must reach the value up to the roundings of the scales.
      EXPECT_NEAR(got[17], value, std::fabs(value) * 0.02f) << format_name(format);
    }
  }
}

TEST(Format, RefusesWhatCannotBeStored) {
  std::vector<float> values(256, 1.0f);
  values[3] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(encode(Format::kQ4_0, values), Error);
  values[3] = std::nanf("");
  EXPECT_THROW(encode(Format::kInt8, values), Error);
  values[3] = 1e30f;
  EXPECT_THROW(encode(Format::kInt8G32, values), Error);
  EXPECT_NO_THROW(encode(Format::kInt8, values));
}

TEST(Format, ConvertMatrix) {
  const std::vector<float> values = random_weights(3, 6 * 64);
  const EncodedMatrix source{Format::kF32, 6, 64, reinterpret_cast<const std::byte*>(values.data())};
  const OwnedMatrix q = convert_matrix(source, Format::kQ8_0);
  EXPECT_EQ(q.matrix.rows, 6);
  EXPECT_EQ(q.matrix.row_bytes(), 68u);
  std::vector<std::byte> row(68);
  encode_row(Format::kQ8_0, values.data() + 5 * 64, 64, row.data());
  EXPECT_EQ(std::memcmp(row.data(), q.matrix.row(5), 68), 0);
  EXPECT_THROW(convert_matrix(source, Format::kQ4K), Error);
}

TEST(Format, EveryF16Decodes) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const uint8_t bytes[2] = {static_cast<uint8_t>(bits), static_cast<uint8_t>(bits >> 8)};
    const float got = quant::load_f16(bytes), want = f16_to_f32(static_cast<uint16_t>(bits));
    ASSERT_EQ(std::bit_cast<uint32_t>(got), std::bit_cast<uint32_t>(want)) << bits;
  }
}

}  // namespace
}  // namespace citius
