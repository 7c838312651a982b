#include "heads/token_classification.h"

#include <algorithm>

#include "base/check.h"

namespace citius {
namespace {

size_t best(const std::vector<double>& scores) {
  return static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

Entity entity_of(const std::vector<double>& scores, std::span<const std::string> labels, int32_t begin, int32_t end) {
  const size_t id = best(scores);
  return {labels[id], scores[id], begin, end};
}

Entity aggregate_word(std::span<const TokenScores> word, std::span<const std::string> labels, Aggregation aggregation) {
  const int32_t begin = word.front().begin, end = word.back().end;
  if (aggregation == Aggregation::kFirst) return entity_of(word.front().scores, labels, begin, end);
  if (aggregation == Aggregation::kMax) {
    const auto top = [](const TokenScores& token) { return token.scores[best(token.scores)]; };
    const auto strongest = std::max_element(word.begin(), word.end(), [&](const auto& a, const auto& b) { return top(a) < top(b); });
    return entity_of(strongest->scores, labels, begin, end);
  }
  std::vector<double> mean(labels.size(), 0.0);
  for (const TokenScores& token : word) {
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += token.scores[i];
  }
  for (double& value : mean) value /= static_cast<double>(word.size());
  return entity_of(mean, labels, begin, end);
}

struct Tag {
  bool begins;
  std::string_view name;
};

Tag tag_of(std::string_view label) {
  if (label.starts_with("B-")) return {true, label.substr(2)};
  if (label.starts_with("I-")) return {false, label.substr(2)};
  return {false, label};
}

Entity group(std::span<const Entity> members) {
  const std::string& first = members.front().label;
  const size_t dash = first.find('-');
  Entity entity{dash == std::string::npos ? first : first.substr(dash + 1), 0, members.front().begin, members.back().end};
  for (const Entity& member : members) entity.score += member.score;
  entity.score /= static_cast<double>(members.size());
  return entity;
}

std::vector<Entity> group_neighbours(std::span<const Entity> entities) {
  std::vector<Entity> groups;
  size_t begin = 0;
  for (size_t i = 1; i <= entities.size(); ++i) {
    if (i < entities.size()) {
      const Tag tag = tag_of(entities[i].label);
      if (tag.name == tag_of(entities[i - 1].label).name && !tag.begins) continue;
    }
    groups.push_back(group(entities.subspan(begin, i - begin)));
    begin = i;
  }
  return groups;
}

}  // namespace

std::optional<Aggregation> parse_aggregation(std::string_view name) {
  if (name == "none") return Aggregation::kNone;
  if (name == "simple") return Aggregation::kSimple;
  if (name == "first") return Aggregation::kFirst;
  if (name == "average") return Aggregation::kAverage;
  if (name == "max") return Aggregation::kMax;
  return std::nullopt;
}

std::vector<Entity> find_entities(std::span<const TokenScores> tokens, std::span<const std::string> labels, Aggregation aggregation) {
  std::vector<Entity> entities;
  const bool by_word = aggregation != Aggregation::kNone && aggregation != Aggregation::kSimple;
  for (size_t begin = 0; begin < tokens.size();) {
    size_t end = begin + 1;
    while (by_word && end < tokens.size() && tokens[end].is_subword) ++end;
    CHECK(tokens[begin].scores.size() == labels.size());
    entities.push_back(by_word ? aggregate_word(tokens.subspan(begin, end - begin), labels, aggregation)
                               : entity_of(tokens[begin].scores, labels, tokens[begin].begin, tokens[begin].end));
    begin = end;
  }
  if (aggregation != Aggregation::kNone && !entities.empty()) entities = group_neighbours(entities);
  std::erase_if(entities, [](const Entity& entity) { return entity.label == "O"; });
  return entities;
}

std::vector<Entity> merge_windows(std::vector<Entity> entities) {
  std::stable_sort(entities.begin(), entities.end(), [](const Entity& a, const Entity& b) { return a.begin < b.begin; });
  std::vector<Entity> merged;
  for (Entity& entity : entities) {
    if (merged.empty() || entity.begin >= merged.back().end) {
      merged.push_back(std::move(entity));
      continue;
    }
    const int32_t length = entity.end - entity.begin, previous = merged.back().end - merged.back().begin;
    if (length > previous || (length == previous && entity.score > merged.back().score)) merged.back() = std::move(entity);
  }
  return merged;
}

}  // namespace citius
