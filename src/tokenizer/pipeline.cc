#include "tokenizer/pipeline.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "tokenizer/unicode.h"

namespace citius::tok {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 30;

std::vector<AddedToken> select(const std::vector<AddedToken>& tokens, bool normalized) {
  std::vector<AddedToken> out;
  std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(out),
               [&](const AddedToken& token) { return token.normalized == normalized; });
  return out;
}

std::vector<std::string> contents(const std::vector<AddedToken>& tokens) {
  std::vector<std::string> out;
  for (const AddedToken& token : tokens) out.push_back(token.content);
  return out;
}

/// White-space characters at the beginning and end of a token's string, with the byte-level space among them.
std::pair<uint16_t, uint16_t> count_spaces(std::string_view token) {
  const auto is_space = [](char32_t c) { return c == 0x120 || is_whitespace(c); };
  std::pair<uint16_t, uint16_t> counts{0, 0};
  for (size_t i = 0; i < token.size() && is_space(next_char(token, i));) ++counts.first;
  for (size_t i = token.size(); i > 0 && is_space(previous_char(token, i));) ++counts.second;
  return counts;
}

}  // namespace

/// A text as given, made valid, and where its characters were.
struct Pipeline::Text {
  explicit Text(std::string_view given) {
    if (given.size() > kMaxTextBytes) {
      fail_input("tokenizer", "text has {} bytes, expected at most {}", given.size(), kMaxTextBytes);
    }
    valid = given;
    const bool broken = !is_valid_utf8(given);
    if (broken) {
      repaired = replace_invalid_utf8(given);
      valid = repaired;
    }
    if (!broken && is_surely_normal(given)) return;  // ASCII: characters are bytes
    ascii = false;
    char_of_byte.reserve(valid.size() + 1);
    for (size_t i = 0; i < given.size();) {
      byte_of_char.push_back(static_cast<int32_t>(i));
      bool good;
      i += utf8_part(given.substr(i), good);
    }
    byte_of_char.push_back(static_cast<int32_t>(given.size()));
    for (size_t i = 0, index = 0; i < valid.size(); ++index) {
      const int length = utf8_length(valid[i]);
      char_of_byte.insert(char_of_byte.end(), static_cast<size_t>(length), static_cast<int32_t>(index));
      i += static_cast<size_t>(length);
    }
    char_of_byte.push_back(static_cast<int32_t>(byte_of_char.size()) - 1);
  }

  /// Span in bytes of the valid text to characters. Spans always begin and end between characters.
  TextSpan chars(TextSpan bytes) const {
    if (ascii) return bytes;
    return {char_of_byte[static_cast<size_t>(bytes.begin)], char_of_byte[static_cast<size_t>(bytes.end)]};
  }
  /// Span in characters to bytes of the text as given.
  TextSpan bytes(TextSpan chars) const {
    if (ascii) return chars;
    return {byte_of_char[static_cast<size_t>(chars.begin)], byte_of_char[static_cast<size_t>(chars.end)]};
  }

  std::string_view valid;
  std::string repaired;
  bool ascii = true;
  std::vector<int32_t> char_of_byte, byte_of_char;
};

Pipeline::Pipeline(Parts parts) : parts_(std::move(parts)), raw_tokens_({}, {}, parts_.where), normalized_tokens_({}, {}, parts_.where) {
  const Vocabulary& vocabulary = parts_.model->vocabulary();
  std::vector<std::pair<std::string, int64_t>> extra;
  for (const AddedToken& token : parts_.added_tokens) {
    if (!vocabulary.has_id(token.id) || vocabulary.token(token.id) != token.content) extra.emplace_back(token.content, token.id);
    vocab_size_ = std::max(vocab_size_, static_cast<size_t>(token.id) + 1);
  }
  vocab_size_ = std::max(vocab_size_, vocabulary.size());
  if (!extra.empty()) {
    // Ids of the model's vocabulary are taken; the check for gaps must know them.
    for (const auto& [content, id] : extra) {
      if (vocabulary.has_id(id)) {
        fail_input(parts_.where, "added token '{}' has id {}, which is '{}' in the vocabulary", content, id,
                   vocabulary.token(static_cast<int32_t>(id)));
      }
      const int64_t limit = static_cast<int64_t>(vocabulary.size() + 4 * extra.size()) + 100'000;
      if (id < 0 || id >= limit) fail_input(parts_.where, "added token '{}' has id {}, expected less than {}", content, id, limit);
    }
    for (const auto& [content, id] : extra) extra_[static_cast<int32_t>(id)] = content;
    for (const auto& [id, content] : extra_) extra_ids_[content] = id;
  }
  const int64_t largest = parts_.post_processor ? parts_.post_processor->largest_id() : -1;
  if (largest >= static_cast<int64_t>(vocab_size_)) {
    fail_input(parts_.where, "the post-processor adds token id {}, expected less than {}", largest, vocab_size_);
  }
  special_flags_.assign(vocab_size_, false);
  for (const AddedToken& token : parts_.added_tokens) {
    if (token.special) special_flags_[static_cast<size_t>(token.id)] = true;
  }
  const std::vector<AddedToken> raw = select(parts_.added_tokens, false);
  const std::vector<AddedToken> normalized = select(parts_.added_tokens, true);
  raw_tokens_ = TokenFinder(raw, contents(raw), parts_.where);
  std::vector<std::string> forms;
  for (const AddedToken& token : normalized) {
    forms.push_back(normalized_form(token.content));
    if (forms.back() == token.content) continue;
    normalized_forms_[token.id] = forms.back();
  }
  normalized_tokens_ = TokenFinder(normalized, forms, parts_.where);
  if (!parts_.decoder) parts_.decoder = make_join_decoder();
}

std::string Pipeline::normalized_form(const std::string& content) const {
  if (!parts_.normalizer) return content;
  AlignedText in, out;
  in.append_original(content, 0);
  parts_.normalizer->apply(in, 0, out);
  return out.bytes;
}

/// Added tokens found, the rest normalized and cut into words.
void Pipeline::prepare(const Text& text, PieceList& list) const {
  std::vector<Piece> raw, found;
  raw_tokens_.split(text.valid, raw);
  AlignedText source, normalized;
  for (const Piece& piece : raw) {
    const std::string_view bytes = text.valid.substr(piece.begin, piece.end - piece.begin);
    if (piece.added_id >= 0 || !parts_.normalizer) {
      normalized.clear();
      normalized.append_original(bytes, piece.begin);
    } else {
      source.clear();
      source.append_original(bytes, piece.begin);
      normalized.clear();
      parts_.normalizer->apply(source, static_cast<int32_t>(piece.begin), normalized);
    }
    const size_t base = list.text.size();
    list.text.append(normalized, 0, normalized.size());
    if (piece.added_id >= 0) {
      list.pieces.push_back({base, list.text.size(), piece.added_id});
      continue;
    }
    found.clear();
    normalized_tokens_.split(normalized.bytes, found);
    for (const Piece& part : found) list.pieces.push_back({base + part.begin, base + part.end, part.added_id});
  }
  if (parts_.pre_tokenizer) parts_.pre_tokenizer->apply(list);
}

Draft Pipeline::draft_of(const Text& text, int32_t sequence, int32_t word, bool trims) const {
  PieceList list;
  prepare(text, list);
  Draft draft;
  Encoding& out = draft.encoding;
  std::vector<Token> tokens;
  for (size_t index = 0; index < list.pieces.size(); ++index) {
    const Piece& piece = list.pieces[index];
    tokens.clear();
    if (piece.added_id >= 0) {
      tokens.push_back({piece.added_id, 0, static_cast<uint32_t>(piece.end - piece.begin)});
    } else {
      parts_.model->tokenize(list.view(piece), tokens);
    }
    for (const Token& token : tokens) {
      out.ids.push_back(token.id);
      // A suffix that falls back to bytes makes tokens beyond the end of the word.
      const size_t end = std::min(piece.begin + token.end, piece.end);
      const size_t begin = std::min(piece.begin + token.begin, end - 1);
      out.offsets.push_back(text.chars({list.text.spans[begin].begin, list.text.spans[end - 1].end}));
      out.word_ids.push_back(word >= 0 ? word : static_cast<int32_t>(index));
      if (!trims) continue;
      const auto [leading, trailing] = count_spaces(piece.added_id >= 0 ? list.view(piece) : id_to_token(token.id));
      draft.leading.push_back(leading);
      draft.trailing.push_back(trailing);
    }
  }
  out.type_ids.assign(out.size(), sequence);
  out.special_mask.assign(out.size(), 0);
  out.sequence_ids.assign(out.size(), sequence);
  return draft;
}

Encoding Pipeline::encode(const std::vector<std::vector<std::string_view>>& texts, bool words, const EncodeOptions& options) const {
  const bool trims = parts_.post_processor && parts_.post_processor->trims();
  std::vector<std::vector<Text>> sources(texts.size());
  std::vector<Draft> drafts;
  for (size_t i = 0; i < texts.size(); ++i) {
    sources[i].reserve(texts[i].size());
    Draft whole;
    for (size_t k = 0; k < texts[i].size(); ++k) {
      const Text& text = sources[i].emplace_back(texts[i][k]);
      Draft part = draft_of(text, static_cast<int32_t>(i), words ? static_cast<int32_t>(k) : -1, trims);
      if (!words) {
        whole = std::move(part);
        break;
      }
      whole.leading.insert(whole.leading.end(), part.leading.begin(), part.leading.end());
      whole.trailing.insert(whole.trailing.end(), part.trailing.begin(), part.trailing.end());
      append(whole.encoding, part.encoding);
    }
    drafts.push_back(std::move(whole));
  }
  const PostProcessor* post = parts_.post_processor.get();
  if (options.truncation) {
    const size_t added = post != nullptr && options.add_special_tokens ? post->num_added(texts.size() == 2) : 0;
    truncate(drafts, *options.truncation, added);
  }
  if (post != nullptr) post->apply(drafts, options.add_special_tokens);
  Encoding out = merge(std::move(drafts), options.keep_overflow);
  const auto fill_bytes = [&](Encoding& encoding) {
    encoding.byte_offsets.resize(encoding.size());
    for (size_t i = 0; i < encoding.size(); ++i) {
      if (encoding.sequence_ids[i] < 0) continue;
      const auto sequence = static_cast<size_t>(encoding.sequence_ids[i]);
      const auto word = words ? static_cast<size_t>(encoding.word_ids[i]) : size_t{0};
      encoding.byte_offsets[i] = sources[sequence][word].bytes(encoding.offsets[i]);
    }
  };
  fill_bytes(out);
  for (Encoding& window : out.overflowing) fill_bytes(window);
  return out;
}

void Pipeline::encode_ids(std::string_view given, bool add_special_tokens, std::vector<int32_t>& ids) const {
  EncodeOptions options;
  options.add_special_tokens = add_special_tokens;
  ids = encode({{given}}, /*words=*/false, options).ids;
}

std::string Pipeline::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) {
    check_id(id);
    if ((skip_special && is_special(id)) || decoder_token(id).empty()) continue;
    tokens.emplace_back(decoder_token(id));
  }
  parts_.decoder->apply(tokens);
  return std::accumulate(tokens.begin(), tokens.end(), std::string());
}

std::optional<int32_t> Pipeline::token_to_id(std::string_view token) const {
  if (token.empty()) return std::nullopt;
  if (const auto id = parts_.model->vocabulary().find(token)) return id;
  const auto extra = extra_ids_.find(token);
  return extra == extra_ids_.end() ? std::nullopt : std::optional(extra->second);
}

void Pipeline::check_id(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= special_flags_.size()) {
    fail_input(parts_.where, "got token id {}, expected 0 to {}", id, static_cast<int64_t>(special_flags_.size()) - 1);
  }
}

std::string_view Pipeline::id_to_token(int32_t id) const {
  check_id(id);
  const Vocabulary& vocabulary = parts_.model->vocabulary();
  if (vocabulary.has_id(id)) return vocabulary.token(id);
  const auto extra = extra_.find(id);
  return extra == extra_.end() ? std::string_view() : extra->second;
}

std::string_view Pipeline::decoder_token(int32_t id) const {
  const auto form = normalized_forms_.find(id);
  return form != normalized_forms_.end() && !form->second.empty() ? form->second : id_to_token(id);
}

}  // namespace citius::tok
