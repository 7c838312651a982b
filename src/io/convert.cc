#include "io/convert.h"

#include "base/error.h"

namespace citius {
namespace {

OwnedMatrix transpose(const EncodedMatrix& from) {
  auto storage = std::make_shared<std::vector<float>>(static_cast<size_t>(from.rows * from.cols));
  std::vector<float> row(static_cast<size_t>(from.cols));
  for (int64_t i = 0; i < from.rows; ++i) {
    decode_row(from.format, from.row(i), from.cols, row.data());
    for (int64_t j = 0; j < from.cols; ++j) (*storage)[static_cast<size_t>(j * from.rows + i)] = row[static_cast<size_t>(j)];
  }
  return {{Format::kF32, from.cols, from.rows, reinterpret_cast<const std::byte*>(storage->data())}, storage};
}

}  // namespace

OwnedMatrix convert_weight(const OwnedMatrix& source, Format target, bool turn, const std::string& name, ThreadPool& threads) {
  if (source.matrix.format == target && !turn) return source;
  const OwnedMatrix upright = turn ? transpose(source.matrix) : source;
  const EncodedMatrix& from = upright.matrix;
  if (from.cols % format_block_elements(target) != 0) {
    fail_input(name, "cannot be stored as {}: its rows have {} weights, expected a multiple of {}", format_name(target), from.cols,
               format_block_elements(target));
  }
  if (!can_encode(target)) fail(ErrorKind::kUsage, name, "{} can be read but not written", format_name(target));
  const size_t row_bytes = format_row_bytes(target, from.cols);
  auto storage = std::make_shared<std::vector<std::byte>>(row_bytes * static_cast<size_t>(from.rows));
  threads.parallel_for(from.rows, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> values(static_cast<size_t>(from.cols));
    for (int64_t i = begin; i < end; ++i) {
      decode_row(from.format, from.row(i), from.cols, values.data());
      encode_row(target, values.data(), from.cols, storage->data() + static_cast<size_t>(i) * row_bytes);
    }
  });
  return {{target, from.rows, from.cols, storage->data()}, storage};
}

}  // namespace citius
