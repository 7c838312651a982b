"""The installed tree: an outside program finds the package, links the one target, embeds a sentence and generates."""

import os
import pathlib
import re
import subprocess
import tempfile

from support import MINILM, ROOT, SMOLLM2, pull_or_skip, skip

build = os.environ.get("CITIUS_BUILD", str(ROOT / "build/release"))
cache = (pathlib.Path(build) / "CMakeCache.txt").read_text()
if "CITIUS_SANITIZE:STRING=\n" not in cache or "CITIUS_FUZZ:BOOL=ON" in cache:
    skip("the package of a sanitizer build is of no use outside")
# The compiler and generator of this build: a machine set up for citius need not have CMake's defaults.
like = [f"-D{name}={re.search(name + ':[A-Z]+=(.*)', cache)[1]}" for name in ("CMAKE_CXX_COMPILER", "CMAKE_MAKE_PROGRAM")]
like.append("-G" + re.search("CMAKE_GENERATOR:[A-Z]+=(.*)", cache)[1])
with tempfile.TemporaryDirectory(prefix="citius_install_") as folder:
    subprocess.run(["cmake", "--install", build, "--prefix", f"{folder}/prefix"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "-S", ROOT / "examples/hello", "-B", f"{folder}/hello", "-DCMAKE_BUILD_TYPE=Release", *like,
                    f"-DCMAKE_PREFIX_PATH={folder}/prefix"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", f"{folder}/hello"], check=True)
    version = subprocess.run([f"{folder}/prefix/bin/citius", "--version"], check=True, capture_output=True, text=True)
    assert version.stdout.strip(), "no version"
    models = [pull_or_skip(MINILM), pull_or_skip(SMOLLM2)]
    result = subprocess.run([f"{folder}/hello/hello", *models], check=True, capture_output=True, text=True)
    print(result.stdout)
    assert result.stdout.startswith("384 dimensions"), result.stdout
    assert "The capital of France is Paris" in result.stdout, result.stdout
