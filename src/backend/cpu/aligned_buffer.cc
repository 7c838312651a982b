#include "backend/cpu/aligned_buffer.h"

#include <sys/mman.h>

#include "base/error.h"

namespace citius::cpu {
namespace {
constexpr size_t kHugePage = size_t{2} << 20;
// What small parts share; larger ones than an eighth of it have a mapping of their own.
constexpr size_t kSharedBytes = 16 * kHugePage;
}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  // Mapped with room to start at a huge page; the ends that alignment leaves over are given back.
  const bool huge = bytes >= kHugePage;
  const size_t slack = huge ? kHugePage : 0;
  const size_t size = (bytes + 4095) / 4096 * 4096;
  void* memory = mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    fail(ErrorKind::kResource, "memory", "cannot get {} bytes for weights or activations", bytes);
  }
  uint8_t* start = static_cast<uint8_t*>(memory);
  if (huge) {
    const size_t skip = (kHugePage - reinterpret_cast<uintptr_t>(start) % kHugePage) % kHugePage;
    if (skip > 0) munmap(start, skip);
    munmap(start + skip + size, slack - skip);
    start += skip;
    madvise(start, size, MADV_HUGEPAGE);
  }
  memory_ = std::unique_ptr<uint8_t, Unmap>(start, Unmap{size});
}

void AlignedBuffer::reserve(size_t bytes) {
  if (bytes <= bytes_) return;
  // Mapped with a quarter to spare, of which no page is touched before it is asked for.
  if (bytes > memory_.get_deleter().bytes) *this = AlignedBuffer(bytes + bytes / 4);
  bytes_ = bytes;
}

std::shared_ptr<uint8_t> SharedPages::take(size_t bytes) {
  const size_t size = (bytes + 63) / 64 * 64;
  std::shared_ptr<AlignedBuffer> mapping = open_.lock();
  if (size > kSharedBytes / 8) {
    mapping = std::make_shared<AlignedBuffer>(size);
    return {mapping, mapping->data()};
  }
  if (mapping == nullptr || used_ + size > mapping->bytes()) {
    mapping = std::make_shared<AlignedBuffer>(kSharedBytes);
    open_ = mapping;
    used_ = 0;
  }
  uint8_t* part = mapping->data() + used_;
  used_ += size;
  return {mapping, part};
}

void Unmap::operator()(uint8_t* memory) const { munmap(memory, bytes); }

}  // namespace citius::cpu
