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

PendingMatrix LoadContext::find(const WeightSource& source, const std::string& name, int64_t rows, int64_t cols, bool transposed) {
  check_interrupted();
  // Quantized rows always run along the inputs, so only float weights can be stored transposed.
  const bool turn = transposed && source.is_float(name);
  const Format stored = turn ? source.claim(name, cols, rows) : source.claim(name, rows, cols);
  WeightRecord record{source.full_name(name), rows, cols, stored, stored, turn, {}};
  if (policy) record.format = policy(record);
  const Format format = record.format;
  if (format != stored && cols % format_block_elements(format) != 0) {
    fail_input(record.name, "cannot be stored as {}: its rows have {} weights, expected a multiple of {}", format_name(format), cols,
               format_block_elements(format));
  }
  records.push_back(record);
  if (progress != nullptr) progress->update(records.size());
  const auto read = [source, name, rows, cols, turn, format, &threads = backend.threads()] {
    check_interrupted();
    OwnedMatrix matrix = turn ? transpose_to_f32(source.matrix(name, cols, rows)) : source.matrix(name, rows, cols);
    return matrix.matrix.format == format ? matrix : convert_in_parallel(matrix.matrix, format, threads);
  };
  return {record.name, {format, rows, cols}, read};
}

std::shared_ptr<PackedWeight> LoadContext::pack(std::span<const PendingMatrix> parts) {
  MatrixSize size{parts.front().size.format, 0, parts.front().size.cols};
  std::string name;
  for (const PendingMatrix& part : parts) {
    size.rows += part.size.rows;
    name += (name.empty() ? "" : "+") + part.name;
  }
  std::shared_ptr<PackedWeight> weight = backend.plan(size);
  if (weight == nullptr && packed_file != nullptr) {
    weight = packed_file->find(name, size, backend);
    if (weight != nullptr) mapped.add(static_cast<int64_t>(weight->bytes()));
  }
  if (weight == nullptr) {
    std::vector<OwnedMatrix> matrices;
    for (const PendingMatrix& part : parts) matrices.push_back(part.read());
    weight = backend.pack(matrices);
    if (packed_file != nullptr) packed_file->add(name, weight);
  }
  packed_bytes += weight->bytes();
  return weight;
}

}  // namespace citius
