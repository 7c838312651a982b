#!/usr/bin/env bash
# Cross-builds for 64-bit ARM and runs the tests under the emulator, on every instruction set for which there are kernels.
# Adds the arm64 architecture and its packages (scripts/apt-packages-aarch64.txt) to this Debian system, and says so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
jobs="${CITIUS_JOBS:-$(nproc)}"

if ! dpkg --print-foreign-architectures | grep -qx arm64; then
  echo "test_aarch64: adding the arm64 architecture to dpkg" >&2
  if [ "$(id -u)" -eq 0 ]; then dpkg --add-architecture arm64; else sudo dpkg --add-architecture arm64; fi
fi
scripts/setup.sh scripts/apt-packages-aarch64.txt
cmake --preset aarch64
cmake --build --preset aarch64 -j "$jobs"
# The tests of readers, tokenizers and arithmetic; the integration tests need a native program.
exec ctest --test-dir build/aarch64 --output-on-failure -j "$jobs" -LE integration "$@"
