// Tokenizers told by plain vocabulary files, and the roles of tokens (which one begins a text, which one ends it).
#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/pipeline.h"

namespace citius::tok {
namespace {

constexpr const char* kWordPieceFile = "vocab.txt";

std::vector<std::string_view> lines_of(const MappedFile& file) {
  const std::string_view text = file.text();
  if (!is_valid_utf8(text)) fail_input(file.path().string(), "is not valid UTF-8");
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    begin = end + 1;
  }
  return lines;
}

/// A token named in a configuration: a string, or an object with `content`.
std::string named_token(const json::object& config, std::string_view key) {
  const json::value* value = config.if_contains(key);
  if (value != nullptr && value->is_object()) value = value->get_object().if_contains("content");
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool get_flag(const json::object& config, std::string_view key, bool fallback) {
  const json::value* value = config.if_contains(key);
  return value != nullptr && value->is_bool() ? value->get_bool() : fallback;
}

/// Adds the tokens of `added_tokens_decoder`, and those named in roles that the vocabulary has.
void add_config_tokens(const json::object& config, std::initializer_list<std::string_view> defaults, Parts& parts) {
  std::vector<AddedToken>& tokens = parts.added_tokens;
  std::unordered_set<std::string> contents;
  for (const AddedToken& token : tokens) contents.insert(token.content);
  const auto add = [&](AddedToken token) {
    if (contents.insert(token.content).second) tokens.push_back(std::move(token));
  };
  if (const json::value* listed = config.if_contains("added_tokens_decoder"); listed != nullptr && listed->is_object()) {
    for (const auto& [key, value] : listed->get_object()) {
      const JsonObject object(value, parts.where + ": added_tokens_decoder");
      AddedToken token;
      const std::string digits(key);
      const auto* end = digits.data() + digits.size();
      if (const auto [at, error] = std::from_chars(digits.data(), end, token.id); error != std::errc() || at != end || token.id < 0) {
        fail_input(object.where(), "got token id '{}', expected a number", digits);
      }
      token.content = object.get_string("content");
      token.special = object.get_bool("special", false);
      token.single_word = object.get_bool("single_word", false);
      token.lstrip = object.get_bool("lstrip", false);
      token.rstrip = object.get_bool("rstrip", false);
      token.normalized = object.get_bool("normalized", !token.special);
      if (!token.content.empty()) add(std::move(token));
    }
  }
  for (const std::string_view content : defaults) {
    const auto id = parts.model->vocabulary().find(content);
    if (!id) continue;
    AddedToken token;
    token.id = *id;
    token.content = content;
    token.special = true;
    token.normalized = false;
    add(std::move(token));
  }
}

Parts read_wordpiece(const std::filesystem::path& path, const Tables& tables, const json::object& config) {
  Parts parts;
  parts.where = path.string();
  const std::string unk = named_token(config, "unk_token");
  parts.model = make_wordpiece(Vocabulary(tables, parts.where), tables, unk.empty() ? "[UNK]" : unk, "##", /*max_chars=*/100, parts.where);
  const bool lowercase = get_flag(config, "do_lower_case", true);
  parts.normalizer = make_bert_normalizer(/*clean_text=*/true, get_flag(config, "tokenize_chinese_chars", true),
                                          get_flag(config, "strip_accents", lowercase), lowercase);
  parts.pre_tokenizer = make_bert_pre_tokenizer();
  parts.decoder = make_wordpiece_decoder("##", /*cleanup=*/true);
  const Vocabulary& vocabulary = parts.model->vocabulary();
  if (const auto cls = vocabulary.find("[CLS]"), sep = vocabulary.find("[SEP]"); cls && sep) {
    parts.post_processor = make_bert_processing(*cls, *sep);
    add_config_tokens(config, {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, parts);
  } else if (const auto bos = vocabulary.find("<s>"), eos = vocabulary.find("</s>"); bos && eos) {  // MPNet
    parts.post_processor = make_roberta_processing(*bos, *eos, /*trim_offsets=*/true, /*add_prefix_space=*/false);
    add_config_tokens(config, {"<s>", "<pad>", "</s>", "[UNK]", "<mask>"}, parts);
    for (AddedToken& token : parts.added_tokens) token.lstrip |= token.content == "<mask>";
  } else {
    fail_input(parts.where, "lacks [CLS] and [SEP], and <s> and </s> too; one of these pairs stands around a text");
  }
  return parts;
}

MergeList read_merges(const MappedFile& file) {
  MergeList merges;
  for (const std::string_view line : lines_of(file)) {
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      fail_input(file.path().string(), "merge {}: got '{}', expected two parts with a space between", merges.size(), line);
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

Vocabulary read_vocab_json(const MappedFile& file) {
  const std::string where = file.path().string();
  const JsonDocument document(file.text(), where);
  const JsonObject vocab(document.root(), where);
  std::vector<std::pair<std::string_view, int64_t>> pairs;
  for (const auto& [token, id] : vocab.object()) {
    if (!id.is_int64()) fail_input(vocab.where(), "token '{}' has no number as id", std::string_view(token));
    pairs.emplace_back(token, id.get_int64());
  }
  return Vocabulary::from_pairs(pairs, where);
}

std::optional<int32_t> find_token(const Parts& parts, std::string_view content) {
  if (content.empty()) return std::nullopt;
  for (const AddedToken& token : parts.added_tokens) {
    if (token.content == content) return token.id;
  }
  return parts.model->vocabulary().find(content);
}

/// How words are cut and what stands around a text.
enum class BpeFamily { kGpt2, kQwen2, kRoberta };

/// Named in tokenizer_config.json as "tokenizer_class", or else in config.json as "model_type".
constexpr struct {
  std::string_view tokenizer_class, model_type;
  BpeFamily family;
} kBpeFamilies[] = {
    {"GPT2Tokenizer", "gpt2", BpeFamily::kGpt2},          {"CodeGenTokenizer", "codegen", BpeFamily::kGpt2},
    {"Qwen2Tokenizer", "qwen2", BpeFamily::kQwen2},       {"Qwen2Tokenizer", "qwen3", BpeFamily::kQwen2},
    {"RobertaTokenizer", "roberta", BpeFamily::kRoberta}, {"LongformerTokenizer", "longformer", BpeFamily::kRoberta},
    {"BartTokenizer", "bart", BpeFamily::kRoberta},
};

BpeFamily bpe_family(const std::filesystem::path& vocab, const json::object& config) {
  std::string name = named_token(config, "tokenizer_class");
  std::string_view key = "tokenizer_class";
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  const std::filesystem::path model = vocab.parent_path() / "config.json";
  if (name.empty() && is_there(model)) {
    const json::value root = read_json(model, size_t{16} << 20);
    name = JsonObject(root, model.string()).get_string("model_type", "");
    key = "model_type";
  }
  // These are the names of the files that GPT-2 itself was published with, without any configuration.
  if (name.empty() && vocab.filename() == "encoder.json") return BpeFamily::kGpt2;
  for (const auto& known : kBpeFamilies) {
    if (name == (key == "model_type" ? known.model_type : known.tokenizer_class)) return known.family;
  }
  fail_input(vocab.string(),
             "is of an unknown kind: {} is '{}', expected that of GPT-2, CodeGen, Qwen2, RoBERTa, Longformer or BART; "
             "save the tokenizer as tokenizer.json",
             key, name);
}

/// Byte-level BPE.
Parts read_byte_level_bpe(const std::filesystem::path& vocab, const Tables& tables, const json::object& config) {
  Parts parts;
  parts.where = vocab.string();
  const BpeFamily family = bpe_family(vocab, config);
  parts.model = make_bpe(Vocabulary(tables, parts.where), tables, {}, parts.where);
  const bool prefix_space = get_flag(config, "add_prefix_space", false);
  if (family == BpeFamily::kQwen2) {
    parts.normalizer = make_unicode_normalizer("NFC", parts.where);
    parts.pre_tokenizer = make_gguf_pre("qwen2", parts.where).pre_tokenizer;
  } else {
    parts.pre_tokenizer = make_byte_level(prefix_space, /*use_regex=*/true);
  }
  parts.decoder = make_byte_level_decoder();
  add_config_tokens(config, {"<|endoftext|>", "<s>", "<pad>", "</s>", "<unk>", "<mask>"}, parts);
  const Vocabulary& vocabulary = parts.model->vocabulary();
  if (family == BpeFamily::kRoberta) {
    const auto cls = vocabulary.find("<s>"), sep = vocabulary.find("</s>");
    if (!cls || !sep) fail_input(parts.where, "lacks <s> or </s>, which RoBERTa and its kind put around a text");
    parts.post_processor = make_roberta_processing(*cls, *sep, /*trim_offsets=*/true, prefix_space);
    for (AddedToken& token : parts.added_tokens) token.lstrip |= token.content == "<mask>";
    return parts;
  }
  parts.post_processor = make_byte_level_processing(/*trim_offsets=*/false, prefix_space);
  if (family == BpeFamily::kGpt2 && get_flag(config, "add_bos_token", false)) {
    const std::string given = named_token(config, "bos_token"), name = given.empty() ? "<|endoftext|>" : given;
    const auto bos = find_token(parts, name);
    if (!bos) fail_input(parts.where, "lacks '{}', which add_bos_token asks for", name);
    std::vector<PostProcessorPtr> steps;
    steps.push_back(std::move(parts.post_processor));
    steps.push_back(make_template({{-1, 0, {*bos}}, {0, 0, {}}}, {{-1, 0, {*bos}}, {0, 0, {}}, {-1, 0, {*bos}}, {1, 0, {}}}));
    parts.post_processor = make_post_processor_sequence(std::move(steps));
  }
  return parts;
}

struct Role {
  std::string_view key;
  int32_t SpecialIds::* id;
  std::array<std::string_view, 4> customary;
};

constexpr Role kRoles[] = {
    {"bos_token", &SpecialIds::bos, {"<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>"}},
    {"eos_token", &SpecialIds::eos, {"</s>", "<eos>", "<|im_end|>", "<|endoftext|>"}},
    {"unk_token", &SpecialIds::unk, {"[UNK]", "<unk>", "", ""}},
    {"sep_token", &SpecialIds::sep, {"[SEP]", "", "", ""}},
    {"pad_token", &SpecialIds::pad, {"[PAD]", "<pad>", "", ""}},
    {"cls_token", &SpecialIds::cls, {"[CLS]", "", "", ""}},
    {"mask_token", &SpecialIds::mask, {"[MASK]", "<mask>", "", ""}},
};

}  // namespace

std::vector<std::filesystem::path> vocabulary_files(const std::filesystem::path& directory) {
  const auto exists = [&](const char* name) { return is_there(directory / name); };
  if (exists(kWordPieceFile)) return {directory / kWordPieceFile};
  for (const auto& [vocab, merges] : {std::pair{"vocab.json", "merges.txt"}, std::pair{"encoder.json", "vocab.bpe"}}) {
    if (exists(vocab) && exists(merges)) return {directory / vocab, directory / merges};
  }
  const char* hint = exists("tokenizer.model") || exists("spiece.model") || exists("sentencepiece.bpe.model")
                         ? "; a SentencePiece model file alone is not supported, convert it to tokenizer.json"
                         : "";
  fail_input(directory.string(), "has no tokenizer, expected tokenizer.json, vocab.txt, or vocab.json and merges.txt{}", hint);
}

Tables compile_vocabulary_files(const MappedFiles& files) {
  const std::string where = files[0]->path().string();
  if (files.size() > 1) return compile_bpe(read_vocab_json(*files[0]), read_merges(*files[1]), /*prefix=*/"", where);
  std::vector<std::string_view> tokens = lines_of(*files[0]);
  for (std::string_view& token : tokens) token = token.substr(0, token.find_last_not_of(" \t") + 1);
  return compile_wordpiece(Vocabulary::from_list(tokens, where));
}

Parts read_vocabulary_files(const std::filesystem::path& vocabulary, const Tables& tables, const json::value& config) {
  const bool words = vocabulary.filename() == kWordPieceFile;
  return words ? read_wordpiece(vocabulary, tables, config.as_object()) : read_byte_level_bpe(vocabulary, tables, config.as_object());
}

void guess_roles(Parts& parts) {
  for (const Role& role : kRoles) {
    int32_t& id = parts.special.*role.id;
    for (const std::string_view content : role.customary) {
      if (id < 0) id = find_token(parts, content).value_or(-1);
    }
  }
}

void read_roles(const std::filesystem::path& directory, const json::value& config, Parts& parts) {
  json::value map = json::object{};
  const std::filesystem::path map_path = directory / "special_tokens_map.json";
  if (is_there(map_path)) map = read_json(map_path, size_t{16} << 20);
  bool told = false;
  for (const Role& role : kRoles) {
    std::string content = named_token(config.as_object(), role.key);
    if (content.empty() && map.is_object()) content = named_token(map.get_object(), role.key);
    if (const auto id = find_token(parts, content)) {
      parts.special.*role.id = *id;
      told = true;
    }
  }
  if (!told) guess_roles(parts);
  // "No limit" is written as 1e30 or so.
  if (const json::value* limit = config.as_object().if_contains("model_max_length"); limit != nullptr && limit->is_number()) {
    const double length = limit->to_number<double>();
    if (length >= 1 && length <= 1e8) parts.model_max_length = static_cast<size_t>(length);
  }
}

}  // namespace citius::tok
