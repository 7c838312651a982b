#!/usr/bin/env bash
# Installs the engines that compare.py measures beside citius, in the user's own cache ($CITIUS_COMPARE, by default
# ~/.cache/citius-compare). Nothing of it is needed to build or test. An engine that cannot be installed is named, with the reason
# in failed/NAME there, and the others go on.
#   scripts/compare/setup.sh [pytorch] [onnxruntime] [openvino] [ctranslate2] [llamacpp] [ik_llama]    (default: all of these)
#   scripts/compare/setup.sh [llamacpp_avx2] [ik_llama_avx2]    builds beside them for processors without AVX-512 (compare.py --isa avx2)
set -euo pipefail
cache="${CITIUS_COMPARE:-${XDG_CACHE_HOME:-$HOME/.cache}/citius-compare}"
ik_llama_source="${CITIUS_IK_LLAMA:-https://github.com/ikawrakow/ik_llama.cpp}"
jobs="${CITIUS_JOBS:-$(nproc)}"
peers=("$@")
[ ${#peers[@]} -gt 0 ] || peers=(pytorch onnxruntime openvino ctranslate2 llamacpp ik_llama)
mkdir -p "$cache/ready" "$cache/failed" "$cache/log"
[ -x "$cache/venv/bin/python" ] || python3 -m venv "$cache/venv"

pip_install() { "$cache/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }

# The versions that docs/performance.md has figures of.
# transformers reads the models, writes them for the others, and needs accelerate for GGUF files.
install_pytorch() { pip_install torch==2.13.0 transformers==5.24.0 gguf==0.19.0 safetensors accelerate sentencepiece; }
install_onnxruntime() { pip_install onnxruntime==1.32.0 onnx==1.23.2; }
install_openvino() { pip_install openvino==2026.4.1 nncf==3.4.0 onnx==1.23.2; }
install_ctranslate2() { pip_install ctranslate2==4.8.5; }
# What a processor of 2013 has, and nothing that came with AVX-512 or after it.
avx2="-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON -DGGML_AVX512=OFF -DGGML_AVX_VNNI=OFF"
# From source, so that it is compiled for this machine. The Python package takes the libraries that LLAMA_CPP_LIB_PATH tells it
# (engines/llamacpp.py): its own build would compile as much again that nothing here uses, and there could be only one.
llamacpp_version=0.3.36
fetch_llamacpp() {
  local package="$cache/download/llama_cpp_python-$llamacpp_version.tar.gz" partial="$cache/partial-llama.cpp"
  "$cache/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python --dest "$cache/download" \
    "llama-cpp-python==$llamacpp_version" &&
    CMAKE_ARGS=-DLLAMA_BUILD=OFF pip_install "$package" &&
    rm -rf "$partial" && mkdir "$partial" &&
    tar -xf "$package" -C "$partial" --strip-components 3 "llama_cpp_python-$llamacpp_version/vendor/llama.cpp" &&
    mv "$partial" "$cache/llama.cpp"
}
build_llamacpp() {
  { [ -d "$cache/llama.cpp" ] || fetch_llamacpp; } &&
    cmake -S "$cache/llama.cpp" -B "$cache/llama.cpp/$1" -DCMAKE_BUILD_TYPE=Release "${@:2}" -DBUILD_SHARED_LIBS=ON -DLLAMA_BUILD_COMMON=OFF &&
    cmake --build "$cache/llama.cpp/$1" -j "$jobs" --target llama
}
install_llamacpp() { build_llamacpp build -DGGML_NATIVE=ON; }
# shellcheck disable=SC2086  # several options
install_llamacpp_avx2() { build_llamacpp build-avx2 $avx2; }
ik_llama_version=8337e4cd3861406fc04e0854b1409cd1b027fbc9
fetch_ik_llama() {
  rm -rf "$1.partial" && git init --quiet "$1.partial" &&
    GIT_TERMINAL_PROMPT=0 git -C "$1.partial" fetch --quiet --depth 1 "$ik_llama_source" "$ik_llama_version" &&
    git -C "$1.partial" -c advice.detachedHead=false checkout --quiet FETCH_HEAD && mv "$1.partial" "$1"
}
# Without FlashAttention for quantized caches, which nobody measures here and which takes most of the time to compile.
build_ik_llama() {
  local at="$cache/ik_llama.cpp" build="$cache/ik_llama.cpp/$1"
  { [ -d "$at/.git" ] || fetch_ik_llama "$at"; } &&
    cmake -S "$at" -B "$build" -DCMAKE_BUILD_TYPE=Release "${@:2}" -DGGML_IQK_FA_ALL_QUANTS=OFF -DLLAMA_BUILD_TESTS=OFF \
      -DLLAMA_BUILD_SERVER=OFF -DBUILD_SHARED_LIBS=OFF &&
    cmake --build "$build" -j "$jobs" --target llama-bench llama-batched-bench
}
install_ik_llama() { build_ik_llama build -DGGML_NATIVE=ON; }
# shellcheck disable=SC2086  # several options
install_ik_llama_avx2() { build_ik_llama build-avx2 $avx2; }

for peer in "${peers[@]}"; do
  if ! declare -F "install_$peer" >/dev/null; then
    echo "compare: got '$peer', expected pytorch, onnxruntime, openvino, ctranslate2, llamacpp[_avx2] or ik_llama[_avx2]" >&2
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
