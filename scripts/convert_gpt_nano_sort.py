#!/usr/bin/env python3
"""Converts the JSON checkpoint of llm-viz's gpt-nano-sort (a minGPT model that sorts letters) into a Hugging Face GPT-2
directory: config.json, model.safetensors and a tokenizer of three letters.

    scripts/convert_gpt_nano_sort.py gpt-nano-sort-model.json OUT_DIR

Needs nothing but Python."""
import argparse
import base64
import json
import struct
from pathlib import Path

TURNED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")  # Conv1D: [inputs, outputs]


def transpose(data, rows, columns):
    values = struct.unpack(f"<{rows * columns}f", data)
    return struct.pack(f"<{rows * columns}f", *(values[r * columns + c] for c in range(columns) for r in range(rows)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    source = json.loads(options.model.read_text())
    config = source.pop("config")
    header, parts, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in source.items():
        if name.endswith(".attn.bias"):  # the causal mask
            continue
        shape, data = tensor["shape"], base64.b64decode(tensor["data"])
        if name.endswith(TURNED):
            data, shape = transpose(data, *shape), shape[::-1]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
    letters = {letter: index for index, letter in enumerate("ABC"[:config["vocab_size"]])}
    (options.out / "config.json").write_text(json.dumps({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_layer": config["n_layer"], "n_head": config["n_head"],
        "n_embd": config["n_embd"], "vocab_size": config["vocab_size"], "n_positions": config["block_size"],
        "n_ctx": config["block_size"], "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": False, "bos_token_id": None, "eos_token_id": None, "torch_dtype": "float32"}, indent=1) + "\n")
    (options.out / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
        "post_processor": None, "decoder": {"type": "Fuse"},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": letters, "merges": []}}, indent=1) + "\n")


main()
