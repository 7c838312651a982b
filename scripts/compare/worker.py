"""One engine, driven over pipes by compare.py: a line {"cell", "seconds"} in, a line {"rate"} or {"error"} out; {"cell", "quality"} for
{"cosine"}."""
import importlib
import json
import os
import sys

import engines

# What libraries print goes to standard error: standard output carries answers.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def answer(message):
    answers.write(json.dumps(message) + "\n")
    answers.flush()


try:
    engine = importlib.import_module("engines." + sys.argv[1]).Engine(int(sys.argv[2]))
    answer({"version": engine.version})
except Exception as error:  # an engine that is not installed is reported, not fatal
    answer({"error": f"{type(error).__name__}: {error}"})
    sys.exit(0)
for line in sys.stdin:
    request = json.loads(line)
    try:
        if "quality" in request:
            answer({"cosine": engines.quality(engine, request["cell"])})
        else:
            answer(engine.measure(request["cell"], request["seconds"]))
    except engines.Unable as error:
        answer({"unable": str(error)})
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
