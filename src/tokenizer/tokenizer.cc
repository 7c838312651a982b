#include "tokenizer/tokenizer.h"

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/pipeline.h"

namespace citius {

Tokenizer::Tokenizer(std::unique_ptr<tok::Pipeline> pipeline) : pipeline_(std::move(pipeline)) {}
Tokenizer::~Tokenizer() = default;

namespace {

constexpr size_t kMaxFileBytes = size_t{256} << 20;

json::value read_optional_json(const std::filesystem::path& path) {
  if (!is_there(path)) return json::object{};
  json::value value = read_json(path, size_t{64} << 20);
  if (!value.is_object()) fail_input(path.string(), "got {}, expected an object", json::to_string(value.kind()));
  return value;
}

std::shared_ptr<const MappedFile> map_file(const std::filesystem::path& path) {
  auto file = std::make_shared<const MappedFile>(path);
  if (file->bytes().size() > kMaxFileBytes) {
    fail_input(path.string(), "has {} bytes, expected at most {}", file->bytes().size(), kMaxFileBytes);
  }
  return file;
}

}  // namespace

TokenizerSource Tokenizer::source(const std::filesystem::path& directory) {
  const std::filesystem::path json = directory / "tokenizer.json";
  const bool has_json = is_there(json);
  tok::MappedFiles files;
  for (const auto& path : has_json ? std::vector{json} : tok::vocabulary_files(directory)) files.push_back(map_file(path));
  TokenizerSource source;
  for (const auto& file : files) source.parts.push_back({file, file->bytes().size()});
  source.compile = [=] {
    return has_json ? tok::compile_tokenizer_json(files[0]->text(), json.string()) : tok::compile_vocabulary_files(files);
  };
  source.open = [=, first = files[0]->path()](const Tables& tables) {
    const json::value config = read_optional_json(directory / "tokenizer_config.json");
    tok::Parts parts = has_json ? tok::read_tokenizer_json(tables, json.string()) : tok::read_vocabulary_files(first, tables, config);
    tok::read_roles(directory, config, parts);
    return std::unique_ptr<Tokenizer>(new Tokenizer(std::make_unique<tok::Pipeline>(std::move(parts))));
  };
  return source;
}

std::unique_ptr<Tokenizer> Tokenizer::from_directory(const std::filesystem::path& directory) {
  const TokenizerSource found = source(directory);
  return found.open(found.compile());
}

std::unique_ptr<Tokenizer> Tokenizer::from_json(std::string_view text, std::string_view where) {
  tok::Parts parts = tok::read_tokenizer_json(tok::compile_tokenizer_json(text, where), where);
  tok::guess_roles(parts);
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::make_unique<tok::Pipeline>(std::move(parts))));
}

Tables Tokenizer::compile(const GgufVocab& vocab) { return tok::compile_gguf_vocabulary(vocab); }

std::unique_ptr<Tokenizer> Tokenizer::from_gguf(const GgufVocab& vocab, const Tables& tables) {
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::make_unique<tok::Pipeline>(tok::read_gguf_vocabulary(vocab, tables))));
}

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  return pipeline_->encode({{text}}, /*words=*/false, options);
}

Encoding Tokenizer::encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options) const {
  return pipeline_->encode({{first}, {second}}, /*words=*/false, options);
}

Encoding Tokenizer::encode_words(std::span<const std::string> words, const EncodeOptions& options) const {
  return pipeline_->encode({{words.begin(), words.end()}}, /*words=*/true, options);
}

std::vector<int32_t> Tokenizer::encode_ids(std::string_view text, bool add_special_tokens) const {
  std::vector<int32_t> ids;
  pipeline_->encode_ids(text, add_special_tokens, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const { return pipeline_->decode(ids, skip_special); }

std::optional<int32_t> Tokenizer::token_to_id(std::string_view token) const { return pipeline_->token_to_id(token); }
std::string_view Tokenizer::id_to_token(int32_t id) const { return pipeline_->id_to_token(id); }
size_t Tokenizer::vocab_size() const { return pipeline_->vocab_size(); }
void Tokenizer::accept_ids(size_t count) { pipeline_->accept_ids(count); }
const SpecialIds& Tokenizer::special() const { return pipeline_->parts().special; }
const std::vector<AddedToken>& Tokenizer::added_tokens() const { return pipeline_->parts().added_tokens; }
const std::optional<Truncation>& Tokenizer::truncation() const { return pipeline_->parts().truncation; }
bool Tokenizer::marks_subwords() const { return pipeline_->parts().model->marks_subwords(); }
std::optional<size_t> Tokenizer::model_max_length() const { return pipeline_->parts().model_max_length; }

bool Tokenizer::is_special(int32_t id) const {
  pipeline_->check_id(id);
  return pipeline_->is_special(id);
}

size_t Tokenizer::num_special_tokens(bool pair) const {
  const tok::PostProcessor* post = pipeline_->parts().post_processor.get();
  return post == nullptr ? 0 : post->num_added(pair);
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special) : tokenizer_(tokenizer), skip_special_(skip_special) {}

std::string StreamDecoder::push(int32_t id) {
  const tok::Pipeline& pipeline = *tokenizer_.pipeline_;
  const tok::Decoder& decoder = *pipeline.parts().decoder;
  pipeline.check_id(id);
  if ((skip_special_ && pipeline.is_special(id)) || pipeline.decoder_token(id).empty()) return "";
  if (decoder.is_byte_level()) return push_bytes(tok::byte_level_bytes(pipeline.decoder_token(id)));
  pending_.push_back(id);
  if (!decoder.streams()) return "";
  if (decoder.joins_bytes() && tok::byte_token_value(pipeline.decoder_token(id)) >= 0) return "";
  return take();
}

/// Gives out the characters that are complete.
std::string StreamDecoder::push_bytes(std::string_view bytes) {
  given_ += bytes;
  std::string out;
  size_t at = 0;
  while (at < given_.size()) {
    bool valid;
    const size_t length = tok::utf8_part(std::string_view(given_).substr(at), valid);
    if (!valid && at + length == given_.size() && tok::may_continue(std::string_view(given_).substr(at))) break;
    out += valid ? given_.substr(at, length) : "\xEF\xBF\xBD";
    at += length;
  }
  given_.erase(0, at);
  return out;
}

/// Gives out what the pending ids add to the text given out already. The ids since the last time become the context of
/// the next, so that what follows is decoded as in the middle of a text; ids without text cannot serve as context.
std::string StreamDecoder::take() {
  const std::string text = tokenizer_.decode(pending_, skip_special_);
  if (!text.starts_with(given_)) {
    fail(ErrorKind::kFailed, "tokenizer", "decoding ids one by one took back text that was given out");
  }
  std::string out = text.substr(given_.size());
  given_ = text;
  const std::vector<int32_t> recent(pending_.begin() + static_cast<ptrdiff_t>(num_context_), pending_.end());
  std::string recent_text = tokenizer_.decode(recent, skip_special_);
  if (!recent_text.empty()) {
    pending_ = recent;
    given_ = std::move(recent_text);
    num_context_ = pending_.size();
  }
  return out;
}

std::string StreamDecoder::finish() {
  std::string out;
  if (tokenizer_.pipeline_->parts().decoder->is_byte_level()) {
    out = tok::replace_invalid_utf8(given_);
  } else if (!pending_.empty()) {
    out = take();
  }
  pending_.clear();
  given_.clear();
  num_context_ = 0;
  return out;
}

}  // namespace citius
