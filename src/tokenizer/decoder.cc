#include "tokenizer/decoder.h"

#include <algorithm>
#include <charconv>

#include "tokenizer/normalizer.h"
#include "tokenizer/text.h"

namespace citius::tok {
namespace {

void replace_literal(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
}

/// The English clean-up of the Hugging Face libraries: no space before punctuation and contractions.
void clean_up(std::string& text) {
  static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) replace_literal(text, from, to);
}

class Sequence final : public Decoder {
 public:
  explicit Sequence(std::vector<DecoderPtr> steps) : steps_(std::move(steps)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (const DecoderPtr& step : steps_) step->apply(tokens);
  }
  bool streams() const override {
    // After all tokens became one string only what looks at its beginning is safe.
    bool fused = false;
    for (const DecoderPtr& step : steps_) {
      if (!step->streams() || (fused && !step->fuses() && !step->looks_at_start_only())) return false;
      fused |= step->fuses() || step->is_byte_level();
    }
    return true;
  }
  bool joins_bytes() const override {
    return std::any_of(steps_.begin(), steps_.end(), [](const DecoderPtr& step) { return step->joins_bytes(); });
  }
  bool is_byte_level() const override { return steps_.size() == 1 && steps_[0]->is_byte_level(); }
  bool fuses() const override {
    return std::any_of(steps_.begin(), steps_.end(), [](const DecoderPtr& step) { return step->fuses(); });
  }

 private:
  std::vector<DecoderPtr> steps_;
};

class ByteLevel final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) bytes += byte_level_bytes(token);
    tokens.assign(1, replace_invalid_utf8(bytes));
  }
  bool is_byte_level() const override { return true; }
  bool fuses() const override { return true; }
};

class WordPiece final : public Decoder {
 public:
  WordPiece(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0) {
        if (token.starts_with(prefix_)) {
          token.erase(0, prefix_.size());
        } else {
          token.insert(0, " ");
        }
      }
      if (cleanup_) clean_up(token);
    }
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class Metaspace final : public Decoder {
 public:
  Metaspace(std::string replacement, PrependScheme scheme) : replacement_(std::move(replacement)), scheme_(scheme) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      replace_literal(tokens[i], replacement_, i == 0 && scheme_ != PrependScheme::kNever ? "" : " ");
    }
  }

 private:
  std::string replacement_;
  PrependScheme scheme_;
};

class BpeSuffix final : public Decoder {
 public:
  explicit BpeSuffix(std::string suffix) : suffix_(std::move(suffix)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) replace_literal(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
  }

 private:
  std::string suffix_;
};

class Ctc final : public Decoder {
 public:
  Ctc(std::string pad, std::string word_delimiter, bool cleanup)
      : pad_(std::move(pad)), word_delimiter_(std::move(word_delimiter)), cleanup_(cleanup) {}
  void apply(std::vector<std::string>& tokens) const override {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (std::string& token : tokens) {
      replace_literal(token, pad_, "");
      if (!cleanup_) continue;
      clean_up(token);
      replace_literal(token, word_delimiter_, " ");
    }
    std::erase(tokens, "");
  }
  bool streams() const override { return false; }

 private:
  std::string pad_, word_delimiter_;
  bool cleanup_;
};

class Fuse final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::string text;
    for (const std::string& token : tokens) text += token;
    tokens.assign(1, std::move(text));
  }
  bool fuses() const override { return true; }
};

class Strip final : public Decoder {
 public:
  Strip(char32_t content, size_t start, size_t stop) : start_(start), stop_(stop) { append_utf8(content_, content); }
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      for (size_t i = 0; i < start_ && token.starts_with(content_); ++i) token.erase(0, content_.size());
      for (size_t i = 0; i < stop_ && token.ends_with(content_); ++i) token.erase(token.size() - content_.size());
    }
  }
  bool streams() const override { return stop_ == 0; }
  bool looks_at_start_only() const override { return true; }

 private:
  std::string content_;
  size_t start_, stop_;
};

class ByteFallback final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::vector<std::string> out;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (is_valid_utf8(bytes)) {
        out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const int byte = byte_token_value(token); byte >= 0) {
        bytes += static_cast<char>(byte);
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    tokens = std::move(out);
  }
  bool joins_bytes() const override { return true; }
};

class Replace final : public Decoder {
 public:
  Replace(Regex pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) token = replace_all(pattern_, token, content_);
  }

 private:
  Regex pattern_;
  std::string content_;
};

class Join final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 1; i < tokens.size(); ++i) tokens[i].insert(0, " ");
  }
};

}  // namespace

std::string byte_level_bytes(std::string_view token) {
  std::string bytes;
  for (size_t i = 0; i < token.size();) {
    const int byte = char_to_byte(next_char(token, i));
    if (byte < 0) return std::string(token);  // an added token in plain text
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

int byte_token_value(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return -1;
  int value = -1;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  return error == std::errc() && end == token.data() + 5 ? value : -1;
}

DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> steps) { return std::make_unique<Sequence>(std::move(steps)); }
DecoderPtr make_byte_level_decoder() { return std::make_unique<ByteLevel>(); }
DecoderPtr make_wordpiece_decoder(std::string prefix, bool cleanup) { return std::make_unique<WordPiece>(std::move(prefix), cleanup); }
DecoderPtr make_metaspace_decoder(std::string replacement, PrependScheme scheme) {
  return std::make_unique<Metaspace>(std::move(replacement), scheme);
}
DecoderPtr make_bpe_decoder(std::string suffix) { return std::make_unique<BpeSuffix>(std::move(suffix)); }
DecoderPtr make_ctc_decoder(std::string pad, std::string word_delimiter, bool cleanup) {
  return std::make_unique<Ctc>(std::move(pad), std::move(word_delimiter), cleanup);
}
DecoderPtr make_fuse_decoder() { return std::make_unique<Fuse>(); }
DecoderPtr make_strip_decoder(char32_t content, size_t start, size_t stop) { return std::make_unique<Strip>(content, start, stop); }
DecoderPtr make_byte_fallback_decoder() { return std::make_unique<ByteFallback>(); }
DecoderPtr make_replace_decoder(Regex pattern, std::string content) {
  return std::make_unique<Replace>(std::move(pattern), std::move(content));
}
DecoderPtr make_join_decoder() { return std::make_unique<Join>(); }

}  // namespace citius::tok
