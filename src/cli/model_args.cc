#include "cli/model_args.h"

namespace citius::cli {

void add_model_args(CLI::App& command, ModelArgs& args) {
  command.add_option("MODEL", args.model, "Model directory, .gguf file, package or name in the local store")->required();
  command.add_option("--threads", args.threads, "Threads to use (default: the cores this process may run on)")
      ->check(CLI::Range(1, 4096));
  command.add_option("--isa", args.isa, "Instruction set to use (default: the best)");
  command.add_option("--compute", args.compute, "fast, or exact: weights as given and fp32 activations")
      ->check(CLI::IsMember({"fast", "exact"}))
      ->capture_default_str();
  command.add_option("--kv", args.kv, "Type of keys and values")->check(CLI::IsMember({"f32", "bf16"}))->capture_default_str();
}

EngineOptions engine_options(const ModelArgs& args) {
  EngineOptions options;
  options.num_threads = args.threads;
  options.isa = args.isa;
  options.compute = args.compute == "exact" ? Compute::kExact : Compute::kFast;
  options.kv_type = args.kv == "bf16" ? KvType::kBF16 : KvType::kF32;
  return options;
}

}  // namespace citius::cli
