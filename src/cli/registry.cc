#include "cli/commands.h"

namespace citius::cli {

const std::vector<AddCommand>& commands() {
  static const std::vector<AddCommand> list = {
      add_doctor,
      add_pull,
  };
  return list;
}

}  // namespace citius::cli
