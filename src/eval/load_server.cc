#include "eval/load_server.h"

#include <algorithm>
#include <deque>

#include "base/check.h"
#include "base/memory.h"
#include "eval/speed.h"
#include "eval/work.h"
#include "runtime/encoder.h"
#include "runtime/generator.h"

namespace citius {
namespace {

std::vector<int32_t> prompt_of(const LoadRequest& request, int64_t vocab) {
  std::vector<int32_t> prompt;
  for (const PromptPart& part : request.prompt) {
    const std::vector<int32_t> tokens = random_tokens(part.tokens, vocab, part.stream);
    prompt.insert(prompt.end(), tokens.begin(), tokens.end());
  }
  return prompt;
}

// Replies have the length that was asked for: the likeliest token follows, whatever it is.
class DecoderServer : public ModelServer {
 public:
  DecoderServer(Engine& engine, int64_t longest, const ModelServerOptions& options)
      : engine_(engine), options_(options), decoder_(engine, room(engine, longest, options.batch)) {
    reset({});
  }

  void reset(std::span<const LoadRequest> requests) override {
    requests_ = requests;
    active_.clear();
    decoder_.blocks() = KvBlocks(decoder_.blocks().num_blocks());
    scheduler_.emplace(decoder_.blocks(), SchedulerOptions{.max_running = options_.batch, .reuse_prefixes = options_.reuse_prefixes});
  }

  void submit(size_t request) override {
    SequenceRequest sequence;
    sequence.prompt = prompt_of(requests_[request], engine_.model().config().vocab_size);
    sequence.max_tokens = requests_[request].reply_tokens;
    active_[scheduler_->add(std::move(sequence), kNow)] = {request, 0};
  }

  bool idle() const override { return scheduler_->idle(); }

  std::vector<size_t> step() override {
    const std::span<const Scheduler::Work> work = scheduler_->plan(kNow);
    std::vector<Decoder::Placed> parts;
    std::vector<Scheduler::Id> choosing;
    std::vector<int64_t> rows;
    int64_t row = 0;
    for (const Scheduler::Work& part : work) {
      parts.push_back({part.tokens, part.past, part.blocks});
      row += std::ssize(part.tokens);
      if (!part.chooses) continue;
      rows.push_back(row - 1);
      choosing.push_back(part.id);
    }
    const TensorView hidden = decoder_.forward(parts);
    scheduler_->commit();
    std::vector<size_t> got;
    for (size_t begin = 0; begin < rows.size(); begin += Generator::kLogitRows) {
      const size_t end = std::min(rows.size(), begin + Generator::kLogitRows);
      const std::span<const int32_t> tokens = decoder_.most_likely(decoder_.logits(hidden, std::span(rows).subspan(begin, end - begin)));
      for (size_t i = begin; i < end; ++i) got.push_back(accept(choosing[i], tokens[i - begin]));
    }
    return got;
  }

  Scheduler::Counters counters() const override { return scheduler_->counters(); }
  int64_t kv_tokens() const override { return kv_tokens_; }

 private:
  // All requests have one priority and no deadline, so that the scheduler's order does not depend on the time.
  static constexpr double kNow = 0;
  struct Active {
    size_t request = 0;
    int64_t tokens = 0;
  };

  int64_t room(const Engine& engine, int64_t longest, int64_t batch) {
    check_length(engine, longest);
    const int64_t one = (longest + kKvBlock - 1) / kKvBlock * kKvBlock;
    const double token_bytes = kv_bytes_per_token(engine.model().config(), engine.kv_type);
    const auto fits = static_cast<int64_t>(static_cast<double>(available_memory()) / 2 / token_bytes) / kKvBlock * kKvBlock;
    kv_tokens_ = std::max(one, std::min(one * batch, fits));
    return kv_tokens_;
  }

  size_t accept(Scheduler::Id id, int32_t token) {
    const auto place = active_.find(id);
    const size_t request = place->second.request;
    if (++place->second.tokens < requests_[request].reply_tokens) {
      scheduler_->append(id, token);
    } else {
      scheduler_->finish(id);
      active_.erase(place);
    }
    return request;
  }

  Engine& engine_;
  ModelServerOptions options_;
  int64_t kv_tokens_ = 0;
  Decoder decoder_;
  std::optional<Scheduler> scheduler_;
  std::span<const LoadRequest> requests_;
  std::map<Scheduler::Id, Active> active_;
};

// A step takes what waits, in order, up to `batch` sequences and the encoder's batch_tokens() tokens, and runs the body of the model on
// them.
class EncoderServer : public ModelServer {
 public:
  EncoderServer(Engine& engine, int64_t longest, const ModelServerOptions& options) : engine_(engine), options_(options), encoder_(engine) {
    check_length(engine, longest);
  }

  void reset(std::span<const LoadRequest> requests) override {
    requests_ = requests;
    waiting_.clear();
    counters_ = {};
  }
  void submit(size_t request) override { waiting_.push_back(request); }
  bool idle() const override { return waiting_.empty(); }

  std::vector<size_t> step() override {
    std::vector<size_t> taken;
    std::vector<std::vector<int32_t>> texts;
    int64_t tokens = 0;
    while (!waiting_.empty() && std::ssize(taken) < options_.batch) {
      const LoadRequest& next = requests_[waiting_.front()];
      if (!taken.empty() && tokens + next.prompt_tokens() > encoder_.batch_tokens()) break;
      tokens += next.prompt_tokens();
      texts.push_back(prompt_of(next, engine_.model().config().vocab_size));
      taken.push_back(waiting_.front());
      waiting_.pop_front();
    }
    std::vector<EncoderInput> inputs;
    for (const std::vector<int32_t>& text : texts) inputs.push_back({text, {}});
    encoder_.run(inputs, [](const ForwardContext&, size_t, const TensorView&) {});
    ++counters_.steps;
    counters_.tokens += tokens;
    return taken;
  }

  Scheduler::Counters counters() const override { return counters_; }
  int64_t kv_tokens() const override { return 0; }

 private:
  Engine& engine_;
  ModelServerOptions options_;
  Encoder encoder_;
  std::span<const LoadRequest> requests_;
  std::deque<size_t> waiting_;
  Scheduler::Counters counters_;
};

}  // namespace

std::unique_ptr<ModelServer> ModelServer::make(Engine& engine, int64_t longest, const ModelServerOptions& options) {
  CHECK(options.batch >= 1 && options.batch <= SchedulerOptions{}.step_tokens);
  if (engine.model().config().causal) return std::make_unique<DecoderServer>(engine, longest, options);
  return std::make_unique<EncoderServer>(engine, longest, options);
}

}  // namespace citius
