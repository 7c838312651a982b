#include "cli/commands.h"

namespace citius::cli {

const std::vector<AddCommand>& commands() {
  static const std::vector<AddCommand> list = {
      add_doctor, add_pull, add_list,      add_rm,     add_tokenize, add_run,  add_chat,  add_embed,    add_rerank,   add_classify,
      add_ner,    add_qa,   add_fill_mask, add_choose, add_info,     add_eval, add_bench, add_quantize, add_optimize,
  };
  return list;
}

}  // namespace citius::cli
