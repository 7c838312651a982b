// The whole loop on a tiny model with random weights.
#include "search/optimize.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "search/package_writer.h"

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
  const OptimizeOptions strict = options("kl<=-1");
  const Report report = optimize(strict);
  EXPECT_FALSE(report.changed());
  for (const Candidate& candidate : report.candidates) {
    EXPECT_FALSE(candidate.passed);
    EXPECT_FALSE(candidate.reason.empty());
  }
  EXPECT_EQ(kernels_of(strict.out, {}), kernels_of(strict.model, {}));
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

TEST_F(Optimize, AReceiptThatDisagreesIsRefused) {
  OptimizedPackage package;
  package.directory = directory_ / "package";
  package.num_threads = 1;
  write_optimized(open_checkpoint(options("").model), package);
  EXPECT_NO_THROW(open_engine(package.directory));
  json::value citius = read_json(package.directory / "citius.json");
  json::value& probe = citius.at("receipt").at("probes").at(0);
  probe.at("hidden").at(0) = probe.at("hidden").at(0).to_number<double>() + 3.0;
  write_file(package.directory / "citius.json", json::serialize(citius));
  try {
    open_engine(package.directory);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFailed) << error.what();
  }
}

}  // namespace
}  // namespace citius
