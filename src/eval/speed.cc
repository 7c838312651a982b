#include "eval/speed.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/signal.h"
#include "eval/work.h"
#include "metrics/statistics.h"
#include "runtime/generator.h"

namespace citius {
namespace {

double now_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

class DecoderRunner : public SpeedRunner {
 public:
  DecoderRunner(Engine& engine, const Workload& workload) : SpeedRunner(workload), decoder_(engine, checked_room(engine, workload)) {
    const int64_t prompt = workload_.kind == Workload::Kind::kPrefill ? workload_.length : workload_.prompt;
    for (int64_t i = 0; i < workload_.batch; ++i) {
      prompts_.push_back(random_tokens(prompt, engine.model().config().vocab_size, static_cast<uint64_t>(i)));
    }
  }

  Round run() override {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < prompts_.size(); ++i) ids.push_back(decoder_.create());
    Round round;
    double begin = now_seconds();
    std::vector<int32_t> next = step(ids, prompts_);
    if (workload_.kind == Workload::Kind::kPrefill) {
      round.seconds = now_seconds() - begin;
      round.latencies.push_back(round.seconds);
    } else {
      for (int64_t i = 0; i < workload_.length; ++i) {
        begin = now_seconds();
        std::vector<std::vector<int32_t>> tokens;
        for (int32_t token : next) tokens.push_back({token});
        next = step(ids, tokens);
        round.latencies.push_back(now_seconds() - begin);
        round.seconds += round.latencies.back();
      }
    }
    for (int32_t id : ids) decoder_.release(id);
    return round;
  }

 private:
  static int64_t rounded(int64_t tokens) { return (tokens + kKvBlock - 1) / kKvBlock * kKvBlock; }
  static int64_t total(const Workload& workload) {
    return workload.length + (workload.kind == Workload::Kind::kDecode ? workload.prompt : 0);
  }

  // Tokens of keys and values, none of which is taken before it is known to be there.
  static int64_t checked_room(const Engine& engine, const Workload& workload) {
    check_length(engine, total(workload));
    const int64_t tokens = workload.batch * rounded(total(workload));
    const double bytes = kv_bytes_per_token(engine.model().config(), engine.kv_type) + sizeof(int32_t);
    const double activations = engine.activations.of(std::min(Decoder::kChunk, tokens));
    require_memory(fmt::format("{} sequences of {} tokens", workload.batch, total(workload)),
                   static_cast<double>(tokens) * bytes + activations, "ask for fewer or shorter ones");
    return tokens;
  }

  // Appends `tokens` to each sequence, in steps as large as those of a Generator, and chooses every next token greedily.
  std::vector<int32_t> step(const std::vector<int32_t>& ids, const std::vector<std::vector<int32_t>>& tokens) {
    std::vector<int32_t> next(ids.size());
    size_t i = 0;  // the sequence that comes next, `begin` tokens of which are done
    for (size_t begin = 0; i < ids.size();) {
      check_interrupted();
      std::vector<Decoder::Step> steps;
      std::vector<int64_t> last;  // rows of the last tokens of sequences
      const size_t first = i;
      size_t row = 0;
      while (row < step_tokens_ && i < ids.size()) {
        const size_t count = std::min(step_tokens_ - row, tokens[i].size() - begin);
        steps.push_back({ids[i], std::span(tokens[i]).subspan(begin, count)});
        row += count;
        begin += count;
        if (begin < tokens[i].size()) break;
        last.push_back(static_cast<int64_t>(row) - 1);
        begin = 0;
        ++i;
      }
      const TensorView hidden = decoder_.forward(steps);
      if (last.empty()) continue;
      for (size_t done = 0; done < last.size(); done += Generator::kLogitRows) {
        const size_t count = std::min<size_t>(Generator::kLogitRows, last.size() - done);
        const std::span<const int32_t> tokens = decoder_.most_likely(decoder_.logits(hidden, std::span(last).subspan(done, count)));
        std::ranges::copy(tokens, next.begin() + static_cast<std::ptrdiff_t>(first + done));
      }
    }
    return next;
  }

  const size_t step_tokens_ = static_cast<size_t>(GeneratorOptions().prefill_chunk);
  Decoder decoder_;
  std::vector<std::vector<int32_t>> prompts_;
};

class EncoderRunner : public SpeedRunner {
 public:
  EncoderRunner(Engine& engine, const Workload& workload) : SpeedRunner(workload), encoder_(engine) {
    check_texts(engine);
    uint64_t stream = 0;
    for (const std::vector<int64_t>& batch : workload_.batches()) {
      check_interrupted();
      texts_.emplace_back();
      for (int64_t length : batch) {
        texts_.back().push_back(random_tokens(length, engine.model().config().vocab_size, stream++));
      }
    }
    for (const auto& batch : texts_) {
      inputs_.emplace_back();
      for (const std::vector<int32_t>& text : batch) inputs_.back().push_back({text, {}});
    }
  }

  Round run() override {
    Round round;
    for (const std::vector<EncoderInput>& batch : inputs_) {
      const double begin = now_seconds();
      encoder_.run(batch, [](const ForwardContext&, size_t, const TensorView&) { check_interrupted(); });
      round.latencies.push_back(now_seconds() - begin);
      round.seconds += round.latencies.back();
    }
    return round;
  }

 private:
  // That the texts are of lengths which the model takes and, before any is made, that there is memory for them all.
  void check_texts(const Engine& engine) const {
    const bool same = workload_.lengths.empty();
    for (int64_t length : workload_.lengths) check_length(engine, length, ErrorKind::kInput);  // those of a file
    if (same) check_length(engine, workload_.length);
    constexpr double kText = sizeof(int64_t) + sizeof(std::vector<int32_t>) + 16 + sizeof(EncoderInput);  // beside its tokens
    double bytes = (same ? static_cast<double>(workload_.batch) : static_cast<double>(workload_.lengths.size())) * kText;
    if (same) bytes += static_cast<double>(workload_.batch) * static_cast<double>(workload_.length) * sizeof(int32_t);
    for (int64_t length : workload_.lengths) bytes += static_cast<double>(length) * sizeof(int32_t);
    require_memory(fmt::format("the tokens of {} texts", same ? workload_.batch : std::ssize(workload_.lengths)), bytes,
                   "lower the batch or the length");
  }

  Encoder encoder_;
  std::vector<std::vector<std::vector<int32_t>>> texts_;  // [batches][sequences][tokens]
  std::vector<std::vector<EncoderInput>> inputs_;
};

// What memory gives now, or gave a moment ago.
class ReadsBeside {
 public:
  explicit ReadsBeside(ReadMeter* meter) : meter_(meter) {}

  ReadLimit now() {
    if (meter_ == nullptr || now_seconds() - when_ < kFresh) return last_;
    const double begin = now_seconds();
    last_ = {};
    for (const ReadRate& read : meter_->measure(kSeconds)) {
      const double rate = read.gb_per_s * 1e9;
      if (last_.best == 0) last_.plain = rate;  // the first variant
      last_.best = std::max(last_.best, rate);
    }
    when_ = now_seconds();
    spent_ += when_ - begin;
    return last_;
  }
  /// Seconds that it took.
  double spent() const { return spent_; }

 private:
  static constexpr double kSeconds = 0.005;  // for each variant
  static constexpr double kFresh = 0.25;     // so that rounds of a millisecond are not mostly this
  ReadMeter* meter_;
  ReadLimit last_;
  double when_ = -1, spent_ = 0;
};

Round run_beside(SpeedRunner& runner, ReadsBeside& reads) {
  const ReadLimit before = reads.now();
  Round round = runner.run();
  const ReadLimit after = reads.now();
  round.reads = {std::max(before.plain, after.plain), std::max(before.best, after.best)};
  return round;
}

}  // namespace

std::vector<int32_t> random_tokens(int64_t count, int64_t vocab, uint64_t stream) {
  const CounterRng rng(/*seed=*/1, stream);
  std::vector<int32_t> tokens;
  tokens.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<int32_t>(rng.bits(static_cast<uint64_t>(i)) % static_cast<uint64_t>(vocab)));
  }
  return tokens;
}

void check_length(const Engine& engine, int64_t tokens, ErrorKind kind) {
  const int64_t most = engine.model().config().max_positions;
  if (tokens <= most) return;
  fail(kind, "bench", "got {} tokens in a sequence, expected at most {} ({})", tokens, most,
       engine.options.context > 0 ? "--context" : "what the model takes");
}

std::string_view kind_name(Workload::Kind kind) {
  switch (kind) {
    case Workload::Kind::kPrefill: return "prefill";
    case Workload::Kind::kDecode: return "decode";
    case Workload::Kind::kEncode: return "encode";
  }
  CHECK(false);
}

std::vector<std::vector<int64_t>> Workload::batches() const {
  const auto size = static_cast<size_t>(batch);
  if (lengths.empty()) return {std::vector<int64_t>(size, length)};
  std::vector<std::vector<int64_t>> result;
  for (size_t i = 0; i < lengths.size(); ++i) {
    if (i % size == 0) result.emplace_back();
    result.back().push_back(lengths[i]);
  }
  return result;
}

std::unique_ptr<SpeedRunner> SpeedRunner::make(Engine& engine, const Workload& workload) {
  if (workload.batch < 1 || workload.length < 1 || workload.prompt < 1) {
    fail(ErrorKind::kUsage, "bench", "got batch {} and length {}, expected 1 or more", workload.batch, workload.length);
  }
  if (workload.kind == Workload::Kind::kEncode) return std::make_unique<EncoderRunner>(engine, workload);
  return std::make_unique<DecoderRunner>(engine, workload);
}

double SpeedRunner::units() const {
  if (workload_.kind != Workload::Kind::kEncode) return static_cast<double>(workload_.batch * workload_.length);
  return static_cast<double>(workload_.lengths.empty() ? static_cast<size_t>(workload_.batch) : workload_.lengths.size());
}

std::vector<std::vector<Round>> measure_interleaved(std::span<SpeedRunner* const> contestants, const SpeedOptions& options,
                                                    const OnProgress& progress) {
  std::vector<std::vector<Round>> rounds(contestants.size());
  for (SpeedRunner* contestant : contestants) contestant->run();
  ReadsBeside reads(options.reads);
  const double begin = now_seconds(), budget = options.seconds * static_cast<double>(contestants.size());
  const auto spent = [&] { return now_seconds() - begin - reads.spent(); };
  for (int64_t round = 0; round < options.repeats || spent() < budget; ++round) {
    for (size_t i = 0; i < contestants.size(); ++i) {
      const size_t who = (i + static_cast<size_t>(round)) % contestants.size();
      rounds[who].push_back(run_beside(*contestants[who], reads));
    }
    if (progress) {
      const double by_time = spent() / std::max(budget, 1e-9);
      progress(std::min({1.0, by_time, static_cast<double>(round + 1) / static_cast<double>(options.repeats)}));
    }
  }
  return rounds;
}

std::vector<double> round_seconds(std::span<const Round> rounds) {
  std::vector<double> seconds;
  for (const Round& round : rounds) seconds.push_back(round.seconds);
  return seconds;
}

std::optional<double> share_of_reads(std::span<const Round> rounds, double bytes) {
  std::vector<double> shares;
  for (const Round& round : rounds) {
    if (round.reads.best > 0) shares.push_back(bytes / round.seconds / round.reads.best);
  }
  return shares.empty() ? std::nullopt : std::optional(median(shares));
}

ReadLimit middle_reads(std::span<const Round> rounds) {
  std::vector<double> plain, best;
  for (const Round& round : rounds) {
    plain.push_back(round.reads.plain);
    best.push_back(round.reads.best);
  }
  return {median(plain), median(best)};
}

std::vector<double> latencies_ms(std::span<const Round> rounds) {
  std::vector<double> all;
  for (const Round& round : rounds) {
    for (double seconds : round.latencies) all.push_back(seconds * 1e3);
  }
  return all;
}

}  // namespace citius
