#include "store/source.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "io/gguf.h"

namespace citius {
namespace {

bool is_word(std::string_view text, std::string_view more) {
  const auto fits = [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || more.find(c) != std::string_view::npos;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), fits) && text[0] != '-' && text[0] != '.';
}

[[noreturn]] void fail_source(std::string_view text, std::string_view expected) {
  fail(ErrorKind::kUsage, "pull", "got '{}', expected {}", text, expected);
}

// "model.gguf" of ".../model.gguf?download=true".
std::string last_component(std::string_view address) {
  address = address.substr(0, address.find_first_of("?#"));
  while (address.ends_with('/')) address.remove_suffix(1);
  return std::string(address.substr(address.rfind('/') + 1));
}

std::string name_of_file(std::string name) {
  if (has_gguf_ending(name) || name.ends_with(".zip") || name.ends_with(".whl")) name.resize(name.rfind('.'));
  std::replace_if(name.begin(), name.end(), [](char c) { return !is_word(std::string("a") + c, "._-"); }, '-');
  return name;
}

Source hub_source(std::string_view text) {
  constexpr std::string_view kForm = "hf:ORG/NAME[@REVISION]";
  Source source{SourceKind::kHub, std::string(text), {}, "main", {}};
  std::string_view rest = text.substr(3);
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    source.version = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (!is_word(source.version, "._-")) fail_source(text, kForm);
  }
  const size_t slash = std::min(rest.find('/'), rest.size());
  if (!is_word(rest.substr(0, slash), "._-") || slash == rest.size() || !is_word(rest.substr(slash + 1), "._-")) {
    fail_source(text, kForm);
  }
  source.location = rest;
  source.name = rest.substr(slash + 1);
  return source;
}

Source pypi_source(std::string_view text) {
  const std::string_view rest = text.substr(5);
  const size_t equals = rest.find("==");
  if (equals == std::string_view::npos || !is_word(rest.substr(0, equals), "._-") || !is_word(rest.substr(equals + 2), "._-+!")) {
    fail_source(text, "pypi:PACKAGE==VERSION");
  }
  const std::string package(rest.substr(0, equals));
  return {SourceKind::kPypi, std::string(text), package, std::string(rest.substr(equals + 2)), package};
}

Source path_source(std::string_view text) {
  for (const std::string_view prefix : {"file://", "file:"}) {
    if (text.starts_with(prefix)) {
      text.remove_prefix(prefix.size());
      break;
    }
  }
  if (text.empty()) fail_source(text, "hf:ORG/NAME[@REVISION], pypi:PACKAGE==VERSION, an https: address or a path");
  std::string path = std::filesystem::absolute(text).lexically_normal().string();
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return {SourceKind::kPath, "file:" + path, path, {}, name_of_file(last_component(path))};
}

}  // namespace

void check_store_name(std::string_view name) {
  if (!is_word(name, "._-") || name.size() > 200) {
    fail(ErrorKind::kUsage, "store", "got the name '{}', expected letters, digits, '.', '_' and '-'", name);
  }
}

Source parse_source(std::string_view text) {
  if (text.starts_with("hf:")) return hub_source(text);
  if (text.starts_with("pypi:")) return pypi_source(text);
  if (text.starts_with("http://")) fail_source(text, "an https: address");
  if (text.starts_with("https://")) {
    return {SourceKind::kHttps, std::string(text), std::string(text), {}, name_of_file(last_component(text))};
  }
  return path_source(text);
}

}  // namespace citius
