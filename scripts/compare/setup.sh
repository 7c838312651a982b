#!/usr/bin/env bash
# Installs the engines that compare.py measures beside citius, in the user's own cache ($CITIUS_COMPARE, by default
# ~/.cache/citius-compare). Nothing of it is needed to build or test.
#   scripts/compare/setup.sh [torch] [llama.cpp] ...    (default: all)
set -euo pipefail
cache="${CITIUS_COMPARE:-${XDG_CACHE_HOME:-$HOME/.cache}/citius-compare}"
peers=("$@")
[ ${#peers[@]} -gt 0 ] || peers=(torch llama.cpp)
[ -x "$cache/venv/bin/python" ] || python3 -m venv "$cache/venv"
pip=("$cache/venv/bin/pip" install --quiet)
for peer in "${peers[@]}"; do
  echo "compare: $peer" >&2
  case "$peer" in
    torch) "${pip[@]}" torch==2.13.0 transformers gguf safetensors ;;
    # From source, so that it is compiled for this machine.
    llama.cpp) CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_TOOLS=OFF" CMAKE_BUILD_PARALLEL_LEVEL="${CITIUS_JOBS:-$(nproc)}" \
      "${pip[@]}" --no-binary llama-cpp-python llama-cpp-python ;;
    *) echo "compare: got '$peer', expected torch or llama.cpp" >&2; exit 2 ;;
  esac
done
echo "$cache/venv/bin/python"
