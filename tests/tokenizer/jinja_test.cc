// Small templates, each an expression or a statement, against jinja2 as transformers sets it up. An expected null means
// that jinja2 refuses the template or fails in it; then we have to fail too.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include "base/error.h"
#include "tokenizer/chat_template.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(CITIUS_TEST_DIR) / "golden" / "chat_templates";

std::tm fixed_clock() {
  std::tm now{};
  now.tm_year = 124;
  now.tm_mon = 6;
  now.tm_mday = 26;
  now.tm_hour = 14;
  now.tm_min = 5;
  now.tm_sec = 9;
  now.tm_wday = 5;
  now.tm_yday = 207;
  return now;
}

json::object read_variables() {
  std::ifstream file(kGolden / "sources.jsonl");
  std::string line;
  std::getline(file, line);
  return parse_json(line, "sources.jsonl").as_object().at("variables").as_object();
}

int check_sources(const fs::path& path) {
  const json::object variables = read_variables();
  std::ifstream file(path);
  int count = 0, wrong = 0;
  for (std::string line; std::getline(file, line) && wrong < 60;) {
    const json::value row = parse_json(line, path.string());
    if (!row.as_object().contains("source")) continue;
    ++count;
    const std::string source(row.at("source").as_string());
    std::optional<std::string> got, expected;
    std::string message;
    try {
      got = ChatTemplate(source, "<s>", "</s>", fixed_clock).render({}, false, variables);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      message = error.what();
    }
    if (!row.at("expected").is_null()) expected = std::string(row.at("expected").as_string());
    // Integers beyond 64 bits are refused here and not in Python.
    if (!got && message.find("64 bits") != std::string::npos) continue;
    if (got == expected) continue;
    ++wrong;
    ADD_FAILURE() << source << "\n  got      " << got.value_or("error: " + message) << "\n  expected " << expected.value_or("an error");
  }
  return count;
}

TEST(Jinja, SourcesEqualJinja2) { EXPECT_GT(check_sources(kGolden / "sources.jsonl"), 600); }

TEST(Jinja, MoreSources) {
  const char* path = std::getenv("CITIUS_JINJA_CASES");
  if (path == nullptr) GTEST_SKIP() << "set CITIUS_JINJA_CASES to a file that make.py --expressions wrote";
  EXPECT_GT(check_sources(path), 0);
}

}  // namespace
}  // namespace citius
