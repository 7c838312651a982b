#!/usr/bin/env python3
"""Compares `citius tokenize` with the `tokenizers` package: ids and offsets of generated strings, zero differences.

usage: tokenizers_compare.py --citius build/release/citius [--count 20000] [--seed 1] [MODEL ...]

MODEL is a family of tests/golden/tokenizer/families.py, a tokenizer.json, or a directory that holds one; without any, all
families. Families are trained here, with the full character map of T5. Exit 1 where anything differs.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden/tokenizer"))

import families  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402


def load(model):
    if model in families.FAMILIES:
        return families.FAMILIES[model](True)
    path = pathlib.Path(model)
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json" if path.is_dir() else path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def compare(citius, model, tokenizer, count, seed):
    """Number of strings whose ids or offsets differ."""
    specials = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    texts = families.make_texts(seed, count, specials)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        tokenizer.save(str(folder / "tokenizer.json"))
        (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        done = subprocess.run([citius, "tokenize", folder, "--input", folder / "texts.jsonl", "--json"],
                              capture_output=True, check=True)
    results = done.stdout.decode().split("\n")[:-1]
    if len(results) != len(texts):
        print(f"{model}: got {len(results)} results for {len(texts)} strings")
        return len(texts)
    differences = 0
    for text, result in zip(texts, map(json.loads, results)):
        wanted = tokenizer.encode(text)
        if result["ids"] == wanted.ids and [tuple(span) for span in result["offsets"]] == wanted.offsets:
            continue
        differences += 1
        if differences <= 3:
            print(f"{model}: {text!r}\n  wanted {wanted.ids} {wanted.offsets}\n  got    {result['ids']} {result['offsets']}")
    return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--citius", default=str(ROOT / "build/release/citius"))
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("models", nargs="*")
    arguments = parser.parse_args()
    total = 0
    for model in arguments.models or families.FAMILIES:
        differences = compare(arguments.citius, model, load(model), arguments.count, arguments.seed)
        total += differences
        print(f"| {pathlib.Path(model).name} | {arguments.count} | {differences} |", flush=True)
    sys.exit(1 if total else 0)


if __name__ == "__main__":
    main()
