"""The manners of the command line: exit codes, help, versions, what goes where."""

import pathlib
import subprocess
import sys
import tempfile

from support import BINARY, ROOT, run, run_json

checked = subprocess.run([sys.executable, ROOT / "scripts/make_cli_docs.py", "--check", BINARY], capture_output=True, text=True)
assert checked.returncode == 0, checked.stderr
print(checked.stdout.strip())
prose = (ROOT / "docs/cli.md").read_text().split("<!--")[0].splitlines()
assert not [line for line in prose if len(line) > 140 and not line.startswith("|")]

assert run("--version").stdout.strip().count(".") == 2
for wrong in ([], ["nonsense"], ["pull"], ["pull", "x", "--nonsense"], ["doctor", "--threads", "0"], ["doctor", "extra"]):
    result = run(*wrong, expect=2)
    assert result.stderr.strip() and not result.stdout, wrong

with tempfile.TemporaryDirectory(prefix="citius_cli_") as home:
    empty = {"CITIUS_HOME": home}
    result = run("pull", "/no/such/model", env=empty, expect=3)
    assert "no such file" in result.stderr and not result.stdout
    # A name given twice is removed once.
    for name in ("a", "b"):
        (pathlib.Path(home) / "models" / name).mkdir(parents=True)
    removed = run_json("rm", "a", "b", "a", env=empty)["removed"]
    assert [model["name"] for model in removed] == ["a", "b"] and run_json("list", env=empty)["models"] == []
    # A store that cannot be made: its place is a file.
    blocked = {"CITIUS_HOME": __file__ + "/store"}
    result = run("pull", str(ROOT / "LICENSE"), env=blocked, expect=1)
    assert "CITIUS_HOME" in result.stderr

doctor = run_json("doctor", "--seconds", "0.01")
assert doctor["machine"]["cores"] >= 1 and doctor["all_threads"]["read_gb_per_s"] > 0
for key in ("read_gb_per_s", "fp32_gflop_per_s", "int8_gop_per_s"):  # as measured: a busy machine may show less with all threads
    assert doctor["all_threads"][key] > 0 and doctor["one_thread"][key] > 0, doctor
assert doctor["advice"]

# Nobody reads the output: no error is hidden.
full = subprocess.run([BINARY, "doctor", "--seconds", "0.01", "--json"], stdout=open("/dev/full", "w"), stderr=subprocess.PIPE, text=True)
assert full.returncode == 1 and "standard output" in full.stderr, (full.returncode, full.stderr)
full = subprocess.run([BINARY, "run", "--help"], stdout=open("/dev/full", "w"), stderr=subprocess.PIPE, text=True)
assert full.returncode == 1 and full.stderr, (full.returncode, full.stderr)

# A path needs no store; "." is no name in it.
tiny = ROOT / "tests/golden/models/llama"
bare = {key: "" for key in ("HOME", "CITIUS_HOME")}
assert run("info", "llama", env=bare, cwd=tiny.parent).stdout
assert "not from the store" not in run("info", ".", cwd=tiny).stderr

# Wrong options are named, and only they; an argument too many says what had a place.
for wrong, said in (
        (["run", "m", "--max-token", "5", "hello"], ["[--max-token] is not an option of citius run; did you mean --max-tokens?"]),
        (["run", "m", "--frobnicate=1", "--sed", "5"], ["[--frobnicate] is not an option of citius run; citius run --help lists them",
                                                        "[--sed] is not an option of citius run; did you mean --seed?"]),
        (["run", "--promt", "x"], ["[--promt] is not an option of citius run; did you mean --prompt?"]),
        (["--frob", "list"], ["[--frob] is not an option of citius; citius --help lists them"]),
        (["--verion"], ["[--verion] is not an option of citius; did you mean --version?"]),
        (["bench", "m", "--batch", "1", "8"],
         ["[citius bench] got '8' too, expected MODEL alone; separate several by commas: --batch 1,8"]),
        (["run", "m", "a", "b"], ["[citius run] got 'b' too, expected MODEL and TEXT alone"]),
        (["doctor", "extra"], ["[citius doctor] got 'extra' too, expected options alone"])):
    assert run(*wrong, expect=2).stderr.splitlines() == ["citius: " + line for line in said], run(*wrong, expect=2).stderr

assert run("version").stdout == run("--version").stdout
with tempfile.TemporaryDirectory(prefix="citius_cli_") as home:
    listed = run("list", env={"CITIUS_HOME": home})
    assert not listed.stdout and "nothing yet" in listed.stderr
    assert "expected a folder" in run("list", env={"CITIUS_HOME": __file__}, expect=2).stderr

assert run("help", "run").stdout == run("run", "--help").stdout
assert run("help").stdout == run("--help").stdout
print("passed")
