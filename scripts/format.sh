#!/usr/bin/env bash
# Lays out the C++ files of this repository as .clang-format says; with --check changes nothing, names the files that differ
# and exits 1. Arguments name files or folders; without any, all. Needs clang-format-19 (Debian package of that name).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mode=(-i)
if [ "${1:-}" = --check ]; then mode=(--dry-run -Werror); shift; fi
command -v clang-format-19 >/dev/null || { echo "format: clang-format-19 is not installed" >&2; exit 77; }
files() { git ls-files -z -- "${@:-.}" | grep -zE '\.(cc|h|cu)$'; }
if [ "${mode[0]}" = -i ]; then
  files "$@" | xargs -0 -r clang-format-19 -i
else
  # One line a file instead of one a difference.
  differing="$(files "$@" | xargs -0 -r clang-format-19 "${mode[@]}" 2>&1 | sed -n 's/:[0-9]*:[0-9]*: error: .*//p' | sort -u)" || true
  [ -z "$differing" ] || { printf '%s\n' "$differing"; exit 1; }
fi
