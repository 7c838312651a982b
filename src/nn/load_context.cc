#include "nn/load_context.h"

#include <vector>

#include "base/error.h"
#include "base/signal.h"

namespace citius {
namespace {

OwnedMatrix transpose_to_f32(const OwnedMatrix& source) {
  const EncodedMatrix& from = source.matrix;  // [in, out]
  auto storage = std::make_shared<std::vector<float>>(static_cast<size_t>(from.rows * from.cols));
  std::vector<float> row(static_cast<size_t>(from.cols));
  for (int64_t i = 0; i < from.rows; ++i) {
    decode_row(from.format, from.row(i), from.cols, row.data());
    for (int64_t j = 0; j < from.cols; ++j) (*storage)[static_cast<size_t>(j * from.rows + i)] = row[static_cast<size_t>(j)];
  }
  return {{Format::kF32, from.cols, from.rows, reinterpret_cast<const std::byte*>(storage->data())}, storage};
}

OwnedMatrix convert_in_parallel(const EncodedMatrix& source, Format target, ThreadPool& threads) {
  const size_t row_bytes = format_row_bytes(target, source.cols);
  auto storage = std::make_shared<std::vector<std::byte>>(row_bytes * static_cast<size_t>(source.rows));
  threads.parallel_for(source.rows, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> values(static_cast<size_t>(source.cols));
    for (int64_t i = begin; i < end; ++i) {
      decode_row(source.format, source.row(i), source.cols, values.data());
      encode_row(target, values.data(), source.cols, storage->data() + static_cast<size_t>(i) * row_bytes);
    }
  });
  return {{target, source.rows, source.cols, storage->data()}, storage};
}

}  // namespace

OwnedMatrix LoadContext::read(const WeightSource& source, const std::string& name, int64_t rows, int64_t cols, bool transposed) {
  check_interrupted();
  // Quantized rows always run along the inputs, so only float weights can be stored transposed.
  const bool turn = transposed && source.is_float(name);
  OwnedMatrix matrix = turn ? source.matrix(name, cols, rows) : source.matrix(name, rows, cols);
  WeightRecord record{source.full_name(name), rows, cols, matrix.matrix.format, matrix.matrix.format, turn, {}};
  if (turn) matrix = transpose_to_f32(matrix);
  if (policy) record.format = policy(record);
  if (record.format != matrix.matrix.format) {
    if (cols % format_block_elements(record.format) != 0) {
      fail_input(record.name, "cannot be stored as {}: its rows have {} weights, expected a multiple of {}", format_name(record.format),
                 cols, format_block_elements(record.format));
    }
    matrix = convert_in_parallel(matrix.matrix, record.format, backend.threads());
  }
  records.push_back(std::move(record));
  return matrix;
}

std::unique_ptr<PackedWeight> LoadContext::pack(std::span<const OwnedMatrix> parts) {
  std::unique_ptr<PackedWeight> weight = backend.pack(parts);
  packed_bytes += weight->bytes();
  return weight;
}

}  // namespace citius
