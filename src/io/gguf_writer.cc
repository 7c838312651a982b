#include "io/gguf_writer.h"

#include <algorithm>

#include "base/check.h"

namespace citius {
namespace {

constexpr uint64_t kAlignment = 32;

template <typename T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_string(std::string& out, std::string_view text) {
  append<uint64_t>(out, text.size());
  out.append(text);
}

void append_value(std::string& out, const GgufValue& value) {
  append(out, static_cast<uint32_t>(value.type));
  if (value.type == GgufType::kArray) {
    append(out, static_cast<uint32_t>(value.element));
    append(out, value.count);
  }
  out.append(reinterpret_cast<const char*>(value.payload.data()), value.payload.size());
}

uint64_t aligned(uint64_t at) { return (at + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

size_t GgufPlan::bytes() const {
  const int64_t cols = shape[-1];
  return format_row_bytes(format, cols) * static_cast<size_t>(shape.num_elements() / cols);
}

GgufWriter::GgufWriter(const std::filesystem::path& path, const GgufFile& source, std::vector<GgufPlan> plan, const GgufValues& replacing)
    : file_(path), plan_(std::move(plan)) {
  std::string values;
  uint64_t num_values = 0;
  for (const std::string& key : source.keys()) {
    if (key.starts_with("split.") || key == "general.alignment" || replacing.contains(key)) continue;
    append_string(values, key);
    append_value(values, *source.find(key));
    ++num_values;
  }
  for (const auto& [key, value] : replacing) {
    append_string(values, key);
    if (const auto* const number = std::get_if<uint32_t>(&value)) {
      append(values, static_cast<uint32_t>(GgufType::kU32));
      append(values, *number);
    } else {
      append(values, static_cast<uint32_t>(GgufType::kString));
      append_string(values, std::get<std::string>(value));
    }
    ++num_values;
  }
  std::string header = "GGUF";
  append<uint32_t>(header, 3);
  append<uint64_t>(header, plan_.size());
  append(header, num_values);
  header += values;
  uint64_t offset = 0;
  for (const GgufPlan& tensor : plan_) {
    append_string(header, tensor.name);
    append(header, static_cast<uint32_t>(tensor.shape.rank()));
    for (int axis = tensor.shape.rank() - 1; axis >= 0; --axis) append(header, static_cast<uint64_t>(tensor.shape[axis]));
    const std::optional<uint32_t> type = ggml_type_of(tensor.format);
    CHECK(type.has_value());
    append(header, *type);
    append(header, offset);
    offset = aligned(offset + tensor.bytes());
  }
  file_.write(header);
  at_ = header.size();
  pad();
}

void GgufWriter::pad() {
  const std::string zeros(aligned(at_) - at_, '\0');
  file_.write(zeros);
  at_ += zeros.size();
}

void GgufWriter::add(std::span<const std::byte> bytes) {
  CHECK(next_ < plan_.size() && bytes.size() == plan_[next_].bytes());
  file_.write(bytes.data(), bytes.size());
  at_ += bytes.size();
  ++next_;
  pad();
}

void GgufWriter::commit() {
  CHECK(next_ == plan_.size());
  file_.commit();
}

}  // namespace citius
