#include "backend/cpu/linear.h"

#include <fmt/format.h>

#include <algorithm>

#include "backend/cpu/prepared_input.h"
#include "base/check.h"

namespace citius::cpu {
namespace {

// Products below this many multiplications take less time than waking a thread.
constexpr int64_t kSmallProduct = 1 << 15;
// Inputs below this many numbers are prepared in less time than threads take to wait for each other.
constexpr int64_t kSmallInput = 1 << 12;
// Rows from which they are divided among threads, in parts of at least kPartRows, and pieces of a part are handed out as threads become
// free. A thread finds in its own caches what it wrote in the op before then. With fewer rows memory is what takes the time: the
// outputs are divided in pieces of about kPieceBytes of weights, and a thread that reads its share in order finds it asked for.
constexpr int64_t kManyRows = 64, kPartRows = 64, kPieceBytes = 24576;
// A thread that computes some of the outputs for one of p parts of the rows reads p / threads of the weights and 1 / p of the activations:
// with p parts that is more than with one where the weights are threads / p times as large as inputs and outputs (as fp32) together, or
// larger. The weights must be that many times larger again, because a thread finds rows of its own in its caches.
constexpr int64_t kHeavyWeights = 2;
// Rows are divided at multiples of this, in products as in the preparation of activations.
constexpr int64_t kRowGrain = 8;

const PackedTiles& packed_tiles(const PackedWeight& weight) {
  const auto* tiles = dynamic_cast<const PackedTiles*>(&weight);
  CHECK(tiles != nullptr);  // packed by another backend
  return *tiles;
}

// Asks for the weights that a thread reads first, while it prepares inputs or waits for others to. A kernel asks for what comes after
// them itself.
void ask_for_first(const LinearTask& task) {
  constexpr int64_t kBytes = 16384;
  const uint8_t* first = task.w.data + task.tile_begin * task.w.tile_bytes;
  const int64_t bytes = std::min(kBytes, (task.tile_end - task.tile_begin) * task.w.tile_bytes);
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(first + i, 0, 2);
}

}  // namespace

CpuLinear::CpuLinear(ThreadPool& pool, const Target& target)
    : pool_(pool), target_(target), scratch_(static_cast<size_t>(kLinearScratch * pool.num_threads())) {}

std::unique_ptr<PackedWeight> CpuLinear::pack(std::span<const OwnedMatrix> parts) {
  return pack_matrix(parts, *target_.linear, pool_, weights_);
}

std::unique_ptr<PackedWeight> CpuLinear::adopt(const MatrixSize& size, std::span<const std::byte> packed,
                                               std::shared_ptr<const void> owner) {
  if (size.rows < 0 || size.cols < 1 || size.cols > kMaxCols) return nullptr;
  if (reinterpret_cast<uintptr_t>(packed.data()) % kTileAlignment != 0) return nullptr;
  if (packed.size() != packed_bytes(size.format, size.rows, size.cols)) return nullptr;
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

// One call of run().
struct CpuLinear::Product {
  const PreparedInput& input;
  const LinearTask& task;  // all of it
  void (*kernel)(const LinearTask&);
  int64_t panel;    // tiles that the kernel takes at once with many rows
  bool fill_first;  // by the caller, before threads start
};

void CpuLinear::run(const LinearArgs& args) {
  CHECK(args.weight != nullptr);
  const PackedTiles& weight = packed_tiles(*args.weight);
  const TensorView& x = args.input.x;
  const int64_t rows = x.shape[0];
  CHECK(x.shape.rank() == 2 && x.shape[1] == weight.cols() && (!args.input.up || args.input.up.shape == x.shape));
  CHECK(args.y.shape.rank() == 2 && args.y.shape[0] == rows && args.y.shape[1] == weight.rows());
  CHECK(!args.residual || args.residual.shape == args.y.shape);
  if (rows == 0 || weight.rows() == 0) return;
  const FormatKernels& kernels = weight.kernels();
  const bool fast = args.compute == Compute::kFast;
  const PreparedInput input(target_, args.input, fast ? kernels.plan : ActivationPlan{}, pool_.num_threads(), activations_, rows_);
  LinearTask task;
  task.w = weight.tiles();
  task.a = input.activations();
  task.out = {.bias = args.bias,
              .activation = static_cast<int>(args.activation),
              .residual = args.residual ? args.residual.row(0) : nullptr,
              .residual_stride = args.residual.stride,
              .y = args.y.row(0),
              .y_stride = args.y.stride};
  task.row_end = rows;
  task.tile_end = (weight.rows() + kTile - 1) / kTile;
  task.follows_streams = follows_streams();
  task.scratch = scratch_.data();
  const bool fill_first = !input.needs_fill() || rows == 1 || rows * weight.cols() < kSmallInput;
  const Product product{input, task, fast ? kernels.fast : kernels.exact, fast ? kernels.panel_tiles : target_.linear->exact_panel_tiles,
                        fill_first};
  FlushDenormals flush;
  const bool alone =
      pool_.num_threads() == 1 || (task.tile_end == 1 && rows < kManyRows) || rows * weight.rows() * weight.cols() < kSmallProduct;
  if (alone || fill_first) input.fill(0, rows, 0);
  if (alone) {
    product.kernel(task);
  } else if (rows < kManyRows) {
    few_rows(product);
  } else {
    many_rows(product);
  }
}

// Threads divide the outputs.
void CpuLinear::few_rows(const Product& product) {
  const LinearTask& task = product.task;
  const int64_t rows = task.row_end, tiles = task.tile_end;
  const int threads = pool_.num_threads();
  // As many pieces for each thread, of whole panels unless these are too few.
  const int64_t unit = tiles / product.panel < threads ? 1 : product.panel, units = (tiles + unit - 1) / unit;
  const int64_t wanted = (tiles * task.w.tile_bytes / kPieceBytes + threads) / threads * threads, pieces = std::min(units, wanted);
  const auto part_of = [&](int64_t i, int thread) {
    LinearTask part = task;
    part.scratch += kLinearScratch * thread;
    part.tile_begin = units * i / pieces * unit;
    part.tile_end = std::min(tiles, units * (i + 1) / pieces * unit);
    return part;
  };
  const auto before = [&](int thread, int num_threads) {
    ask_for_first(part_of(pieces * thread / num_threads, thread));
    if (product.fill_first) return;
    product.input.fill(rows * thread / num_threads, rows * (thread + 1) / num_threads, thread);
    pool_.barrier();
  };
  pool_.share_out(pieces, before, [&](int64_t i, int thread) { product.kernel(part_of(i, thread)); });
}

// Threads divide the rows, unless the weights are heavy.
void CpuLinear::many_rows(const Product& product) {
  const LinearTask& task = product.task;
  const int64_t rows = task.row_end, tiles = task.tile_end, panel = product.panel;
  const int threads = pool_.num_threads();
  const int64_t chunks = (rows + kRowGrain - 1) / kRowGrain, columns = (tiles + panel - 1) / panel;
  const int64_t activation_bytes = rows * (task.w.cols + tiles * kTile) * static_cast<int64_t>(sizeof(float));
  int64_t parts = std::clamp<int64_t>(rows / kPartRows, 1, threads);
  if (tiles * task.w.tile_bytes * parts > kHeavyWeights * activation_bytes * threads) parts = 1;
  while (parts * columns < threads && rows / (parts + 1) >= 16) ++parts;  // too few outputs for so many threads
  const auto before = [&](int thread, int num_threads) {
    if (product.fill_first) return;
    product.input.fill(chunks * thread / num_threads * kRowGrain, std::min(rows, chunks * (thread + 1) / num_threads * kRowGrain), thread);
    pool_.barrier();
  };
  pool_.share_out(parts * columns, before, [&](int64_t i, int thread) {
    // Each part begins with other outputs: threads that want the same weights at the same time wait for each other.
    const int64_t part = i / columns, column = (i + part * columns / parts) % columns;
    LinearTask some = task;
    some.scratch += kLinearScratch * thread;
    some.row_begin = chunks * part / parts * kRowGrain;
    some.row_end = std::min(rows, chunks * (part + 1) / parts * kRowGrain);
    some.tile_begin = column * panel;
    some.tile_end = std::min(tiles, some.tile_begin + panel);
    product.kernel(some);
  });
}

}  // namespace citius::cpu
