// Any bytes as the receipt of a package, replayed on a tiny decoder: it agrees, disagrees or is refused, by an Error.
#include "base/error.h"
#include "base/json.h"
#include "runtime/receipt.h"
#include "support/tiny_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace citius;
  static Engine engine = [] {
    EngineOptions options;
    options.backend = "ref";
    options.num_threads = 1;
    return test::make_engine(test::tiny_llama(/*C=*/16, /*F=*/16, /*V=*/24, /*layers=*/1), options);
  }();
  try {
    const json::value value = parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
    check_receipt(engine, JsonObject(value, "fuzz").object());
  } catch (const Error&) {
  }
  return 0;
}
