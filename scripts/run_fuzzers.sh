#!/usr/bin/env bash
# run_fuzzers.sh BUILD SECONDS: runs every fuzz target of the build directory for SECONDS seconds, from the seed corpus
# that tests/fuzz/make_corpus.py writes. Ends with one line that counts the targets that passed and failed.
set -uo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
build="$1"
seconds="$2"
corpus="$build/corpus"
if [ -f "$root/tests/fuzz/make_corpus.py" ]; then
  python3 "$root/tests/fuzz/make_corpus.py" "$corpus" || exit 1
fi
passed=0
failed=0
for target in "$build"/*_fuzz; do
  [ -x "$target" ] || continue
  name="$(basename "$target" _fuzz)"
  mkdir -p "$corpus/$name" "$build/crashes"
  echo "fuzz: $name for $seconds s"
  if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/crashes/$name-" "$corpus/$name" >"$build/$name.fuzz.log" 2>&1; then
    grep -E 'stat::number_of_executed_units|stat::peak_rss_mb' "$build/$name.fuzz.log"
    passed=$((passed + 1))
  else
    tail -n 40 "$build/$name.fuzz.log"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
