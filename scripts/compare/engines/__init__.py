"""The engines: each module has a class Engine with `version` and `measure(cell, seconds)`, which gives {"rate": ...}."""
import json
import os
import pathlib
import statistics
import subprocess
import time

CITIUS = os.environ.get("CITIUS_BINARY", str(pathlib.Path(__file__).resolve().parents[3] / "build/release/citius"))


def model_path(name):
    """Where the store has a model: a directory in Hugging Face layout, or a .gguf file."""
    answer = json.loads(subprocess.run([CITIUS, "info", name, "--json"], check=True, capture_output=True, text=True).stdout)
    path = pathlib.Path(answer["path"])
    files = list(path.glob("*.gguf")) if path.is_dir() else []
    return files[0] if len(files) == 1 else path


def timed(run, units, seconds, at_least=3):
    """Median rate of `run`, called for `seconds`; one call processes `units`."""
    run()
    times = []
    begin = time.perf_counter()
    while len(times) < at_least or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return units / statistics.median(times)


def tokens(count, vocabulary, stream=0):
    """Pseudo-random token ids, the same in every run."""
    state = 12345 + stream
    ids = []
    for _ in range(count):
        state = (state * 1103515245 + 12345) % (1 << 31)
        ids.append(state % vocabulary)
    return ids
