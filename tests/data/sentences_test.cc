#include "data/sentences.h"

#include <gtest/gtest.h>

#include <set>

namespace citius {
namespace {

TEST(Sentences, ManyAndAllDifferent) {
  const std::vector<std::string> sentences = builtin_sentences();
  EXPECT_GE(sentences.size(), 200u);
  EXPECT_EQ(std::set<std::string>(sentences.begin(), sentences.end()).size(), sentences.size());
  for (const std::string& sentence : sentences) EXPECT_FALSE(sentence.empty());
}

}  // namespace
}  // namespace citius
