// Inputs: the rules of docs/cli.md, each with bytes arriving whole and one at a time.
#include "cli/inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace citius::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> texts_of(const std::vector<InputRow>& rows) {
  std::vector<std::string> texts;
  for (const InputRow& row : rows) texts.push_back(row.text);
  return texts;
}

// Parses `bytes` in pieces of one byte and whole; both must give the same.
template <typename Make>
std::vector<InputRow> parse(const Make& make, std::string_view bytes) {
  std::vector<InputRow> whole;
  const auto parser = make();
  parser->feed(bytes, whole);
  parser->end(whole);
  std::vector<InputRow> pieces;
  const auto again = make();
  for (const char c : bytes) again->feed(std::string_view(&c, 1), pieces);
  again->end(pieces);
  EXPECT_EQ(texts_of(whole), texts_of(pieces));
  return whole;
}

std::vector<std::string> lines(std::string_view bytes) {
  return texts_of(parse([] { return make_line_parser("f.txt"); }, bytes));
}

std::vector<InputRow> csv(std::string_view bytes, std::vector<std::string> columns = {"text"}, char separator = ',') {
  return parse([&] { return make_csv_parser("f.csv", columns, separator); }, bytes);
}

std::vector<InputRow> jsonl(std::string_view bytes, std::vector<std::string> columns = {"text"}) {
  return parse([&] { return make_jsonl_parser("f.jsonl", columns); }, bytes);
}

template <typename F>
std::string error_of(const F& action, ErrorKind kind = ErrorKind::kInput) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(Lines, EndAtNewlineAlone) {
  EXPECT_THAT(lines("a\nb\n"), ElementsAre("a", "b"));
  EXPECT_THAT(lines("a\nb"), ElementsAre("a", "b"));
  EXPECT_THAT(lines("a\r\nb\r\r\n"), ElementsAre("a", "b\r"));
  EXPECT_THAT(lines("a\rb\n"), ElementsAre("a\rb"));
  EXPECT_THAT(lines("a\r"), ElementsAre("a\r"));
  EXPECT_THAT(lines(""), ElementsAre());
}

TEST(Lines, BlankLinesAreInputsAndNothingIsTrimmed) {
  EXPECT_THAT(lines("\n\n a \n\n"), ElementsAre("", "", " a ", ""));
  EXPECT_THAT(lines("\r\n"), ElementsAre(""));
  EXPECT_THAT(lines("\t\n"), ElementsAre("\t"));
}

TEST(Lines, OtherLineSeparatorsAreText) {
  const std::string odd =
      "a\xE2\x80\xA8"
      "b\xC2\x85"
      "c\x0B"
      "d\x0C"
      "e" +
      std::string(1, '\0') +
      "f\x1C"
      "g";
  EXPECT_THAT(lines(odd + "\nz\n"), ElementsAre(odd, "z"));
  EXPECT_THAT(lines("\xEF\xBB\xBFx\n"), ElementsAre("\xEF\xBB\xBFx"));
}

TEST(Csv, QuotesSeparatorsAndLineEnds) {
  const auto rows = csv("id,text\r\n1,\"a, \"\"b\"\"\r\nc\"\r\n2, d \r\n3,\n4,5\" disk\n");
  EXPECT_THAT(texts_of(rows), ElementsAre("a, \"b\"\r\nc", " d ", "", "5\" disk"));
  EXPECT_EQ(rows[0].line, 2U);
  EXPECT_EQ(rows[1].line, 4U);
}

TEST(Csv, ColumnsByNameAndByteOrderMark) {
  const auto rows = csv("\xEF\xBB\xBF\"q\",c,label\nwho,where,x\n", {"q", "c"});
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].text, "who");
  EXPECT_THAT(rows[0].fields, ElementsAre("where"));
  EXPECT_THAT(texts_of(csv("label\ttext\n0\ta,b\n", {"text"}, '\t')), ElementsAre("a,b"));
  EXPECT_THAT(texts_of(csv("text\n\nb\n\"\"")), ElementsAre("", "b", ""));
  EXPECT_THAT(texts_of(csv("text\n\"a\"\r\n\"b\"")), ElementsAre("a", "b"));
}

TEST(Csv, DamageIsNamed) {
  EXPECT_THAT(error_of([] { csv("id,text\n1\n"); }), HasSubstr("line 2: got 1 fields, expected 2"));
  EXPECT_THAT(error_of([] { csv("text\n\"a\n"); }), HasSubstr("line 2: a quoted field is not closed"));
  EXPECT_THAT(error_of([] { csv("text\n\"a\"b\n"); }), HasSubstr("after the closing quote"));
  EXPECT_THAT(error_of([] { csv("text\n\"a\"\rb\n"); }), HasSubstr("after the closing quote"));
  EXPECT_THAT(error_of([] { csv("a,b\n1,2\n"); }), HasSubstr("has no column 'text', got: a, b"));
  EXPECT_THAT(error_of([] { csv(""); }), HasSubstr("is empty"));
}

TEST(Jsonl, TextAndFurtherKeys) {
  const auto rows = jsonl("{\"text\": \"a\\nb\", \"c\": \"d\", \"n\": 1}\n{\"text\":\"\",\"c\":\"\"}\r\n", {"text", "c"});
  EXPECT_THAT(texts_of(rows), ElementsAre("a\nb", ""));
  EXPECT_THAT(rows[0].fields, ElementsAre("d"));
  EXPECT_EQ(rows[1].line, 2U);
}

TEST(Jsonl, DamageIsNamed) {
  EXPECT_THAT(error_of([] { jsonl("{\"text\":\"a\"}\n\n"); }), HasSubstr("f.jsonl:2"));
  EXPECT_THAT(error_of([] { jsonl("{\"text\":1}\n"); }), HasSubstr("expected a string"));
  EXPECT_THAT(error_of([] { jsonl("[1]\n"); }), HasSubstr("expected an object"));
  EXPECT_THAT(error_of([] { jsonl("{\"txt\":\"a\"}\n"); }), HasSubstr("has no key 'text'"));
  EXPECT_THAT(error_of([] { jsonl("{\"text\":\"\xFF\"}\n"); }), HasSubstr("f.jsonl:1"));
  EXPECT_THAT(error_of([] { jsonl(std::string(100000, '[')); }), HasSubstr("f.jsonl:1"));
}

TEST(Jsonl, MessagesInPlaceOfTheTextWhereTheyAreWanted) {
  const std::string talk = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n";
  std::vector<InputRow> rows;
  make_jsonl_parser("f.jsonl", {"text"}, /*messages=*/true)->feed(talk + "{\"text\": \"b\"}\n", rows);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(json::serialize(rows[0].messages), R"([{"role":"user","content":"a"}])");
  EXPECT_TRUE(rows[1].messages.empty());
  EXPECT_THAT(error_of([&] { jsonl(talk); }), HasSubstr("has no key 'text'"));
  const std::string both = "{\"messages\": [], \"text\": \"b\"}\n";
  EXPECT_THAT(error_of([&] { make_jsonl_parser("f.jsonl", {"text"}, /*messages=*/true)->feed(both, rows); }),
              HasSubstr("has both 'text' and 'messages'"));
  EXPECT_THAT(texts_of(jsonl(both)), ElementsAre("b"));  // where no messages are wanted they are a key like any other
}

class InputsFile : public testing::Test {
 protected:
  InputsFile() : path_(std::filesystem::temp_directory_path() / fmt::format("citius_inputs_{}", ::getpid())) {
    std::filesystem::create_directory(path_);
  }
  ~InputsFile() override { std::filesystem::remove_all(path_); }
  InputOptions file(const std::string& name, std::string_view content) {
    write_file(path_ / name, content);
    InputOptions options;
    options.input = path_ / name;
    return options;
  }
  std::filesystem::path path_;
};

TEST_F(InputsFile, EndingDecides) {
  InputRow row;
  Inputs plain(file("a.txt", "x\n"));
  EXPECT_TRUE(plain.next(row));
  EXPECT_EQ(row.text, "x");
  EXPECT_FALSE(plain.next(row));
  EXPECT_FALSE(plain.single());
  InputOptions options = file("a.csv", "body\ny\n");
  options.text_column = "body";
  Inputs table(options);
  EXPECT_TRUE(table.next(row));
  EXPECT_EQ(row.text, "y");
  Inputs json(file("a.jsonl", "{\"text\":\"z\"}"));
  EXPECT_TRUE(json.next(row));
  EXPECT_EQ(row.text, "z");
}

TEST_F(InputsFile, RowsBeforeABadOneAreAnswered) {
  Inputs inputs(file("a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\noops\n"));
  EXPECT_EQ(inputs.next_batch(10).size(), 2U);
  EXPECT_THAT(error_of([&] { inputs.next_batch(10); }), HasSubstr("a.jsonl:3"));
}

TEST_F(InputsFile, OtherFormsThanTextAreRefused) {
  const auto first_of = [&](const std::string& name, std::string_view content) {
    return error_of([&] { Inputs(file(name, content)).next_batch(10); });
  };
  EXPECT_THAT(first_of("a.txt", "\x1F\x8B\x08\n\n"), HasSubstr("is gzip, expected text in UTF-8; gzip -dc"));
  EXPECT_THAT(first_of("a.csv", std::string_view("\xFF\xFEt\0\n\0", 6)), HasSubstr("is UTF-16"));
  EXPECT_THAT(first_of("a.jsonl", "\xFE\xFF"), HasSubstr("is UTF-16"));
  EXPECT_THAT(first_of("a.txt", "PAR1\x15\n"), HasSubstr("is Parquet"));
  EXPECT_THAT(first_of("a.npy", "\x93NUMPY\x01"), HasSubstr("is a NumPy array, expected text in UTF-8"));
  EXPECT_THAT(first_of("a.gguf", std::string("GGUF\x03\0\0\0", 8)), HasSubstr("is a GGUF model"));
  EXPECT_THAT(first_of("a.safetensors", std::string("\x40\0\0\0\0\0\0\0{\"a\"", 12)), HasSubstr("is safetensors"));
  EXPECT_EQ(Inputs(file("c.txt", "GGUF\n{\"\n")).next_batch(10).size(), 2U);
  EXPECT_EQ(Inputs(file("b.txt", "PAR1 and PK\n")).next_batch(10).size(), 1U);
}

TEST_F(InputsFile, LinesOfOneJsonDocumentAreTextsWithAWarning) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(Inputs(file("a.json", "[\n1]\n")).next_batch(10).size(), 2U);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("every line is taken as a text"));
}

TEST_F(InputsFile, WrongUseIsRefused) {
  InputOptions both = file("a.txt", "x\n");
  both.has_text = true;
  error_of([&] { Inputs inputs(both); }, ErrorKind::kUsage);
  InputOptions column = file("a.txt", "x\n");
  column.text_column = "text";
  error_of([&] { Inputs inputs(column); }, ErrorKind::kUsage);
  error_of([&] { Inputs inputs(file("b.txt", "x\n"), {"context"}); }, ErrorKind::kUsage);
  InputOptions missing;
  missing.input = path_ / "none.txt";
  error_of([&] { Inputs inputs(missing); });
}

TEST_F(InputsFile, ManyLinesGiveAsManyRowsInOrder) {
  std::string content;
  for (int i = 0; i < 50000; ++i) content += fmt::format("{}\n", i);
  Inputs inputs(file("a.txt", content));
  int next = 0;
  while (true) {
    const auto batch = inputs.next_batch(37);
    if (batch.empty()) break;
    EXPECT_LE(batch.size(), 37U);
    for (const InputRow& row : batch) EXPECT_EQ(row.text, std::to_string(next++));
  }
  EXPECT_EQ(next, 50000);
}

TEST(InputsText, AnEmptyArgumentIsAText) {
  InputOptions options;
  options.has_text = true;
  Inputs inputs(options);
  EXPECT_TRUE(inputs.single());
  InputRow row;
  EXPECT_TRUE(inputs.next(row));
  EXPECT_EQ(row.text, "");
  EXPECT_FALSE(inputs.next(row));
}

TEST(InputsStandardInput, ABatchDoesNotWaitForMore) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int saved = ::dup(STDIN_FILENO);
  ::dup2(ends[0], STDIN_FILENO);
  {
    Inputs inputs((InputOptions()));
    ASSERT_EQ(::write(ends[1], "a\nb\nc", 5), 5);
    EXPECT_THAT(texts_of(inputs.next_batch(10)), ElementsAre("a", "b"));
    ASSERT_EQ(::write(ends[1], "d\n", 2), 2);
    EXPECT_THAT(texts_of(inputs.next_batch(10)), ElementsAre("cd"));
    ::close(ends[1]);
    EXPECT_TRUE(inputs.next_batch(10).empty());
  }
  ::dup2(saved, STDIN_FILENO);
  ::close(saved);
  ::close(ends[0]);
}

}  // namespace
}  // namespace citius::cli
