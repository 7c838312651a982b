"""The engines: each module has a class Engine with `version` and `measure(cell, seconds)`, which gives {"rate": ...}."""
import os
import pathlib
import statistics
import time

CITIUS = os.environ.get("CITIUS_BINARY", str(pathlib.Path(__file__).resolve().parents[3] / "build/release/citius"))


def model_path(name):
    """Where a model is, a path or a name of the store: a directory in Hugging Face layout, or a .gguf file."""
    home = os.environ.get("CITIUS_HOME") or pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "citius"
    path = pathlib.Path(name) if os.path.exists(name) else pathlib.Path(home) / "models" / name
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
