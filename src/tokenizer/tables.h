// What takes long to make of a tokenizer's vocabulary, as flat arrays by name that hold no pointers: compiled of the source, or mapped
// from where an earlier start kept them. Everything else is made of tables, so that both ways are one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"

namespace citius {

/// An array that does not change: its own, or a part of something that it keeps alive. Copies share it.
template <typename T>
class Table : public std::span<const T> {
 public:
  Table() = default;
  explicit Table(std::vector<T> values) : Table(std::make_shared<const std::vector<T>>(std::move(values))) {}
  Table(std::span<const T> values, std::shared_ptr<const void> owner) : std::span<const T>(values), owner_(std::move(owner)) {}

  const std::shared_ptr<const void>& owner() const { return owner_; }

 private:
  explicit Table(const std::shared_ptr<const std::vector<T>>& values) : Table(*values, values) {}
  std::shared_ptr<const void> owner_;
};

class Tables {
 public:
  struct Entry {
    std::string name;
    size_t alignment = 1;
    Table<std::byte> bytes;
  };

  template <typename T>
  void add(std::string name, const Table<T>& table) {
    static_assert(std::has_unique_object_representations_v<T> || std::is_floating_point_v<T>, "no padding, which would be kept too");
    add({std::move(name), alignof(T), {std::as_bytes(std::span<const T>(table)), table.owner()}});
  }
  void add(Entry entry);

  /// Throws Error{kInput} where there is no such table, or its size or place are not those of an array of T. What lies in it may
  /// still be anything.
  template <typename T>
  Table<T> get(std::string_view name, std::string_view where) const {
    const Entry* entry = find(name);
    if (entry == nullptr || entry->bytes.size() % sizeof(T) != 0 || reinterpret_cast<uintptr_t>(entry->bytes.data()) % alignof(T) != 0) {
      fail_input(where, "table '{}' is missing or damaged", name);
    }
    const std::span<const T> values(reinterpret_cast<const T*>(entry->bytes.data()), entry->bytes.size() / sizeof(T));
    return {values, entry->bytes.owner()};
  }

  /// By falling alignment: one after the other, each is aligned where the first is.
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  const Entry* find(std::string_view name) const;
  std::vector<Entry> entries_;
};

}  // namespace citius
