#!/usr/bin/env bash
# Sets up, builds and tests. Ends with ctest's summary.
#   ./test.sh                  release build and every test
#   ./test.sh --asan           address and undefined behaviour sanitizers
#   ./test.sh --tsan           thread sanitizer
#   ./test.sh --fuzz [SECONDS] every fuzz target for that long (default 60 seconds each)
#   ./test.sh --aarch64        cross-builds for 64-bit ARM, tests under an emulator
# Further arguments go to ctest (for example: ./test.sh -R tokenizer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
jobs="${CITIUS_JOBS:-$(nproc)}"
export CCACHE_BASEDIR="${CCACHE_BASEDIR:-$PWD}" CCACHE_NOHASHDIR=1

mode=release
case "${1:-}" in
  --asan | --tsan | --fuzz | --aarch64) mode="${1#--}"; shift ;;
  --help | -h) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

if [ "$mode" = aarch64 ]; then
  scripts/setup.sh
  exec scripts/test_aarch64.sh "$@"
fi

scripts/setup.sh
cmake --preset "$mode"
cmake --build --preset "$mode" -j "$jobs"

if [ "$mode" = fuzz ]; then
  seconds=60
  case "${1:-}" in '' | *[!0-9]*) ;; *) seconds="$1" ;; esac
  exec scripts/run_fuzzers.sh "build/fuzz" "$seconds"
fi

export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}"
symbolizer="$(command -v llvm-symbolizer-19 || true)"
[ -z "$symbolizer" ] || export ASAN_SYMBOLIZER_PATH="$symbolizer" TSAN_SYMBOLIZER_PATH="$symbolizer"
exec ctest --test-dir "build/$mode" --output-on-failure -j "$jobs" "$@"
