"""Expressions: a hand-written list (expressions.txt) of what templates use and of Python's corners, and a seeded generator of more."""
import pathlib
import random

VARIABLES = {
    "s": "Hello, World", "u": "Grüße aus Zürich 🙂 ΣΊΣΥΦΟΣ", "e": "", "w": "  pad\n", "h": "<b> & 'q' \"d\"",
    "i": 7, "n": -3, "z": 0, "f": 2.5, "g": -0.125, "big": 2**53, "t": True, "b": False, "x": None,
    "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "le": [], "mix": [1, "a", None, True, 2.0, [1], {"k": 1}],
    "d": {"b": 2, "A": 1, "c": {"deep": [1, 2]}, "items": "shadow"}, "de": {},
    "ms": [{"role": "user", "content": "hi", "n": 1}, {"role": "assistant", "content": None, "n": 3},
           {"role": "user", "content": "Again", "n": 2}],
    "lines": "one\n\ntwo\r\n  three\n",
}

HAND = (pathlib.Path(__file__).parent / "expressions.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")

UNARY = ["upper", "lower", "title", "capitalize", "trim", "length", "list", "first", "last", "sort", "unique|list", "string", "int",
         "float", "tojson", "reverse|list", "join", "sum", "min", "max", "abs", "round", "items|list", "dictsort", "escape", "safe",
         "default('q')", "default('q', true)", "join('-')", "replace('a', 'b')", "indent(2)", "map('string')|list",
         "select|list", "batch(2)|list", "slice(2)|list", "tojson(indent=2)", "wordcount", "center(9)", "truncate(4)", "urlencode",
         "map('length')|list", "select('string')|list", "reject('none')|list", "string|length", "sort(reverse=true)", "d('z')|upper"]
POSTFIX = [".upper()", ".strip()", ".split()", "[0]", "[-1]", "[1:]", "[:2]", "[::-1]", "[::2]", "['b']", ".b", ".items()", ".keys()",
           ".get('b')", ".split('l')", ".startswith('H')", ".title()", ".lower()", ".count('l')", ".index(1)", ".splitlines()", ".role",
           ".c.deep", ".rstrip('d')", ".format(1)", ".join(ls)", ".values()|list", ".swapcase()", ".isalpha()", ".zfill(8)", ".find('o')"]
TESTS = ["defined", "none", "string", "mapping", "iterable", "sequence", "number", "integer", "boolean", "odd", "even", "true", "false",
         "in l", "in s", "eq 7", "gt 1", "lower", "upper", "float", "callable", "divisibleby 2", "undefined", "sameas x", "escaped"]
BINARY = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
# Literals are given as variables: Jinja folds constants when it compiles, with a laxer meaning of some errors.
VARIABLES.update({"c0": 0, "c1": 1, "c2": 2, "c10": 10, "c01": 0.1, "abc": "abc", "ps": "%s", "pd": "%d|%s", "ab": "a b", "br": "{}",
                  "nest": [[1, 2], [0]]})
ATOMS = list(VARIABLES) + ["nope", "[c1, ab]", "{'b': i}", "(c1, c2)", "range(c10)", "(h | safe)"]


def expression(rng, depth=0):
    kind = rng.random()
    if depth > 3 or kind < 0.25:
        return rng.choice(ATOMS)
    if kind < 0.45:
        return f"({expression(rng, depth + 1)}) | {rng.choice(UNARY)}"
    if kind < 0.62:
        return f"({expression(rng, depth + 1)}){rng.choice(POSTFIX)}"
    if kind < 0.70:
        negation = "not " if rng.random() < 0.3 else ""
        return f"({expression(rng, depth + 1)}) is {negation}{rng.choice(TESTS)}"
    if kind < 0.90:
        op = rng.choice(BINARY)
        right = "c2" if op == "**" else expression(rng, depth + 1)
        return f"({expression(rng, depth + 1)}) {op} ({right})"
    if kind < 0.94:
        return f"[{expression(rng, depth + 1)}, {expression(rng, depth + 1)}]"
    if kind < 0.96:
        return "{'k': " + expression(rng, depth + 1) + "}"
    return f"({expression(rng, depth + 1)}) if ({expression(rng, depth + 1)}) else ({expression(rng, depth + 1)})"
