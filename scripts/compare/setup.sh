#!/usr/bin/env bash
# Installs the engines that compare.py measures beside citius, in the user's own cache ($CITIUS_COMPARE, by default
# ~/.cache/citius-compare). Nothing of it is needed to build or test. An engine that cannot be installed is named, with the reason
# in failed/NAME there, and the others go on.
#   scripts/compare/setup.sh [pytorch] [onnxruntime] [openvino] [ctranslate2] [llamacpp] [ik_llama]    (default: all)
set -euo pipefail
cache="${CITIUS_COMPARE:-${XDG_CACHE_HOME:-$HOME/.cache}/citius-compare}"
ik_llama_source="${CITIUS_IK_LLAMA:-https://github.com/ikawrakow/ik_llama.cpp}"
jobs="${CITIUS_JOBS:-$(nproc)}"
peers=("$@")
[ ${#peers[@]} -gt 0 ] || peers=(pytorch onnxruntime openvino ctranslate2 llamacpp ik_llama)
mkdir -p "$cache/ready" "$cache/failed" "$cache/log"
[ -x "$cache/venv/bin/python" ] || python3 -m venv "$cache/venv"

pip_install() { "$cache/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }

# The versions that docs/performance.md has figures of (none of ctranslate2 yet).
# transformers reads the models, writes them for the others, and needs accelerate for GGUF files.
install_pytorch() { pip_install torch==2.13.0 transformers==5.24.0 gguf==0.19.0 safetensors accelerate sentencepiece; }
install_onnxruntime() { pip_install onnxruntime==1.32.0 onnx==1.23.2; }
install_openvino() { pip_install openvino==2026.4.1 nncf==3.4.0 onnx==1.23.2; }
install_ctranslate2() { pip_install ctranslate2; }
# From source, so that it is compiled for this machine.
install_llamacpp() {
  CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_TOOLS=OFF" \
    CMAKE_BUILD_PARALLEL_LEVEL="$jobs" pip_install --no-binary llama-cpp-python llama-cpp-python==0.3.36
}
# Without FlashAttention for quantized caches, which nobody measures here and which takes most of the time to compile.
install_ik_llama() {
  local at="$cache/ik_llama.cpp"
  { [ -d "$at/.git" ] || GIT_TERMINAL_PROMPT=0 git clone --quiet --depth 1 "$ik_llama_source" "$at"; } &&
    cmake -S "$at" -B "$at/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DGGML_IQK_FA_ALL_QUANTS=OFF -DLLAMA_BUILD_TESTS=OFF \
      -DLLAMA_BUILD_SERVER=OFF -DBUILD_SHARED_LIBS=OFF &&
    cmake --build "$at/build" -j "$jobs" --target llama-bench
}

for peer in "${peers[@]}"; do
  if ! declare -F "install_$peer" >/dev/null; then
    echo "compare: got '$peer', expected pytorch, onnxruntime, openvino, ctranslate2, llamacpp or ik_llama" >&2
    exit 2
  fi
  [ ! -e "$cache/ready/$peer" ] || continue
  echo "compare: installing $peer" >&2
  if "install_$peer" >"$cache/log/$peer" 2>&1; then
    rm -f "$cache/failed/$peer"
    touch "$cache/ready/$peer"
  else
    { grep -iE "error|fatal" "$cache/log/$peer" || tail -n 1 "$cache/log/$peer"; } | tail -n 1 >"$cache/failed/$peer"
    echo "compare: $peer left out: $(cat "$cache/failed/$peer") (all of it: $cache/log/$peer)" >&2
  fi
done
echo "$cache/venv/bin/python"
