#include "tokenizer/text.h"

#include <algorithm>
#include <cstring>

namespace citius::tok {

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

size_t count_chars(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

size_t utf8_part(std::string_view text, bool& valid) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = at(0);
  valid = true;
  if (first < 0x80) return 1;
  // The second byte is restricted after E0, ED, F0 and F4: no overlong forms, surrogates, or values past U+10FFFF.
  unsigned low = 0x80, high = 0xBF;
  size_t length = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  }
  for (size_t i = 1; i < length; ++i) {
    if (i >= text.size() || at(i) < low || at(i) > high) {
      valid = false;
      return i;
    }
    low = 0x80;
    high = 0xBF;
  }
  valid = length > 0;
  return std::max<size_t>(length, 1);
}

bool may_continue(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t length = first < 0xC2 || first > 0xF4 ? 0 : static_cast<size_t>(utf8_length(text[0]));
  bool valid;
  return text.size() < length && utf8_part(text, valid) == text.size();
}

bool is_valid_utf8(std::string_view text) {
  bool valid = true;
  for (size_t i = 0; i < text.size();) {
    if (i + 8 <= text.size()) {  // eight ASCII bytes at a time
      uint64_t word;
      std::memcpy(&word, text.data() + i, 8);
      if ((word & 0x8080808080808080u) == 0) {
        i += 8;
        continue;
      }
    }
    i += utf8_part(text.substr(i), valid);
    if (!valid) return false;
  }
  return true;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    bool valid;
    const size_t length = utf8_part(text.substr(i), valid);
    out.append(valid ? text.substr(i, length) : std::string_view("\xEF\xBF\xBD"));
    i += length;
  }
  return out;
}

void AlignedText::append_original(std::string_view text, size_t offset) {
  bytes.append(text);
  spans.reserve(spans.size() + text.size());
  for (size_t i = 0; i < text.size();) {
    const int length = utf8_length(text[i]);
    const auto begin = static_cast<int32_t>(offset + i);
    spans.insert(spans.end(), static_cast<size_t>(length), TextSpan{begin, begin + length});
    i += static_cast<size_t>(length);
  }
}

void Rewriter::put(char32_t c, int change) {
  TextSpan span{origin_, origin_};
  const size_t size = source_.size();
  if (change > 0) {
    if (position_ > 0) span = source_.spans[position_ - 1];
  } else if (size > 0) {
    span = source_.spans[std::min(position_, size - 1)];
  }
  const int consumed = change > 0 ? 0 : 1 - change;
  for (int i = 0; i < consumed && position_ < size; ++i) position_ += static_cast<size_t>(utf8_length(source_.bytes[position_]));
  out_.append(c, span);
}

}  // namespace citius::tok
