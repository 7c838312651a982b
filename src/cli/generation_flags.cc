#include "cli/generation_flags.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "cli/model_flags.h"

namespace citius::cli {
namespace {

std::pair<int32_t, double> parse_bias(const std::string& text) {
  const size_t equals = text.find('=');
  const char* const sign = text.data() + std::min(equals, text.size());
  int32_t id = 0;
  double value = 0;
  char* end = nullptr;
  const auto [id_end, error] = std::from_chars(text.data(), sign, id);
  const bool good = equals != std::string::npos && error == std::errc() && id_end == sign;
  if (good) value = std::strtod(sign + 1, &end);
  if (!good || end == sign + 1 || *end != '\0' || !std::isfinite(value)) {
    fail(ErrorKind::kUsage, "--logit-bias", "got '{}', expected ID=VALUE, for example 50=-2.5", text);
  }
  return {id, value};
}

std::vector<int32_t> ids_of(const json::value& value, const std::string& where) {
  std::vector<int32_t> ids;
  if (!value.is_array()) fail_input(where, "got {}, expected a list of token ids", std::string_view(json::to_string(value.kind())));
  for (const json::value& item : value.get_array()) {
    if (!item.is_int64() || !std::in_range<int32_t>(item.get_int64()))
      fail_input(where, "got {}, expected a token id", json::serialize(item));
    ids.push_back(static_cast<int32_t>(item.get_int64()));
  }
  return ids;
}

// What the model's authors ban, of a vocabulary of that size. A reply may always end: a ban on an end token alone is none, as in
// transformers.
std::vector<std::vector<int32_t>> banned_by(const JsonObject& config, int64_t vocab) {
  const auto check = [vocab](std::span<const int32_t> ids, const std::string& where) {
    for (const int32_t id : ids) {
      if (id < 0 || id >= vocab) fail_input(where, "got id {}, expected 0 to {}", id, vocab - 1);
    }
  };
  std::vector<std::vector<int32_t>> banned;
  if (config.has("bad_words_ids")) {
    const std::string where = config.where() + ": bad_words_ids";
    for (const json::value& words : config.get_array("bad_words_ids")) {
      banned.push_back(ids_of(words, where));
      if (banned.back().empty()) fail_input(where, "got an empty list, expected at least one token id");
    }
    std::vector<int32_t> ends;
    if (config.has("eos_token_id")) {
      const json::value& eos = config.at("eos_token_id");
      ends = ids_of(eos.is_array() ? eos : json::array{eos}, config.where() + ": eos_token_id");
    }
    std::erase_if(banned,
                  [&](const auto& words) { return words.size() == 1 && std::find(ends.begin(), ends.end(), words[0]) != ends.end(); });
    for (const std::vector<int32_t>& words : banned) check(words, where);
  }
  if (config.has("suppress_tokens")) {
    const std::string where = config.where() + ": suppress_tokens";
    const std::vector<int32_t> ids = ids_of(config.at("suppress_tokens"), where);
    check(ids, where);
    for (const int32_t id : ids) banned.push_back({id});
  }
  return banned;
}

std::string config_path(const Engine& engine) { return (engine.checkpoint.path / "generation_config.json").string(); }

// What the model's authors end replies with: one string or a list.
std::vector<std::string> stops_of(const JsonObject& config) {
  constexpr const char* kKey = "stop_strings";
  if (!config.has(kKey)) return {};
  const std::vector<std::string> stops =
      config.at(kKey).is_array() ? config.get_strings(kKey) : std::vector<std::string>{config.get_string(kKey)};
  if (std::find(stops.begin(), stops.end(), "") != stops.end()) fail_input(config.where(), "key '{}': got an empty string", kKey);
  return stops;
}

// Keys of generation_config.json that change replies in transformers and that have no counterpart here, with the number at which
// they do nothing; null, false and empty lists do nothing anywhere.
constexpr std::pair<std::string_view, double> kWithoutCounterpart[] = {{"begin_suppress_tokens", 0},
                                                                       {"constraints", 0},
                                                                       {"diversity_penalty", 0},
                                                                       {"dola_layers", 0},
                                                                       {"early_stopping", 0},
                                                                       {"encoder_no_repeat_ngram_size", 0},
                                                                       {"encoder_repetition_penalty", 1},
                                                                       {"epsilon_cutoff", 0},
                                                                       {"eta_cutoff", 0},
                                                                       {"exponential_decay_length_penalty", 0},
                                                                       {"force_words_ids", 0},
                                                                       {"forced_bos_token_id", -1},
                                                                       {"forced_decoder_ids", 0},
                                                                       {"forced_eos_token_id", -1},
                                                                       {"guidance_scale", 1},
                                                                       {"length_penalty", 1},
                                                                       {"max_time", 0},
                                                                       {"min_length", 0},
                                                                       {"min_new_tokens", 0},
                                                                       {"no_repeat_ngram_size", 0},
                                                                       {"num_beam_groups", 1},
                                                                       {"num_beams", 1},
                                                                       {"penalty_alpha", 0},
                                                                       {"sequence_bias", 0},
                                                                       {"token_healing", 0},
                                                                       {"top_h", 1},
                                                                       {"watermarking_config", 0}};

bool does_nothing(const json::value& value, double neutral) {
  if (value.is_number()) return value.to_number<double>() == neutral;
  if (value.is_array()) return value.get_array().empty();
  if (value.is_object()) return value.get_object().empty();
  if (value.is_string()) return value.get_string().empty();
  return !value.is_bool() || !value.get_bool();
}

json::array top_to_json(const Engine& engine, const std::vector<std::pair<int32_t, double>>& top) {
  json::array list;
  for (const auto& [token, logprob] : top) {
    json::object entry{{"id", token}, {"logprob", logprob}};
    if (engine.tokenizer != nullptr) entry["token"] = engine.tokenizer->id_to_token(token);
    list.push_back(std::move(entry));
  }
  return list;
}

void add_logprobs(const Engine& engine, const std::vector<TokenLogprobs>& entries, const std::string& prefix, bool leading_null,
                  json::object& out) {
  json::array values, tops;  // without alternatives the lists of the second are empty
  if (leading_null) {
    values.push_back(nullptr);
    tops.push_back(nullptr);
  }
  for (const TokenLogprobs& entry : entries) {
    values.push_back(entry.logprob);
    tops.push_back(top_to_json(engine, entry.top));
  }
  out[prefix + "logprobs"] = std::move(values);
  out[prefix + "top_logprobs"] = std::move(tops);
}

json::array ids_to_json(std::span<const int32_t> ids) {
  json::array array;
  for (int32_t id : ids) array.push_back(id);
  return array;
}

}  // namespace

void GenerationFlags::add_to(CLI::App& app) {
  app.add_option("--max-tokens", max_tokens, "Longest reply in tokens; 0 scores the prompt only")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
  app.add_option("--temperature", temperature, "0: always the most probable token (default: what the model asks for, or 0)");
  app.add_option("--top-k", top_k, "Sample among the K most probable tokens; 0: all");
  app.add_option("--top-p", top_p, "Sample among the fewest tokens with this probability together");
  app.add_option("--min-p", min_p, "Drop tokens below this share of the best one's probability");
  app.add_option("--typical-p", typical_p, "Sample among the tokens of typical surprise that have this probability together");
  app.add_option("--repetition-penalty", repetition_penalty, "Divides the logits of tokens seen before");
  app.add_option("--presence-penalty", presence_penalty, "Subtracted once from tokens of the reply");
  app.add_option("--frequency-penalty", frequency_penalty, "Subtracted for each occurrence in the reply");
  app.add_option("--logit-bias", logit_bias, "ID=VALUE, added to a token's logit; may be repeated");
  app.add_option("--ban", banned, "Word that must not be generated; may be repeated");
  app.add_option("--begin-with", begin_with, "Text that the reply is made to begin with");
  app.add_option("--stop", stop, "String that ends the reply (not part of it); may be repeated");
  add_seed_option(app, seed, "Seed of the random numbers");
  CLI::Option* const beams =
      app.add_option("--beams", num_beams, "Beam search with so many beams: the likeliest reply of those, nothing is sampled")
          ->check(CLI::Range(1, 64))
          ->capture_default_str();
  app.add_option("--length-penalty", length_penalty, "Beam scores are divided by length to this power")
      ->check(number_range(-100, 100))
      ->needs(beams)
      ->capture_default_str();
  app.add_option("--logprobs", logprobs, "Log-probabilities of the reply, with K alternatives each (with --json or --output)")
      ->check(CLI::Range(0, 1 << 20));
  app.add_flag("--echo", echo, "The prompt's tokens and log-probabilities too (with --json or --output)");
}

void GenerationFlags::check_shown(const OutputOptions& output) const {
  if (length_penalty != 1 && num_beams == 1) fail(ErrorKind::kUsage, "--length-penalty", "got --beams 1, expected 2 or more with it");
  if (output.json || !output.output.empty() || (!echo && logprobs < 0)) return;
  fail(ErrorKind::kUsage, echo ? "--echo" : "--logprobs", "expected --json or --output with it");
}

void GenerationFlags::warn_of_ignored(const Engine& engine) const {
  std::vector<std::string_view> keys;
  for (const auto& [key, neutral] : kWithoutCounterpart) {
    const json::value* value = engine.checkpoint.generation_config.if_contains(key);
    const bool of_beams = key == "early_stopping" || key == "length_penalty";
    const bool replaced =
        key == "num_beams" ? num_beams > 1 : of_beams && (num_beams == 1 || (key == "length_penalty" && length_penalty != 1));
    if (value != nullptr && !replaced && !does_nothing(*value, neutral)) keys.push_back(key);
  }
  if (!keys.empty()) log_warning("{}: ignored, for there is nothing like it here: {}", config_path(engine), fmt::join(keys, ", "));
}

GenerationRequest GenerationFlags::request(const Engine& engine, std::vector<int32_t> prompt) const {
  const JsonObject defaults(engine.checkpoint.generation_config, config_path(engine));
  const bool samples = defaults.get_bool("do_sample", false) && num_beams == 1;
  const bool asks = top_k || top_p || min_p || typical_p;
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  SamplingOptions& o = request.sampling;
  // What the file says is looked at even where it does not count here.
  auto pick = [&](const auto& given, bool counts, const char* key, double neutral) {
    const double value = defaults.get_number(key, neutral);
    return counts && !given ? value : neutral;
  };
  o.temperature = pick(temperature, samples, "temperature", 1);
  const int64_t most = defaults.get_int("top_k", 50);  // where the file is silent, as in transformers
  o.top_k = samples && !top_k ? most : 0;
  o.top_p = pick(top_p, samples, "top_p", 1);
  o.min_p = pick(min_p, samples, "min_p", 0);
  o.typical_p = pick(typical_p, samples, "typical_p", 1);
  o.repetition_penalty = pick(repetition_penalty, temperature != 0, "repetition_penalty", 1);
  check_sampling(o, defaults.where());
  if (!samples) o.temperature = asks ? 1 : 0;
  o.temperature = temperature.value_or(o.temperature);
  o.top_k = top_k.value_or(o.top_k);
  o.top_p = top_p.value_or(o.top_p);
  o.min_p = min_p.value_or(o.min_p);
  o.typical_p = typical_p.value_or(o.typical_p);
  o.repetition_penalty = repetition_penalty.value_or(o.repetition_penalty);
  o.presence_penalty = presence_penalty.value_or(0);
  o.frequency_penalty = frequency_penalty.value_or(0);
  o.seed = seed;
  for (const std::string& text : logit_bias) {
    const auto [id, value] = parse_bias(text);
    o.logit_bias[id] += value;
  }
  o.banned = banned_by(defaults, engine.model().config().vocab_size);
  for (const std::string& word : banned) {
    if (word.empty()) fail(ErrorKind::kUsage, "--ban", "got an empty word");
    // A word is another token after a space than at the start of a text: both are banned.
    o.banned.push_back(engine.tokenizer->encode_ids(word, /*add_special_tokens=*/false));
    o.banned.push_back(engine.tokenizer->encode_ids(" " + word, /*add_special_tokens=*/false));
  }
  if (!begin_with.empty()) o.forced = engine.tokenizer->encode_ids(begin_with, /*add_special_tokens=*/false);
  request.stop = stops_of(defaults);
  if (!stop.empty()) request.stop = stop;
  request.num_beams = num_beams;
  request.length_penalty = length_penalty;
  request.logprobs = logprobs;
  request.prompt_logprobs = echo;
  return request;
}

json::object to_json(const Engine& engine, const GenerationRequest& request, const GenerationResult& result) {
  json::object out;
  out["text"] = result.text;
  out["tokens"] = ids_to_json(result.tokens);
  out["finish_reason"] = result.finish_reason;
  if (request.logprobs >= 0) add_logprobs(engine, result.logprobs, "", /*leading_null=*/false, out);
  if (request.prompt_logprobs) {
    out["prompt_tokens"] = ids_to_json(request.prompt);
    add_logprobs(engine, result.prompt_logprobs, "prompt_", /*leading_null=*/!request.prompt.empty(), out);
  }
  out["num_prompt_tokens"] = request.prompt.size();
  out["prefill_ms"] = result.prefill_ms;
  out["decode_ms"] = result.decode_ms;
  // Always there: the columns of a table are those of its first row.
  const auto rate = [](size_t tokens, double ms) {
    return tokens > 0 && ms > 0 ? json::value(1e3 * static_cast<double>(tokens) / ms) : json::value(nullptr);
  };
  out["prefill_tokens_per_s"] = rate(request.prompt.size(), result.prefill_ms);
  out["decode_tokens_per_s"] = rate(std::max<size_t>(result.tokens.size(), 1) - 1, result.decode_ms);
  return out;
}

}  // namespace citius::cli
