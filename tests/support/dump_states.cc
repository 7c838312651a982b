// dump_states MODEL IDS OUT exact|fast [inputs]: runs sequences of token ids (one a line, separated by spaces) through
// a decoder as one batch and writes what it computes to OUT, a safetensors file: hidden.0 [T, C] enters layer 0,
// hidden.i leaves layer i - 1, final [T, C], logits [T, V]; with "inputs", input.NAME [T, K] of every weight matrix
// too. For comparisons of whole models from outside (tests/integration, scripts/referees).
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <numeric>
#include <sstream>

#include "base/error.h"
#include "io/safetensors_writer.h"
#include "runtime/decoder.h"

namespace citius {
namespace {

struct Tensors {
  std::vector<SafetensorsPlan> plan;
  std::vector<std::vector<float>> values;

  void add(const std::string& name, const TensorView& x) {
    std::vector<float> rows;
    for (int64_t i = 0; i < x.rows(); ++i) rows.insert(rows.end(), x.row(i), x.row(i) + x.shape[1]);
    plan.push_back({name, DType::kF32, {x.rows(), x.shape[1]}});
    values.push_back(std::move(rows));
  }
};

std::vector<std::vector<int32_t>> read_sequences(const char* path) {
  std::ifstream file(path);
  if (!file) fail_input(path, "cannot be read");
  std::vector<std::vector<int32_t>> sequences;
  for (std::string line; std::getline(file, line);) {
    std::istringstream numbers(line);
    sequences.emplace_back();
    for (int32_t id = 0; numbers >> id;) sequences.back().push_back(id);
    if (sequences.back().empty() || !numbers.eof()) fail_input(path, "line {} is no list of ids", sequences.size());
  }
  return sequences;
}

void dump(const char* model, const char* ids, const char* out, const EngineOptions& options, bool inputs) {
  const std::vector<std::vector<int32_t>> sequences = read_sequences(ids);
  Engine engine = open_engine(model, options);
  int64_t room = 0;
  for (const auto& sequence : sequences) room += static_cast<int64_t>(sequence.size()) + kKvBlock;
  Decoder decoder(engine, room);
  std::vector<Decoder::Step> steps;
  for (const auto& sequence : sequences) steps.push_back({decoder.create(), sequence});
  Tensors tensors;
  Observer observer;
  observer.hidden = [&](int layer, const TensorView& x) { tensors.add("hidden." + std::to_string(layer), x); };
  if (inputs) observer.linear_input = [&](std::string_view name, const TensorView& x) { tensors.add("input." + std::string(name), x); };
  const TensorView hidden = decoder.forward(steps, &observer);
  tensors.add("final", hidden);
  std::vector<int64_t> rows(static_cast<size_t>(hidden.rows()));
  std::iota(rows.begin(), rows.end(), 0);
  tensors.add("logits", decoder.logits(hidden, rows));
  SafetensorsWriter writer(out, tensors.plan, {});
  for (const auto& values : tensors.values) writer.add(std::as_bytes(std::span(values)));
  writer.commit();
}

}  // namespace
}  // namespace citius

int main(int argc, char** argv) {
  const std::string compute = argc > 4 ? argv[4] : "";
  const bool inputs = argc == 6 && std::string(argv[5]) == "inputs";
  if (argc < 5 || argc > 6 || (argc == 6 && !inputs) || (compute != "exact" && compute != "fast")) {
    std::fprintf(stderr, "usage: dump_states MODEL IDS OUT exact|fast [inputs]\n");
    return 2;
  }
  try {
    citius::EngineOptions options;
    options.compute = compute == "exact" ? citius::Compute::kExact : citius::Compute::kFast;
    citius::dump(argv[1], argv[2], argv[3], options, inputs);
    return 0;
  } catch (const citius::Error& error) {
    std::fprintf(stderr, "dump_states: %s\n", error.what());
    return citius::exit_code(error.kind());
  }
}
