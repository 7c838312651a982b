#include "runtime/generator.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "runtime/stop_text.h"

namespace citius {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

// Prompt ids the text decoder sees before the reply, so that the reply's first token keeps its leading space.
constexpr size_t kContextIds = 4;

void add_end_token(const json::value& value, int64_t vocab, std::vector<int32_t>& ids) {
  if (value.is_array()) {
    for (const json::value& item : value.get_array()) add_end_token(item, vocab, ids);
  } else if (value.is_int64() && value.get_int64() >= 0 && value.get_int64() < vocab) {
    ids.push_back(static_cast<int32_t>(value.get_int64()));
  }
}

std::vector<int32_t> find_end_tokens(const Engine& engine) {
  std::vector<int32_t> ids;
  const int64_t vocab = engine.model().config().vocab_size;
  for (const json::object* config : {&engine.checkpoint.generation_config, &engine.checkpoint.config}) {
    if (const json::value* value = config->if_contains("eos_token_id")) add_end_token(*value, vocab, ids);
  }
  const int32_t eos = engine.tokenizer != nullptr ? engine.tokenizer->special().eos : -1;
  if (eos >= 0 && eos < vocab) ids.push_back(eos);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

// Sequences of the length that was asked for; where nobody asked, one of the longest. No more of it than half the memory that is left
// holds, but one of the length asked for in any case.
int64_t default_kv_tokens(const Engine& engine, int64_t sequences) {
  constexpr int64_t kUsual = 4096;  // of models that take less: several sequences
  const ModelConfig& config = engine.model().config();
  const bool asked = engine.options.context > 0;
  const int64_t length = (config.max_positions + kKvBlock - 1) / kKvBlock * kKvBlock;
  const int64_t least = asked ? length : kKvBlock, wanted = asked ? length * sequences : std::max(length, kUsual);
  const int64_t token_bytes = 2 * config.num_layers * config.kv_heads * kv_vector_bytes(engine.kv_type, config.head_dim);
  const int64_t fits = std::max(least, available_memory() / 2 / token_bytes / kKvBlock * kKvBlock);
  if (fits >= wanted) return wanted;
  if (asked) return fits;
  log_note("room for {} of the {} tokens that the model takes: half of the memory left holds no more; --context asks for another length",
           fits, wanted);
  return fits;
}

}  // namespace

// A request on its way.
struct Generator::Active {
  size_t index = 0;
  const GenerationRequest* request = nullptr;
  GenerationResult result;
  int64_t max_tokens = 0;  // what the context leaves room for
  bool begun = false, done = false;
  std::optional<StreamDecoder> decoder;
  std::optional<StopText> text;
  Clock::time_point start, first;
};

// The requests of one call that have not ended. Whatever ends the call, the scheduler forgets them.
struct Generator::Run {
  Scheduler& scheduler;
  Clock::time_point begin = Clock::now();
  std::map<Scheduler::Id, Active> active;

  explicit Run(Scheduler& s) : scheduler(s) {}
  ~Run() {
    for (const auto& [id, request] : active) scheduler.cancel(id);
  }
};

Generator::Generator(Engine& engine, const GeneratorOptions& options)
    : engine_(engine),
      decoder_(engine, options.kv_tokens > 0 ? options.kv_tokens : default_kv_tokens(engine, options.sequences)),
      scheduler_(decoder_.blocks(), {.step_tokens = options.prefill_chunk, .max_running = std::min<int64_t>(256, options.prefill_chunk)}),
      end_tokens_(find_end_tokens(engine)) {}

void Generator::check(const GenerationRequest& request) const {
  check_sampling(request.sampling);
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  if (prompt == 0) fail_input("prompt", "is empty and the tokenizer adds no beginning token, expected at least one token");
  if (prompt > decoder_.max_length()) {
    fail_input("prompt", "got {} tokens, expected at most {} ({})", prompt, decoder_.max_length(),
               engine_.options.context > 0 ? "--context" : "the model's context");
  }
  auto check_ids = [&](std::span<const int32_t> ids, const char* what) {
    for (int32_t id : ids) {
      if (id < 0 || id >= decoder_.vocab_size()) fail_input(what, "got id {}, expected 0 to {}", id, decoder_.vocab_size() - 1);
    }
  };
  check_ids(request.prompt, "prompt");
  check_ids(request.sampling.forced, "forced tokens");
  check_ids(request.stop_tokens, "stop tokens");
  for (const auto& words : request.sampling.banned) {
    if (words.empty()) fail(ErrorKind::kUsage, "banned words", "got an empty one");
    check_ids(words, "banned words");
  }
  for (const auto& [id, bias] : request.sampling.logit_bias) check_ids({&id, 1}, "logit bias");
  if (request.num_beams > 1 && request.sampling.temperature > 0) {
    fail(ErrorKind::kUsage, "beams", "beam search samples nothing; expected no temperature, top-k, top-p, min-p or typical-p with it");
  }
  for (const std::string& stop : request.stop) {
    if (stop.empty()) fail(ErrorKind::kUsage, "stop", "got an empty string");
  }
}

// The decoder of a reply: it has seen the end of the prompt.
StreamDecoder Generator::reply_decoder(const GenerationRequest& request) const {
  StreamDecoder decoder(*engine_.tokenizer);
  for (int32_t id : std::span(request.prompt).last(std::min(request.prompt.size(), kContextIds))) decoder.push(id);
  return decoder;
}

void Generator::enter(Run& run, size_t index, const GenerationRequest& request, const OnText& on_text) {
  Active active;
  active.index = index;
  active.request = &request;
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  active.max_tokens = std::min(request.max_tokens, decoder_.max_length() - prompt);
  if (engine_.tokenizer != nullptr) active.decoder.emplace(reply_decoder(request));
  active.text.emplace(request.stop, [&on_text, index](const std::string& piece) { return !on_text || on_text(index, piece); });
  SequenceRequest sequence;
  sequence.prompt = request.prompt;
  sequence.max_tokens = active.max_tokens;
  sequence.reuse_prefix = !request.prompt_logprobs;
  run.active.emplace(scheduler_.add(std::move(sequence), ms_since(run.begin) / 1e3), std::move(active));
}

std::vector<GenerationResult> Generator::generate(std::span<const GenerationRequest> requests, const OnText& on_text) {
  std::vector<GenerationResult> results(requests.size());
  Run run(scheduler_);
  for (const GenerationRequest& request : requests) check(request);
  for (size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].num_beams > 1)
      results[i] = beam_search(requests[i], [&](const std::string& text) { return !on_text || on_text(i, text); });
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].num_beams == 1) enter(run, i, requests[i], on_text);
  }
  while (!run.active.empty()) {
    step(run);
    for (auto entry = run.active.begin(); entry != run.active.end();) {
      Active& active = entry->second;
      if (!active.done) {
        ++entry;
        continue;
      }
      scheduler_.finish(entry->first);
      results[active.index] = std::move(active.result);
      entry = run.active.erase(entry);
    }
  }
  return results;
}

void Generator::step(Run& run) {
  const std::span<const Scheduler::Work> work = scheduler_.plan(ms_since(run.begin) / 1e3);
  std::vector<Decoder::Placed> parts;
  for (const Scheduler::Work& part : work) {
    Active& active = run.active.at(part.id);
    if (!std::exchange(active.begun, true)) active.start = Clock::now();
    parts.push_back({part.tokens, part.past, part.blocks});
  }
  const TensorView hidden = decoder_.forward(parts);
  std::vector<int64_t> rows;
  std::vector<Scheduler::Id> choosing;
  int64_t row = 0;
  for (const Scheduler::Work& part : work) {
    Active& active = run.active.at(part.id);
    const auto count = static_cast<int64_t>(part.tokens.size());
    if (active.request->prompt_logprobs) accept_logits(active, hidden, row, part.past, count);
    row += count;
    if (!part.chooses) continue;
    if (active.max_tokens <= 0) {
      active.done = true;
      active.result.finish_reason = "length";
      active.result.prefill_ms = ms_since(active.start);
      continue;
    }
    rows.push_back(row - 1);
    choosing.push_back(part.id);
  }
  scheduler_.commit();
  choose_tokens(run, hidden, rows, choosing);
}

// The next token of each of `ids`, whose last row of `hidden` is `rows`. One that fails takes no token from the others.
void Generator::choose_tokens(Run& run, const TensorView& hidden, std::span<const int64_t> rows, std::span<const Scheduler::Id> ids) {
  std::exception_ptr failure;
  for (size_t begin = 0; begin < rows.size(); begin += kLogitRows) {
    const size_t end = std::min(rows.size(), begin + kLogitRows);
    const TensorView logits = decoder_.logits(hidden, rows.subspan(begin, end - begin));
    const auto scores = [&](size_t i) {
      return std::span<const float>(logits.row(static_cast<int64_t>(i - begin)), static_cast<size_t>(logits.shape[1]));
    };
    std::vector<int32_t> tokens(end - begin);
    std::vector<std::exception_ptr> failures(end - begin);
    // These threads flush denormals. No token depends on it: logits hold none, for they were computed alike, and a probability below
    // 2^-1022 is neither drawn nor seen in a sum.
    engine_.backend->threads().parallel_for(std::ssize(tokens), 1, [&](int64_t first, int64_t last) {
      for (auto i = begin + static_cast<size_t>(first); i < begin + static_cast<size_t>(last); ++i) {
        const Active& active = run.active.at(ids[i]);
        try {
          tokens[i - begin] = sample(active.request->sampling, scores(i), active.request->prompt, active.result.tokens);
        } catch (...) {
          failures[i - begin] = std::current_exception();
        }
      }
    });
    for (size_t i = begin; i < end; ++i) {
      if (failures[i - begin]) {
        if (!failure) failure = failures[i - begin];
        continue;
      }
      Active& active = run.active.at(ids[i]);
      accept(active, tokens[i - begin], scores(i));
      if (!active.done) scheduler_.append(ids[i], active.result.tokens.back());
    }
  }
  if (failure) std::rethrow_exception(failure);
}

// Scores the prompt tokens that follow rows [begin, begin + count) of `hidden`, which are its tokens [past, past +
// count).
void Generator::accept_logits(Active& active, const TensorView& hidden, int64_t begin, int64_t past, int64_t count) {
  const std::vector<int32_t>& prompt = active.request->prompt;
  const auto last = std::min<int64_t>(count, static_cast<int64_t>(prompt.size()) - 1 - past);
  // What was preempted and is computed anew was scored already.
  for (int64_t first = std::max<int64_t>(0, std::ssize(active.result.prompt_logprobs) - past); first < last; first += kLogitRows) {
    std::vector<int64_t> rows;
    for (int64_t i = first; i < std::min(last, first + kLogitRows); ++i) rows.push_back(begin + i);
    const TensorView logits = decoder_.logits(hidden, rows);
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::span<const float> row(logits.row(static_cast<int64_t>(i)), static_cast<size_t>(logits.shape[1]));
      const int32_t token = prompt[static_cast<size_t>(past + first) + i + 1];
      TokenLogprobs entry{token, log_probability(row, token), {}};
      if (active.request->logprobs > 0) entry.top = top_log_probabilities(row, active.request->logprobs);
      active.result.prompt_logprobs.push_back(std::move(entry));
    }
  }
}

void Generator::accept(Active& active, int32_t token, std::span<const float> logits) {
  const GenerationRequest& request = *active.request;
  GenerationResult& result = active.result;
  if (result.tokens.empty()) {
    active.first = Clock::now();
    result.prefill_ms = ms_since(active.start);
  }
  auto finish = [&](const char* reason) {
    if (active.decoder) active.text->push(active.decoder->finish());
    result.text = active.text->finish();
    result.finish_reason = reason;
    result.decode_ms = ms_since(active.first);
    active.done = true;
  };
  auto is_in = [&](const std::vector<int32_t>& ids) { return std::find(ids.begin(), ids.end(), token) != ids.end(); };
  if (is_in(end_tokens_) || is_in(request.stop_tokens)) return finish("stop");
  result.tokens.push_back(token);
  if (request.logprobs >= 0) {
    TokenLogprobs entry{token, log_probability(logits, token), {}};
    if (request.logprobs > 0) entry.top = top_log_probabilities(logits, request.logprobs);
    result.logprobs.push_back(std::move(entry));
  }
  if (active.decoder && !active.text->push(active.decoder->push(token))) return finish("stop");
  if (static_cast<int64_t>(result.tokens.size()) >= active.max_tokens) return finish("length");
}

}  // namespace citius
