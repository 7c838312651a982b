#!/usr/bin/env python3
"""citius beside the engines a user would take instead, interleaved in one run.

    scripts/compare/compare.py               # every cell; installs what is missing in the user's cache first (setup.sh)
    scripts/compare/compare.py minilm-f32    # cells whose name contains this
    scripts/compare/compare.py --isa avx2    # all of them as on a processor that has AVX2 and nothing newer

The same for all are the weights (one file, or what an engine's own converter makes of it), the precision or what the engine has for it,
the threads, and how many sequences of how many tokens are computed, in which batches. The ids are not: those of the engines driven from
Python are the same (engines.tokens), citius and the programs of ik_llama.cpp draw their own. A dense model does the same work for all ids.

In each round every engine measures the cell for some seconds, one after the other, in an order that rotates; engines that
wait are stopped, so that none steals time. The table shows medians of the rounds and, for the engine that comes off best, the median of
the ratios citius / other engine within a round: the machine may drift between rounds, hardly within one. Where citius decodes one
sequence, the share is of the best read rate measured beside each round of it; that rate, the one of plain reads and what citius read stand
with it in GB/s. With int8 stands the mean cosine of the vectors to those of fp32; where a cell asks for a least cosine, an engine below it
is in brackets and never the best, and there is no ratio where citius is."""
import argparse
import json
import math
import os
import pathlib
import signal
import statistics
import subprocess
import sys

import cells
import engines

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = engines.CACHE / "venv/bin/python"
ENGINES = "pytorch,onnxruntime,openvino,ctranslate2,llamacpp,ik_llama,ik_llama_rtr"
# What holds citius and the others to AVX2: PyTorch, OpenVINO and CTranslate2 and the libraries inside them obey variables, llama.cpp
# and ik_llama.cpp have a second build, ONNX Runtime has nothing of the kind. OpenVINO wants two variables that agree.
AVX2 = {"CITIUS_ISA": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "OV_CPU_MAX_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2", "CT2_FORCE_CPU_ISA": "AVX2"}
FEWEST_ROUNDS = 5  # of a median that is worth keeping
# What an engine may answer beside its rate that is a number of each round.
OF_ROUNDS = ("share", "read_gb_per_s", "best_read_gb_per_s", "plain_read_gb_per_s")
BUILT_FOR_AVX2 = ("llamacpp", "ik_llama")
WITHOUT_AVX2 = ("onnxruntime",)


class Worker:
    """An engine in a process of its own that is stopped while others measure."""

    def __init__(self, engine, threads):
        self.name = engine
        self.process = subprocess.Popen([python(), str(HERE / "worker.py"), engine, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=dict(environment(), OMP_NUM_THREADS=str(threads)))
        self.ready = json.loads(self.process.stdout.readline() or '{"error": "did not start"}')
        self.pause()

    def pause(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)

    def ask(self, message):
        if self.process.poll() is not None:
            return {"error": "died"}
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        self.pause()
        return json.loads(line) if line else {"error": "died"}

    def close(self):
        self.process.kill()
        self.process.wait()


def python():
    return str(PYTHON) if PYTHON.exists() else sys.executable


def environment():
    paths = [str(HERE), os.environ.get("PYTHONPATH")]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)))


def installed_as(name):
    """The name that an engine has for setup.sh."""
    name = name.removesuffix("_rtr")
    return name + "_avx2" if engines.held_to_avx2() and name in BUILT_FOR_AVX2 else name


def hold_to_avx2(names, chosen):
    """From here on, in all that is started. The engines and cells that are left."""
    os.environ.update(AVX2)
    for name in set(names) & set(WITHOUT_AVX2):
        print(f"{name}: left out: nothing holds it to AVX2", file=sys.stderr)
    return [name for name in names if name not in WITHOUT_AVX2], [cell for cell in chosen if cell["precision"] != "bf16"]


def prepare(names, chosen):
    """Installs the engines and writes the models. What fails is told and left out."""
    peers = dict.fromkeys(["pytorch", *map(installed_as, names)])  # pytorch writes the models for all
    peers = [peer for peer in peers if not (engines.CACHE / "failed" / peer).exists()]
    if peers:
        subprocess.run([str(HERE / "setup.sh"), *peers], check=True, stdout=subprocess.DEVNULL)
    # MiniLM first: others are made from it.
    models = sorted({cell["model"] for cell in chosen} | {cells.MINILM, cells.SMOLLM2}, key=lambda name: name not in (cells.MINILM, cells.SMOLLM2))
    for model in models:
        if subprocess.run([python(), str(HERE / "models.py"), model], env=environment(), stdout=sys.stderr).returncode != 0:
            print(f"compare: {model}: not written, see above", file=sys.stderr)


def start(names, threads):
    workers = []
    for name in names:
        worker = Worker(name, threads)
        if "error" in worker.ready:
            failed = engines.CACHE / "failed" / installed_as(name)
            reason = f"{failed.read_text().strip()} (setup.sh tries again)" if failed.exists() else worker.ready["error"]
            print(f"{name}: left out: {reason}", file=sys.stderr)
            worker.close()
            if name == "citius":
                sys.exit(1)
        else:
            print(f"{name}: {worker.ready['version']}", file=sys.stderr)
            workers.append(worker)
    return workers


def measure(cell, workers, rounds, seconds):
    """A row of the table: for each engine {"rates": one of every round, "rate": their median, ...} or {"error": ...} or {"unable": ...}."""
    results = {}
    answers = {worker.name: [] for worker in workers}
    for worker in workers:  # a first turn that is not counted: loads and warms up
        answer = worker.ask({"cell": cell, "seconds": seconds / 4})
        results[worker.name] = {"rates": []} if "rate" in answer else answer
        if "rate" in answer and cell["kind"] == "encode" and cell["precision"] != "f32":
            results[worker.name] |= worker.ask({"cell": cell, "quality": True})
    for i in range(rounds):
        for k in range(len(workers)):
            worker = workers[(k + i) % len(workers)]
            result = results[worker.name]
            if "rates" not in result:
                continue
            answer = worker.ask({"cell": cell, "seconds": seconds})
            if "rate" in answer:
                result["rates"].append(answer["rate"])
                answers[worker.name].append(answer)
            else:
                results[worker.name] = answer
    for name, result in results.items():
        if "error" in result:
            print(f"{cell['name']}: {name}: {result['error']}", file=sys.stderr)
        if "rates" in result:
            result |= summary(answers[name])
            result["passes"] = cell["precision"] != "int8" or result.get("cosine", 1) >= cell.get("cosine", 0)
    return {"cell": cell, "engines": results}


def summary(answers):
    """Of the answers of one engine in the rounds: medians of numbers; words as they are, which are the same in every round."""
    result = {key: value for key, value in answers[-1].items() if isinstance(value, str)}
    for key in ("rate", *OF_ROUNDS):
        values = [answer[key] for answer in answers if answer.get(key) is not None]
        if values:
            result[key] = statistics.median(values)
    return result


def rounded(rate):
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.3g}"


def shown(result):
    if result is None or "rates" not in result:
        return "failed" if result and "error" in result else "-"
    details = [result.get("note"), f"cos {result['cosine']:.4f}" if "cosine" in result else None]
    text = " ".join([rounded(result["rate"]), *filter(None, details)])
    return text if result["passes"] else f"({text})"


def best_other(row):
    """Of the other engines that pass, the one whose median ratio citius / engine within a round is the lowest, and that ratio. None where
    there is no such engine, or where citius itself does not pass."""
    ours = row["engines"]["citius"]
    if not ours.get("passes"):
        return None
    ratios = {name: statistics.median(a / b for a, b in zip(ours["rates"], result["rates"]))
              for name, result in row["engines"].items() if name != "citius" and result.get("passes")}
    return min(ratios.items(), key=lambda item: item[1], default=None)


def shown_share(result):
    if "share" not in result:
        return "-"
    text = f"{100 * result['share']:.0f} % {result['limit']}"
    if "read_gb_per_s" not in result:
        return text
    return f"{text}: {result['read_gb_per_s']:.1f} of {result['best_read_gb_per_s']:.1f} GB/s (plain {result['plain_read_gb_per_s']:.1f})"


def table_row(row, names):
    ours = row["engines"]["citius"]
    best = best_other(row)
    row["best"], row["ratio"] = best or (None, None)
    columns = [row["cell"]["name"], row["cell"]["unit"], shown(ours), shown_share(ours),
               f"{best[0]} {best[1]:.2f}x" if best else "-"]
    return "| " + " | ".join(columns + [shown(row["engines"].get(name)) for name in names]) + " |"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("only", nargs="*", help="cells whose name contains one of these")
    parser.add_argument("--engines", default=ENGINES, help="beside citius, with commas (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each engine in each round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--isa", choices=["avx2"], help="hold all engines to an instruction set")
    parser.add_argument("--json", help="write everything measured to this file")
    parser.add_argument("--list", action="store_true", help="name the cells and stop")
    args = parser.parse_args()
    for word in args.only:
        if not any(word in cell["name"] for cell in cells.CELLS):
            parser.error(f"no cell has '{word}' in its name; --list names them")
    args.engines = list(dict.fromkeys(args.engines.split(",")))
    for name in args.engines:
        if name not in ENGINES.split(","):
            parser.error(f"got the engine '{name}', expected some of {ENGINES}")
    if args.rounds < 1 or args.threads < 1 or not 0 < args.seconds < math.inf:
        parser.error("expected --rounds and --threads of 1 or more, and --seconds above 0")
    return args


def main():
    args = arguments()
    chosen = [cell for cell in cells.CELLS if not args.only or any(word in cell["name"] for word in args.only)]
    names = args.engines
    if args.isa:
        names, chosen = hold_to_avx2(names, chosen)
    if args.list:
        print("\n".join(cell["name"] for cell in chosen))
        return
    if not chosen:
        sys.exit(f"compare: none of these cells can be held to {args.isa}")
    if args.rounds < FEWEST_ROUNDS:
        print(f"compare: medians of {args.rounds} rounds say little; keep figures of {FEWEST_ROUNDS} or more", file=sys.stderr)
    prepare(names, chosen)
    workers = start(["citius", *names], args.threads)
    names = [worker.name for worker in workers if worker.name != "citius"]
    head = ["cell", "unit", "citius", "share of the limit", "ratio to the best", *names]
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|", flush=True)
    rows = []
    for cell in chosen:
        rows.append(measure(cell, workers, args.rounds, args.seconds))
        print(table_row(rows[-1], names), flush=True)
        if args.json:
            versions = {worker.name: worker.ready["version"] for worker in workers}
            report = {"isa": args.isa, "threads": args.threads, "rounds": args.rounds, "seconds": args.seconds, "versions": versions, "rows": rows}
            pathlib.Path(args.json).write_text(json.dumps(report, indent=1))
    for worker in workers:
        worker.close()


if __name__ == "__main__":
    main()
