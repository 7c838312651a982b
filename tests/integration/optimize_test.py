"""The loop from outside: killed and interrupted it goes on; its files; what was tampered with; wrong usage."""

import hashlib
import json
import math
import pathlib
import shutil
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


def reseal(path, change):
    """Edits a citius.json as somebody would who computes its digest anew."""
    text = path.read_text()
    digest = json.loads(text)["digest"]
    changed = change(text)
    assert changed != text
    zeros = "0" * len(digest)
    begin = changed.rindex(digest)
    unsealed = changed[:begin] + zeros + changed[begin + len(digest):]
    path.write_text(unsealed[:begin] + hashlib.sha256(unsealed.encode()).hexdigest() + unsealed[begin + len(digest):])


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

    # Under another instruction set it is measured again; where that cannot be done it still answers.
    elsewhere = pathlib.Path(directory) / "elsewhere"
    shutil.copytree(out, elsewhere)
    reseal(elsewhere / "citius.json", lambda text: text.replace('"goal":"memory"', '"goal":"latency"'))
    home = {"CITIUS_HOME": str(pathlib.Path(directory) / "home"), "CITIUS_ISA": "portable"}
    if report["machine"]["isa"] != "portable":
        result = run("eval", elsewhere, "--against", MODEL, "--windows", "1", "--context", "16", env=home)
        assert "measured here (portable)" in result.stderr and result.stderr.count("was optimized for") == 1, result.stderr
        reseal(elsewhere / "citius.json", lambda text: text.replace('"goal":"latency"', '"goal":"nonsense"'))
        result = run("eval", elsewhere, "--against", MODEL, "--windows", "1", "--context", "16", env=home)
        assert "not measured here (portable)" in result.stderr, result.stderr

    # What was verified with exact arithmetic may be further from the original in the fast mode, which is said.
    exact = pathlib.Path(directory) / "exact"
    shutil.copytree(out, exact)
    reseal(exact / "citius.json", lambda text: text.replace('"compute":"fast"', '"compute":"exact"'))
    for flags, warned in (([], True), (["--compute", "exact"], False)):
        result = run("eval", exact, "--against", MODEL, "--windows", "1", "--context", "16", *flags)
        assert ("verified with --compute exact" in result.stderr) is warned, result.stderr

    # Nothing that passes: the model as given, exit 0; exit 1 where that misses the budget too.
    for model, code in ((MODEL, 0), (out, 1)):  # fp32 by its fast kernels is exact, the package is not
        strict = pathlib.Path(directory) / f"strict{code}"
        result = run("optimize", model, "--out", strict, "--goal", "memory", "--budget", "kl<=0", "--max-time", "1", "--json", expect=code)
        found = json.loads(result.stdout)
        assert found["changed"] is False and found["chosen"]["name"] == "as given" and found["verified"] is None
        assert found["base"]["passed"] is (code == 0) and ("[budget]" in result.stderr) is (code == 1), result.stderr

    # Nothing of the user is lost: not beside the package, not in its place, not in that of the journal.
    quick = ["optimize", MODEL, "--goal", "memory", "--budget", "kl<=100", "--max-time", "1", "--out"]
    (strict / "notes.md").write_text("mine")
    (strict / "more").mkdir()
    (strict / "more/thesis.txt").write_text("mine")
    for command in ([*quick, strict], ["quantize", MODEL, "--format", "int8", "--out", strict]):
        result = run(*command, expect=2)
        assert "notes.md" in result.stderr and "more/thesis.txt" in result.stderr and "citius.json" not in result.stderr, result.stderr
    assert (strict / "notes.md").read_text() == (strict / "more/thesis.txt").read_text() == "mine"
    (strict / "notes.md").unlink()
    shutil.rmtree(strict / "more")
    for command in ([*quick, strict], ["quantize", MODEL, "--format", "int8", "--out", strict]):
        assert "another model" in run(*command, expect=2).stderr
    assert not pathlib.Path(f"{strict}.partial").exists()
    # A search whose model misses the budget itself leaves a package that is there as it is.
    before = (strict / "citius.json").read_bytes()
    result = run("optimize", out, "--out", strict, "--goal", "memory", "--budget", "kl<=0", "--max-time", "2", "--json", expect=1)
    assert json.loads(result.stdout)["written"] is False and (strict / "citius.json").read_bytes() == before
    partial = pathlib.Path(directory) / "other.partial"
    partial.mkdir()
    (partial / "thesis.txt").write_text("mine")
    assert "thesis.txt" in run(*quick, pathlib.Path(directory) / "other", expect=2).stderr
    assert (partial / "thesis.txt").read_text() == "mine"

    # --out is looked at before anything is measured; what a killed writer left is removed by the next.
    assert "empty" in run(*quick, "", expect=2).stderr
    here = pathlib.Path(directory) / "here"
    here.mkdir()
    dead = subprocess.Popen(["true"])
    dead.wait()
    abandoned, other = (pathlib.Path(f"{here}.tmp{name}") for name in (f"{dead.pid}-1234abcd", f"{dead.pid}0"))
    for folder in (abandoned, other):
        folder.mkdir()
        (folder / "model.safetensors").write_text("half")
    (abandoned / ".citius-writing").write_text("")  # the lock of a writer, which nobody holds; the other directory is the user's
    assert json.loads(run(*quick, ".", "--json", cwd=here).stdout)["changed"] in (True, False)
    assert (here / "citius.json").exists() and not pathlib.Path(f"{here}.partial").exists()
    assert not abandoned.exists() and other.exists()

    # Too little text leaves nothing; another search with the same --out waits for neither.
    (pathlib.Path(directory) / "little.txt").write_text("a b c")
    before = sorted(pathlib.Path(directory).iterdir())
    little = ["optimize", ROOT / "tests/golden/generate", "--out", pathlib.Path(directory) / "little"]
    assert "give more text" in run(*little, "--data", pathlib.Path(directory) / "little.txt", expect=3).stderr
    # Rows that repeat count once, so that none is chosen by and verified on.
    rows = pathlib.Path(directory) / "rows.jsonl"
    for different, code in ((3, 3), (5, 0)):
        texts = [f"anna lives in paris and works for acme number {i % different}" for i in range(32)]
        rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        result = run(*little, "--goal", "memory", "--max-time", "1", "--budget", "kl<=100", "--data", rows, "--json", expect=code)
        assert "got 3 different items" in result.stderr if code else json.loads(result.stdout)["data"].startswith("5 windows"), result
    shutil.rmtree(pathlib.Path(directory) / "little")
    rows.unlink()
    assert sorted(pathlib.Path(directory).iterdir()) == before
    twice = pathlib.Path(directory) / "twice"
    search = [BINARY, *map(str, wide[:3]), str(twice), *map(str, wide[4:])]
    first = subprocess.Popen(search, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not candidates_in(pathlib.Path(f"{twice}.partial/journal.jsonl")):
        assert first.poll() is None
        time.sleep(0.02)
    assert "in use by another" in run(*quick, twice, expect=1).stderr
    first.send_signal(signal.SIGINT)
    assert first.wait(timeout=60) == 130

    # One bit of a weight.
    weights = out / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    result = run("eval", out, "--against", MODEL, expect=3)
    assert "digest" in result.stderr

    for wrong in (["--budget", ""], ["--budget", "cosine>=0.9"], ["--budget", "kl<0.1"], ["--budget", "kl<=-1"], ["--text-column", "x"],
                  ["--text-column", "x", "--data", pathlib.Path(directory) / "little.txt"], ["--goal", "beauty"], ["--max-time", "-1"]):
        run("optimize", MODEL, "--out", pathlib.Path(directory) / "wrong", *wrong, expect=2)
    run("optimize", MODEL, "--out", ROOT / "src", expect=2)
    for command in (["optimize"], ["quantize", "--format", "int8"]):
        assert "no package wrote" in run(*command, MODEL, "--out", "/", expect=2).stderr
print("passed")
