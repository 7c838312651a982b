import json
import math
import subprocess

import engines


class Engine:
    """ik_llama.cpp, built for this machine, on the same GGUF file, measured by its own llama-bench."""

    OPTIONS = []

    def __init__(self, threads):
        self.threads = threads
        self.binary = engines.CACHE / "ik_llama.cpp/build/bin/llama-bench"
        if not self.binary.exists():
            raise FileNotFoundError(f"no {self.binary}")
        commit = subprocess.run(["git", "-C", str(engines.CACHE / "ik_llama.cpp"), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
        self.version = " ".join(["ik_llama.cpp", commit.stdout.strip(), *self.OPTIONS])
        self.rates = {}

    def measure(self, cell, seconds):
        if cell["precision"] != "gguf":
            raise engines.Unable("GGUF as given only")
        sizes = (cell["length"], 0) if cell["kind"] == "prefill" else (0, cell["length"])
        repeats = max(1, math.ceil(seconds * self.rates.get(cell["name"], 0) / cell["length"]))
        done = subprocess.run([self.binary, "-m", engines.model_path(cell["model"]), "-p", str(sizes[0]), "-n", str(sizes[1]), "-r", str(repeats),
                               "-t", str(self.threads), "-o", "json", *self.OPTIONS], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip()[-500:])
        samples = sorted(json.loads(done.stdout)[0]["samples_ts"])
        self.rates[cell["name"]] = samples[len(samples) // 2]
        return {"rate": self.rates[cell["name"]]}
