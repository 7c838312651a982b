#!/usr/bin/env bash
# From a fresh machine to a first answer: installs what is missing, builds, pulls two small models and uses them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
say() { printf '\n== %s\n' "$*"; }

say "Set-up and build (the first time takes some minutes)"
scripts/setup.sh
export CCACHE_BASEDIR="${CCACHE_BASEDIR:-$PWD}" CCACHE_NOHASHDIR=1
cmake --preset release >/dev/null
cmake --build --preset release -j "${CITIUS_JOBS:-$(nproc)}" --target citius
citius="$PWD/build/release/citius"
"$citius" --version
