"""The loop from outside: killed and interrupted it goes on; its files; what was tampered with; wrong usage."""

import json
import math
import pathlib
import signal
import subprocess
import tempfile
import time

from support import BINARY, ROOT, run, run_json

MODEL = ROOT / "tests/golden/models/llama"


def candidates_in(journal):
    try:
        return sum('"candidate"' in line for line in journal.read_text().splitlines())
    except FileNotFoundError:
        return 0


def stopped_after(arguments, journal, count, how):
    """Runs citius until the journal holds `count` measurements, then sends the signal; the exit code."""
    process = subprocess.Popen([BINARY, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 300
    while candidates_in(journal) < count:
        assert process.poll() is None, f"ended with {process.returncode} before it was stopped"
        assert time.time() < deadline, "nothing was measured"
        time.sleep(0.02)
    process.send_signal(how)
    return process.wait(timeout=60)


with tempfile.TemporaryDirectory(prefix="citius_optimize_") as directory:
    out = pathlib.Path(directory) / "package"
    journal = pathlib.Path(directory) / "package.partial/journal.jsonl"
    wide = ["optimize", MODEL, "--out", out, "--goal", "memory", "--budget", "kl<=100,top1>=0", "--threads", "1"]

    # Killed after the base and one candidate, interrupted after another, then left to end without time for a new one.
    assert stopped_after(wide, journal, 2, signal.SIGKILL) == -signal.SIGKILL
    assert not out.exists()
    assert stopped_after(wide, journal, 3, signal.SIGINT) == 130
    assert not out.exists() and candidates_in(journal) >= 3
    kept = [json.loads(line)["candidate"] for line in journal.read_text().splitlines() if '"candidate"' in line]
    result = run(*wide, "--max-time", "1")
    assert "verified on" in result.stdout and str(out) in result.stdout, result.stdout
    assert sorted(path.name for path in out.parent.iterdir()) == ["package"], "nothing else is left"
    report = json.loads((out / "report.json").read_text())
    assert set(report) >= {"changed", "base", "chosen", "candidates", "verified", "machine", "versions"}
    reported = {c["name"]: c for c in [report["base"], *report["candidates"]]}
    for candidate in kept:
        # What was measured before counts. Boost.JSON reads a number back to within a unit in its last place.
        for name, value in candidate["latency_ms"].items():
            assert math.isclose(reported[candidate["name"]]["latency_ms"][name], value, rel_tol=1e-15 * 4), (candidate, name)
    for candidate in report["candidates"]:
        assert set(candidate) >= {"name", "speedup", "speedup_interval", "quality", "quality_interval", "passed", "reason"}
        assert candidate["reason"] or candidate["name"] == report["chosen"]["name"]
    assert report["changed"] is True and report["verified"]["passed"] is True

    # The package goes wherever a model goes, into another search too.
    info = run_json("info", out)
    assert info["container"] == "package" and info["memory"]["total_bytes"] > 0
    against = run_json("eval", out, "--against", MODEL, "--windows", "4", "--context", "32")
    assert against["kl_mean"] >= 0 and len(against["kl_mean_interval"]) == 2
    rows = run_json("bench", out, "--prefill", "16", "--decode", "4", "--batch", "1,2", "--seconds", "0", "--repeats", "1")["rows"]
    assert [row["kind"] for row in rows] == ["prefill", "prefill", "decode", "decode"]

    # Nothing that passes: the model as given, exit 0.
    strict = pathlib.Path(directory) / "strict"
    result = run_json("optimize", MODEL, "--out", strict, "--goal", "memory", "--budget", "kl<=0", "--max-time", "1")
    assert result["changed"] is False and result["chosen"]["name"] == "as given" and result["verified"] is None

    # One bit of a weight.
    weights = out / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    result = run("eval", out, "--against", MODEL, expect=3)
    assert "digest" in result.stderr

    for wrong in (["--budget", "cosine>=0.9"], ["--budget", "kl<0.1"], ["--goal", "beauty"], ["--max-time", "-1"]):
        run("optimize", MODEL, "--out", pathlib.Path(directory) / "wrong", *wrong, expect=2)
    run("optimize", MODEL, "--out", ROOT / "src", expect=2)
print("passed")
