// Vocabularies of GGUF files: SentencePiece BPE (llama), byte-level BPE (gpt2), WordPiece (bert), Unigram (t5). The ids
// are those of llama.cpp; control and user-defined tokens written in the text are recognised.
#include <algorithm>

#include "base/error.h"
#include "tokenizer/pipeline.h"

namespace citius::tok {
namespace {

enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // ▁

class Reader {
 public:
  explicit Reader(GgufVocab vocab) : vocab_(std::move(vocab)) {
    parts_.where = vocab_.where.empty() ? "GGUF vocabulary" : vocab_.where;
    check();
    read_roles();
  }

  Parts run() {
    if (vocab_.model == "gpt2") {
      read_gpt2();
    } else if (vocab_.model == "llama") {
      read_llama();
    } else if (vocab_.model == "bert") {
      read_bert();
    } else if (vocab_.model == "t5") {
      read_t5();
    } else {
      fail_input(parts_.where, "tokenizer.ggml.model is '{}', expected llama, gpt2, bert or t5", vocab_.model);
    }
    return std::move(parts_);
  }

 private:
  void check() const {
    const size_t count = vocab_.tokens.size();
    if (count == 0) fail_input(parts_.where, "tokenizer.ggml.tokens is missing or empty");
    const auto check_size = [&](const char* key, size_t size) {
      if (size != 0 && size != count) fail_input(parts_.where, "{} has {} entries, expected {}", key, size, count);
    };
    check_size("tokenizer.ggml.scores", vocab_.scores.size());
    check_size("tokenizer.ggml.token_type", vocab_.types.size());
    for (size_t id = 0; id < count; ++id) {
      if (!is_valid_utf8(vocab_.tokens[id])) fail_input(parts_.where, "token {} is not valid UTF-8", id);
    }
  }

  void read_roles() {
    SpecialIds& special = parts_.special;
    const auto role = [&](const char* name, const std::optional<uint32_t>& id, int32_t& out) {
      if (!id || *id == UINT32_MAX) return;  // absent ones are written as 2^32 - 1
      if (*id >= vocab_.tokens.size()) {
        fail_input(parts_.where, "the {} token has id {}, expected below {}", name, *id, vocab_.tokens.size());
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

  int32_t type(size_t id) const { return vocab_.types.empty() ? int32_t{kNormal} : vocab_.types[id]; }

  void add_special_tokens() {
    for (size_t id = 0; id < vocab_.tokens.size(); ++id) {
      const int32_t kind = type(id);
      if ((kind != kControl && kind != kUserDefined && kind != kUnknown) || vocab_.tokens[id].empty()) continue;
      AddedToken token;
      token.id = static_cast<int32_t>(id);
      token.content = vocab_.tokens[id];
      token.special = kind != kUserDefined;
      token.normalized = false;
      parts_.added_tokens.push_back(std::move(token));
    }
  }

  /// The last to need the tokens.
  Vocabulary take_vocabulary() { return Vocabulary::from_list(std::move(vocab_.tokens), parts_.where); }

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
    MergeList merges;
    merges.reserve(vocab_.merges.size());
    for (const std::string_view line : vocab_.merges) {
      const size_t space = line.find(' ', 1);  // the first part may itself be a space
      if (space == std::string_view::npos) fail_input(parts_.where, "merge {}: got '{}', expected two parts", merges.size(), line);
      merges.emplace_back(line.substr(0, space), line.substr(space + 1));
    }
    BpeOptions options;
    GgufPre pre = make_gguf_pre(vocab_.pre, parts_.where);
    options.ignore_merges = pre.ignore_merges;
    parts_.pre_tokenizer = std::move(pre.pre_tokenizer);
    add_special_tokens();
    parts_.model = make_bpe(take_vocabulary(), merges, std::move(options), parts_.where);
    parts_.decoder = make_byte_level_decoder();
    set_template(pre.add_bos, /*eos=*/false);
  }

  void read_llama() {
    if (vocab_.scores.empty()) fail_input(parts_.where, "tokenizer.ggml.scores is missing");
    if (vocab_.add_space_prefix.value_or(true)) {
      std::vector<NormalizerPtr> steps;
      steps.push_back(make_prepend(std::string(kSpaceMark)));
      steps.push_back(make_replace(Regex::literal(" ", parts_.where), std::string(kSpaceMark)));
      parts_.normalizer = make_normalizer_sequence(std::move(steps));
    } else {
      parts_.normalizer = make_replace(Regex::literal(" ", parts_.where), std::string(kSpaceMark));
    }
    if (parts_.special.unk < 0) parts_.special.unk = 0;
    if (parts_.special.bos < 0 && vocab_.tokens.size() > 2) parts_.special.bos = 1;
    if (parts_.special.eos < 0 && vocab_.tokens.size() > 2) parts_.special.eos = 2;
    add_special_tokens();
    parts_.model = make_spm(take_vocabulary(), vocab_.scores, parts_.special.unk, parts_.where);
    std::vector<DecoderPtr> steps;
    steps.push_back(make_replace_decoder(Regex::literal(kSpaceMark, parts_.where), " "));
    steps.push_back(make_byte_fallback_decoder());
    steps.push_back(make_fuse_decoder());
    if (vocab_.add_space_prefix.value_or(true)) steps.push_back(make_strip_decoder(U' ', 1, 0));
    parts_.decoder = make_decoder_sequence(std::move(steps));
    set_template(/*bos=*/true, /*eos=*/false);
  }

  void read_bert() {
    // "▁word" stands for the beginning of a word and "piece" for "##piece"; older files keep the original spelling.
    std::vector<std::string> tokens = vocab_.tokens;
    const bool marked = std::any_of(tokens.begin(), tokens.end(), [](const std::string& token) { return token.starts_with(kSpaceMark); });
    for (size_t id = 0; marked && id < tokens.size(); ++id) {
      if (tokens[id].starts_with(kSpaceMark)) {
        tokens[id].erase(0, kSpaceMark.size());
      } else if (type(id) == kNormal && !(tokens[id].starts_with('[') && tokens[id].ends_with(']') && tokens[id].size() > 2)) {
        tokens[id].insert(0, "##");
      }
    }
    const std::string unk = parts_.special.unk >= 0 ? tokens[static_cast<size_t>(parts_.special.unk)] : "[UNK]";
    parts_.model = make_wordpiece(Vocabulary::from_list(std::move(tokens), parts_.where), unk, "##", /*max_chars=*/1 << 20, parts_.where);
    parts_.normalizer =
        make_bert_normalizer(/*clean_text=*/true, /*handle_chinese_chars=*/true, /*strip_accents=*/true, /*lowercase=*/true);
    parts_.pre_tokenizer = make_bert_pre_tokenizer();
    parts_.decoder = make_wordpiece_decoder("##", /*cleanup=*/true);
    SpecialIds& special = parts_.special;
    if (special.cls < 0) special.cls = special.bos;
    if (special.sep < 0) special.sep = special.eos;
    if (special.cls >= 0 && special.sep >= 0) parts_.post_processor = make_bert_processing(special.cls, special.sep);
    add_special_tokens();
  }

  void read_t5() {
    if (vocab_.scores.empty()) fail_input(parts_.where, "tokenizer.ggml.scores is missing");
    std::vector<NormalizerPtr> steps;
    if (!vocab_.precompiled_charsmap.empty()) steps.push_back(make_precompiled(vocab_.precompiled_charsmap, parts_.where));
    if (vocab_.remove_extra_whitespaces.value_or(false)) {
      steps.push_back(make_strip(/*left=*/true, /*right=*/true));
      steps.push_back(make_replace(Regex(" {2,}", parts_.where), " "));
    }
    parts_.normalizer = make_normalizer_sequence(std::move(steps));
    const PrependScheme scheme = vocab_.add_space_prefix.value_or(true) ? PrependScheme::kAlways : PrependScheme::kNever;
    parts_.pre_tokenizer = make_metaspace(std::string(kSpaceMark), scheme, /*split=*/false);
    std::vector<double> scores(vocab_.scores.begin(), vocab_.scores.end());
    // Only normal tokens may be found in a text; the others keep their id and lose their string's entry in the search.
    std::optional<int32_t> unk;
    if (parts_.special.unk >= 0) unk = parts_.special.unk;
    add_special_tokens();
    parts_.model = make_unigram(take_vocabulary(), std::move(scores), unk, /*byte_fallback=*/false, parts_.where);
    parts_.decoder = make_metaspace_decoder(std::string(kSpaceMark), scheme);
    set_template(/*bos=*/false, /*eos=*/true);
  }

  GgufVocab vocab_;
  Parts parts_;
};

}  // namespace

Parts read_gguf_vocabulary(GgufVocab vocab) { return Reader(std::move(vocab)).run(); }

}  // namespace citius::tok
