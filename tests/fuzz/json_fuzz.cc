// Any bytes as JSON, and as a configuration.
#include "base/error.h"
#include "base/json.h"
#include "io/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace citius;
  try {
    const json::value value = parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
    const json::object config = normalize_config(JsonObject(value, "fuzz").object(), "fuzz");
    const JsonObject object(config, "fuzz");
    for (const char* key : {"hidden_size", "rope_theta", "model_type"}) {
      if (object.has(key)) (void)object.get_int(key);
    }
  } catch (const Error&) {
  }
  return 0;
}
