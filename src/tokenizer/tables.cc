#include "tokenizer/tables.h"

#include <algorithm>

namespace citius {

void Tables::add(Entry entry) {
  const auto behind = [](const Entry& a, const Entry& b) { return a.alignment > b.alignment; };
  entries_.insert(std::upper_bound(entries_.begin(), entries_.end(), entry, behind), std::move(entry));
}

const Tables::Entry* Tables::find(std::string_view name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

}  // namespace citius
