// Chat templates against what transformers renders: whole conversations over the templates of many model families,
// where a template comes from, and what hostile templates and conversations meet.
#include "tokenizer/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/file.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(CITIUS_TEST_DIR) / "golden" / "chat_templates";

/// 26 July 2024, 14:05:09, a Friday: the clock of the goldens.
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

ChatTemplate make(const std::string& source) { return {source, "<s>", "</s>", fixed_clock}; }

std::string render(const std::string& source, const json::array& messages = {}, const json::object& extra = {}) {
  return make(source).render(messages, /*add_generation_prompt=*/false, extra);
}

/// The message of the error, or "no error".
std::string error_of(const std::string& source, const json::array& messages = {}, const json::object& extra = {}) {
  try {
    render(source, messages, extra);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "no error";
}

const json::array kHello = {{{"role", "user"}, {"content", "Hello"}}};

/// Checks every case of a file and returns how many there were.
int check_cases(const fs::path& path) {
  std::map<std::string, ChatTemplate> templates;
  std::ifstream file(path);
  int count = 0, wrong = 0;
  for (std::string line; std::getline(file, line) && wrong < 20; ++count) {
    const json::value row = parse_json(line, path.string());
    const json::object& test = row.as_object();
    const std::string name(test.at("template").as_string());
    auto it = templates.find(name);
    if (it == templates.end()) {
      it = templates.emplace(name, make(read_file(kGolden / "templates" / name, 1 << 20))).first;
    }
    std::optional<std::string> got;
    std::string message;
    try {
      got = it->second.render(test.at("messages").as_array(), test.at("add_generation_prompt").as_bool(), test.at("extra").as_object());
    } catch (const Error& error) {
      message = error.what();
    }
    std::optional<std::string> expected;
    if (!test.at("expected").is_null()) expected = std::string(test.at("expected").as_string());
    if (got != expected) {
      ++wrong;
      ADD_FAILURE() << path << " line " << count + 1 << ", " << name << "\n"
                    << "got      " << got.value_or("error: " + message) << "\n"
                    << "expected " << expected.value_or("an error") << "\n"
                    << json::serialize(test.at("messages")) << json::serialize(test.at("extra"));
    }
  }
  return count;
}

TEST(ChatTemplate, ConversationsEqualTransformers) { EXPECT_EQ(check_cases(kGolden / "chats.jsonl"), 96); }

TEST(ChatTemplate, MoreConversations) {
  const char* path = std::getenv("CITIUS_CHAT_CASES");
  if (path == nullptr) GTEST_SKIP() << "set CITIUS_CHAT_CASES to a file that make.py --sweep wrote";
  EXPECT_GT(check_cases(path), 0);
}

TEST(ChatTemplate, TokensAreVariablesOnlyWhereTheModelHasThem) {
  EXPECT_EQ(render("{{ bos_token }}|{{ eos_token }}"), "<s>|</s>");
  const ChatTemplate bare("{{ bos_token is defined }}{{ bos_token }}", "", "");
  EXPECT_EQ(bare.render({}, false), "False");
  EXPECT_EQ(render("{{ tools is none }}{{ documents is none }}{{ enable_thinking is defined }}"), "TrueTrueFalse");
}

TEST(ChatTemplate, RaiseExceptionIsAnInputErrorWithLineAndMessage) {
  EXPECT_THAT(error_of("a\nb\n{{ raise_exception('no system role') }}"),
              testing::AllOf(testing::HasSubstr("line 3"), testing::HasSubstr("no system role")));
  EXPECT_THAT(error_of("{{ messages[5].role }}"), testing::HasSubstr("has no attribute or element '5'"));
  EXPECT_THAT(error_of("{{ nothing.role }}"), testing::HasSubstr("'nothing' is undefined"));
}

TEST(ChatTemplate, ClockIsInjectable) {
  EXPECT_EQ(render("{{ strftime_now('%d %B %Y, %H:%M') }}"), "26 July 2024, 14:05");
  const ChatTemplate local("{{ strftime_now('%Y') }}", "", "");
  EXPECT_GE(std::stoi(local.render({}, false)), 2024);
}

TEST(ChatTemplate, ReasoningStandsUnderItsStandardName) {
  const json::array messages = {{{"role", "assistant"}, {"content", "a"}, {"reasoning", "why"}}};
  EXPECT_EQ(render("{{ messages[0].reasoning_content }}{{ messages[0].thinking }}", messages), "whywhy");
}

TEST(ChatTemplate, RendersFromManyThreads) {
  const ChatTemplate chat = make("{% for m in messages %}{{ m.role | upper }}{{ loop.index }}{% endfor %}");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 200; ++k) EXPECT_EQ(chat.render(kHello, false), "USER1");
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Where templates come from

class Directory : public testing::Test {
 protected:
  void SetUp() override {
    path_ = fs::path(testing::TempDir()) / ("citius_chat_" + std::to_string(::getpid()));
    fs::create_directories(path_);
  }
  void TearDown() override { fs::remove_all(path_); }
  fs::path path_;
};

TEST_F(Directory, NothingThere) { EXPECT_FALSE(ChatTemplate::from_directory(path_)); }

TEST_F(Directory, TokenizerConfigWithOneTemplate) {
  write_file(path_ / "tokenizer_config.json",
             R"({"bos_token": {"content": "<B>"}, "eos_token": "<E>", "chat_template": "{{ bos_token }}1{{ eos_token }}"})");
  EXPECT_EQ(ChatTemplate::from_directory(path_)->render(kHello, false), "<B>1<E>");
}

TEST_F(Directory, TokenizerConfigWithNamedTemplates) {
  write_file(path_ / "tokenizer_config.json",
             R"({"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"},
                                   {"name": "rag", "template": "documents"}]})");
  const auto chat = ChatTemplate::from_directory(path_);
  EXPECT_EQ(chat->render(kHello, false), "plain");
  EXPECT_EQ(chat->render(kHello, false, {{"tools", json::array{}}}), "tools");
  EXPECT_EQ(chat->render(kHello, false, {}, "rag"), "documents");
  EXPECT_THAT(chat->names(), testing::ElementsAre("default", "tool_use", "rag"));
  try {
    chat->render(kHello, false, {}, "other");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), testing::HasSubstr("default, tool_use, rag"));
  }
}

TEST_F(Directory, FilesGoBeforeTheConfiguration) {
  write_file(path_ / "tokenizer_config.json", R"({"bos_token": "<B>", "chat_template": "config"})");
  write_file(path_ / "chat_template.json", R"({"chat_template": "json {{ bos_token }}"})");
  EXPECT_EQ(ChatTemplate::from_directory(path_)->render(kHello, false), "json <B>");
  write_file(path_ / "chat_template.jinja", "jinja {{ bos_token }}");
  EXPECT_EQ(ChatTemplate::from_directory(path_)->render(kHello, false), "jinja <B>");
  fs::create_directories(path_ / "additional_chat_templates");
  write_file(path_ / "additional_chat_templates" / "rag.jinja", "more");
  EXPECT_EQ(ChatTemplate::from_directory(path_)->render(kHello, false, {}, "rag"), "more");
}

TEST_F(Directory, WrongTypesAreErrors) {
  for (const char* config : {R"({"chat_template": 5})", R"({"chat_template": [5]})", R"({"chat_template": []})",
                             R"({"chat_template": [{"name": "default"}]})", R"({"chat_template": "{% if %}"})"}) {
    write_file(path_ / "tokenizer_config.json", config);
    if (std::string(config).find("[]") != std::string::npos) {
      EXPECT_FALSE(ChatTemplate::from_directory(path_)) << config;
    } else {
      EXPECT_THROW(ChatTemplate::from_directory(path_), Error) << config;
    }
  }
}

// Bad input

TEST(ChatTemplateBadInput, MessagesThatAreNoConversation) {
  EXPECT_THAT(error_of("x", {5}), testing::HasSubstr("a message is not an object"));
  json::value deep = "x";
  for (int i = 0; i < 200; ++i) deep = json::array{deep};
  EXPECT_THAT(error_of("x", {{{"role", deep}}}), testing::HasSubstr("nested deeper"));
  EXPECT_THAT(error_of("{{ n }}", {}, {{"n", UINT64_MAX}}), testing::HasSubstr("64 bits"));
}

TEST(ChatTemplateBadInput, InvalidUtf8IsReplacedInMessagesAndRefusedInTemplates) {
  json::array messages = {{{"role", "user"}, {"content", "a\xFF\xC3(b"}}};
  EXPECT_EQ(render("{{ messages[0].content }}", messages), "a\uFFFD\uFFFD(b");
  EXPECT_THAT(error_of("abc\xFF"), testing::HasSubstr("not valid UTF-8 at byte 3"));
}

/// Templates that would run for ever or take all memory, each with a word of the error that stops it.
class Hostile : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(Hostile, IsStopped) { EXPECT_THAT(error_of(GetParam().first, kHello), testing::HasSubstr(GetParam().second)); }

INSTANTIATE_TEST_SUITE_P(
    ChatTemplateBadInput, Hostile,
    testing::Values(
        std::pair{"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "more work"},
        std::pair{"{% set ns = namespace(s='x') %}{% for a in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "more memory"},
        std::pair{"{{ 'x' * 10000000000 }}", "more memory"}, std::pair{"{{ [0] * 10000000000 }}", "more"},
        std::pair{"{{ 'x' * 9223372036854775807 * 9223372036854775807 }}", "more memory"},
        std::pair{"{{ '%2000000000d' % 1 }}", "more memory"}, std::pair{"{{ 'a'.center(2000000000) }}", "more memory"},
        std::pair{"{{ 'a'.zfill(2000000000) }}", "more memory"}, std::pair{"{{ '\\t'.expandtabs(2000000000) }}", "more memory"},
        std::pair{"{{ '{:2000000000}'.format(1) }}", "more memory"}, std::pair{"{{ 'a' | indent(2000000000, true) }}", "more memory"},
        std::pair{"{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}", "more memory"},
        std::pair{"{{ ('a' * 1000000) | replace('', 'b' * 1000000) }}", "more memory"},
        std::pair{"{{ ('b' * 100000).join('a' * 100000) }}", "more memory"},
        std::pair{"{{ range(100000) | list | batch(100000, 'x' * 100000) | map('join') | list }}", "no error"},
        std::pair{"{{ [1] | batch(1000000000, 'x') | list }}", "more memory"}, std::pair{"{{ [1] | slice(1000000000) | list }}", "more"},
        std::pair{"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recurses too deep"},
        std::pair{"{% macro m(x) %}{{ m(x + x) }}{% endmacro %}{{ m('aaaaaaaa') }}", "more memory"},
        std::pair{"{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "recurses too deep"},
        std::pair{"{% set ns = namespace(l=[]) %}{% for a in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}", "nested deeper"},
        std::pair{"{% set ns = namespace(l=[1]) %}{% for a in range(1000) %}{% set ns.l = ns.l | map('upper') %}"
                  "{% endfor %}",
                  "nested deeper"},
        std::pair{"{% set ns = namespace(l=[1, 1]) %}{% for a in range(40) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}"
                  "{{ ns.l }}",
                  "more"},
        std::pair{"{% set ns = namespace(l=[1, 1]) %}{% for a in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}"
                  "{{ ns.l == [ns.l[0], ns.l[1][:]] and ns.l in [[ns.l[:], 0]] }}{{ ns.l | tojson }}",
                  "more"},
        std::pair{"{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", "nested too deep"},
        std::pair{"{% set ns = namespace() %}{% for a in range(100000) %}{% set ns.a = namespace(b=ns.a) %}{% endfor %}ok", "no error"},
        std::pair{"{% set ns = namespace(m=none) %}{% for a in range(20000) %}{% macro m(x=ns.m) %}{% endmacro %}"
                  "{% set ns.m = m %}{% endfor %}ok",
                  "no error"},
        std::pair{"{% macro m() %}{% set ns.c = caller %}{% endmacro %}{% set ns = namespace(c=none) %}"
                  "{% for a in range(20000) %}{% set c = ns.c %}{% call m() %}{{ c }}{% endcall %}{% endfor %}ok",
                  "no error"},
        std::pair{"{{ 2 ** 100 }}", "64 bits"}, std::pair{"{{ range(10000000000) }}", "at most 100000"},
        std::pair{"{{ 99999999999999999999 }}", "64 bits"}));

TEST(ChatTemplateBadInput, DeepSourceIsRefused) {
  const auto repeat = [](const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
  };
  for (const int times : {1000, 100000}) {
    EXPECT_THAT(error_of("{{ " + repeat("(", times) + "1" + repeat(")", times) + " }}"), testing::HasSubstr("deeper"));
    EXPECT_THAT(error_of("{{ " + repeat("[", times) + repeat("]", times) + " }}"), testing::HasSubstr("deeper"));
    EXPECT_THAT(error_of("{{ " + repeat("not ", times) + "1 }}"), testing::HasSubstr("deeper"));
    EXPECT_THAT(error_of("{{ " + repeat("-", times) + "1 }}"), testing::HasSubstr("deeper"));
    EXPECT_THAT(error_of("{{ " + repeat("1 if 1 else ", times) + "1 }}"), testing::HasSubstr("deeper"));
    EXPECT_THAT(error_of("{{ 1" + repeat(" + 1", times) + " }}"), testing::HasSubstr("levels"));
    EXPECT_THAT(error_of("{{ 1" + repeat("|abs", times) + " }}"), testing::HasSubstr("levels"));
    EXPECT_THAT(error_of("{{ a" + repeat(".b", times) + " }}"), testing::HasSubstr("levels"));
    EXPECT_THAT(error_of(repeat("{% if 1 %}", times)), testing::HasSubstr("deeper"));
    EXPECT_THAT(error_of(repeat("{% macro m() %}", times)), testing::HasSubstr("deeper"));
  }
  EXPECT_EQ(render("{{ 1" + repeat(" ~ 1", 5000) + " }}").size(), 5001u);
  EXPECT_EQ(render("{% if 0 %}" + repeat("{% elif 0 %}", 20000) + "{% else %}x{% endif %}"), "x");
}

TEST(ChatTemplateBadInput, LongConversationsRender) {
  json::array messages;
  for (int i = 0; i < 20000; ++i) {
    messages.push_back({{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", std::string(200, 'a')}});
  }
  const std::string source = read_file(kGolden / "templates" / "qwen3_thinking.jinja", 1 << 20);
  EXPECT_GT(render(source, messages).size(), 4'000'000u);
  const json::array big = {{{"role", "user"}, {"content", std::string(16 << 20, 'a')}}};
  EXPECT_GT(render(source, big).size(), size_t{16} << 20);
}

TEST(ChatTemplateBadInput, TruncatedTemplatesNeverCrash) {
  for (const auto& entry : fs::directory_iterator(kGolden / "templates")) {
    const std::string source = read_file(entry.path(), 1 << 20);
    for (size_t size = 0; size < source.size(); size += 37) {
      try {
        render(source.substr(0, size), kHello);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kInput);
      }
    }
  }
}

}  // namespace
}  // namespace citius
