import json
import subprocess

import engines


class Engine:
    def __init__(self, threads):
        self.threads = threads
        self.version = subprocess.run([engines.CITIUS, "--version"], check=True, capture_output=True, text=True).stdout.strip()

    def measure(self, cell, seconds):
        size = {"encode": ["--length", cell["length"]], "prefill": ["--prefill", cell["length"]],
                "decode": ["--decode", cell["length"]]}[cell["kind"]]
        precision = [] if cell["precision"] == "gguf" else ["--format", cell["precision"]]
        done = subprocess.run([engines.CITIUS, "bench", cell["model"], *map(str, size), "--batch", str(cell["batch"]), *precision,
                               "--threads", str(self.threads), "--seconds", str(seconds), "--repeats", "3", "--json"],
                              capture_output=True, text=True)
        if done.returncode != 0:
            return {"error": done.stderr.strip()}
        row = json.loads(done.stdout)["rows"][0]
        share = row["share_of_bandwidth"] if cell["kind"] == "decode" else row["share_of_peak"]
        return {"rate": row.get("tokens_per_s") or row.get("sequences_per_s"), "share": share}
