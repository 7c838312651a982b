#!/usr/bin/env python3
"""Writes a tiny random Llama with its tokenizer, and what transformers' generate() replies with it: greedy, beam search,
penalties, banned words, stop strings (expected.json), and beams where every third token ends a reply (expected_ends.json). Run with
transformers 5; the tokenizer is trained only where there is none."""
import json
import math
from pathlib import Path

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = Path(__file__).parent
CORPUS = ["anna lives in paris and works for acme.", "the river runs through london in spring",
          "where does anna live? who works for acme?", "paris is the capital of france, bob said it was great"]
PROMPTS = ["anna lives in", "the river", "where does bob", "h\u00e9 \U0001f600"]
CASES = [{}, {"repetition_penalty": 1.7}, {"bad": ["of", "f", "~", "as"]}, {"stop": ["an", "ri"]}, {"num_beams": 2}, {"num_beams": 4},
         {"num_beams": 4, "length_penalty": -2.0}, {"num_beams": 4, "length_penalty": 3.0}, {"num_beams": 3, "repetition_penalty": 1.7},
         {"num_beams": 3, "bad": ["of", "f", "~", "as"]}, {"num_beams": 3, "stop": ["an", "ri"]}]
LENGTH = 24


def tokenizer():
    if (HERE / "tokenizer.json").exists():
        return Tokenizer.from_file(str(HERE / "tokenizer.json"))
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=330, special_tokens=["<s>", "</s>"], show_progress=False,
                                                         initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    made.decoder = decoders.ByteLevel()
    return made


def main():
    words = tf.PreTrainedTokenizerFast(tokenizer_object=tokenizer(), bos_token="<s>", eos_token="</s>")
    config = tf.LlamaConfig(vocab_size=len(words), hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                            num_key_value_heads=1, max_position_embeddings=64, tie_word_embeddings=True, bos_token_id=0,
                            eos_token_id=1)
    torch.manual_seed(7)
    model = tf.LlamaForCausalLM(config).float().eval()
    for key, p in sorted(model.named_parameters()):
        p.data = 1 + 0.3 * torch.randn(p.shape) if p.dim() == 1 else torch.randn(p.shape) * (0.4 if "embed" in key else 2 / math.sqrt(p.shape[1]))
    model.model.embed_tokens.weight.data[1] *= 2.5  # replies shall end now and then
    model.tie_weights()
    model.save_pretrained(HERE)
    words.save_pretrained(HERE)
    (HERE / "generation_config.json").unlink()
    expected = []
    for case in CASES:
        options = {key: value for key, value in case.items() if key not in ("bad", "stop")}
        if "bad" in case:
            options["bad_words_ids"] = [words.encode(form, add_special_tokens=False) for word in case["bad"] for form in (word, " " + word)]
        if "stop" in case:
            options.update(stop_strings=case["stop"], tokenizer=words)
        for prompt in PROMPTS:
            ids = words.encode(prompt, return_tensors="pt")
            reply = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=LENGTH, do_sample=False, pad_token_id=1,
                                   **options)[0, ids.shape[1]:].tolist()
            expected.append({"prompt": prompt, "options": case, "tokens": reply[: reply.index(1)] if 1 in reply else reply})
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")
    ends = [1] + list(range(2, len(words), 3))
    replies = []
    for beams in (2, 3, 4):
        for prompt in PROMPTS:
            ids = words.encode(prompt, return_tensors="pt")
            reply = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=LENGTH, do_sample=False, pad_token_id=1,
                                   eos_token_id=ends, num_beams=beams, length_penalty=3.0)[0, ids.shape[1]:].tolist()
            length = next((i for i, token in enumerate(reply) if token in ends), len(reply))
            replies.append({"prompt": ids[0].tolist(), "beams": beams, "tokens": reply[:length]})
    (HERE / "expected_ends.json").write_text(json.dumps({"ends": ends, "length_penalty": 3.0, "max_tokens": LENGTH, "replies": replies}) + "\n")


if __name__ == "__main__":
    main()
