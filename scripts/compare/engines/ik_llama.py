import json
import math
import re
import subprocess
import tempfile

import engines


class Engine:
    """ik_llama.cpp, built for this machine, on the same GGUF file, measured by its own llama-bench, several sequences at once by its
    llama-batched-bench. FlashAttention is on, as it is by default."""

    OPTIONS = []

    def __init__(self, threads):
        self.threads = threads
        source = engines.CACHE / "ik_llama.cpp"
        self.programs = source / ("build-avx2" if engines.held_to_avx2() else "build") / "bin"
        if not (self.programs / "llama-bench").exists():
            raise FileNotFoundError(f"no {self.programs / 'llama-bench'}")
        commit = subprocess.run(["git", "-C", str(source), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
        self.version = " ".join(["ik_llama.cpp", commit.stdout.strip(), *self.OPTIONS])
        self.rates = {}

    def call(self, program, cell, *options):
        arguments = [self.programs / program, "-m", engines.model_path(cell["model"]), "-t", str(self.threads), *map(str, options)]
        with tempfile.TemporaryDirectory() as folder:  # some of its programs write a log where they are
            done = subprocess.run(arguments, capture_output=True, text=True, cwd=folder)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip()[-500:])
        return done

    def samples(self, cell, repeats):
        """Tokens a second of every repetition."""
        length, batch = cell["length"], cell.get("batch", 1)
        if batch == 1:
            # Of a test of a prompt and new tokens after it only the latter are timed.
            sizes = {"prefill": ["-p", length, "-n", 0], "decode": ["-p", 0, "-n", length]}[cell["kind"]]
            if "context" in cell:
                sizes = ["-p", 0, "-n", 0, "-gp", f"{cell['context']},{length}"]
            repack = ["-rtr", 1] if self.OPTIONS else []
            return json.loads(self.call("llama-bench", cell, *sizes, "-r", repeats, "-o", "json", *repack).stdout)[0]["samples_ts"]
        if not (self.programs / "llama-batched-bench").exists():
            raise engines.Unable("llama-batched-bench is not built")
        done = self.call("llama-batched-bench", cell, "-c", batch * (length + 1), "-npp", 1, "-ntg", ",".join([str(length)] * repeats),
                         "-npl", batch, *self.OPTIONS)
        rows = re.findall(r"^\|[ 0-9.|]+\|$", done.stderr, re.M)
        return [float(row.split("|")[8]) for row in rows]  # S_TG t/s

    def measure(self, cell, seconds):
        if cell["precision"] != "gguf":
            raise engines.Unable("GGUF as given only")
        tokens = cell["length"] * cell.get("batch", 1)
        samples = sorted(self.samples(cell, max(1, math.ceil(seconds * self.rates.get(cell["name"], 0) / tokens))))
        self.rates[cell["name"]] = samples[len(samples) // 2]
        return {"rate": self.rates[cell["name"]]}
