#!/usr/bin/env python3
"""Converts a llama2.c checkpoint (.bin, the original float32 layout) and its tokenizer (.bin) into a Hugging Face Llama
directory: config.json, generation_config.json, model.safetensors, tokenizer.json, tokenizer_config.json.

    scripts/convert_llama2c.py MODEL.bin TOKENIZER.bin OUT_DIR

Needs nothing but Python. A tokenizer with byte tokens (<0x00> ...) becomes a SentencePiece-like BPE; one without them
becomes a vocabulary of single characters."""
import argparse
import json
import struct
import sys
from pathlib import Path

ROPE_THETA, RMS_EPSILON = 10000.0, 1e-5  # constants of llama2.c


class Floats:
    """Reads tensors one after the other."""

    def __init__(self, data, offset):
        self.data, self.at = data, offset

    def take(self, count):
        end = self.at + 4 * count
        if end > len(self.data):
            sys.exit(f"the model file is truncated: {end} bytes are needed, it has {len(self.data)}")
        part, self.at = self.data[self.at:end], end
        return part


def rotary_halves(weight, heads, head_dim, columns):
    """llama2.c rotates neighbouring rows of a head, Hugging Face row i with row i + head_dim / 2."""
    row = 4 * columns
    out = []
    for head in range(heads):
        for parity in (0, 1):
            for i in range(parity, head_dim, 2):
                at = (head * head_dim + i) * row
                out.append(weight[at:at + row])
    return b"".join(out)


def read_model(path):
    data = path.read_bytes()
    dim, hidden, layers, heads, kv_heads, vocab, context = struct.unpack_from("<7i", data)
    shared, vocab = vocab > 0, abs(vocab)
    if min(dim, hidden, layers, heads, kv_heads, vocab, context) < 1 or dim % heads or heads % kv_heads:
        sys.exit(f"{path} is no llama2.c checkpoint of the original layout")
    head_dim = dim // heads
    kv_dim = kv_heads * head_dim
    floats = Floats(data, 28)
    tensors = {"model.embed_tokens.weight": ((vocab, dim), floats.take(vocab * dim))}

    def per_layer(name, rows, columns=None, turn_heads=0):
        for layer in range(layers):
            part = floats.take(rows * (columns or 1))
            if turn_heads:
                part = rotary_halves(part, turn_heads, head_dim, columns)
            shape = (rows, columns) if columns else (rows,)
            tensors[f"model.layers.{layer}.{name}.weight"] = (shape, part)

    per_layer("input_layernorm", dim)
    per_layer("self_attn.q_proj", dim, dim, heads)
    per_layer("self_attn.k_proj", kv_dim, dim, kv_heads)
    per_layer("self_attn.v_proj", kv_dim, dim)
    per_layer("self_attn.o_proj", dim, dim)
    per_layer("post_attention_layernorm", dim)
    per_layer("mlp.gate_proj", hidden, dim)
    per_layer("mlp.down_proj", dim, hidden)
    per_layer("mlp.up_proj", hidden, dim)
    tensors["model.norm.weight"] = ((dim,), floats.take(dim))
    floats.take(context * head_dim)  # tables of cosines and sines
    if not shared:
        tensors["lm_head.weight"] = ((vocab, dim), floats.take(vocab * dim))
    if floats.at != len(data):
        sys.exit(f"{path} has {len(data) - floats.at} bytes after the last tensor")
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": dim, "intermediate_size": hidden,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim,
        "vocab_size": vocab, "max_position_embeddings": context, "rms_norm_eps": RMS_EPSILON, "rope_theta": ROPE_THETA,
        "hidden_act": "silu", "tie_word_embeddings": shared, "attention_bias": False, "mlp_bias": False,
        "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"}
    return config, tensors


def read_tokens(path, count):
    data, at, tokens, scores = path.read_bytes(), 4, [], []
    for i in range(count):
        if at + 8 > len(data):
            sys.exit(f"{path} holds {i} tokens, expected {count}")
        score, size = struct.unpack_from("<fi", data, at)
        tokens.append(data[at + 8:at + 8 + size].decode())
        scores.append(score)
        at += 8 + size
    return tokens, scores


def merges_of(vocabulary, scores):
    """Pairs of tokens that make another one, best score first, as SentencePiece applies them."""
    ranked = []
    for token, index in vocabulary.items():
        pairs = [(token[:i], token[i:]) for i in range(1, len(token))]
        pairs = [pair for pair in pairs if pair[0] in vocabulary and pair[1] in vocabulary]
        pairs.sort(key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
        ranked += [(-scores[index], order, pair) for order, pair in enumerate(pairs)]
    ranked.sort(key=lambda item: item[0])
    return [list(pair) for _, _, pair in ranked]


def make_tokenizer(tokens, scores):
    pieces = [token.replace(" ", "\u2581") for token in tokens]
    pieces[:3] = ["<unk>", "<s>", "</s>"]
    byte_fallback = "<0x00>" in pieces
    if not byte_fallback:
        pieces[3:] = tokens[3:]
    vocabulary = {}
    for index, piece in enumerate(pieces):
        vocabulary.setdefault(piece, index)
    control = {piece for piece in vocabulary if piece.startswith("<0x")} | set(pieces[:3])
    mergeable = {piece: index for piece, index in vocabulary.items() if piece not in control}
    space = [{"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]
    decoders = [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]
    start = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": piece, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, piece in enumerate(pieces[:3])],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}] + space} if byte_fallback else None,
        "pre_tokenizer": None,
        "post_processor": {"type": "TemplateProcessing", "single": [start, {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [start, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": decoders} if byte_fallback else {"type": "Fuse"},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": byte_fallback, "byte_fallback": byte_fallback, "ignore_merges": False,
                  "vocab": vocabulary, "merges": merges_of(mergeable, scores) if byte_fallback else []}}


def write_safetensors(path, tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, data in tensors.values():
            out.write(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    config, tensors = read_model(options.model)
    tokens, scores = read_tokens(options.tokenizer, config["vocab_size"])
    options.out.mkdir(parents=True, exist_ok=True)
    write_safetensors(options.out / "model.safetensors", tensors)

    def write(name, value):
        (options.out / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    write("config.json", config)
    write("generation_config.json", {"bos_token_id": 1, "eos_token_id": 2})
    write("tokenizer.json", make_tokenizer(tokens, scores))
    write("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
                                    "unk_token": "<unk>", "clean_up_tokenization_spaces": False})


main()
