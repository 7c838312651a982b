#include "runtime/task_model.h"

#include <algorithm>

#include "base/error.h"

namespace citius {

TaskModel::TaskModel(Engine& engine, HeadKind kind, int64_t outputs, const TaskOptions& options)
    : engine_(engine), head_(Head::load(engine.loaded, kind, outputs)), encoder_(engine) {
  if (engine.tokenizer == nullptr) fail_input(engine.checkpoint.path.string(), "has no tokenizer");
  const int64_t most = encoder_.max_length();
  max_length_ = std::min(most, static_cast<int64_t>(engine.tokenizer->model_max_length().value_or(static_cast<size_t>(most))));
  if (options.max_length > 0) {
    const int64_t least = static_cast<int64_t>(engine.tokenizer->num_special_tokens(true)) + 2;
    if (options.max_length < least || options.max_length > most) {
      fail(ErrorKind::kUsage, "max-length", "got {}, expected {} to {}", options.max_length, least, most);
    }
    max_length_ = options.max_length;
  }
}

Encoding TaskModel::encode(const std::string& text) const {
  EncodeOptions options;
  const std::optional<Truncation>& file = tokenizer().truncation();
  options.truncation = Truncation{static_cast<size_t>(max_length_), 0, TruncationStrategy::kLongestFirst, file && file->from_left};
  return tokenizer().encode(text, options);
}

Encoding TaskModel::encode_pair(const std::string& first, const std::string& second, TruncationStrategy strategy) const {
  EncodeOptions options;
  options.truncation = Truncation{static_cast<size_t>(max_length_), 0, strategy};
  return tokenizer().encode_pair(first, second, options);
}

TaskLogits TaskModel::copy(const TensorView& logits) const {
  TaskLogits result;
  result.columns = logits.shape[1];
  for (int64_t i = 0; i < logits.rows(); ++i) {
    result.values.insert(result.values.end(), logits.row(i), logits.row(i) + result.columns);
  }
  return result;
}

std::vector<TaskLogits> TaskModel::run(std::span<const Encoding> encodings) {
  std::vector<EncoderInput> inputs;
  for (const Encoding& encoding : encodings) inputs.push_back({encoding.ids, encoding.type_ids});
  std::vector<TaskLogits> results(encodings.size());
  encoder_.run(inputs, [&](const ForwardContext& ctx, size_t index, const TensorView& hidden) {
    results[index] = copy(head_.forward(ctx, hidden));
  });
  return results;
}

std::vector<TaskLogits> TaskModel::run_rows(std::span<const Encoding> encodings, std::span<const std::vector<size_t>> rows) {
  CHECK(!head_.pools() && rows.size() == encodings.size());
  std::vector<EncoderInput> inputs;
  for (const Encoding& encoding : encodings) inputs.push_back({encoding.ids, encoding.type_ids});
  std::vector<TaskLogits> results(encodings.size());
  encoder_.run(inputs, [&](const ForwardContext& ctx, size_t index, const TensorView& hidden) {
    const std::vector<size_t>& wanted = rows[index];
    const TensorView chosen = ctx.alloc({static_cast<int64_t>(wanted.size()), hidden.shape[1]});
    for (size_t i = 0; i < wanted.size(); ++i) {
      const float* from = hidden.row(static_cast<int64_t>(wanted[i]));
      std::copy(from, from + hidden.shape[1], chosen.row(static_cast<int64_t>(i)));
    }
    results[index] = copy(head_.forward(ctx, chosen));
  });
  return results;
}

}  // namespace citius
