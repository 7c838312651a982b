"""What `info` plans against what the system sees: the peak of resident memory of a real model, at its second start."""

import os
import subprocess
import sys
import tempfile

from support import BINARY, MINILM, SMOLLM2, pull_or_skip, run_json, skip

MOST = 1.05  # times the plan


def peak_bytes(*arguments):
    process = subprocess.Popen([BINARY, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return usage.ru_maxrss * 1024


def check(plan, *arguments):
    peak_bytes(*arguments)  # the first start packs the weights
    peak = peak_bytes(*arguments)
    print(f"{' '.join(map(str, arguments))[:60]}: {peak / 1e6:.1f} MB, planned {plan['total_bytes'] / 1e6:.1f} MB", flush=True)
    assert peak <= MOST * plan["total_bytes"], (peak, plan)


def main():
    if any(word in os.environ.get("CITIUS_BUILD", "") for word in ("asan", "tsan", "fuzz")):
        skip("a sanitizer takes memory of its own")
    decoder, encoder = pull_or_skip(SMOLLM2), pull_or_skip(MINILM)
    memory = run_json("info", decoder, "--context", 64)["memory"]
    check(memory, "run", decoder, "--prompt", "Once upon a time", "--max-tokens", 30, "--context", 64)
    memory = run_json("info", decoder, "--context", 2048)["memory"]
    text = "The quick brown fox jumps over the lazy dog. " * 190
    check(memory, "run", decoder, "--prompt", text, "--max-tokens", 8, "--context", 2048)
    memory = run_json("info", decoder, "--context", 2048, "--batch", 2)["memory"]
    check(memory, "run", decoder, "--prompt", text, "--max-tokens", 8, "--context", 2048, "--beams", 2)
    memory = run_json("info", encoder, "--context", 256, "--batch", 300)["memory"]
    with tempfile.TemporaryDirectory() as folder:
        lines = os.path.join(folder, "lines.txt")
        with open(lines, "w") as file:
            file.write("A short line of text.\n" * 300)
        check(memory, "embed", encoder, "--input", lines, "--output", os.path.join(folder, "out.npy"))
    print("passed")


if __name__ == "__main__":
    sys.exit(main())
