// `citius rerank`: how well documents fit a query; by a cross-encoder where the model is one, otherwise by the cosine
// of embeddings.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/text_task.h"
#include "metrics/distribution.h"
#include "runtime/embedder.h"
#include "runtime/tasks.h"

namespace citius::cli {
namespace {

struct RerankFlags : TextTaskFlags {
  std::string query;
  size_t top = 0;
};

constexpr size_t kRows = 64;

// One of the two ways to score.
class Reranker {
 public:
  Reranker(Engine& engine, const RerankFlags& flags) : query_(flags.query) {
    if (is_cross_encoder(engine.checkpoint)) {
      cross_.emplace(engine, flags.task);
      return;
    }
    EmbedderOptions options;
    options.max_length = flags.task.max_length;
    embedder_.emplace(engine, options);
    if (embedder_->pooling_assumed()) {
      log_warning("the model does not say how the states of a text's tokens become one vector: their mean is taken");
    }
    query_vector_ = embedder_->embed({&query_, 1})[0];
    if (embedder_->truncated()[0] > 0) log_warning("the query was cut to {} tokens", embedder_->max_length());
  }

  struct Scores {
    std::vector<double> values;
    std::vector<size_t> truncated;
  };
  Scores score(const std::vector<std::string>& documents) {
    if (cross_) return {cross_->score(query_, documents), cross_->truncated()};
    Scores scores;
    for (const std::vector<float>& vector : embedder_->embed(documents)) scores.values.push_back(cosine(query_vector_, vector));
    scores.truncated = embedder_->truncated();
    return scores;
  }
  int64_t max_length() const { return cross_ ? cross_->max_length() : embedder_->max_length(); }

 private:
  std::string query_;
  std::optional<CrossEncoder> cross_;
  std::optional<Embedder> embedder_;
  std::vector<float> query_vector_;
};

TextAnswer answer_of(size_t index, const std::string& text, double score, size_t truncated) {
  return {{{"index", index}, {"score", score}, {"text", text}}, fmt::format("{:.4f}\t{}", score, text), truncated, {}};
}

// The best of all documents, best first; equals in their order.
void write_best(Inputs& inputs, Outputs& outputs, Reranker& reranker, size_t top) {
  std::vector<TextAnswer> all;
  std::vector<std::pair<double, size_t>> order;
  size_t truncated = 0;
  for (std::vector<InputRow> rows = inputs.next_batch(kRows); !rows.empty(); rows = inputs.next_batch(kRows)) {
    const Reranker::Scores scores = reranker.score(texts_of(rows));
    for (size_t i = 0; i < rows.size(); ++i) {
      order.emplace_back(-scores.values[i], all.size());
      all.push_back(answer_of(all.size(), rows[i].text, scores.values[i], scores.truncated[i]));
      truncated += scores.truncated[i] > 0;
    }
  }
  std::sort(order.begin(), order.end());
  order.resize(std::min(order.size(), top));
  for (const auto& [score, index] : order) outputs.write({std::move(all[index].fields), all[index].plain, {}});
  outputs.finish();
  report_truncated(truncated, all.size(), reranker.max_length());
}

void run_rerank(const RerankFlags& flags) {
  Outputs outputs(flags.output, /*embeddings=*/false);
  Inputs inputs(flags.input);
  Engine engine = flags.model.open();
  Reranker reranker(engine, flags);
  outputs.check_apart(inputs.where());
  if (flags.top > 0) return write_best(inputs, outputs, reranker, flags.top);
  size_t index = 0;
  answer_texts(inputs, outputs, "rerank", kRows, reranker.max_length(), [&](std::span<const InputRow> rows) {
    const Reranker::Scores scores = reranker.score(texts_of(rows));
    std::vector<TextAnswer> answers;
    for (size_t i = 0; i < rows.size(); ++i) answers.push_back(answer_of(index++, rows[i].text, scores.values[i], scores.truncated[i]));
    return answers;
  });
}

}  // namespace

void add_rerank(CLI::App& app) {
  auto flags = std::make_shared<RerankFlags>();
  CLI::App& command = *app.add_subcommand("rerank", "How well documents fit a query: a score for each, or the best ones first");
  flags->add_to(command);
  command.add_option("--query", flags->query, "The query; the inputs are documents")->required();
  command.add_option("--top", flags->top, "Only the best N, best first, once all were read (default: all, in their order)")
      ->check(CLI::Range(1, 1 << 30));
  command.footer("Example: citius rerank all-minilm --query 'a feline' --input documents.txt --top 3");
  command.callback([flags] { run_rerank(*flags); });
}

}  // namespace citius::cli
