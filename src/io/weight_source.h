// WeightSource: the tensors of one checkpoint by name, whatever container they are in (safetensors, GGUF, package).
// Strict: a missing tensor or a wrong shape is an error that names it, and finish() refuses tensors nobody asked for.
#pragma once

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "quant/format.h"
#include "tensor/tensor_view.h"

namespace citius {

/// The container: names, shapes and encoded bytes. Implemented by safetensors.cc, gguf.cc and the package reader.
class TensorContainer {
 public:
  virtual ~TensorContainer() = default;
  /// Logical tensor names: a quantized weight stored as several tensors (codes, scales, zero points) is one name.
  virtual const std::vector<std::string>& names() const = 0;
  virtual bool has(std::string_view name) const = 0;
  /// Row-major shape, outermost first (GGUF's order reversed).
  virtual Shape shape(std::string_view name) const = 0;
  /// The tensor as a matrix [shape[0], rest] (a vector is one row). Types that are no Format (F64, F8, integers, BOOL) are
  /// converted to f32.
  virtual OwnedMatrix matrix(std::string_view name) const = 0;
  virtual bool is_float(std::string_view name) const = 0;
  /// Format that matrix() gives. Reads nothing.
  virtual Format format(std::string_view name) const = 0;
  /// The files that the tensors are in; none where they are made up.
  virtual std::vector<std::shared_ptr<const MappedFile>> files() const { return {}; }
  /// For messages: path of the file or directory.
  virtual std::string where() const = 0;
  /// True where names and layouts follow ggml's conventions.
  virtual bool is_gguf() const = 0;
  /// Says that the weights were packed: mapped files need not stay in memory. Reading on is allowed.
  virtual void drop_pages() const {}
};

class WeightSource {
 public:
  explicit WeightSource(std::shared_ptr<const TensorContainer> container);

  /// A source whose names are prefixed with `name` and a dot. Shares the record of what was read.
  WeightSource scope(std::string_view name) const;

  bool has(std::string_view name) const;
  bool is_gguf() const { return container_->is_gguf(); }
  /// Counts a weight matrix as read, without reading it; gives its format. Throws as matrix() does.
  Format claim(std::string_view name, int64_t rows, int64_t cols) const;
  /// Reads a weight matrix. Throws Error{kInput} where it is missing or its shape is not [rows, cols].
  OwnedMatrix matrix(std::string_view name, int64_t rows, int64_t cols) const;
  /// Reads a vector as fp32. Throws Error{kInput} where it is missing or its shape is not [size].
  std::vector<float> vector(std::string_view name, int64_t size) const;
  /// True where the tensor is stored in a float type (not quantized). It must exist.
  bool is_float(std::string_view name) const;
  /// Shape of a tensor that must exist.
  Shape shape(std::string_view name) const;
  /// Marks a tensor as known and not needed; nothing happens where it is absent.
  void ignore(std::string_view name) const;
  /// Ignores every tensor whose full name ends with `suffix`.
  void ignore_suffix(std::string_view suffix) const;
  /// Ends the loading: throws Error{kInput} naming tensors that were neither read nor ignored, and lets mapped files go.
  void finish() const;

  /// `name` as the container knows it.
  std::string full_name(std::string_view name) const { return prefix_ + std::string(name); }

  const TensorContainer& container() const { return *container_; }

 private:
  std::shared_ptr<const TensorContainer> container_;
  std::string prefix_;  // empty, or ends in a dot
  std::shared_ptr<std::set<std::string, std::less<>>> used_;
};

}  // namespace citius
