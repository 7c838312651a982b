import json
import math
import pathlib
import subprocess
import tempfile

import engines


def call(*arguments):
    done = subprocess.run([engines.CITIUS, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def embed(name, texts, path, *options):
    """Writes the unit vectors of `texts` to `path`, a .npy file."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(text + "\n" for text in texts))
        file.flush()
        call("embed", engines.model_path(name), "--input", file.name, "--normalize", "--output", path, *options)


def rate(row):
    return row.get("tokens_per_s") or row.get("sequences_per_s")


class Engine:
    # What the engine may choose from for a precision: int7 is int8 with codes within 7 bits, as others take where the machine has
    # no four-way dot product.
    FORMATS = {"f32": ["f32"], "bf16": ["bf16"], "int8": ["int8", "int7"], "gguf": []}

    def __init__(self, threads):
        self.threads = threads
        self.version = call("--version").strip()
        self.chosen = {}
        self.cosines = {}
        self.rates = {}

    def bench(self, cell, formats, seconds):
        """Rows of the report, one for each format, measured interleaved."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as lengths:
            lengths.write("".join(f"{length}\n" for length in cell.get("lengths", [])))
            lengths.flush()
            size = {"encode": ["--lengths", lengths.name, "--batch", cell.get("at_once")], "prefill": ["--prefill", cell.get("length")],
                    "decode": ["--decode", cell.get("length"), "--batch", cell.get("batch", 1)]}[cell["kind"]]
            return json.loads(call("bench", engines.model_path(cell["model"]), *size, *(["--format", ",".join(formats)] if formats else []),
                                   "--threads", self.threads, "--seconds", seconds, "--repeats", 1, "--json"))["rows"]

    def rate_after(self, cell, seconds):
        """Tokens a second of sequences with a context: of requests that all begin with it, so that only the first computes it."""
        requests = 1 + math.ceil(seconds * self.rates.get(cell["name"], 0) / cell["length"])
        sizes = ["--prefix", cell["context"] - 1, "--prefill", 1, "--decode", cell["length"] + 1, "--requests", requests]
        row, = json.loads(call("bench", engines.model_path(cell["model"]), "--scenario", "single", *sizes, "--threads", self.threads,
                               "--json"))["rows"]
        self.rates[cell["name"]] = 1000 / row["tpot_ms"]["p50"]
        return self.rates[cell["name"]]

    def measure(self, cell, seconds):
        if "context" in cell:
            return {"rate": self.rate_after(cell, seconds)}
        formats = self.FORMATS[cell["precision"]]
        rows = self.bench(cell, self.chosen.get(cell["name"], formats), seconds)
        if cell["name"] not in self.chosen:
            self.chosen[cell["name"]] = [self.choose(cell, rows)] if formats else []
        row = next((row for row in rows if row["format"] in self.chosen[cell["name"]]), rows[0])
        note = {"note": row["format"]} if len(formats) > 1 else {}
        if cell["kind"] == "decode" and "batch" not in cell:
            gb_per_s = {name: row[name + "_bytes_per_s"] and row[name + "_bytes_per_s"] / 1e9 for name in ("read", "best_read", "plain_read")}
            return {"rate": rate(row), "share": row["share_of_bandwidth"], "limit": "of read bandwidth",
                    **{name + "_gb_per_s": value for name, value in gb_per_s.items()}, **note}
        return {"rate": rate(row), "share": row["share_of_peak"], "limit": "of peak arithmetic", **note}

    def choose(self, cell, rows):
        """The fastest format that keeps the cell's cosine; where none does, the one that the precision names."""
        for row in sorted(rows, key=rate, reverse=True):
            if "cosine" not in cell or self.cosine(cell, row["format"]) >= cell["cosine"]:
                return row["format"]
        return self.FORMATS[cell["precision"]][0]

    def cosine(self, cell, weights):
        key = (cell["model"], weights)
        if key not in self.cosines:
            self.cosines[key] = engines.cosine(cell["model"], lambda texts: self.vectors_in(cell["model"], weights, texts))
        return self.cosines[key]

    def vectors(self, cell, texts):
        return self.vectors_in(cell["model"], (self.chosen.get(cell["name"]) or self.FORMATS[cell["precision"]])[0], texts)

    def vectors_in(self, name, weights, texts):
        import numpy
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "vectors.npy"
            embed(name, texts, path, "--format", weights, "--threads", self.threads)
            return numpy.load(path)
