// Backend: who packs weights and runs ops. One method an op; what each means is in backend/contract/. The scalar reference
// (ref/) accumulates in double and is what every fast kernel is tested against.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/contract/activation.h"
#include "backend/contract/attention.h"
#include "backend/contract/linear.h"
#include "backend/contract/norm.h"
#include "backend/contract/rope.h"
#include "backend/packed_weight.h"
#include "base/thread_pool.h"

namespace citius {

/// Which implementation multiplies by a weight, and what the ones before it in the list said when they declined.
struct KernelChoice {
  std::string name;
  std::vector<std::string> declined;  // "name: reason"
};

class Backend {
 public:
  virtual ~Backend() = default;

  /// "ref", "cpu" or "plan".
  virtual std::string name() const = 0;
  /// Instruction set in use, e.g. "avx512_vnni"; "scalar" for the reference.
  virtual std::string isa() const = 0;
  /// The threads that ops run on; loading uses them too.
  virtual ThreadPool& threads() = 0;
  /// How many threads ops are cut for.
  virtual int num_threads() { return threads().num_threads(); }

  /// Packs one weight whose rows are the rows of `parts`, one after the other. All parts have one format and one number of
  /// columns. The parts may be dropped afterwards.
  virtual std::unique_ptr<PackedWeight> pack(std::span<const OwnedMatrix> parts) = 0;
  /// A weight of this size without its content, from a backend that computes nothing; null from the others, which pack().
  virtual std::unique_ptr<PackedWeight> plan(const MatrixSize&) { return nullptr; }
  /// Names how pack() lays weights out; whatever changes that changes the name. Empty where nothing can be adopted.
  virtual std::string packing() const { return {}; }
  /// The weight whose packed() bytes, of this packing, `owner` keeps at `packed` (not copied). Null where they are
  /// not aligned to 64 bytes, or are not as many as such a weight has, or pack() would refuse its size.
  virtual std::unique_ptr<PackedWeight> adopt(const MatrixSize&, std::span<const std::byte>, std::shared_ptr<const void>) {
    return nullptr;
  }

  /// Whether attention multiplies keys and values that are kept in bf16 as they are, rounding what they are multiplied with.
  virtual bool multiplies_bf16() const { return false; }
  /// Whether that computes faster than fp32 for heads of this size, as encoders do, whose keys and values lie in the caches.
  virtual bool gains_bf16(int64_t) const { return false; }
  virtual KernelChoice explain(const PackedWeight& weight, Compute compute) const = 0;
  /// Most bytes that ops have needed so far beside weights, results and keys and values: prepared activations and scratch.
  virtual size_t workspace_bytes() const = 0;

  virtual void linear(const LinearArgs& args) = 0;
  virtual void norm(const NormArgs& args) = 0;
  virtual void gated(const GatedArgs& args) = 0;
  virtual void add(const AddArgs& args) = 0;
  /// What attention() does first, by themselves.
  virtual void rope(const RopeArgs& args) = 0;
  virtual void kv_write(const KvWriteArgs& args) = 0;
  virtual void attention(const AttentionArgs& args) = 0;
};

struct BackendOptions {
  int num_threads = 0;  // 0: default_num_threads()
  std::string isa;      // empty: CITIUS_ISA, or the best this machine has; "ref" computes the same with any
};

/// Makes the backend of this name: "cpu", "ref", or "plan", which computes nothing and counts what "cpu" would need. Throws Error{kUsage}
/// for an unknown name or an ISA the machine lacks.
std::unique_ptr<Backend> make_backend(const std::string& name, const BackendOptions& options = {});
/// The instruction sets that were compiled in and that this machine can run, best first.
std::vector<std::string> available_isas();

}  // namespace citius
