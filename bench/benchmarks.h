#pragma once

namespace citius {

/// Registers the benchmarks of one program. Each *_bench.cc defines it.
void register_benchmarks();

}  // namespace citius
