// The stages of a tokenizer put together. Readers (tokenizer.json, vocabulary files, GGUF) fill Parts; everything else
// works on a Pipeline.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/decoder.h"
#include "tokenizer/model.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/post_processor.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace citius::tok {

struct Parts {
  std::string where;              // file, for error messages
  NormalizerPtr normalizer;       // may be null
  PreTokenizerPtr pre_tokenizer;  // may be null
  std::unique_ptr<Model> model;
  PostProcessorPtr post_processor;  // may be null
  DecoderPtr decoder;               // may be null: tokens are joined by spaces
  std::vector<AddedToken> added_tokens;
  std::optional<Truncation> truncation;
  SpecialIds special;
  std::optional<size_t> model_max_length;
};

class Pipeline {
 public:
  explicit Pipeline(Parts parts);

  Encoding encode(const std::vector<std::vector<std::string_view>>& texts, bool words, const EncodeOptions& options) const;
  void encode_ids(std::string_view text, bool add_special_tokens, std::vector<int32_t>& ids) const;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const;

  std::optional<int32_t> token_to_id(std::string_view token) const;
  std::string_view id_to_token(int32_t id) const;
  /// The string that decoders see: for tokens added in a normalized form that form.
  std::string_view decoder_token(int32_t id) const;
  void check_id(int32_t id) const;
  size_t vocab_size() const { return vocab_size_; }
  void accept_ids(size_t count) { special_flags_.resize(std::max(vocab_size_, count)); }
  bool is_special(int32_t id) const { return special_flags_[static_cast<size_t>(id)]; }
  const Parts& parts() const { return parts_; }

 private:
  struct Text;
  std::string normalized_form(const std::string& content) const;
  void prepare(const Text& text, PieceList& list) const;
  Draft draft_of(const Text& text, int32_t sequence, int32_t word, bool trims) const;

  Parts parts_;
  TokenFinder raw_tokens_, normalized_tokens_;
  std::unordered_map<int32_t, std::string> extra_;             // added tokens that the model's vocabulary lacks
  std::unordered_map<std::string_view, int32_t> extra_ids_;    // of their strings
  std::unordered_map<int32_t, std::string> normalized_forms_;  // where it is not the token itself
  std::vector<bool> special_flags_;
  size_t vocab_size_ = 0;
};

/// A parsed JSON text whose values lie in one arena: large vocabularies parse and go away several times faster.
class JsonDocument {
 public:
  JsonDocument(std::string_view text, std::string_view where);
  const json::value& root() const { return root_; }

 private:
  json::monotonic_resource arena_;
  json::value root_;
};

/// Tables of a tokenizer.json, and parts of these. Throws Error{kInput}.
Tables compile_tokenizer_json(std::string_view text, std::string_view where);
Parts read_tokenizer_json(const Tables& tables, std::string_view where);

using MappedFiles = std::vector<std::shared_ptr<const MappedFile>>;
/// The files of a directory with vocab.txt, or vocab.json and merges.txt; their tables, and parts of these as tokenizer_config.json says.
std::vector<std::filesystem::path> vocabulary_files(const std::filesystem::path& directory);
Tables compile_vocabulary_files(const MappedFiles& files);
Parts read_vocabulary_files(const std::filesystem::path& vocabulary, const Tables& tables, const json::value& config);

/// Tables of the lists of a GGUF vocabulary, and parts of these and of all else in it.
Tables compile_gguf_vocabulary(const GgufVocab& vocab);
Parts read_gguf_vocabulary(const GgufVocab& vocab, const Tables& tables);

/// Roles of tokens from tokenizer_config.json and special_tokens_map.json; those not told, by customary spellings.
void read_roles(const std::filesystem::path& directory, const json::value& config, Parts& parts);
void guess_roles(Parts& parts);

/// What a GGUF `pre` kind asks for. An unknown kind is an error that names the nearest known ones.
struct GgufPre {
  PreTokenizerPtr pre_tokenizer;
  bool ignore_merges = false;
  bool add_bos = false;  // where the file does not say
};
GgufPre make_gguf_pre(std::string_view kind, std::string_view where);

}  // namespace citius::tok
