// Any bytes as a chat template, rendered over a small conversation with a small budget. Whatever the template does, it
// ends in text or in Error{kInput}, soon and without memory errors.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/text.h"

namespace {

using citius::jinja::Runtime;
using citius::jinja::Value;

Value make_message(Runtime& runtime, const char* role, const char* content) {
  citius::jinja::Dict message;
  runtime.set_item(message, runtime.str("role"), runtime.str(role));
  runtime.set_item(message, runtime.str("content"), runtime.str(content));
  return runtime.dict(std::move(message));
}

void render(std::string_view source) {
  const citius::jinja::Template compiled = citius::jinja::parse_template(source);
  Runtime runtime(/*max_work=*/200'000, /*max_bytes=*/size_t{8} << 20);
  citius::jinja::Interpreter interpreter(compiled, runtime, [] { return std::tm{}; });
  interpreter.set_variable("bos_token", runtime.str("<s>"));
  interpreter.set_variable("add_generation_prompt", true);
  interpreter.set_variable("tools", citius::jinja::None{});
  interpreter.set_variable("n", int64_t{3});
  interpreter.set_variable("f", 2.5);
  interpreter.set_variable(
      "messages", runtime.list({make_message(runtime, "system", "Grüße \xF0\x9F\x99\x82"), make_message(runtime, "user", " a b\n")}));
  const std::string out = interpreter.render();
  if (citius::jinja::find_invalid_utf8(out) != std::string::npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  if (citius::jinja::find_invalid_utf8(source) != std::string_view::npos) return 0;
  try {
    render(source);
  } catch (const citius::Error& error) {
    if (error.kind() != citius::ErrorKind::kInput) std::abort();
  }
  return 0;
}
