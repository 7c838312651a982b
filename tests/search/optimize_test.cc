// The whole loop on a tiny model with random weights.
#include "search/optimize.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "io/package_digest.h"
#include "runtime/decoder.h"
#include "search/environment.h"
#include "search/package_writer.h"
#include "search/remeasure.h"

namespace citius {
namespace {

class Optimize : public ::testing::Test {
 protected:
  Optimize() : directory_(std::filesystem::temp_directory_path() / fmt::format("citius_optimize_{}", ::getpid())) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~Optimize() override { std::filesystem::remove_all(directory_); }

  OptimizeOptions options(const std::string& budget) const {
    OptimizeOptions options;
    options.model = std::string(CITIUS_TEST_DIR) + "/golden/models/llama";
    options.out = directory_ / "package";
    options.goal = "memory";  // the outcome must not hang on the clock
    options.budget = budget;
    options.num_windows = 4;
    options.race_seconds = 0.01;
    options.num_threads = 1;
    return options;
  }

  std::filesystem::path directory_;
};

std::set<std::string> kernels_of(const std::filesystem::path& path, const FormatPolicy& policy) {
  EngineOptions options;
  options.num_threads = 1;
  options.policy = policy;
  std::set<std::string> kernels;
  const Engine engine = open_engine(path, options);
  for (const WeightRecord& record : engine.loaded.load.records) {
    if (place_of(record.name).layer >= 0) kernels.insert(std::string(format_name(record.format)) + " " + record.kernel);
  }
  return kernels;
}

TEST_F(Optimize, ChoosesWritesAndReloads) {
  const OptimizeOptions wide = options("kl<=100,top1>=0,ppl_ratio<=100");
  const Report report = optimize(wide);
  ASSERT_TRUE(report.changed());
  EXPECT_GT(report.choice().speedup.value, 1.5);
  EXPECT_TRUE(report.verifications.back().passed);
  EXPECT_FALSE(std::filesystem::exists(wide.out.string() + ".partial"));
  const json::value file = read_json(wide.out / "report.json");
  EXPECT_TRUE(file.at("changed").as_bool());
  EXPECT_TRUE(std::filesystem::exists(wide.out / "report.html"));
  // The package runs what was measured: the same formats by the same kernels as the model converted on loading.
  const FormatPolicy policy = make_policy(report.choice().plan, plan_target(open_engine(wide.model).model()));
  EXPECT_EQ(kernels_of(wide.out, {}), kernels_of(wide.model, policy));
}

TEST_F(Optimize, ABudgetThatNothingMeetsLeavesTheModelAsGiven) {
  const OptimizeOptions strict = options("kl<=0");
  const Report report = optimize(strict);
  EXPECT_FALSE(report.changed());
  for (const Candidate& candidate : report.candidates) {
    EXPECT_FALSE(candidate.passed);
    EXPECT_FALSE(candidate.reason.empty());
  }
  EXPECT_EQ(kernels_of(strict.out, {}), kernels_of(strict.model, {}));
}

// The model is so narrow that most formats fall back to the same few.
TEST_F(Optimize, NoPlanIsTriedTwiceUnderTwoNames) {
  for (const char* goal : {"memory", "latency"}) {
    OptimizeOptions wide = options("kl<=100");
    wide.goal = goal;
    wide.out = directory_ / goal;
    const Report report = optimize(wide);
    Engine source = open_engine(wide.model);
    const Decoder decoder(source, kKvBlock);  // loads the output layer
    std::set<std::vector<Format>> seen;
    const auto is_new = [&](const FormatPlan& plan) {
      const FormatPolicy policy = make_policy(plan, plan_target(source.model()));
      std::vector<Format> formats;
      for (const WeightRecord& record : source.loaded.load.records) formats.push_back(policy(record));
      return seen.insert(std::move(formats)).second;
    };
    EXPECT_TRUE(is_new({}));
    EXPECT_FALSE(report.candidates.empty());
    for (const Candidate& candidate : report.candidates) EXPECT_TRUE(is_new(candidate.plan)) << goal << " " << candidate.plan.name;
  }
}

// Where candidates run by fp32 activations, the report names the kernels of that.
TEST_F(Optimize, ExactCandidatesRunExactly) {
  OptimizeOptions exact = options("kl<=100");
  exact.compute = Compute::kExact;
  const Report report = optimize(exact);
  EXPECT_EQ(report_json(report).at("compute").as_string(), "exact");
  size_t differ = 0;
  for (const Candidate& candidate : report.candidates) {
    if (!candidate.measured) continue;
    const auto kernels = [&](Compute compute) {
      EngineOptions engine;
      engine.num_threads = 1;
      engine.compute = compute;
      engine.policy = make_policy(candidate.plan, plan_target(open_engine(exact.model, engine).model()));
      Engine loaded = open_engine(exact.model, engine);
      const Decoder decoder(loaded, kKvBlock);  // loads the output layer
      std::set<std::string> names;
      for (const WeightRecord& record : loaded.loaded.load.records) names.insert(record.kernel);
      return std::vector<std::string>(names.begin(), names.end());
    };
    EXPECT_EQ(candidate.kernels, kernels(Compute::kExact)) << candidate.plan.name;
    differ += candidate.kernels != kernels(Compute::kFast) ? 1 : 0;
  }
  EXPECT_GT(differ, 0U);
}

TEST_F(Optimize, WrongBudgetAndForeignDirectoryAreUsage) {
  EXPECT_THROW(optimize(options("cosine>=0.99")), Error);
  const OptimizeOptions other = options("");
  std::filesystem::create_directories(other.out);
  write_file(other.out / "precious.txt", "keep me");
  try {
    optimize(other);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
  EXPECT_TRUE(std::filesystem::exists(other.out / "precious.txt"));
}

TEST_F(Optimize, OneFormatRunsOneKernelWhateverItCameFrom) {
  // The base is the file in its own format, a candidate the file converted to it: no gain is shown against a slow base.
  const OptimizeOptions wide = options("");
  Engine source = open_engine(wide.model);
  const PlanTarget target = plan_target(source.model());
  for (const std::string& name : plan_names()) {
    OptimizedPackage package;
    package.directory = directory_ / name;
    package.policy = make_policy(plan_of_name(name), target);
    package.num_threads = 1;
    write_optimized(source.checkpoint, package);
    EXPECT_EQ(kernels_of(package.directory, {}), kernels_of(wide.model, package.policy)) << name;
  }
}

TEST_F(Optimize, TheSeedDecidesTheTextAndWithItEveryQuality) {
  OptimizeOptions first = options("kl<=100");
  first.seed = 3;
  first.max_seconds = 1000;
  OptimizeOptions again = first, other = first;
  again.out = directory_ / "again";
  other.out = directory_ / "other";
  other.seed = 4;
  const Report a = optimize(first), b = optimize(again), c = optimize(other);
  ASSERT_EQ(a.candidates.size(), b.candidates.size());
  for (size_t i = 0; i < a.candidates.size(); ++i) {
    EXPECT_EQ(a.candidates[i].plan.name, b.candidates[i].plan.name);
    EXPECT_EQ(a.candidates[i].quality.at("kl_mean").value, b.candidates[i].quality.at("kl_mean").value);
  }
  EXPECT_EQ(a.choice().plan.name, b.choice().plan.name);
  EXPECT_NE(a.candidates.front().quality.at("kl_mean").value, c.candidates.front().quality.at("kl_mean").value);
}

TEST_F(Optimize, GoesOnWhereItWasInterrupted) {
  const OptimizeOptions wide = options("kl<=100");
  size_t loads = 0;
  const auto stop_at_third = [&](const std::string& step, double) {
    if (step.ends_with(": load") && ++loads == 3) fail(ErrorKind::kInterrupted, "test", "stop");
  };
  EXPECT_THROW(optimize(wide, stop_at_third), Error);
  EXPECT_FALSE(std::filesystem::exists(wide.out));
  ASSERT_TRUE(std::filesystem::exists(wide.out.string() + ".partial"));
  std::set<std::string> loaded;
  const Report report = optimize(wide, [&](const std::string& step, double) {
    if (step.ends_with(": load")) loaded.insert(step);
  });
  // Two were measured before.
  EXPECT_EQ(loaded.size() + 2, report.candidates.size());
  EXPECT_FALSE(std::filesystem::exists(wide.out.string() + ".partial"));
}

TEST_F(Optimize, TimeThatIsUpLeavesTheModelAsGivenAndSaysSo) {
  OptimizeOptions hasty = options("kl<=100");
  hasty.max_seconds = 1e-6;
  const Report report = optimize(hasty);
  EXPECT_FALSE(report.changed());
  ASSERT_FALSE(report.candidates.empty());
  for (const Candidate& candidate : report.candidates) {
    EXPECT_FALSE(candidate.measured);
    EXPECT_NE(candidate.reason.find("too little of the"), std::string::npos) << candidate.reason;
  }
  EXPECT_NO_THROW(open_engine(hasty.out));
}

TEST_F(Optimize, TheGoalDecidesWhatIsTimedAndWhatCounts) {
  OptimizeOptions throughput = options("kl<=100"), latency = options("kl<=100"), memory = options("kl<=100");
  throughput.goal = "throughput";
  latency.goal = "latency";
  throughput.max_seconds = latency.max_seconds = 1e-6;
  const Report many = optimize(throughput), one = optimize(latency), small = optimize(memory);
  EXPECT_NE(many.workload.find("16 sequences"), std::string::npos) << many.workload;
  EXPECT_NE(one.workload.find("one sequence"), std::string::npos) << one.workload;
  ASSERT_TRUE(small.changed());
  for (const Candidate& candidate : small.candidates) {
    if (!candidate.measured || !candidate.passed) continue;
    EXPECT_LE(small.choice().weight_bytes, candidate.weight_bytes) << candidate.plan.name;
    EXPECT_DOUBLE_EQ(candidate.speedup.value, small.base.weight_bytes / candidate.weight_bytes);
  }
  OptimizeOptions wrong = options("");
  wrong.goal = "beauty";
  EXPECT_THROW(optimize(wrong), Error);
}

TEST_F(Optimize, RatesAgreeWithSpeedups) {
  OptimizeOptions latency = options("kl<=100");
  latency.goal = "latency";
  latency.max_seconds = 1000;
  const Report report = optimize(latency);
  size_t measured = 0;
  for (const Candidate& candidate : report.candidates) {
    if (!candidate.measured) continue;
    ++measured;
    // The same medians divided in another order.
    EXPECT_NEAR(candidate.units_per_s / report.base.units_per_s, candidate.speedup.value, 1e-9 * candidate.speedup.value);
    EXPECT_NEAR(report.base.median_ms / candidate.median_ms, candidate.speedup.value, 1e-9 * candidate.speedup.value);
  }
  EXPECT_GT(measured, 2u);
}

TEST_F(Optimize, NothingIsBegunThatCannotBeVerifiedInTime) {
  // The base takes 0.5 s or more; a candidate and its verification race for 1 s each.
  OptimizeOptions hasty = options("kl<=100");
  hasty.race_seconds = 0.5;
  hasty.max_seconds = 2;
  for (const Candidate& candidate : optimize(hasty).candidates) EXPECT_FALSE(candidate.measured) << candidate.plan.name;
}

TEST_F(Optimize, TheDigestIsOfTheModelAlone) {
  const std::filesystem::path model = directory_ / "model";
  std::filesystem::copy(options("").model, model);
  const std::string digest = model_digest(open_checkpoint(model));
  std::filesystem::create_directories(model / "opt.partial");
  write_file(model / "opt.partial/journal.jsonl", "{}");
  write_file(model / "pytorch_model.bin", "weights of another kind");
  EXPECT_EQ(model_digest(open_checkpoint(model)), digest);
  write_file(model / "generation_config.json", "{}");
  EXPECT_NE(model_digest(open_checkpoint(model)), digest);
}

TEST_F(Optimize, WhatWasTamperedWithIsRefused) {
  OptimizedPackage package;
  package.directory = directory_ / "package";
  package.num_threads = 1;
  write_optimized(open_checkpoint(options("").model), package);
  const auto kind_of_opening = [&]() -> std::optional<ErrorKind> {
    try {
      open_engine(package.directory);
      return std::nullopt;
    } catch (const Error& error) {
      return error.kind();
    }
  };
  EXPECT_EQ(kind_of_opening(), std::nullopt);
  const std::filesystem::path weights = package.directory / "model.safetensors", citius = package.directory / "citius.json";
  const std::string bytes = read_file(weights, 1 << 24), text = read_file(citius, 1 << 24);
  // One bit of one weight, too little for any tolerance to notice.
  std::string changed = bytes;
  changed[changed.size() - 4] = static_cast<char>(changed[changed.size() - 4] ^ 1);
  write_file(weights, changed);
  EXPECT_EQ(kind_of_opening(), ErrorKind::kInput);
  write_file(weights, bytes);
  // A receipt that allows anything.
  json::value document = parse_json(text, "citius.json");
  document.at("receipt").at("tolerance") = 0.99;
  write_file(citius, json::serialize(document));
  EXPECT_EQ(kind_of_opening(), ErrorKind::kInput);
  // Somebody who mends the digest as well meets the replay.
  document = parse_json(text, "citius.json");
  json::value& number = document.at("receipt").at("probes").at(0).at("hidden").at(0);
  number = number.to_number<double>() + 3.0;
  write_file(citius, sealed_citius(document.as_object()));
  EXPECT_EQ(kind_of_opening(), ErrorKind::kFailed);
  write_file(citius, text);
  EXPECT_EQ(kind_of_opening(), std::nullopt);
  // What would be read and was not there; licences and notes are not read.
  for (const char* name : {"chat_template.jinja", "special_tokens_map.json", "generation_config.json", "metadata.gguf"}) {
    write_file(package.directory / name, "{}");
    EXPECT_EQ(kind_of_opening(), ErrorKind::kInput) << name;
    std::filesystem::remove(package.directory / name);
  }
  write_file(package.directory / "LICENSE", "free");
  write_file(package.directory / "notes.json", "{}");
  write_file(package.directory / "tokenizer.model", "for another tool");
  EXPECT_EQ(kind_of_opening(), std::nullopt);
  std::filesystem::remove(package.directory / "config.json");
  EXPECT_EQ(kind_of_opening(), ErrorKind::kInput);
}

TEST_F(Optimize, APackageThatDoesNotTellItsModelIsNotReplaced) {
  OptimizedPackage package;
  package.directory = directory_ / "package";
  package.num_threads = 1;
  package.recipe = {{"source_digest", "this"}};
  write_optimized(open_checkpoint(options("").model), package);
  EXPECT_NO_THROW(refuse_other_model(package.directory, "this"));
  EXPECT_THROW(refuse_other_model(package.directory, "that"), Error);
  const std::filesystem::path citius = package.directory / "citius.json";
  json::value document = read_json(citius);
  document.at("recipe").as_object().erase("source_digest");
  write_file(citius, json::serialize(document));
  EXPECT_THROW(refuse_other_model(package.directory, "this"), Error);
  EXPECT_THROW(refuse_other_model(package.directory, ""), Error);
}

TEST_F(Optimize, ElsewhereAPackageIsMeasuredAgain) {
  const std::vector<std::string> isas = available_isas();
  if (isas.size() < 2) GTEST_SKIP() << "one instruction set only";
  for (const char* name : {"llama", "gpt2"}) {  // gpt2: weights that the source stores transposed
    OptimizeOptions wide = options("kl<=100");
    wide.model = std::string(CITIUS_TEST_DIR) + "/golden/models/" + name;
    wide.out = directory_ / name;
    wide.isa = isas.front();
    ASSERT_TRUE(optimize(wide).changed());
    EngineOptions here;
    here.num_threads = 1;
    here.isa = isas.front();
    Engine same = open_engine(wide.out, here);
    EXPECT_EQ(made_for_other_isa(same), "");
    here.isa = isas.back();
    Engine memory = open_engine(wide.out, here);
    EXPECT_EQ(made_for_other_isa(memory), "") << "bytes are the same everywhere";
    // The same package, had it been made to be fast.
    json::value citius = read_json(wide.out / "citius.json", 1 << 24);
    citius.at("recipe").at("goal") = "latency";
    write_file(wide.out / "citius.json", sealed_citius(citius.as_object()));
    Engine fast = open_engine(wide.out, here);
    EXPECT_EQ(made_for_other_isa(fast), isas.front());
    const Estimate speedup = remeasure(fast);
    EXPECT_GT(speedup.value, 0);
    EXPECT_LE(speedup.low, speedup.high);
    EXPECT_NE(remeasure_key(fast), remeasure_key(same));
  }
}

TEST(Candidates, LayersAreKeptFinerAtEitherEndAndWhereItHurtsMost) {
  FormatPlan coarse = plan_of_name("int4-g32"), given;
  const int64_t ranking[] = {5, 2, 0, 7, 1, 3, 4, 6};
  std::map<std::string, std::set<int64_t>> kept;
  for (const FormatPlan& plan : mixed_plans(coarse, given, ranking, 8)) {
    EXPECT_EQ(plan.body, Format::kInt4G32);
    for (const auto& [layer, format] : plan.layers) {
      EXPECT_EQ(format, std::nullopt);
      kept[plan.name].insert(layer);
    }
  }
  const std::string start = "int4-g32, ";
  EXPECT_EQ(kept.at(start + "first layer as given"), (std::set<int64_t>{0}));
  EXPECT_EQ(kept.at(start + "last layer as given"), (std::set<int64_t>{7}));
  EXPECT_EQ(kept.at(start + "first and last layer as given"), (std::set<int64_t>{0, 7}));
  EXPECT_EQ(kept.at(start + "most sensitive quarter as given"), (std::set<int64_t>{5, 2}));
  EXPECT_EQ(kept.at(start + "most sensitive half as given"), (std::set<int64_t>{5, 2, 0, 7}));
}

}  // namespace
}  // namespace citius
