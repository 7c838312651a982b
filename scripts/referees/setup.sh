#!/usr/bin/env bash
# Makes the Python environment of the referees in the user's cache and prints its interpreter. An environment that was begun
# and not finished is made anew.
set -euo pipefail
home="${CITIUS_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/citius}/referees"
packages=(torch==2.13.0 "transformers>=5" accelerate sentence-transformers tokenizers sentencepiece gguf safetensors numpy scipy jinja2)
if [ "$(cat "$home/packages" 2>/dev/null)" != "${packages[*]}" ]; then
  rm -rf "$home"
  python3 -m venv "$home" >&2
  "$home/bin/pip" install -q "${packages[@]}" >&2
  printf '%s\n' "${packages[*]}" > "$home/packages"
fi
echo "$home/bin/python"
