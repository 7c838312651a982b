#include "backend/cpu/row_codes.h"

#include <cstring>

#include "backend/cpu/linear_kernels.h"
#include "base/check.h"

namespace citius::cpu {
namespace {

const uint8_t* bytes_of(const std::byte* p) { return reinterpret_cast<const uint8_t*>(p); }

// Element i of a block is in the low half of byte i, element i + count / 2 in the high half.
void read_nibbles(const uint8_t* p, int64_t count, uint8_t* codes) {
  for (int64_t i = 0; i < count / 2; ++i) {
    codes[i] = p[i] & 15;
    codes[i + count / 2] = p[i] >> 4;
  }
}

void read_signed(const uint8_t* p, int64_t count, int offset, uint8_t* codes) {
  for (int64_t i = 0; i < count; ++i) codes[i] = static_cast<uint8_t>(p[i] + offset);
}

// 16 bytes of nibbles with the fifth bits in a word before them.
void read_five_bits(const uint8_t* p, uint8_t* codes) {
  uint32_t high;
  std::memcpy(&high, p, 4);
  read_nibbles(p + 4, 32, codes);
  for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(codes[i] | (((high >> i) & 1) << 4));
}

void read_q2k(const uint8_t* p, uint8_t* codes) {
  for (int i = 0; i < 256; ++i) codes[i] = (p[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
}

void read_q3k(const uint8_t* p, uint8_t* codes) {
  for (int i = 0; i < 256; ++i) {
    const int low = (p[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
    codes[i] = static_cast<uint8_t>(low | (((p[i % 32] >> (i / 32)) & 1) << 2));
  }
}

void read_q4k(const uint8_t* p, uint8_t* codes) {
  for (int pair = 0; pair < 4; ++pair) read_nibbles(p + 16 + pair * 32, 64, codes + pair * 64);
}

void read_q5k(const uint8_t* p, uint8_t* codes) {
  for (int pair = 0; pair < 4; ++pair) read_nibbles(p + 48 + pair * 32, 64, codes + pair * 64);
  for (int i = 0; i < 256; ++i) codes[i] = static_cast<uint8_t>(codes[i] | (((p[16 + i % 32] >> (i / 32)) & 1) << 4));
}

void read_q6k(const uint8_t* p, uint8_t* codes) {
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, part = i % 128 / 32, l = i % 32;
    const int low = (p[half * 64 + part % 2 * 32 + l] >> (part / 2 * 4)) & 15;
    codes[i] = static_cast<uint8_t>(low | (((p[128 + half * 32 + l] >> (part * 2)) & 3) << 4));
  }
}

void read_iq4xs(const uint8_t* p, uint8_t* codes) {
  for (int group = 0; group < 8; ++group) read_nibbles(p + 8 + group * 16, 32, codes + group * 32);
}

void put_half(uint8_t* record, int at, int n, const uint8_t* half) { std::memcpy(record + at + n * 2, half, 2); }

void put_q2k(const uint8_t* p, int n, uint8_t* record) {
  put_half(record, 0, n, p + 80);
  put_half(record, 32, n, p + 82);
  for (int group = 0; group < 16; ++group) record[64 + group * 16 + n] = p[group];
}

void put_q3k(const uint8_t* p, int n, uint8_t* record) {
  put_half(record, 0, n, p + 108);
  const uint8_t* s = p + 96;
  for (int group = 0; group < 16; ++group) {
    const int low = group < 8 ? s[group] & 15 : s[group - 8] >> 4;
    const int high = (s[8 + group % 4] >> (group / 4 * 2)) & 3;
    record[32 + group * 16 + n] = static_cast<uint8_t>((low | (high << 4)) - 32);
  }
}

// Eight scales and eight mins of six bits in twelve bytes.
void put_super_min(const uint8_t* p, int n, uint8_t* record) {
  put_half(record, 0, n, p);
  put_half(record, 32, n, p + 2);
  const uint8_t* s = p + 4;
  for (int group = 0; group < 8; ++group) {
    int scale = s[group] & 63, min = s[group + 4] & 63;
    if (group >= 4) {
      scale = (s[group + 4] & 15) | (s[group - 4] >> 6 << 4);
      min = (s[group + 4] >> 4) | (s[group] >> 6 << 4);
    }
    record[64 + group * 32 + n] = static_cast<uint8_t>(scale);
    record[64 + group * 32 + 16 + n] = static_cast<uint8_t>(min);
  }
}

void put_q6k(const uint8_t* p, int n, uint8_t* record) {
  put_half(record, 0, n, p + 208);
  for (int group = 0; group < 16; ++group) record[32 + group * 16 + n] = p[192 + group];
}

void put_iq4xs(const uint8_t* p, int n, uint8_t* record) {
  put_half(record, 0, n, p);
  uint16_t high;
  std::memcpy(&high, p + 2, 2);
  for (int group = 0; group < 8; ++group) {
    const int low = (p[4 + group / 2] >> (group % 2 * 4)) & 15;
    record[32 + group * 16 + n] = static_cast<uint8_t>((low | (((high >> (group * 2)) & 3) << 4)) - 32);
  }
}

void read_block(Format format, const uint8_t* p, int64_t elements, uint8_t* codes) {
  switch (format) {
    case Format::kInt8G32:
    case Format::kInt8G64:
    case Format::kInt8G128:
    case Format::kQ8_0: return read_signed(p + 2, elements, 128, codes);
    case Format::kInt4G32:
    case Format::kInt4G64:
    case Format::kInt4G128:
    case Format::kQ4_0:
    case Format::kIQ4NL: return read_nibbles(p + 2, elements, codes);
    case Format::kInt4ZG32:
    case Format::kInt4ZG64:
    case Format::kInt4ZG128: return read_nibbles(p + 3, elements, codes);
    case Format::kQ4_1: return read_nibbles(p + 4, elements, codes);
    case Format::kMXFP4: return read_nibbles(p + 1, elements, codes);
    case Format::kQ5_0: return read_five_bits(p + 2, codes);
    case Format::kQ5_1: return read_five_bits(p + 4, codes);
    case Format::kQ2K: return read_q2k(p, codes);
    case Format::kQ3K: return read_q3k(p, codes);
    case Format::kQ4K: return read_q4k(p, codes);
    case Format::kQ5K: return read_q5k(p, codes);
    case Format::kQ6K: return read_q6k(p, codes);
    case Format::kIQ4XS: return read_iq4xs(p, codes);
    default: CHECK(false);
  }
}

void put_record(Format format, const uint8_t* p, int n, uint8_t* record) {
  switch (format) {
    case Format::kQ4_1:
    case Format::kQ5_1:
      put_half(record, 0, n, p);
      put_half(record, 32, n, p + 2);
      return;
    case Format::kInt4ZG32:
    case Format::kInt4ZG64:
    case Format::kInt4ZG128:
      put_half(record, 0, n, p);
      record[32 + n] = p[2];
      return;
    case Format::kMXFP4: record[n] = p[0]; return;
    case Format::kQ2K: return put_q2k(p, n, record);
    case Format::kQ3K: return put_q3k(p, n, record);
    case Format::kQ4K:
    case Format::kQ5K: return put_super_min(p, n, record);
    case Format::kQ6K: return put_q6k(p, n, record);
    case Format::kIQ4XS: return put_iq4xs(p, n, record);
    default: return put_half(record, 0, n, p);
  }
}

// Bytes of the record of one block; the same numbers as the traits of kernels/formats-inl.h.
int64_t record_bytes(Format format) {
  switch (format) {
    case Format::kQ4_1:
    case Format::kQ5_1: return 64;
    case Format::kInt4ZG32:
    case Format::kInt4ZG64:
    case Format::kInt4ZG128: return 48;
    case Format::kMXFP4: return 16;
    case Format::kQ2K:
    case Format::kQ4K:
    case Format::kQ5K: return 64 + 256;
    case Format::kQ3K:
    case Format::kQ6K: return 32 + 256;
    case Format::kIQ4XS: return 32 + 128;
    default: return 32;
  }
}

}  // namespace

int code_bits(Format format) {
  switch (format) {
    case Format::kInt8:
    case Format::kInt7:
    case Format::kInt8G32:
    case Format::kInt8G64:
    case Format::kInt8G128:
    case Format::kQ8_0: return 8;
    case Format::kQ6K: return 6;
    case Format::kQ5_0:
    case Format::kQ5_1:
    case Format::kQ5K: return 5;
    case Format::kQ3K: return 3;
    case Format::kQ2K: return 2;
    default: return 4;
  }
}

int64_t scale_bytes(Format format, int64_t cols) {
  if (format_is_per_row(format)) return kTile * 4;
  return cols / format_block_elements(format) * record_bytes(format);
}

void read_row(Format format, const std::byte* row, int64_t cols, uint8_t* codes) {
  if (format_is_per_row(format)) return read_signed(bytes_of(row) + 4, cols, format == Format::kInt7 ? 64 : 128, codes);
  const int64_t elements = format_block_elements(format);
  const size_t bytes = format_row_bytes(format, elements);
  for (int64_t k = 0; k < cols; k += elements, row += bytes) read_block(format, bytes_of(row), elements, codes + k);
}

void store_scales(Format format, const std::byte* row, int64_t cols, int n, uint8_t* scales) {
  if (format_is_per_row(format)) {
    std::memcpy(scales + n * 4, row, 4);
    return;
  }
  const int64_t elements = format_block_elements(format);
  const size_t bytes = format_row_bytes(format, elements);
  for (int64_t k = 0; k < cols; k += elements, row += bytes, scales += record_bytes(format)) {
    put_record(format, bytes_of(row), n, scales);
  }
}

}  // namespace citius::cpu
