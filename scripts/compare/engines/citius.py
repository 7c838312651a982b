import json
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

    def bench(self, cell, formats, seconds):
        """Rows of the report, one for each format, measured interleaved."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as lengths:
            lengths.write("".join(f"{length}\n" for length in cell.get("lengths", [])))
            lengths.flush()
            size = {"encode": ["--lengths", lengths.name, "--batch", len(cell.get("lengths", []))], "prefill": ["--prefill", cell.get("length")],
                    "decode": ["--decode", cell.get("length")]}[cell["kind"]]
            return json.loads(call("bench", engines.model_path(cell["model"]), *size, *(["--format", ",".join(formats)] if formats else []),
                                   "--threads", self.threads, "--seconds", seconds, "--repeats", 1, "--json"))["rows"]

    def measure(self, cell, seconds):
        formats = self.FORMATS[cell["precision"]]
        rows = self.bench(cell, self.chosen.get(cell["name"], formats), seconds)
        row = max(rows, key=rate)
        self.chosen[cell["name"]] = [row["format"]] if formats else []
        decode = cell["kind"] == "decode"
        share = [row.get("share_of_bandwidth"), "of read bandwidth"] if decode else [row.get("share_of_peak"), "of peak arithmetic"]
        return {"rate": rate(row), "share": share, **({"note": row["format"]} if len(formats) > 1 else {})}

    def vectors(self, cell, texts):
        import numpy
        weights = (self.chosen.get(cell["name"]) or self.FORMATS[cell["precision"]])[0]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "vectors.npy"
            embed(cell["model"], texts, path, "--format", weights, "--threads", self.threads)
            return numpy.load(path)
