// Text to token ids and back, for every tokenizer family citius reads. A Tokenizer is immutable once made: encode and
// decode may be called from any number of threads. Results equal those of the Hugging Face `tokenizers` package, ids and
// offsets alike; GGUF vocabularies give the ids that llama.cpp gives. docs/tokenizers.md tells what is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "tokenizer/tables.h"

namespace citius {

/// [begin, end) of a token in the original text.
struct TextSpan {
  int32_t begin = 0;
  int32_t end = 0;
  bool operator==(const TextSpan&) const = default;
};

/// One encoded text or pair. All vectors have one entry a token, in order.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;       // segment: 0, or 1 for the second text of a pair where the model has segments
  std::vector<TextSpan> offsets;       // in code points of the text that the token came from; {0, 0} for added ones
  std::vector<TextSpan> byte_offsets;  // the same in UTF-8 bytes
  std::vector<uint8_t> special_mask;   // 1 for tokens that the post-processor added ([CLS], <s>, ...)
  std::vector<int32_t> word_ids;       // index of the pre-tokenized word; -1 for added tokens
  std::vector<int32_t> sequence_ids;   // 0 or 1: first or second text; -1 for added tokens
  size_t num_truncated = 0;            // tokens of the text(s) that this encoding leaves out
  std::vector<Encoding> overflowing;   // the further windows, where EncodeOptions::keep_overflow asked for them

  size_t size() const { return ids.size(); }
};

/// What is shortened when a pair is too long.
enum class TruncationStrategy { kLongestFirst, kOnlyFirst, kOnlySecond };

struct Truncation {
  size_t max_length = 0;  // tokens, special tokens included
  size_t stride = 0;      // tokens by which consecutive windows overlap
  TruncationStrategy strategy = TruncationStrategy::kLongestFirst;
  bool from_left = false;  // drop the beginning instead of the end
};

struct EncodeOptions {
  bool add_special_tokens = true;        // run the post-processor: [CLS] ... [SEP], <s>, ...
  std::optional<Truncation> truncation;  // none: nothing is cut. Tokenizer::truncation() is what the file asks for
  bool keep_overflow = false;            // fill Encoding::overflowing (question answering over long contexts)
};

/// A token that is found in the text before anything else looks at it.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;      // left out by decode(skip_special)
  bool single_word = false;  // only where no word character stands beside it
  bool lstrip = false;       // swallows white space to its left
  bool rstrip = false;       // swallows white space to its right
  bool normalized = true;    // looked for in the normalized text
};

/// Ids of the tokens that have a role; -1 where the tokenizer has none.
struct SpecialIds {
  int32_t bos = -1, eos = -1, unk = -1, sep = -1, pad = -1, cls = -1, mask = -1;
};

/// The tokenizer.* metadata of a GGUF file, as read. Optional members are empty where the key is absent.
struct GgufVocab {
  std::string where;  // file name for error messages
  std::string model;  // tokenizer.ggml.model: llama, gpt2, bert, t5
  std::string pre;    // tokenizer.ggml.pre; empty where absent
  // The lists: Tokenizer::compile() needs them, and nothing else does.
  std::vector<std::string> tokens;  // tokenizer.ggml.tokens
  std::vector<float> scores;        // tokenizer.ggml.scores
  std::vector<int32_t> types;       // tokenizer.ggml.token_type: 1 normal, 2 unknown, 3 control, 4 user, 5 unused, 6 byte
  std::vector<std::string> merges;  // tokenizer.ggml.merges

  std::optional<uint32_t> bos_id, eos_id, unk_id, sep_id /* "seperator" too */, pad_id, cls_id, mask_id, eot_id;
  std::optional<bool> add_bos, add_eos, add_sep, add_space_prefix, remove_extra_whitespaces;
  std::string precompiled_charsmap;  // bytes of tokenizer.ggml.precompiled_charsmap
};

namespace tok {
class Pipeline;
}

class Tokenizer;

/// The first so many bytes of a file.
struct FilePart {
  std::shared_ptr<const MappedFile> file;
  uint64_t bytes = 0;
};

/// A tokenizer about to be made. Compiling takes long; the tables may be kept instead (runtime/start_cache.h). They depend on what
/// `parts` hold, on the names of these files and on nothing else.
struct TokenizerSource {
  std::vector<FilePart> parts;
  std::function<Tables()> compile;
  std::function<std::unique_ptr<Tokenizer>(const Tables&)> open;
};

class Tokenizer {
 public:
  /// Reads tokenizer.json, or vocab.json + merges.txt, or vocab.txt; with tokenizer_config.json and
  /// special_tokens_map.json beside it. Throws Error{kInput} where there is none or it is damaged or unsupported.
  static TokenizerSource source(const std::filesystem::path& directory);
  static std::unique_ptr<Tokenizer> from_directory(const std::filesystem::path& directory);
  /// The text of a tokenizer.json. `where` is named in errors. Without tokenizer_config.json the roles of
  /// special() are taken from the customary spellings ([CLS], <s>, <|endoftext|>, ...).
  static std::unique_ptr<Tokenizer> from_json(std::string_view text, std::string_view where);
  static Tables compile(const GgufVocab& vocab);
  static std::unique_ptr<Tokenizer> from_gguf(const GgufVocab& vocab, const Tables& tables);
  static std::unique_ptr<Tokenizer> from_gguf(const GgufVocab& vocab) { return from_gguf(vocab, compile(vocab)); }
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Invalid UTF-8 is replaced by U+FFFD, one for each maximal ill-formed part; byte offsets refer to the text as given.
  /// Throws Error{kInput} for texts over 1 GiB, for a word without tokens in a WordPiece or Unigram vocabulary that has no
  /// unknown token, and where a regular expression of the file takes absurdly many steps; Error{kUsage} where the
  /// truncation asked for is impossible.
  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  Encoding encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options = {}) const;
  /// Ids only, without truncation; the quick way for prompts.
  std::vector<int32_t> encode_ids(std::string_view text, bool add_special_tokens = true) const;
  /// Encodes a list of words as one text each (token classification data). word_ids are indices into `words`; offsets
  /// count within each word.
  Encoding encode_words(std::span<const std::string> words, const EncodeOptions& options = {}) const;

  /// The text of the ids. Ids outside the vocabulary throw Error{kInput}. Broken UTF-8 becomes U+FFFD.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;

  std::optional<int32_t> token_to_id(std::string_view token) const;
  /// The vocabulary's string ("Ġthe", "##ing", "▁a", "<0x0A>"). Empty for an id that the vocabulary leaves out;
  /// throws Error{kInput} for ids outside [0, vocab_size) and what accept_ids() added.
  std::string_view id_to_token(int32_t id) const;
  /// 1 + the largest id, added tokens included.
  size_t vocab_size() const;
  /// Ids below `count` that are no token have empty text from now on: rows of a padded embedding, which a model may give out.
  void accept_ids(size_t count);

  const SpecialIds& special() const;
  /// Whether decode(skip_special) leaves the token out (control tokens of a GGUF file, special added tokens).
  bool is_special(int32_t id) const;
  const std::vector<AddedToken>& added_tokens() const;
  /// Number of tokens that the post-processor adds to one text or to a pair.
  size_t num_special_tokens(bool pair) const;
  /// What tokenizer.json says on truncation; never applied unless passed to encode.
  const std::optional<Truncation>& truncation() const;
  /// Whether tokens that continue a word begin with a prefix of their own (WordPiece's "##"), so that a token tells whether
  /// it begins one.
  bool marks_subwords() const;
  /// model_max_length of tokenizer_config.json, where it is a plausible length.
  std::optional<size_t> model_max_length() const;

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::unique_ptr<tok::Pipeline> pipeline);
  std::unique_ptr<tok::Pipeline> pipeline_;
};

/// Decodes ids as they are generated. The concatenation of all push() results and finish() is decode() of all ids.
/// What is given out never ends within a character and is never taken back.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true);
  /// The text that has become certain with this id; often empty.
  std::string push(int32_t id);
  /// The rest; an unfinished character becomes U+FFFD.
  std::string finish();

 private:
  std::string push_bytes(std::string_view bytes);
  std::string take();

  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::vector<int32_t> pending_;  // ids whose text may still change, after a context that fixes their beginning
  size_t num_context_ = 0;        // leading ids of pending_ that were given out already
  std::string given_;             // their text; in byte-level vocabularies the bytes that were not given out yet
};

}  // namespace citius
