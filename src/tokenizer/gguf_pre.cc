// The `pre` kinds of byte-level GGUF vocabularies: which patterns cut a text into words. Many names share a family.
#include <algorithm>
#include <array>
#include <initializer_list>

#include "base/edit_distance.h"
#include "base/error.h"
#include "tokenizer/pipeline.h"

namespace citius::tok {
namespace {

// Parts of patterns in braces stand for one another: {contractions} and {spaces}.
constexpr std::string_view kContractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
constexpr std::string_view kSpaces = R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr const char* kLlama3 =
    "{contractions}"
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    "{spaces}";
constexpr const char* kQwen2 =
    "{contractions}"
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    "{spaces}";
constexpr const char* kQwen35 =
    "{contractions}"
    R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)"
    "{spaces}";
constexpr const char* kSeedCoder =
    "{contractions}"
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+)"
    "{spaces}";
constexpr const char* kMiniCpm =
    "{contractions}"
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    "{spaces}";
constexpr const char* kGpt4o = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
                               "{contractions}"
                               R"(?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
                               "{contractions}"
                               R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*)"
                               "{spaces}";
constexpr const char* kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*)"
    "{spaces}";
constexpr const char* kDeepSeekWords =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*)"
    "{spaces}";
constexpr const char* kBailing =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr const char* kBloom = R"( ?[^(\s|.,!?…。，、।۔،)]+)";
constexpr const char* kCjk = "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+";
constexpr const char* kCjkAndHangul = "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+";

std::string expand(std::string_view pattern) {
  std::string out(pattern);
  for (const auto& [name, part] :
       {std::pair{std::string_view("{contractions}"), kContractions}, std::pair{std::string_view("{spaces}"), kSpaces}}) {
    for (size_t at = 0; (at = out.find(name)) != std::string::npos;) out.replace(at, name.size(), part);
  }
  return out;
}

struct Family {
  std::initializer_list<const char*> names;
  std::initializer_list<const char*> patterns;  // applied one after the other
  bool ignore_merges = false;                   // a word that is a token stays whole
  bool add_bos = false;                         // where the file does not say
};

const Family kFamilies[] = {
    {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"},
     {kLlama3},
     /*ignore_merges=*/true,
     /*add_bos=*/true},
    {{"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"}, {kLlama3}},
    {{"qwen2", "deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan", "grok-2", "solar-open", "kormo", "f2llmv2"}, {kQwen2}},
    {{"qwen35"}, {kQwen35}},
    {{"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "roberta-bpe", "modern-bert", "jina-v1-en", "jina-v2-code", "jina-es", "jina-de",
      "jina-v2-es", "jina-v2-de", "gigachat", "exaone4", "mellum", "a.x-4.0", "granite-docling"},
     {kGpt2Pattern}},
    {{"starcoder", "smollm", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"}, {"\\p{N}", kGpt2Pattern}},
    {{"falcon"}, {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2Pattern, "[0-9][0-9][0-9]"}},
    {{"deepseek-coder"}, {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", kCjkAndHangul, "\\p{N}"}},
    {{"deepseek-v3", "hunyuan-dense", "joyai-llm"}, {"\\p{N}{1,3}", kCjk, kDeepSeekWords}},
    {{"tekken"}, {kTekken}, /*ignore_merges=*/true, /*add_bos=*/true},
    {{"gpt-4o", "llama4", "kanana2", "minimax-m2"}, {kGpt4o}},
    {{"bailingmoe", "bailingmoe2", "llada-moe"}, {kBailing}},
    {{"seed-coder"}, {kSeedCoder}},
    {{"minicpm5"}, {"\\p{N}{1,3}", kMiniCpm}, /*ignore_merges=*/true},
    {{"bloom", "poro-chat", "gpt3-finnish"}, {kBloom}},
    {{"viking"}, {kBloom, "\\p{N}"}},
    {{"default"}, {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Pattern, "\\p{N}+", "[0-9][0-9][0-9]"}},
};

[[noreturn]] void fail_unknown(std::string_view kind, std::string_view where) {
  std::vector<std::pair<size_t, std::string>> near;
  for (const Family& family : kFamilies) {
    for (const char* name : family.names) near.emplace_back(edit_distance(kind.substr(0, 64), name), name);
  }
  std::sort(near.begin(), near.end());
  fail_input(where, "tokenizer.ggml.pre is '{}', which is not supported; the nearest known ones are {}, {} and {}", kind.substr(0, 64),
             near[0].second, near[1].second, near[2].second);
}

}  // namespace

GgufPre make_gguf_pre(std::string_view kind, std::string_view where) {
  if (kind.empty()) {
    fail_input(where, "tokenizer.ggml.pre is missing, so it is not known how words are cut; convert the model again");
  }
  for (const Family& family : kFamilies) {
    if (std::find(family.names.begin(), family.names.end(), kind) == family.names.end()) continue;
    std::vector<PreTokenizerPtr> steps;
    for (const char* pattern : family.patterns) {
      steps.push_back(make_split(Regex(expand(pattern), where), SplitBehavior::kIsolated, /*invert=*/false));
    }
    steps.push_back(make_byte_level(/*add_prefix_space=*/false, /*use_regex=*/false));
    return {make_pre_tokenizer_sequence(std::move(steps)), family.ignore_merges, family.add_bos};
  }
  fail_unknown(kind, where);
}

}  // namespace citius::tok
