// Memory aligned for vector loads, in huge pages where the system gives them: a product streams megabytes of weights, and
// page walks would cost it bandwidth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace citius::cpu {

struct Unmap {
  size_t bytes = 0;
  void operator()(uint8_t* memory) const;
};

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  /// Zeroed. Throws Error{kResource} where there is not enough memory.
  explicit AlignedBuffer(size_t bytes);

  uint8_t* data() const { return memory_.get(); }
  /// Most bytes asked for.
  size_t bytes() const { return bytes_; }
  /// Makes room for `bytes`; what was in it is lost where it grows.
  void reserve(size_t bytes);

 private:
  std::unique_ptr<uint8_t, Unmap> memory_;
  size_t bytes_ = 0;
};

/// Hands out memory that is kept long. Small parts share huge pages: where each was a mapping of its own, in small pages, a model took up
/// to 1.16 times as long to decode (docs/performance.md).
class SharedPages {
 public:
  /// Zeroed and aligned to 64 bytes. A mapping goes back to the system with the last of its parts. Throws Error{kResource} where there is
  /// not enough memory.
  std::shared_ptr<uint8_t> take(size_t bytes);

 private:
  std::weak_ptr<AlignedBuffer> open_;
  size_t used_ = 0;  // of `open_`
};

}  // namespace citius::cpu
