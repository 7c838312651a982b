// The subcommands, one function and one short file each; registry.cc lists them in the order of --help. A command is added
// by a declaration here and a line there.
//
// An add_ function registers options whose storage it keeps alive in a shared_ptr, sets a footer that begins with
// "Example:", and gives the work to `callback`. Work throws Error; its kind decides the exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <vector>

namespace citius::cli {

using AddCommand = void (*)(CLI::App& app);
const std::vector<AddCommand>& commands();

void add_doctor(CLI::App& app);
void add_pull(CLI::App& app);
void add_list(CLI::App& app);
void add_rm(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_run(CLI::App& app);
void add_chat(CLI::App& app);
void add_embed(CLI::App& app);
void add_rerank(CLI::App& app);
void add_classify(CLI::App& app);
void add_ner(CLI::App& app);
void add_qa(CLI::App& app);
void add_fill_mask(CLI::App& app);
void add_choose(CLI::App& app);
void add_info(CLI::App& app);
void add_eval(CLI::App& app);
void add_bench(CLI::App& app);
void add_quantize(CLI::App& app);
void add_optimize(CLI::App& app);

}  // namespace citius::cli
