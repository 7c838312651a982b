// main() of every benchmark program: each registers its own.
#include <benchmark/benchmark.h>

#include "benchmarks.h"

int main(int argc, char** argv) {
  citius::register_benchmarks();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
