#!/usr/bin/env python3
"""Writes goldens of the postprocessing of tasks: what transformers' pipelines make of given logits, and what
sentence-transformers' Pooling makes of given hidden states.

Run `python3 make.py` with transformers 5 and sentence-transformers, and `python3 make.py qa` with transformers 4.57 (the
last that has the question answering pipeline). The pipelines are called with stand-ins for model and tokenizer, so that
no tokenizer is needed.
"""
import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

HERE = Path(__file__).parent
LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC"]


def write(name, value):
    (HERE / name).write_text(json.dumps(value, indent=None, separators=(",", ":")) + "\n")


def entity(e):
    return {"label": e.get("entity_group", e.get("entity")), "score": float(e["score"]), "begin": int(e["start"]), "end": int(e["end"])}


def token_classification():
    from transformers.pipelines.token_classification import AggregationStrategy, TokenClassificationPipeline

    pipe = TokenClassificationPipeline.__new__(TokenClassificationPipeline)
    pipe.tokenizer = SimpleNamespace(convert_tokens_to_string=lambda tokens: " ".join(tokens))
    pipe.model = SimpleNamespace(config=SimpleNamespace(id2label=dict(enumerate(LABELS))))
    rng = np.random.default_rng(7)
    cases = []
    for n in (0, 1, 3, 12, 30, 30):
        logits = (rng.standard_normal((n, len(LABELS))) * 2).astype(np.float32)
        if n == 30:  # runs of one label
            logits[3:9, 1 + rng.integers(5)] += 5
            logits[12:20, 4] += 6
        scores = np.exp(logits - logits.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        begin, tokens = 0, []
        for i in range(n):
            subword = bool(i > 0 and rng.random() < 0.4)
            begin += 0 if subword else 1
            end = begin + int(rng.integers(1, 6))
            tokens.append({"word": f"w{i}", "scores": scores[i], "start": begin, "end": end, "index": i, "is_subword": subword})
            begin = end
        expected = {}
        for strategy in AggregationStrategy:
            found = pipe.aggregate(tokens, strategy) if tokens else []
            expected[strategy.value] = [entity(e) for e in found if e.get("entity_group", e.get("entity")) != "O"]
        cases.append({"tokens": [{"logits": logits[i].tolist(), "begin": t["start"], "end": t["end"], "is_subword": t["is_subword"]}
                                 for i, t in enumerate(tokens)], "expected": expected})
    overlapping = []
    for _ in range(6):
        entities = []
        for _ in range(int(rng.integers(0, 9))):
            start = int(rng.integers(0, 30))
            entities.append({"entity_group": "X", "score": float(rng.random()), "start": start, "end": start + int(rng.integers(1, 8))})
        merged = pipe.aggregate_overlapping_entities(entities)
        overlapping.append({"entities": [entity(e) for e in entities], "expected": [entity(e) for e in merged]})
    write("token_classification.json", {"labels": LABELS, "cases": cases, "windows": overlapping})


def classification():
    from transformers.pipelines.text_classification import TextClassificationPipeline
    from transformers.pipelines.zero_shot_classification import ZeroShotClassificationPipeline

    rng = np.random.default_rng(8)
    cases = []
    for problem, n in ((None, 3), (None, 1), ("single_label_classification", 4), ("multi_label_classification", 5), ("regression", 1)):
        pipe = TextClassificationPipeline.__new__(TextClassificationPipeline)
        pipe.model = SimpleNamespace(config=SimpleNamespace(problem_type=problem, num_labels=n, id2label={i: f"L{i}" for i in range(n)}))
        logits = (rng.standard_normal(n) * 3).astype(np.float32)
        out = pipe.postprocess({"logits": torch.tensor(logits)[None]}, top_k=None, _legacy=False)
        scores = {o["label"]: o["score"] for o in out}
        cases.append({"problem_type": problem, "logits": logits.tolist(), "scores": [scores[f"L{i}"] for i in range(n)]})
    zero_shot = []
    for labels in (["contradiction", "neutral", "entailment"], ["ENTAILMENT", "NEUTRAL", "CONTRADICTION"], ["entailment", "not_entailment"]):
        for count in (1, 4):
            for multi in (False, True):
                pipe = ZeroShotClassificationPipeline.__new__(ZeroShotClassificationPipeline)
                pipe.model = SimpleNamespace(config=SimpleNamespace(label2id={label: i for i, label in enumerate(labels)}))
                logits = (rng.standard_normal((count, len(labels))) * 2).astype(np.float32)
                candidates = [f"c{i}" for i in range(count)]
                out = pipe.postprocess([{"candidate_label": c, "sequence": "s", "logits": torch.tensor(logits[i])[None]}
                                        for i, c in enumerate(candidates)], multi_label=multi)
                scores = dict(zip(out["labels"], out["scores"]))
                zero_shot.append({"labels": labels, "multi_label": multi, "logits": logits.tolist(),
                                  "scores": [scores[c] for c in candidates]})
    write("classification.json", {"cases": cases, "zero_shot": zero_shot})


def pooling():
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling

    generator = torch.Generator().manual_seed(9)
    cases = []
    for T in (1, 2, 9):
        hidden = torch.randn((1, T, 5), generator=generator)
        modes = {}
        for mode in Pooling.POOLING_MODES:
            features = {"token_embeddings": hidden, "attention_mask": torch.ones(1, T, dtype=torch.int64)}
            modes[mode] = Pooling(5, mode)(features)["sentence_embedding"][0].tolist()
        cases.append({"hidden": hidden[0].tolist(), "modes": modes})
    write("pooling.json", cases)


class Encoding:
    def __init__(self, offsets, words):
        self.offsets, self.words = offsets, words

    def token_to_word(self, i):
        return self.words[i]

    def word_to_chars(self, word, sequence_index):
        if word is None:
            raise TypeError("no word")
        mine = [o for o, w in zip(self.offsets, self.words) if w == word]
        return mine[0][0], mine[-1][1]


def question_answering():
    from transformers.pipelines.question_answering import QuestionAnsweringPipeline

    pipe = QuestionAnsweringPipeline.__new__(QuestionAnsweringPipeline)
    pipe.framework = "pt"
    pipe.tokenizer = SimpleNamespace(is_fast=True, padding_side="right")
    rng = random.Random(10)
    generator = torch.Generator().manual_seed(11)
    cases = []
    for num_tokens, window, stride in ((6, 20, 0), (24, 40, 0), (50, 20, 7), (3, 9, 0)):
        offsets, words, text, word = [], [], "", -1
        for i in range(num_tokens):
            if i == 0 or rng.random() < 0.6:
                word += 1
                text += " " if text else ""
            piece = "".join(rng.choice("abAB") for _ in range(rng.randint(1, 3)))
            offsets.append((len(text), len(text) + len(piece)))
            words.append(word)
            text += piece
        question = 4  # [CLS] q q [SEP] context [SEP]
        outputs = []
        begin = 0
        while True:
            end = min(begin + window, num_tokens)
            n = question + end - begin + 1
            start_logits, end_logits = torch.randn((2, n), generator=generator) * 3
            start_logits[0] += 2
            p_mask = [0] + [1] * (question - 1) + [0] * (end - begin) + [1]
            outputs.append({
                "start": start_logits[None], "end": end_logits[None], "example": SimpleNamespace(context_text=text),
                "p_mask": torch.tensor([p_mask]), "attention_mask": torch.ones(1, n, dtype=torch.int64),
                "encoding": Encoding([(0, 0)] * question + offsets[begin:end] + [(0, 0)],
                                     [None] * question + words[begin:end] + [None])})
            if end == num_tokens:
                break
            begin += window - stride
        runs = []
        for options in ({}, {"top_k": 4}, {"top_k": 3, "handle_impossible_answer": True}, {"top_k": 3, "align_to_words": False},
                        {"top_k": 2, "max_answer_len": 2}):
            found = pipe.postprocess(outputs, **options)
            found = found if isinstance(found, list) else [found]
            runs.append({"options": options, "answers": [{"score": float(a["score"]), "begin": int(a["start"]), "end": int(a["end"])}
                                                         for a in found if a["score"] > 0]})
        cases.append({"context": text, "runs": runs, "windows": [{
            "start": o["start"][0].tolist(), "end": o["end"][0].tolist(), "allowed": [1 - p for p in o["p_mask"][0].tolist()],
            "begins": [b for b, _ in o["encoding"].offsets], "ends": [e for _, e in o["encoding"].offsets],
            "words": [-1 if w is None else w for w in o["encoding"].words]} for o in outputs]})
    write("question_answering.json", cases)


if __name__ == "__main__":
    if sys.argv[1:] == ["qa"]:
        question_answering()
    else:
        token_classification()
        classification()
        pooling()
