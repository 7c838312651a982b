#include "base/json_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

#include "base/error.h"

namespace citius {
namespace {

TEST(JsonText, OneLineAndPretty) {
  const json::value value = {{"a", 1}, {"b", {1.5, nullptr, true}}, {"c", json::object()}, {"d", "x\n\"y"}};
  EXPECT_EQ(json_text(value), R"({"a": 1, "b": [1.5, null, true], "c": {}, "d": "x\n\"y"})");
  EXPECT_EQ(json_text(value, /*pretty=*/true), "{\n  \"a\": 1,\n  \"b\": [1.5, null, true],\n  \"c\": {},\n  \"d\": \"x\\n\\\"y\"\n}");
  EXPECT_EQ(parse_json(json_text(value), "test"), value);
}

TEST(ParseJson, ElementsAreLimitedTheirTextIsNot) {
  const std::string many(size_t{5} << 20, ',');
  EXPECT_EQ(parse_json(R"({"te\\\"xt": ")" + many + "\"}", "test").as_object().begin()->value().as_string().size(), many.size());
  std::string list = "[";
  for (size_t i = 0; i < many.size(); ++i) list += "0,";
  EXPECT_THROW(parse_json(list + "0]", "test"), Error);
  EXPECT_THROW(parse_json(R"(["\\",)" + list.substr(1) + "0]", "test"), Error);  // the string ends behind its two strokes
}

TEST(JsonText, NumbersReadBackEqual) {
  EXPECT_EQ(json_number(2.0), "2.0");
  EXPECT_EQ(json_number(0.1), "0.1");
  EXPECT_EQ(json_number(0.1F), "0.1");
  EXPECT_EQ(json_number(-1e300), "-1e+300");
  for (const double number : {1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0}) {
    EXPECT_EQ(std::strtod(json_number(number).c_str(), nullptr), number);
  }
  EXPECT_THROW(json_number(std::numeric_limits<double>::quiet_NaN()), Error);
  EXPECT_THROW(json_number(std::numeric_limits<float>::infinity()), Error);
}

// One U+FFFD for each maximal ill-formed part: the examples of Unicode 15, section 3.9.
TEST(JsonText, InvalidUtf8IsReplaced) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(valid_utf8("a\xC3\xA4\xF0\x9F\x98\x80"), "a\xC3\xA4\xF0\x9F\x98\x80");
  EXPECT_EQ(valid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), bad + bad + bad + bad + bad + bad + bad + bad + "A");
  EXPECT_EQ(valid_utf8("\xED\xA0\x80"), bad + bad + bad);
  EXPECT_EQ(valid_utf8("\xF4\x91\x92\x93\xFF\x41"), bad + bad + bad + bad + bad + "A");
  EXPECT_EQ(valid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), bad + bad + bad + bad + "A");
  EXPECT_EQ(valid_utf8("\xE2\x82"), bad);
}

}  // namespace
}  // namespace citius
