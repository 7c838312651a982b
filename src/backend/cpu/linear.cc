#include "backend/cpu/linear.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace citius::cpu {
namespace {

// Products below this many multiplications take less time than waking a thread.
constexpr int64_t kSmallProduct = 1 << 15;
// Rows from which they are divided among threads, in parts of at least kPartRows, and pieces of a part are handed out as threads become
// free. A thread finds in its own caches what it wrote in the op before then. With fewer rows memory is what takes the time: the
// outputs are divided beforehand, and a thread that reads all its weights in order finds them asked for.
constexpr int64_t kManyRows = 32, kPartRows = 64;
// Rows are divided at multiples of this, in products as in the preparation of activations.
constexpr int64_t kRowGrain = 8;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

const PackedTiles& packed_tiles(const PackedWeight& weight) {
  const auto* tiles = dynamic_cast<const PackedTiles*>(&weight);
  CHECK(tiles != nullptr);  // packed by another backend
  return *tiles;
}

// Hands out consecutive parts of one allocation, each aligned to 64 bytes.
class Slices {
 public:
  explicit Slices(uint8_t* memory) : next_(memory) {}
  template <typename T>
  T* take(int64_t count) {
    T* slice = reinterpret_cast<T*>(next_);
    next_ += round_up(count * static_cast<int64_t>(sizeof(T)), 64);
    return slice;
  }

 private:
  uint8_t* next_;
};

}  // namespace

CpuLinear::CpuLinear(ThreadPool& pool, const Target& target)
    : pool_(pool), target_(target), scratch_(static_cast<size_t>(kLinearScratch * pool.num_threads())) {}

std::unique_ptr<PackedWeight> CpuLinear::pack(std::span<const OwnedMatrix> parts) { return pack_matrix(parts, *target_.linear, pool_); }

std::unique_ptr<PackedWeight> CpuLinear::adopt(const MatrixSize& size, std::span<const std::byte> packed,
                                               std::shared_ptr<const void> owner) {
  if (size.cols < 1 || packed.size() != packed_bytes(size.format, size.rows, size.cols)) return nullptr;
  return std::make_unique<PackedTiles>(size, *target_.linear, reinterpret_cast<const uint8_t*>(packed.data()), std::move(owner));
}

KernelChoice CpuLinear::explain(const PackedWeight& weight, Compute compute) const {
  return explain_kernels(target_, packed_tiles(weight).kernels(), compute);
}

KernelChoice explain_kernels(const Target& target, const FormatKernels& kernels, Compute compute) {
  const std::string isa(target.name);
  const bool same = kernels.fast == kernels.exact;
  if (same || compute == Compute::kFast) return {fmt::format("{}/{}", isa, kernels.name), {}};
  return {fmt::format("{}/decode-f32", isa),
          {fmt::format("{}/{}: rounds activations, which exact mode does not allow", isa, kernels.name)}};
}

namespace {

// Of a row of prepared activations: bytes of codes, numbers of scales and auxiliary values.
struct IntegerStrides {
  int64_t codes, scales, aux;
};

// An odd number of cache lines: rows a multiple of 4096 bytes apart share one set of the first-level cache, which has fewer ways
// than a kernel has rows (int8, 8192 inputs: 350 instead of 450 G multiply-adds a second).
int64_t spread(int64_t bytes) { return round_up(bytes, 64) | 64; }

IntegerStrides integer_strides(const ActivationPlan& plan, int64_t cols) {
  return {spread(round_up(cols, kBlock) / 4 * plan.quad_bytes), plan.group == 0 ? 1 : cols / plan.group,
          plan.aux_group == 0 ? 1 : cols / plan.aux_group};
}

}  // namespace

size_t activation_bytes(const ActivationPlan& plan, int64_t rows, int64_t cols) {
  if (plan.bf16) return static_cast<size_t>(rows * spread(cols * 4));
  if (!plan.integer) return 0;
  const IntegerStrides strides = integer_strides(plan, cols);
  return static_cast<size_t>(rows * (strides.codes + strides.scales * 4 + strides.aux * 4) + 3 * 64);
}

Activations CpuLinear::prepare(const LinearArgs& args, const ActivationPlan& plan) {
  const int64_t rows = args.x.shape[0];
  const int64_t cols = args.x.shape[1];
  const float* x = args.x.row(0);
  Activations a{.x = x, .x_stride = args.x.stride};
  activations_.reserve(activation_bytes(plan, rows, cols));
  if (plan.bf16) {
    a.x_stride = spread(cols * 4) / 4;
    float* rounded = reinterpret_cast<float*>(activations_.data());
    a.x = rounded;
    pool_.parallel_for(rows, kRowGrain, [&](int64_t begin, int64_t end) {
      target_.linear->round_bf16(x + begin * args.x.stride, args.x.stride, end - begin, cols, rounded + begin * a.x_stride, a.x_stride);
    });
  } else if (plan.integer) {
    QuantizeTask task{.x = x,
                      .x_stride = args.x.stride,
                      .rows = rows,
                      .cols = cols,
                      .group = plan.group,
                      .aux_group = plan.aux_group,
                      .aux = plan.aux,
                      .offset = plan.offset,
                      .quad_bytes = plan.quad_bytes};
    const IntegerStrides strides = integer_strides(plan, cols);
    task.code_stride = strides.codes;
    task.scale_stride = strides.scales;
    task.aux_stride = strides.aux;
    Slices slices(activations_.data());
    task.codes = slices.take<int8_t>(rows * task.code_stride);
    task.scales = slices.take<float>(rows * task.scale_stride);
    task.aux_out = slices.take<float>(rows * task.aux_stride);
    pool_.parallel_for(rows, kRowGrain, [&](int64_t begin, int64_t end) {
      QuantizeTask part = task;
      part.x += begin * part.x_stride;
      part.codes += begin * part.code_stride;
      part.scales += begin * part.scale_stride;
      part.aux_out = static_cast<float*>(part.aux_out) + begin * part.aux_stride;
      part.rows = end - begin;
      target_.linear->quantize(part);
    });
    a.codes = task.codes;
    a.code_stride = task.code_stride;
    a.scales = task.scales;
    a.scale_stride = task.scale_stride;
    a.aux = task.aux_out;
    a.aux_stride = task.aux_stride;
  }
  return a;
}

void CpuLinear::run(const LinearArgs& args) {
  CHECK(args.weight != nullptr);
  const PackedTiles& weight = packed_tiles(*args.weight);
  const int64_t rows = args.x.shape[0];
  CHECK(args.x.shape.rank() == 2 && args.x.shape[1] == weight.cols());
  CHECK(args.y.shape.rank() == 2 && args.y.shape[0] == rows && args.y.shape[1] == weight.rows());
  CHECK(!args.residual || args.residual.shape == args.y.shape);
  if (rows == 0 || weight.rows() == 0) return;
  const FormatKernels& kernels = weight.kernels();
  const bool fast = args.compute == Compute::kFast;
  LinearTask task;
  task.w = weight.tiles();
  task.a = prepare(args, fast ? kernels.plan : ActivationPlan{});
  task.out = {.bias = args.bias,
              .activation = static_cast<int>(args.activation),
              .residual = args.residual ? args.residual.row(0) : nullptr,
              .residual_stride = args.residual.stride,
              .y = args.y.row(0),
              .y_stride = args.y.stride};
  const auto kernel = fast ? kernels.fast : kernels.exact;
  const int64_t tiles = (weight.rows() + kTile - 1) / kTile;
  const int threads = pool_.num_threads();
  task.row_end = rows;
  task.tile_end = tiles;
  task.scratch = scratch_.data();
  if (threads == 1 || tiles == 1 || rows * weight.rows() * weight.cols() < kSmallProduct) {
    FlushDenormals flush;
    kernel(task);
    return;
  }
  if (rows < kManyRows) {
    pool_.run([&](int thread, int num_threads) {
      LinearTask part = task;
      part.scratch += kLinearScratch * thread;
      part.tile_begin = tiles * thread / num_threads;
      part.tile_end = tiles * (thread + 1) / num_threads;
      if (part.tile_begin < part.tile_end) kernel(part);
    });
    return;
  }
  const int64_t chunks = (rows + kRowGrain - 1) / kRowGrain;
  int64_t parts = std::clamp<int64_t>(rows / kPartRows, 1, threads);
  const int64_t piece = fast ? kernels.panel_tiles : target_.linear->exact_panel_tiles, columns = (tiles + piece - 1) / piece;
  while (parts * columns < threads && rows / (parts + 1) >= 16) ++parts;  // too few outputs for so many threads
  pool_.share_out(parts * columns, [&](int64_t i, int thread) {
    // Each part begins with other outputs: threads that want the same weights at the same time wait for each other.
    const int64_t part = i / columns, column = (i + part * columns / parts) % columns;
    LinearTask some = task;
    some.scratch += kLinearScratch * thread;
    some.row_begin = chunks * part / parts * kRowGrain;
    some.row_end = std::min(rows, chunks * (part + 1) / parts * kRowGrain);
    some.tile_begin = column * piece;
    some.tile_end = std::min(tiles, some.tile_begin + piece);
    kernel(some);
  });
}

}  // namespace citius::cpu
