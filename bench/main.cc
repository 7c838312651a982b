// main() of every benchmark program: each registers its own.
#include <benchmark/benchmark.h>

#include <cstdio>

#include "base/error.h"
#include "benchmarks.h"

int main(int argc, char** argv) {
  try {
    citius::register_benchmarks();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
  } catch (const citius::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
  return 0;
}
