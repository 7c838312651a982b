#!/usr/bin/env python3
"""Makes the goldens beside it with transformers and jinja2: `make.py`. `make.py --sweep N FILE` writes N further random
cases, `--expressions N FILE` N random expressions and `--programs N FILE` N random templates, in the same form, which
chat_template_test and jinja_test check where CITIUS_CHAT_CASES or CITIUS_JINJA_CASES names the file."""
import argparse
import copy
import json
import pathlib
import warnings

import conversations
import expressions
import programs
import referee
import statements

HERE = pathlib.Path(__file__).parent
warnings.filterwarnings("ignore")


def write(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def chat_cases(count, seed):
    rng = conversations.seeded(seed)
    templates = {p.name: p.read_text(encoding="utf-8") for p in sorted((HERE / "templates").glob("*.jinja"))}
    for i in range(count):
        case = conversations.case(rng)
        name = list(templates)[i % len(templates)]
        case["template"] = name
        case["expected"] = referee.render(templates[name], case["messages"], case["add_generation_prompt"], case["extra"])
        yield case


def source_case(source):
    try:
        expected = referee.render(source, [], False, copy.deepcopy(expressions.VARIABLES))
        if expected is not None:
            expected.encode("utf-8")
    except UnicodeEncodeError:
        return None
    if expected is not None and (" at 0x" in expected or len(expected) > 100000):
        return None
    return {"source": source, "expected": expected}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sweep", nargs=2, metavar=("N", "FILE"))
    parser.add_argument("--expressions", nargs=2, metavar=("N", "FILE"))
    parser.add_argument("--programs", nargs=2, metavar=("N", "FILE"))
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.sweep:
        write(args.sweep[1], chat_cases(int(args.sweep[0]), args.seed))
    elif args.expressions:
        rng = conversations.seeded(args.seed)
        sources = ("{{ " + expressions.expression(rng) + " }}" for _ in range(int(args.expressions[0])))
        write(args.expressions[1], filter(None, map(source_case, sources)))
    elif args.programs:
        rng = conversations.seeded(args.seed)
        sources = (programs.program(rng) for _ in range(int(args.programs[0])))
        write(args.programs[1], filter(None, map(source_case, sources)))
    else:
        write(HERE / "chats.jsonl", chat_cases(96, 7))
        sources = ["{{ " + e + " }}" for e in expressions.HAND] + statements.SOURCES
        rows = [source_case(source) for source in sources]
        missing = [source for source, row in zip(sources, rows) if row is None]
        assert not missing, missing
        write(HERE / "sources.jsonl", [{"variables": expressions.VARIABLES}] + rows)


if __name__ == "__main__":
    main()
