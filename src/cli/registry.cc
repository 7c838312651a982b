#include "cli/commands.h"

namespace citius::cli {

const std::vector<AddCommand>& commands() {
  static const std::vector<AddCommand> list = {
      add_doctor,
      add_pull,
      add_run,
      add_chat,
      add_embed,
  };
  return list;
}

}  // namespace citius::cli
