#!/usr/bin/env bash
# Installs the Debian/Ubuntu packages of scripts/apt-packages.txt (and of further list files given as arguments) that are
# missing, and says so. Does nothing where all are there. Needs root or sudo only where something is missing.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup: this is not Debian or Ubuntu; install what scripts/apt-packages.txt lists, then run cmake by hand" >&2
  exit 1
fi

native="$(dpkg --print-architecture)"
# A name may be there for several architectures: one without ":arch" means this machine's.
installed() {
  local arch="$native"
  case "$1" in *:*) arch="${1##*:}" ;; esac
  dpkg-query -W -f='${Architecture} ${db:Status-Status}\n' "$1" 2>/dev/null | grep -qxE "($arch|all) installed"
}
exists() { apt-cache show "$1" >/dev/null 2>&1; }

# The lines of the lists of which no alternative is installed.
missing=()
while IFS= read -r line; do
  line="${line%%#*}"
  [ -n "${line//[[:space:]]/}" ] || continue
  found=no
  for name in ${line//|/ }; do
    if installed "$name"; then found=yes; break; fi
  done
  [ "$found" = yes ] || missing+=("$line")
done < <(cat "$root/scripts/apt-packages.txt" "$@")
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: run as root or install sudo; missing: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive

# For each missing line the first alternative that the package lists know.
choose() {
  chosen=()
  unknown=()
  local line name
  for line in "${missing[@]}"; do
    for name in ${line//|/ }; do
      if exists "$name"; then chosen+=("$name"); continue 2; fi
    done
    unknown+=("$line")
  done
}

echo "setup: ${#missing[@]} packages are missing; asking apt for them" >&2
"${as_root[@]}" apt-get update -qq >&2 || echo "setup: apt-get update failed; going on with the lists at hand" >&2
choose
if [ ${#unknown[@]} -gt 0 ]; then
  printf 'setup: apt knows no package for: %s\n' "${unknown[@]}" >&2
  exit 1
fi
echo "setup: installing ${chosen[*]}" >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${chosen[@]}" >&2
echo "setup: done" >&2
