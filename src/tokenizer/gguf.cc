// Vocabularies of GGUF files: SentencePiece BPE (llama), byte-level BPE (gpt2), WordPiece (bert), Unigram (t5). The ids
// are those of llama.cpp; control and user-defined tokens written in the text are recognised.
#include <algorithm>

#include "base/error.h"
#include "tokenizer/pipeline.h"

namespace citius::tok {
namespace {

enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // ▁

constexpr const char* kAddedTable = "added_tokens";
struct Added {
  int32_t id = 0;
  int32_t type = 0;
};

std::string where_of(const GgufVocab& vocab) { return vocab.where.empty() ? "GGUF vocabulary" : vocab.where; }

int32_t type_of(const GgufVocab& vocab, size_t id) { return vocab.types.empty() ? int32_t{kNormal} : vocab.types[id]; }

void check(const GgufVocab& vocab) {
  const std::string where = where_of(vocab);
  const size_t count = vocab.tokens.size();
  if (count == 0) fail_input(where, "tokenizer.ggml.tokens is missing or empty");
  const auto check_size = [&](const char* key, size_t size) {
    if (size != 0 && size != count) fail_input(where, "{} has {} entries, expected {}", key, size, count);
  };
  check_size("tokenizer.ggml.scores", vocab.scores.size());
  check_size("tokenizer.ggml.token_type", vocab.types.size());
  for (size_t id = 0; id < count; ++id) {
    if (!is_valid_utf8(vocab.tokens[id])) fail_input(where, "token {} is not valid UTF-8", id);
  }
}

MergeList merges_of(const GgufVocab& vocab) {
  MergeList merges;
  merges.reserve(vocab.merges.size());
  for (const std::string_view line : vocab.merges) {
    const size_t space = line.find(' ', 1);  // the first part may itself be a space
    if (space == std::string_view::npos) fail_input(where_of(vocab), "merge {}: got '{}', expected two parts", merges.size(), line);
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

/// "▁word" stands for the beginning of a word and "piece" for "##piece"; older files keep the original spelling.
std::vector<std::string> bert_tokens(const GgufVocab& vocab) {
  std::vector<std::string> tokens = vocab.tokens;
  const bool marked = std::any_of(tokens.begin(), tokens.end(), [](const std::string& token) { return token.starts_with(kSpaceMark); });
  for (size_t id = 0; marked && id < tokens.size(); ++id) {
    if (tokens[id].starts_with(kSpaceMark)) {
      tokens[id].erase(0, kSpaceMark.size());
    } else if (type_of(vocab, id) == kNormal && !(tokens[id].starts_with('[') && tokens[id].ends_with(']') && tokens[id].size() > 2)) {
      tokens[id].insert(0, "##");
    }
  }
  return tokens;
}

Tables compile_model(const GgufVocab& vocab) {
  const std::string where = where_of(vocab);
  const auto vocabulary_of = [&](const std::vector<std::string>& tokens) {
    return Vocabulary::from_list({tokens.begin(), tokens.end()}, where);
  };
  if (vocab.model == "gpt2") return compile_bpe(vocabulary_of(vocab.tokens), merges_of(vocab), /*prefix=*/"", where);
  if (vocab.model == "bert") return compile_wordpiece(vocabulary_of(bert_tokens(vocab)));
  if (vocab.model != "llama" && vocab.model != "t5") {
    fail_input(where, "tokenizer.ggml.model is '{}', expected llama, gpt2, bert or t5", vocab.model);
  }
  if (vocab.scores.empty()) fail_input(where, "tokenizer.ggml.scores is missing");
  if (vocab.model == "llama") return compile_spm(vocabulary_of(vocab.tokens), vocab.scores);
  return compile_unigram(vocabulary_of(vocab.tokens), {vocab.scores.begin(), vocab.scores.end()});
}

class Reader {
 public:
  Reader(const GgufVocab& vocab, const Tables& tables)
      : vocab_(vocab), tables_(tables), where_(where_of(vocab)), vocabulary_(tables, where_) {
    parts_.where = where_;
    read_roles();
    add_special_tokens();
  }

  Parts run() {
    if (vocab_.model == "gpt2") {
      read_gpt2();
    } else if (vocab_.model == "llama") {
      read_llama();
    } else if (vocab_.model == "bert") {
      read_bert();
    } else {
      read_t5();
    }
    return std::move(parts_);
  }

 private:
  void read_roles() {
    SpecialIds& special = parts_.special;
    const auto role = [&](const char* name, const std::optional<uint32_t>& id, int32_t& out) {
      if (!id || *id == UINT32_MAX) return;  // absent ones are written as 2^32 - 1
      if (*id >= vocabulary_.size()) {
        fail_input(parts_.where, "the {} token has id {}, expected below {}", name, *id, vocabulary_.size());
      }
      out = static_cast<int32_t>(*id);
    };
    role("BOS", vocab_.bos_id, special.bos);
    role("EOS", vocab_.eos_id, special.eos);
    role("unknown", vocab_.unk_id, special.unk);
    role("SEP", vocab_.sep_id, special.sep);
    role("padding", vocab_.pad_id, special.pad);
    role("CLS", vocab_.cls_id, special.cls);
    role("mask", vocab_.mask_id, special.mask);
  }

  void add_special_tokens() {
    for (const Added& added : tables_.get<Added>(kAddedTable, where_)) {
      if (!vocabulary_.has_id(added.id)) fail_input(where_, "table '{}' is damaged", kAddedTable);
      AddedToken token;
      token.id = added.id;
      token.content = vocabulary_.token(added.id);
      token.special = added.type != kUserDefined;
      token.normalized = false;
      parts_.added_tokens.push_back(std::move(token));
    }
  }

  /// BOS and EOS around a text, as the flags say; `bos` and `eos` where the file says nothing.
  void set_template(bool bos, bool eos) {
    std::vector<TemplatePiece> single, pair;
    const auto token = [&](bool wanted, int32_t id, const char* key) {
      std::vector<TemplatePiece> out;
      if (wanted && id < 0) fail_input(parts_.where, "{} is to be added, but the file does not say which token it is", key);
      if (wanted) out.push_back({-1, 0, {id}});
      return out;
    };
    const auto first = token(vocab_.add_bos.value_or(bos), parts_.special.bos, "BOS");
    const auto last = token(vocab_.add_eos.value_or(eos), parts_.special.eos, "EOS");
    const auto join = [](std::vector<TemplatePiece>& a, const std::vector<TemplatePiece>& b) { a.insert(a.end(), b.begin(), b.end()); };
    for (auto* out : {&single, &pair}) {
      join(*out, first);
      out->push_back({0, 0, {}});
      join(*out, last);
    }
    join(pair, first);
    pair.push_back({1, 0, {}});
    join(pair, last);
    parts_.post_processor = make_template(std::move(single), std::move(pair));
  }

  void read_gpt2() {
    BpeOptions options;
    GgufPre pre = make_gguf_pre(vocab_.pre, parts_.where);
    options.ignore_merges = pre.ignore_merges;
    parts_.pre_tokenizer = std::move(pre.pre_tokenizer);
    parts_.model = make_bpe(std::move(vocabulary_), tables_, std::move(options), where_);
    parts_.decoder = make_byte_level_decoder();
    set_template(pre.add_bos, /*eos=*/false);
  }

  void read_llama() {
    if (vocab_.add_space_prefix.value_or(true)) {
      std::vector<NormalizerPtr> steps;
      steps.push_back(make_prepend(std::string(kSpaceMark)));
      steps.push_back(make_replace(Regex::literal(" ", parts_.where), std::string(kSpaceMark)));
      parts_.normalizer = make_normalizer_sequence(std::move(steps));
    } else {
      parts_.normalizer = make_replace(Regex::literal(" ", parts_.where), std::string(kSpaceMark));
    }
    if (parts_.special.unk < 0) parts_.special.unk = 0;
    if (parts_.special.bos < 0 && vocabulary_.size() > 2) parts_.special.bos = 1;
    if (parts_.special.eos < 0 && vocabulary_.size() > 2) parts_.special.eos = 2;
    parts_.model = make_spm(std::move(vocabulary_), tables_, parts_.special.unk, where_);
    std::vector<DecoderPtr> steps;
    steps.push_back(make_replace_decoder(Regex::literal(kSpaceMark, parts_.where), " "));
    steps.push_back(make_byte_fallback_decoder());
    steps.push_back(make_fuse_decoder());
    if (vocab_.add_space_prefix.value_or(true)) steps.push_back(make_strip_decoder(U' ', 1, 0));
    parts_.decoder = make_decoder_sequence(std::move(steps));
    set_template(/*bos=*/true, /*eos=*/false);
  }

  void read_bert() {
    const std::string_view unk = parts_.special.unk >= 0 ? vocabulary_.token(parts_.special.unk) : "[UNK]";
    parts_.model = make_wordpiece(std::move(vocabulary_), tables_, unk, "##", /*max_chars=*/1 << 20, where_);
    parts_.normalizer =
        make_bert_normalizer(/*clean_text=*/true, /*handle_chinese_chars=*/true, /*strip_accents=*/true, /*lowercase=*/true);
    parts_.pre_tokenizer = make_bert_pre_tokenizer();
    parts_.decoder = make_wordpiece_decoder("##", /*cleanup=*/true);
    SpecialIds& special = parts_.special;
    if (special.cls < 0) special.cls = special.bos;
    if (special.sep < 0) special.sep = special.eos;
    if (special.cls >= 0 && special.sep >= 0) parts_.post_processor = make_bert_processing(special.cls, special.sep);
  }

  void read_t5() {
    std::vector<NormalizerPtr> steps;
    if (!vocab_.precompiled_charsmap.empty()) steps.push_back(make_precompiled(vocab_.precompiled_charsmap, parts_.where));
    if (vocab_.remove_extra_whitespaces.value_or(false)) {
      steps.push_back(make_strip(/*left=*/true, /*right=*/true));
      steps.push_back(make_replace(Regex(" {2,}", parts_.where), " "));
    }
    parts_.normalizer = make_normalizer_sequence(std::move(steps));
    const PrependScheme scheme = vocab_.add_space_prefix.value_or(true) ? PrependScheme::kAlways : PrependScheme::kNever;
    parts_.pre_tokenizer = make_metaspace(std::string(kSpaceMark), scheme, /*split=*/false);
    std::optional<int32_t> unk;
    if (parts_.special.unk >= 0) unk = parts_.special.unk;
    parts_.model = make_unigram(std::move(vocabulary_), tables_, unk, /*byte_fallback=*/false, where_);
    parts_.decoder = make_metaspace_decoder(std::string(kSpaceMark), scheme);
    set_template(/*bos=*/false, /*eos=*/true);
  }

  const GgufVocab& vocab_;
  const Tables& tables_;
  std::string where_;
  Vocabulary vocabulary_;
  Parts parts_;
};

}  // namespace

Tables compile_gguf_vocabulary(const GgufVocab& vocab) {
  check(vocab);
  Tables tables = compile_model(vocab);
  std::vector<Added> added;
  for (size_t id = 0; id < vocab.tokens.size(); ++id) {
    const int32_t type = type_of(vocab, id);
    if (type != kControl && type != kUserDefined && type != kUnknown) continue;
    if (!vocab.tokens[id].empty()) added.push_back({static_cast<int32_t>(id), type});
  }
  tables.add(kAddedTable, Table(std::move(added)));
  return tables;
}

Parts read_gguf_vocabulary(const GgufVocab& vocab, const Tables& tables) { return Reader(vocab, tables).run(); }

}  // namespace citius::tok
