// What a sentence-transformers directory says beside the model: modules.json, the pooling, dense and normalize modules, the
// length limit and the default prompt.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace citius {

/// Files that may hold the length limit, in the order in which sentence-transformers looks for them; named after the models of its
/// first versions.
inline constexpr const char* kLengthLimitFiles[] = {
    "sentence_bert_config.json",   "sentence_roberta_config.json",     "sentence_distilbert_config.json", "sentence_camembert_config.json",
    "sentence_albert_config.json", "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json"};

struct SentenceTransformersConfig {
  struct Dense {
    std::filesystem::path directory;  // holds model.safetensors with linear.weight and linear.bias
    int64_t inputs = 0;
    int64_t outputs = 0;
    bool bias = true;
    std::string activation;  // "identity", "tanh", ...: the last part of the class name, in lower case
  };
  std::vector<std::string> pooling;         // modes whose rows are concatenated, in order: "cls", "max", "mean", ...
  std::vector<std::optional<Dense>> steps;  // what follows the pooling, in order; without a Dense: division by the length
  std::optional<int64_t> max_seq_length;    // tokens, special ones included
  std::string prompt;                       // put before every text
  std::optional<int64_t> truncate_dim;      // components of a vector that are kept, where nobody asks for another number
  bool pooling_assumed = false;             // nothing names a pooling: the mean is a guess
};

/// Reads the files in `directory`. Without modules.json: mean pooling and nothing else, as sentence-transformers does. `pooling`, where
/// given, takes the place of what they say, and they need not name one. Throws Error{kInput} for a damaged file, a module that is not
/// supported, or an order other than Transformer, Pooling, the rest.
SentenceTransformersConfig read_sentence_transformers(const std::filesystem::path& directory, const std::string& pooling = "");

/// The same for any checkpoint: files beside the model, or the pooling type that a GGUF file names (vectors of length 1, as
/// llama.cpp gives them). Mean pooling where nothing is said.
SentenceTransformersConfig read_sentence_transformers(const Checkpoint& checkpoint, const std::string& pooling = "");

}  // namespace citius
