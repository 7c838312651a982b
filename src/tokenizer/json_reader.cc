// tokenizer.json: each part is read by its `type`; what is not known is refused by name.
#include <openssl/evp.h>

#include <algorithm>

#include "base/error.h"
#include "tokenizer/pipeline.h"
#include "tokenizer/unicode.h"

namespace citius::tok {
namespace {

constexpr int kMaxDepth = 16;      // nested sequences
constexpr size_t kMaxSteps = 256;  // steps of one sequence

JsonObject object_of(const json::value& value, const std::string& where) { return JsonObject(value, where); }

char32_t one_char(const JsonObject& object, std::string_view key) {
  const std::string text = object.get_string(key);
  size_t at = 0;
  const char32_t c = text.empty() ? 0 : next_char(text, at);
  if (text.empty() || at != text.size()) fail_input(object.where(), "key '{}': got '{}', expected one character", key, text);
  return c;
}

int32_t token_id(const json::value& value, const std::string& where) {
  if (!value.is_int64() || value.get_int64() < 0 || value.get_int64() > INT32_MAX) {
    fail_input(where, "got token id {}, expected a number from 0", json::serialize(value));
  }
  return static_cast<int32_t>(value.get_int64());
}

Regex read_pattern(const JsonObject& object) {
  const JsonObject pattern = object.get_object("pattern");
  if (pattern.has("Regex")) return Regex(pattern.get_string("Regex"), pattern.where());
  if (pattern.has("String")) return Regex::literal(pattern.get_string("String"), pattern.where());
  fail_input(pattern.where(), "expected a key 'Regex' or 'String'");
}

/// Reads the list `key` of a Sequence with `read`.
template <typename Part, typename Read>
std::vector<Part> read_steps(const JsonObject& object, std::string_view key, int depth, Read read) {
  if (depth >= kMaxDepth) fail_input(object.where(), "sequences are nested more than {} deep", kMaxDepth);
  const json::array& items = object.get_array(key);
  if (items.size() > kMaxSteps) fail_input(object.where(), "got {} steps, expected at most {}", items.size(), kMaxSteps);
  std::vector<Part> steps;
  for (const json::value& item : items) steps.push_back(read(item, object.where(), depth + 1));
  return steps;
}

std::string decode_base64(const std::string& text, const std::string& where) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0 || text.size() % 4 != 0) fail_input(where, "the character map is not valid base64");
  bytes.resize(static_cast<size_t>(size));
  for (size_t i = text.size(); i > 0 && text[i - 1] == '=' && !bytes.empty(); --i) bytes.pop_back();
  return bytes;
}

NormalizerPtr read_normalizer(const json::value& value, const std::string& parent, int depth) {
  const JsonObject object = object_of(value, parent + ": normalizer");
  const std::string type = object.get_string("type");
  if (type == "Sequence") {
    return make_normalizer_sequence(read_steps<NormalizerPtr>(object, "normalizers", depth, read_normalizer));
  }
  if (type == "BertNormalizer" || type == "Bert") {
    const bool lowercase = object.get_bool("lowercase", true);
    return make_bert_normalizer(object.get_bool("clean_text", true), object.get_bool("handle_chinese_chars", true),
                                object.get_bool("strip_accents", lowercase), lowercase);
  }
  if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") return make_unicode_normalizer(type, object.where());
  if (type == "Lowercase") return make_lowercase();
  if (type == "Strip") return make_strip(object.get_bool("strip_left"), object.get_bool("strip_right"));
  if (type == "StripAccents") return make_strip_accents();
  if (type == "Nmt") return make_nmt();
  if (type == "Prepend") return make_prepend(object.get_string("prepend"));
  if (type == "ByteLevel") return make_byte_level_normalizer();
  if (type == "Replace") return make_replace(read_pattern(object), object.get_string("content"));
  if (type == "Precompiled") {
    if (!object.has("precompiled_charsmap")) return make_precompiled(std::string(4, '\0'), object.where());
    return make_precompiled(decode_base64(object.get_string("precompiled_charsmap"), object.where()), object.where());
  }
  fail_input(object.where(), "type '{}' is not supported", type);
}

SplitBehavior read_behavior(const JsonObject& object, std::string_view fallback) {
  const std::string name = object.get_string("behavior", fallback);
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  fail_input(object.where(), "behavior '{}' is not supported", name);
}

PrependScheme read_prepend_scheme(const JsonObject& object) {
  const std::string name = object.get_string("prepend_scheme", object.get_bool("add_prefix_space", true) ? "always" : "never");
  if (name == "always") return PrependScheme::kAlways;
  if (name == "first") return PrependScheme::kFirst;
  if (name == "never") return PrependScheme::kNever;
  fail_input(object.where(), "prepend_scheme is '{}', expected always, first or never", name);
}

std::string utf8_of(char32_t c) {
  std::string text;
  append_utf8(text, c);
  return text;
}

PreTokenizerPtr read_pre_tokenizer(const json::value& value, const std::string& parent, int depth) {
  const JsonObject object = object_of(value, parent + ": pre_tokenizer");
  const std::string type = object.get_string("type");
  if (type == "Sequence") {
    return make_pre_tokenizer_sequence(read_steps<PreTokenizerPtr>(object, "pretokenizers", depth, read_pre_tokenizer));
  }
  if (type == "BertPreTokenizer") return make_bert_pre_tokenizer();
  if (type == "ByteLevel") {
    return make_byte_level(object.get_bool("add_prefix_space", true), object.get_bool("use_regex", true));
  }
  if (type == "Metaspace") {
    return make_metaspace(utf8_of(one_char(object, "replacement")), read_prepend_scheme(object), object.get_bool("split", true));
  }
  if (type == "Whitespace") {
    return make_split(Regex(R"(\w+|[^\w\s]+)", object.where()), SplitBehavior::kRemoved, /*invert=*/true);
  }
  if (type == "WhitespaceSplit") return make_whitespace_split();
  if (type == "Split") {
    return make_split(read_pattern(object), read_behavior(object, "Isolated"), object.get_bool("invert", false));
  }
  if (type == "Punctuation") return make_punctuation(read_behavior(object, "Isolated"));
  if (type == "Digits") return make_digits(object.get_bool("individual_digits", false));
  if (type == "CharDelimiterSplit" || type == "Delimiter") return make_char_delimiter(one_char(object, "delimiter"));
  if (type == "UnicodeScripts") return make_unicode_scripts();
  if (type == "FixedLength") {
    const int64_t length = object.get_int("length", 5);
    if (length < 1) fail_input(object.where(), "length is {}, expected at least 1", length);
    return make_fixed_length(static_cast<size_t>(length));
  }
  fail_input(object.where(), "type '{}' is not supported", type);
}

/// ["[SEP]", 102]
int32_t read_named_id(const JsonObject& object, std::string_view key) {
  const json::array& pair = object.get_array(key);
  if (pair.size() != 2 || !pair[0].is_string()) fail_input(object.where(), "key '{}': expected [token, id]", key);
  return token_id(pair[1], object.where());
}

std::vector<TemplatePiece> read_template(const JsonObject& object, std::string_view key) {
  std::vector<TemplatePiece> pieces;
  for (const json::value& item : object.get_array(key)) {
    const JsonObject piece = object_of(item, object.where() + ": " + std::string(key));
    const bool is_text = piece.has("Sequence");
    const JsonObject content = piece.get_object(is_text ? "Sequence" : "SpecialToken");
    const std::string id = content.get_string("id");
    const int64_t type_id = content.get_int("type_id");
    if (type_id < 0 || type_id > 255) fail_input(content.where(), "type_id is {}, expected 0 to 255", type_id);
    TemplatePiece out;
    out.type_id = static_cast<int32_t>(type_id);
    if (is_text) {
      if (id != "A" && id != "B") fail_input(content.where(), "sequence is '{}', expected A or B", id);
      if (id == "B" && key == "single") fail_input(content.where(), "the template for one text names a second one");
      out.sequence = id == "A" ? 0 : 1;
    } else {
      const JsonObject token = object.get_object("special_tokens").get_object(id);
      for (const json::value& part : token.get_array("ids")) out.ids.push_back(token_id(part, token.where()));
    }
    pieces.push_back(std::move(out));
  }
  return pieces;
}

PostProcessorPtr read_post_processor(const json::value& value, const std::string& parent, int depth) {
  const JsonObject object = object_of(value, parent + ": post_processor");
  const std::string type = object.get_string("type");
  if (type == "Sequence") {
    return make_post_processor_sequence(read_steps<PostProcessorPtr>(object, "processors", depth, read_post_processor));
  }
  if (type == "TemplateProcessing") return make_template(read_template(object, "single"), read_template(object, "pair"));
  if (type == "BertProcessing") return make_bert_processing(read_named_id(object, "cls"), read_named_id(object, "sep"));
  if (type == "RobertaProcessing") {
    return make_roberta_processing(read_named_id(object, "cls"), read_named_id(object, "sep"), object.get_bool("trim_offsets", true),
                                   object.get_bool("add_prefix_space", true));
  }
  if (type == "ByteLevel") {
    return make_byte_level_processing(object.get_bool("trim_offsets", true), object.get_bool("add_prefix_space", true));
  }
  fail_input(object.where(), "type '{}' is not supported", type);
}

DecoderPtr read_decoder(const json::value& value, const std::string& parent, int depth) {
  const JsonObject object = object_of(value, parent + ": decoder");
  const std::string type = object.get_string("type");
  if (type == "Sequence") return make_decoder_sequence(read_steps<DecoderPtr>(object, "decoders", depth, read_decoder));
  if (type == "ByteLevel") return make_byte_level_decoder();
  if (type == "WordPiece") return make_wordpiece_decoder(object.get_string("prefix", "##"), object.get_bool("cleanup", true));
  if (type == "Metaspace") return make_metaspace_decoder(utf8_of(one_char(object, "replacement")), read_prepend_scheme(object));
  if (type == "BPEDecoder") return make_bpe_decoder(object.get_string("suffix", "</w>"));
  if (type == "CTC") {
    return make_ctc_decoder(object.get_string("pad_token", "<pad>"), object.get_string("word_delimiter_token", "|"),
                            object.get_bool("cleanup", true));
  }
  if (type == "Fuse") return make_fuse_decoder();
  if (type == "Strip") {
    const int64_t start = object.get_int("start"), stop = object.get_int("stop");
    if (start < 0 || stop < 0) fail_input(object.where(), "got {} and {} characters to strip, expected 0 or more", start, stop);
    return make_strip_decoder(one_char(object, "content"), static_cast<size_t>(start), static_cast<size_t>(stop));
  }
  if (type == "ByteFallback") return make_byte_fallback_decoder();
  if (type == "Replace") return make_replace_decoder(read_pattern(object), object.get_string("content"));
  fail_input(object.where(), "type '{}' is not supported", type);
}

Vocabulary read_vocab(const JsonObject& model) {
  std::vector<std::pair<std::string_view, int64_t>> pairs;
  const JsonObject vocab = model.get_object("vocab");
  pairs.reserve(vocab.object().size());
  for (const auto& [token, id] : vocab.object()) {
    if (!id.is_int64()) fail_input(vocab.where(), "token '{}' has id {}, expected a number", std::string_view(token), json::serialize(id));
    pairs.emplace_back(token, id.get_int64());
  }
  return Vocabulary::from_pairs(pairs, vocab.where());
}

MergeList read_merges(const JsonObject& model) {
  MergeList merges;
  const json::array& items = model.get_array("merges");
  merges.reserve(items.size());
  for (const json::value& item : items) {
    if (item.is_string()) {
      const std::string_view line = item.get_string();
      if (line.starts_with("#version")) continue;
      const size_t space = line.find(' ');
      if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
        fail_input(model.where(), "merge {}: got '{}', expected two parts with a space between", merges.size(), line);
      }
      merges.emplace_back(line.substr(0, space), line.substr(space + 1));
    } else if (item.is_array() && item.get_array().size() == 2 && item.get_array()[0].is_string() && item.get_array()[1].is_string()) {
      merges.emplace_back(item.get_array()[0].get_string(), item.get_array()[1].get_string());
    } else {
      fail_input(model.where(), "merge {}: got {}, expected two strings", merges.size(), json::serialize(item));
    }
  }
  return merges;
}

std::string bpe_prefix(const JsonObject& object) { return object.get_string("continuing_subword_prefix", ""); }

Tables compile_unigram(const JsonObject& object) {
  std::vector<std::string_view> tokens;
  std::vector<double> scores;
  for (const json::value& item : object.get_array("vocab")) {
    if (!item.is_array() || item.get_array().size() != 2 || !item.get_array()[0].is_string() || !item.get_array()[1].is_number()) {
      fail_input(object.where(), "token {}: expected [token, score]", tokens.size());
    }
    tokens.emplace_back(item.get_array()[0].get_string());
    scores.push_back(item.get_array()[1].to_number<double>());
  }
  return compile_unigram(Vocabulary::from_list(tokens, object.where()), std::move(scores));
}

std::unique_ptr<Model> read_bpe(const JsonObject& object, Vocabulary vocabulary, const Tables& tables) {
  if (object.has("dropout") && object.get_number("dropout") != 0) {
    fail_input(object.where(), "dropout is {}, expected none: encoding would be random", object.get_number("dropout"));
  }
  BpeOptions options;
  if (object.has("unk_token")) options.unk_token = object.get_string("unk_token");
  options.continuing_subword_prefix = bpe_prefix(object);
  options.end_of_word_suffix = object.get_string("end_of_word_suffix", "");
  options.fuse_unk = object.get_bool("fuse_unk", false);
  options.byte_fallback = object.get_bool("byte_fallback", false);
  options.ignore_merges = object.get_bool("ignore_merges", false);
  return make_bpe(std::move(vocabulary), tables, std::move(options), object.where());
}

/// Files of old versions do not tell the type.
std::string model_type(const JsonObject& object) {
  if (object.has("type")) return object.get_string("type");
  if (object.has("merges")) return "BPE";
  if (object.at("vocab").is_array()) return "Unigram";
  return object.has("continuing_subword_prefix") ? "WordPiece" : "WordLevel";
}

Tables compile_model(const JsonObject& object) {
  const std::string type = model_type(object);
  if (type == "BPE") return compile_bpe(read_vocab(object), read_merges(object), bpe_prefix(object), object.where());
  if (type == "Unigram") return compile_unigram(object);
  if (type == "WordPiece") return compile_wordpiece(read_vocab(object));
  if (type == "WordLevel") return compile_wordlevel(read_vocab(object));
  fail_input(object.where(), "type '{}' is not supported", type);
}

std::unique_ptr<Model> read_model(const json::value& value, const Tables& tables, const std::string& parent) {
  const JsonObject object = object_of(value, parent + ": model");
  const std::string type = object.get_string("type");
  Vocabulary vocabulary(tables, object.where());
  if (type == "BPE") return read_bpe(object, std::move(vocabulary), tables);
  if (type == "Unigram") {
    std::optional<int32_t> unk_id;
    if (object.has("unk_id")) unk_id = token_id(object.at("unk_id"), object.where() + ": unk_id");
    return make_unigram(std::move(vocabulary), tables, unk_id, object.get_bool("byte_fallback", false), object.where());
  }
  if (type == "WordPiece") {
    const int64_t max_chars = object.get_int("max_input_chars_per_word", 100);
    if (max_chars < 0) fail_input(object.where(), "max_input_chars_per_word is {}, expected 0 or more", max_chars);
    return make_wordpiece(std::move(vocabulary), tables, object.get_string("unk_token", "[UNK]"),
                          object.get_string("continuing_subword_prefix", "##"), static_cast<size_t>(max_chars), object.where());
  }
  if (type == "WordLevel") return make_wordlevel(std::move(vocabulary), object.get_string("unk_token", "<unk>"));
  fail_input(object.where(), "type '{}' is not supported", type);
}

std::vector<AddedToken> read_added_tokens(const JsonObject& root, const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  std::unordered_map<std::string, size_t> seen;
  for (const json::value& item : root.get_array("added_tokens")) {
    const JsonObject object = object_of(item, root.where() + ": added_tokens");
    AddedToken token;
    token.content = object.get_string("content");
    token.special = object.get_bool("special", false);
    token.single_word = object.get_bool("single_word", false);
    token.lstrip = object.get_bool("lstrip", false);
    token.rstrip = object.get_bool("rstrip", false);
    token.normalized = object.get_bool("normalized", !token.special);
    token.id = token_id(object.at("id"), object.where());
    if (token.content.empty()) continue;
    if (const auto id = vocabulary.find(token.content); id && *id != token.id) {
      fail_input(object.where(), "token '{}' has id {}, but {} in the vocabulary", token.content, token.id, *id);
    }
    const auto [at, added] = seen.emplace(token.content, tokens.size());
    if (added) {
      tokens.push_back(std::move(token));
    } else {
      tokens[at->second] = std::move(token);
    }
  }
  return tokens;
}

std::optional<Truncation> read_truncation(const JsonObject& root) {
  if (!root.has("truncation")) return std::nullopt;
  const JsonObject object = root.get_object("truncation");
  Truncation truncation;
  const int64_t max_length = object.get_int("max_length"), stride = object.get_int("stride", 0);
  if (max_length < 0 || stride < 0)
    fail_input(object.where(), "got a length of {} and a stride of {}, expected 0 or more", max_length, stride);
  truncation.max_length = static_cast<size_t>(max_length);
  truncation.stride = static_cast<size_t>(stride);
  const std::string strategy = object.get_string("strategy", "LongestFirst");
  if (strategy == "LongestFirst") {
    truncation.strategy = TruncationStrategy::kLongestFirst;
  } else if (strategy == "OnlyFirst") {
    truncation.strategy = TruncationStrategy::kOnlyFirst;
  } else if (strategy == "OnlySecond") {
    truncation.strategy = TruncationStrategy::kOnlySecond;
  } else {
    fail_input(object.where(), "strategy '{}' is not supported", strategy);
  }
  truncation.from_left = object.get_string("direction", "Right") == "Left";
  return truncation;
}

}  // namespace

JsonDocument::JsonDocument(std::string_view text, std::string_view where) : root_(&arena_) {
  check_json_elements(text, where);
  json::parse_options options;
  options.max_depth = 64;
  json::error_code error;
  // Escapes aside, a value takes a few times its text.
  root_ = json::parse(json::string_view(text.data(), text.size()), error, &arena_, options);
  if (error) fail_input(where, "is not valid JSON: {}", error.message());
}

// What the tables do not hold is kept as JSON beside them.
Tables compile_tokenizer_json(std::string_view text, std::string_view where) {
  const JsonDocument document(text, where);
  const JsonObject root(document.root(), std::string(where)), model(root.at("model"), root.where() + ": model");
  Tables tables = compile_model(model);
  json::object settings, model_settings;
  for (const auto& [key, value] : model.object()) {
    if (key != "vocab" && key != "merges") model_settings.emplace(key, value);
  }
  for (const auto& [key, value] : root.object()) {
    if (key != "model") settings.emplace(key, value);
  }
  model_settings["type"] = model_type(model);
  settings["model"] = std::move(model_settings);
  const std::string rest = json::serialize(settings);
  tables.add("settings", Table(std::vector<char>(rest.begin(), rest.end())));
  return tables;
}

Parts read_tokenizer_json(const Tables& tables, std::string_view where) {
  const Table<char> settings = tables.get<char>("settings", where);
  const JsonDocument document({settings.data(), settings.size()}, where);
  const JsonObject root(document.root(), std::string(where));
  if (root.has("version") && root.get_string("version") != "1.0") {
    fail_input(where, "version is '{}', expected '1.0'", root.get_string("version"));
  }
  Parts parts;
  parts.where = where;
  parts.model = read_model(root.at("model"), tables, root.where());
  if (root.has("normalizer")) parts.normalizer = read_normalizer(root.at("normalizer"), root.where(), 0);
  if (root.has("pre_tokenizer")) parts.pre_tokenizer = read_pre_tokenizer(root.at("pre_tokenizer"), root.where(), 0);
  if (root.has("post_processor")) parts.post_processor = read_post_processor(root.at("post_processor"), root.where(), 0);
  if (root.has("decoder")) parts.decoder = read_decoder(root.at("decoder"), root.where(), 0);
  if (root.has("added_tokens")) parts.added_tokens = read_added_tokens(root, parts.model->vocabulary());
  parts.truncation = read_truncation(root);
  return parts;
}

}  // namespace citius::tok
