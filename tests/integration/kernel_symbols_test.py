"""Of an inline function that several object files define the linker keeps one. The units of an instruction set define none
outside their own namespace: another machine would run it too."""

import os
import pathlib
import re
import shutil
import subprocess

from support import ROOT, skip

build = pathlib.Path(os.environ.get("CITIUS_BUILD", ROOT / "build/release"))
cache = (build / "CMakeCache.txt").read_text()
if "CITIUS_SANITIZE:STRING=\n" not in cache or "CITIUS_FUZZ:BOOL=ON" in cache:
    skip("sanitizers add symbols of their own")
if not shutil.which("nm"):
    skip("nm is not installed")
objects = sorted(build.rglob("cpu_units/*.o"))
assert objects, f"no kernels in {build}"
shared = []
for path in objects:
    isa = re.match(r"[a-z]+_(\w+)\.cc\.o$", path.name)[1]
    symbols = subprocess.run(["nm", "-C", "--defined-only", path], check=True, capture_output=True, text=True).stdout
    assert f"citius::cpu::{isa}::" in symbols, path
    # W, V and u: what may be merged with the same name elsewhere.
    shared += [f"{path.name}: {name}" for kind, name in re.findall(r"^\w* ([A-Za-z]) (.*)$", symbols, re.MULTILINE)
               if kind in "WVu" and f"citius::cpu::{isa}::" not in name]
assert not shared, "\n".join(shared)
