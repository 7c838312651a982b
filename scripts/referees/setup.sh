#!/usr/bin/env bash
# Makes the Python environment of the referees in the user's cache and prints its interpreter.
set -euo pipefail
home="${CITIUS_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/citius}/referees"
if [ ! -x "$home/bin/python" ]; then
  python3 -m venv "$home" >&2
  "$home/bin/pip" install -q torch==2.13.0 >&2
  "$home/bin/pip" install -q transformers sentence-transformers tokenizers gguf safetensors sentencepiece >&2
fi
echo "$home/bin/python"
