#!/usr/bin/env python3
"""Writes the goldens of this folder: for each family its tokenizer and what the `tokenizers` package makes of some
strings. Needs Python 3.11 (Unicode 14), tokenizers and sentencepiece. Run it here; nothing else is read.

The first strings of a family are written out in full, of the others only a digest of the same line:
ids | offsets | type ids | word ids | decoded text (FNV-1a, 64 bits).
"""
import json
import pathlib
import random

import families

COUNT = 200
FULL = 12


def line(encoding, decoded):
    ids = ",".join(map(str, encoding.ids))
    offsets = ",".join(f"{a}:{b}" for a, b in encoding.offsets)
    types = ",".join(map(str, encoding.type_ids))
    words = ",".join(str(-1 if w is None else w) for w in encoding.word_ids)
    return f"{ids}|{offsets}|{types}|{words}|{decoded}"


def digest(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def windows(tokenizer):
    """Truncation with every strategy and direction; each window as a line."""
    text, pair = "the city of new people don't find naïve words", "which one, had 1234567 children?"
    cases = []
    for strategy, second, length, stride, direction in [
            ("longest_first", None, 8, 0, "right"), ("longest_first", None, 9, 3, "right"), ("longest_first", None, 9, 2, "left"),
            ("longest_first", pair, 12, 0, "right"), ("longest_first", pair, 21, 2, "right"), ("longest_first", pair, 13, 1, "left"),
            ("only_first", pair, 40, 4, "right"), ("only_second", pair, 45, 5, "right"), ("only_second", pair, 45, 1, "left"),
            ("longest_first", pair, 200, 0, "right"), ("longest_first", None, 2, 0, "right")]:
        tokenizer.enable_truncation(length, stride=stride, strategy=strategy, direction=direction)
        encoding = tokenizer.encode(text, second)
        lines = [line(e, "") for e in [encoding, *encoding.overflowing]]
        cases.append([text, second, length, stride, strategy, direction, lines])
    tokenizer.no_truncation()
    return cases


def main():
    here = pathlib.Path(__file__).parent
    # One list of strings for all; "\x1c" stands for a special token of the family.
    texts = families.make_texts(11, COUNT, ["\x1c"], lengths=(1, 2, 3, 5, 8))
    rng = random.Random(12)
    pairs = [rng.choice(texts) if i % 5 == 4 else None for i in range(COUNT)]
    (here / "texts.json").write_text(json.dumps([texts, pairs], ensure_ascii=True) + "\n")
    for name, make in families.FAMILIES.items():
        tokenizer = make()
        specials = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
        out = []
        for i, (text, pair) in enumerate(zip(texts, pairs)):
            token = specials[i % len(specials)]
            encoding = tokenizer.encode(text.replace("\x1c", token), pair and pair.replace("\x1c", token),
                                        add_special_tokens=i % 7 != 3)
            result = line(encoding, tokenizer.decode(encoding.ids))
            out.append(result if i < FULL else digest(result))
        golden = {"tokenizer": json.loads(tokenizer.to_str()), "specials": specials, "expected": out}
        if name in ("bert", "roberta"):
            golden["windows"] = windows(tokenizer)
        text = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
        (here / f"{name}.json").write_text(text + "\n")
        print(name, len(text))


if __name__ == "__main__":
    main()
