#!/usr/bin/env python3
"""citius beside the engines a user would take instead: the same weights, threads and token counts, interleaved in one run.

    scripts/compare/setup.sh                 # once: installs the engines in the user's cache
    scripts/compare/compare.py               # every cell
    scripts/compare/compare.py minilm-f32    # cells whose name contains this

In each round every engine measures the cell for some seconds, one after the other, in an order that rotates; engines that
wait are stopped, so that none steals time. The table shows medians of the rounds and, for each engine, the median of
the ratios citius / engine within a round: the machine may drift between rounds, hardly within one."""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys

import cells

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("CITIUS_COMPARE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "citius-compare")


class Worker:
    """An engine in a process of its own that is stopped while others measure."""

    def __init__(self, engine, threads):
        python = CACHE / "venv/bin/python"
        interpreter = str(python) if python.exists() else sys.executable
        path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), PYTHONPATH=path)
        self.name = engine
        self.process = subprocess.Popen([interpreter, str(HERE / "worker.py"), engine, str(threads)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=environment)
        self.ready = json.loads(self.process.stdout.readline() or '{"error": "did not start"}')
        self.pause()

    def pause(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)

    def ask(self, message):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        self.pause()
        return json.loads(line) if line else {"error": "died"}

    def close(self):
        self.process.kill()
        self.process.wait()


def measure(cell, workers, rounds, seconds):
    """{engine: [rate of every round]}, and why engines are missing."""
    answers = {}
    absent = {}
    for worker in workers:  # a first turn that is not counted: loads and warms up
        answer = worker.ask({"cell": cell, "seconds": seconds / 4})
        if "error" in answer:
            absent[worker.name] = answer["error"]
        else:
            answers[worker.name] = []
    running = [worker for worker in workers if worker.name in answers]
    extra = {}
    for i in range(rounds):
        for k in range(len(running)):
            worker = running[(k + i) % len(running)]
            answer = worker.ask({"cell": cell, "seconds": seconds})
            answers[worker.name].append(answer["rate"])
            extra[worker.name] = answer.get("share")
    return answers, absent, extra


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("only", nargs="*", help="cells whose name contains one of these")
    parser.add_argument("--engines", default="pytorch,llamacpp", help="beside citius")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each engine in each round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", help="write everything measured to this file")
    args = parser.parse_args()
    chosen = [cell for cell in cells.CELLS if not args.only or any(word in cell["name"] for word in args.only)]
    workers = []
    for engine in ["citius", *args.engines.split(",")]:
        worker = Worker(engine, args.threads)
        if "error" in worker.ready:
            print(f"{engine}: left out: {worker.ready['error']}", file=sys.stderr)
            worker.close()
            if engine == "citius":
                sys.exit(1)
        else:
            print(f"{engine}: {worker.ready['version']}", file=sys.stderr)
            workers.append(worker)
    table = []
    for cell in chosen:
        rates, absent, shares = measure(cell, workers, args.rounds, args.seconds)
        row = {"cell": cell["name"], "unit": cell["unit"], "rates": rates, "absent": absent, "share_of_limit": shares.get("citius")}
        table.append(row)
        ours = rates.get("citius")
        if not ours:
            print(f"{cell['name']:<28} citius: {absent.get('citius')}", flush=True)
            continue
        parts = [f"{cell['name']:<28} citius {statistics.median(ours):9.1f} {cell['unit']}"]
        if shares.get("citius"):
            parts.append(f"({100 * shares['citius']:.0f} % of the limit)")
        for engine, theirs in rates.items():
            if engine != "citius":
                ratio = statistics.median(a / b for a, b in zip(ours, theirs))
                parts.append(f"| {engine} {statistics.median(theirs):9.1f}: {ratio:.2f}x")
        print(" ".join(parts), flush=True)
    for worker in workers:
        worker.close()
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"threads": args.threads, "rounds": args.rounds, "rows": table}, indent=1))


if __name__ == "__main__":
    main()
