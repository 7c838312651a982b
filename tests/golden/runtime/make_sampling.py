"""Distributions after transformers' logits processors, for random logits: writes sampling.json beside this script."""
import json
import pathlib
import random

import torch
from transformers import (MinPLogitsWarper, NoBadWordsLogitsProcessor, RepetitionPenaltyLogitsProcessor,
                          SequenceBiasLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper,
                          TypicalLogitsWarper)

random.seed(5)
torch.manual_seed(5)
VOCAB = 40
cases = []
for index in range(40):
    logits = (torch.randn(1, VOCAB) * 2.5).float()
    prompt = [random.randrange(VOCAB) for _ in range(5)]
    reply = [random.randrange(VOCAB) for _ in range(4)]
    options = {"temperature": round(random.uniform(0.4, 1.6), 2)}
    ids = torch.tensor([prompt + reply])
    scores = logits.clone()
    if index % 5 == 0:
        options["logit_bias"] = {"3": 1.5, "7": -4.0}
        scores = SequenceBiasLogitsProcessor({(3,): 1.5, (7,): -4.0})(ids, scores)
    if index % 3 == 0:
        options["repetition_penalty"] = 1.3
        scores = RepetitionPenaltyLogitsProcessor(1.3)(ids, scores)
    if index % 4 == 0:
        banned = [[9], reply[-2:] + [11]]
        options["banned"] = banned
        scores = NoBadWordsLogitsProcessor(banned, eos_token_id=VOCAB - 1)(ids, scores)
    scores = TemperatureLogitsWarper(options["temperature"])(ids, scores)
    for name, value, warper in (("top_k", 12, TopKLogitsWarper), ("top_p", 0.8, TopPLogitsWarper),
                                ("min_p", 0.05, MinPLogitsWarper), ("typical_p", 0.7, TypicalLogitsWarper)):
        if random.random() < 0.5:
            options[name] = value
            scores = warper(value)(ids, scores)
    probabilities = torch.softmax(scores.double(), -1)[0]
    cases.append({"logits": [float(x) for x in logits[0]], "prompt": prompt, "reply": reply, "options": options,
                  "kept": {str(i): float(p) for i, p in enumerate(probabilities) if p > 0}})
path = pathlib.Path(__file__).with_name("sampling.json")
path.write_text(json.dumps(cases))
print(path, path.stat().st_size)
