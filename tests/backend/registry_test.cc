// What backends refuse alike, and that planning starts no threads.
#include <gtest/gtest.h>

#include <cstdlib>

#include "backend/backend.h"
#include "base/error.h"

namespace citius {
namespace {

// A variable that is put back.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    had_ = std::getenv(name) != nullptr;
    ::setenv(name, value, 1);
  }
  ~Variable() { had_ ? ::setenv(name_, old_.c_str(), 1) : ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::string old_;
  bool had_ = false;
};

TEST(Registry, EveryBackendRefusesWhatItDoesNotKnow) {
  EXPECT_THROW(make_backend("gpu"), Error);
  for (const char* name : {"cpu", "ref", "plan"}) {
    EXPECT_EQ(make_backend(name, {.num_threads = 1, .isa = available_isas().back()})->name(), name);
    EXPECT_THROW(make_backend(name, {.num_threads = 1, .isa = "nonsense"}), Error);
    const Variable isa("CITIUS_ISA", "nonsense");
    EXPECT_THROW(make_backend(name, {.num_threads = 1, .isa = ""}), Error);
  }
  for (const char* name : {"cpu", "ref"}) {
    const Variable trace("CITIUS_TRACE", "nonsense");
    EXPECT_THROW(make_backend(name, {.num_threads = 1, .isa = ""}), Error);
  }
}

TEST(Registry, PlansForThreadsThatItDoesNotStart) {
  const auto plan = make_backend("plan", {.num_threads = 900, .isa = ""});
  EXPECT_EQ(plan->num_threads(), 900);
  EXPECT_EQ(plan->threads().num_threads(), 1);
  EXPECT_EQ(make_backend("cpu", {.num_threads = 3, .isa = ""})->num_threads(), 3);
}

}  // namespace
}  // namespace citius
