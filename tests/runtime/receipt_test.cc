// Receipts: kernels that are right pass with every type of keys and values, and what a receipt does not allow is refused.
#include "runtime/receipt.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/tiny_model.h"

namespace citius {
namespace {

Engine tiny_engine(bool causal, const std::string& backend, const std::string& isa, Format format) {
  EngineOptions options;
  options.backend = backend;
  options.isa = isa;
  options.num_threads = 1;
  options.policy = [format](const WeightRecord&) { return format; };
  return test::make_engine(causal ? test::tiny_llama(/*C=*/64, /*F=*/96, /*V=*/96) : test::tiny_bert(/*C=*/64, /*F=*/96, /*V=*/96),
                           options);
}

bool passes(Engine& engine, const json::object& receipt) {
  try {
    check_receipt(engine, receipt);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFailed) << error.what();
    return false;
  }
}

TEST(Receipt, PassesWithEveryTypeOfKeysAndValues) {
  for (const bool causal : {true, false}) {
    for (const Format format : {Format::kF32, Format::kBF16, Format::kInt8, Format::kInt8G32}) {
      Engine reference = tiny_engine(causal, "ref", "", format);
      std::vector<Engine> engines;
      for (const std::string& isa : available_isas()) engines.push_back(tiny_engine(causal, "cpu", isa, format));
      for (uint64_t seed = 0; seed < 8; ++seed) {
        const json::object receipt = make_receipt(reference, seed);
        for (Engine& engine : engines) {
          for (const KvType type : {KvType::kF32, KvType::kBF16, KvType::kInt8}) {
            engine.kv_type = type;
            EXPECT_TRUE(passes(engine, receipt)) << fmt::format("{} {} {} {} seed {}", causal ? "decoder" : "encoder", format_name(format),
                                                                engine.backend->isa(), kv_type_info(type).name, seed);
            EXPECT_EQ(engine.kv_type, type);
          }
        }
      }
    }
  }
}

// Weights in fp32 leave no room for another rounding: it is bf16 that is replayed, and what the receipt adds for it that lets it pass.
TEST(Receipt, ReplaysWithKeysAndValuesInBf16) {
  for (const bool causal : {true, false}) {
    Engine reference = tiny_engine(causal, "ref", "", Format::kF32);
    json::object receipt = make_receipt(reference, /*seed=*/1);
    for (const std::string& isa : available_isas()) {
      Engine engine = tiny_engine(causal, "cpu", isa, Format::kF32);
      json::object strict = receipt, former = receipt;
      strict["bf16_keys_and_values"] = 0;
      former.erase("bf16_keys_and_values");
      engine.kv_type = KvType::kF32;
      EXPECT_TRUE(passes(engine, strict)) << isa;
      engine.kv_type = KvType::kBF16;
      EXPECT_FALSE(passes(engine, strict)) << isa;
      EXPECT_TRUE(passes(engine, former)) << isa;
      for (const double damaged : {-0.1, 2.0}) {
        strict["bf16_keys_and_values"] = damaged;
        EXPECT_THROW(check_receipt(engine, strict), Error) << isa;
      }
    }
  }
}

}  // namespace
}  // namespace citius
