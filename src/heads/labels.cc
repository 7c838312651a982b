#include "heads/labels.h"

#include <charconv>

#include "base/error.h"

namespace citius {

std::vector<std::string> read_labels(const Checkpoint& checkpoint) {
  constexpr int64_t kMaxLabels = int64_t{1} << 20;
  const JsonObject config(checkpoint.config, checkpoint.path.string());
  if (!config.has("id2label")) {
    const int64_t count = config.get_int("num_labels", 2);
    if (count < 1 || count > kMaxLabels) fail_input(config.where(), "num_labels: got {}, expected 1 to {}", count, kMaxLabels);
    std::vector<std::string> labels;
    for (int64_t i = 0; i < count; ++i) labels.push_back(fmt::format("LABEL_{}", i));
    return labels;
  }
  const JsonObject map = config.get_object("id2label");
  const size_t count = map.object().size();
  if (count == 0) fail_input(config.where(), "id2label is empty");
  std::vector<std::string> labels(count);
  std::vector<bool> seen(count, false);
  for (const auto& [key, value] : map.object()) {
    const std::string_view text(key.data(), key.size());
    size_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size() || id >= count || seen[id]) {
      fail_input(config.where(), "id2label: got id '{}', expected each of 0 to {} once", text, count - 1);
    }
    seen[id] = true;
    labels[id] = map.get_string(text);
  }
  return labels;
}

}  // namespace citius
