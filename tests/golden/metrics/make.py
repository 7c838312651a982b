#!/usr/bin/env python3
"""Writes metrics.json: inputs and expected values of src/metrics, computed with numpy (Student t quantiles from scipy.stats)."""
import json
import pathlib

import numpy as np
from scipy.stats import t

rng = np.random.default_rng(20)
T95 = {d: float(t.ppf(0.975, d)) for d in (1, 7, 11, 30)}


def t_interval(items):
    n = len(items)
    half = T95[n - 1] * np.std(items, ddof=1) / np.sqrt(n)
    return [float(np.mean(items)), float(np.mean(items) - half), float(np.mean(items) + half)]


def ratio_interval(top, bottom):
    n, ratio = len(top), top.sum() / bottom.sum()
    residual = top - ratio * bottom
    half = T95[n - 1] * np.sqrt((residual**2).sum() / (n - 1) / n) / bottom.mean()
    return [float(ratio), float(ratio - half), float(ratio + half)]


def log_softmax(x):
    x = x.astype(np.float64)
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


items = rng.normal(3, 2, 12)
top, bottom = rng.uniform(10, 40, 8), rng.integers(100, 300, 8).astype(float)
p = rng.normal(0, 4, 50).astype(np.float32)
q = (p + rng.normal(0, 0.3, 50)).astype(np.float32)
lp, lq = log_softmax(p), log_softmax(q)
values = rng.normal(0, 1, 9)
predicted, expected = rng.integers(0, 3, 40), rng.integers(0, 3, 40)


def f1(k):
    tp = ((predicted == k) & (expected == k)).sum()
    return 2 * tp / ((predicted == k).sum() + (expected == k).sum())


a, b = rng.integers(0, 6, 20).astype(float), rng.normal(0, 1, 20)


def rank(x):
    return np.array([(x < v).sum() + ((x == v).sum() - 1) / 2 for v in x])


out = {
    "t95": [[d, v] for d, v in T95.items()],
    "items": items.tolist(), "mean": t_interval(items),
    "top": top.tolist(), "bottom": bottom.tolist(), "ratio": ratio_interval(top, bottom),
    "p": [float(x) for x in p], "q": [float(x) for x in q],
    "kl": float((np.exp(lp) * (lp - lq)).sum()), "log_softmax_7": float(lp[7]), "argmax": int(p.argmax()),
    "cosine": float(p.astype(float) @ q.astype(float) / np.linalg.norm(p.astype(float)) / np.linalg.norm(q.astype(float))),
    "values": values.tolist(), "quantiles": [[s, float(np.percentile(values, 100 * s))] for s in (0, 0.1, 0.25, 0.5, 0.99, 1)],
    "predicted": predicted.tolist(), "expected": expected.tolist(), "accuracy": float((predicted == expected).mean()),
    "macro_f1": float(np.mean([f1(k) for k in range(3)])),
    "a": a.tolist(), "b": b.tolist(), "spearman": float(np.corrcoef(rank(a), rank(b))[0, 1]),
}
(pathlib.Path(__file__).parent / "metrics.json").write_text(json.dumps(out, indent=1) + "\n")
