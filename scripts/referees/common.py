"""What the referee scripts share: the citius binary, models of the store, and the public test data."""
import json
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
ROOT = pathlib.Path(__file__).resolve().parents[2]
CITIUS = os.environ.get("CITIUS_BINARY", str(ROOT / "build/release/citius"))
DUMP_STATES = os.environ.get("CITIUS_DUMP_STATES", str(pathlib.Path(CITIUS).parent / "dump_states"))
SHARED = pathlib.Path(os.environ.get("CITIUS_SHARED", ROOT.parent / "shared"))


def data(relative):
    path = SHARED / "data" / relative
    if not path.exists():
        sys.exit(f"{path} is absent: set CITIUS_SHARED to the folder that holds data/")
    return path


def pull(source):
    """Pulls a model and returns its path."""
    answer = run(["pull", source, "--json"])
    return pathlib.Path(json.loads(answer)["path"])


def run(arguments, **keywords):
    done = subprocess.run([CITIUS, *map(str, arguments)], capture_output=True, text=True, **keywords)
    if done.returncode != 0:
        sys.exit(f"citius {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


class Verdict:
    """Collects comparisons; exits 1 where one missed its bound."""

    def __init__(self):
        self.missed = False

    def at_most(self, name, value, bound):
        good = value <= bound
        self.missed |= not good
        print(f"{'ok  ' if good else 'MISS'} {name}: {value:.4g} (at most {bound:g})", flush=True)

    def close(self):
        sys.exit(1 if self.missed else 0)
