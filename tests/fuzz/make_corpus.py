#!/usr/bin/env python3
"""Writes the seed corpus of the fuzz targets: OUT/NAME/... for every target NAME_fuzz but tables_fuzz, which makes its own. Seeds are
the small golden files and a few made by hand that reach the checks one byte away from valid. Needs nothing but Python."""
import io
import json
import struct
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "golden"


def safetensors(tensors, metadata=None):
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def string(text):
    return struct.pack("<Q", len(text)) + text


def gguf(values=b"", num_values=0, tensors=b"", num_tensors=0, data=b"", version=3):
    head = b"GGUF" + struct.pack("<IQQ", version, num_tensors, num_values) + values + tensors
    return head + b"\0" * (-len(head) % 32) + data


def package_seeds():
    half, scales = b"\x00\x3c", struct.pack("<2f", 0.5, 0.25)
    shape = struct.pack("<2q", 2, 32)

    def one(form, parts):
        return safetensors(parts, {"citius.formats": json.dumps({"w": {"format": form, "shape": [2, 32]}})})

    return {
        "int8": one("int8", {"w": ("I8", [2, 32], bytes(64)), "w_scale": ("F32", [2, 1], scales)}),
        "int8-g32": one("int8-g32", {"w": ("I8", [2, 32], bytes(64)), "w_scale": ("F16", [2, 1], half * 2)}),
        "int4-g32": one("int4-g32", {"w_packed": ("I32", [2, 4], bytes(32)), "w_scale": ("F16", [2, 1], half * 2),
                                     "w_shape": ("I64", [2], shape)}),
        "int4z-g32": one("int4z-g32", {"w_packed": ("I32", [2, 4], bytes(32)), "w_scale": ("F16", [2, 1], half * 2),
                                       "w_shape": ("I64", [2], shape), "w_zero_point": ("I32", [1, 1], bytes(4))}),
        "q4_0": one("q4_0", {"w": ("U8", [2, 18], bytes(36))}),
        "plain": safetensors({"b": ("F32", [2], bytes(8))}, {"citius.formats": "{}"}),
    }


def gguf_seeds():
    nested = string(b"n") + struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 4, 2) + struct.pack("<2I", 1, 2)
    architecture = string(b"general.architecture") + struct.pack("<I", 8) + string(b"llama")
    tensor = string(b"token_embd.weight") + struct.pack("<IQQIQ", 2, 32, 2, 8, 0)
    return {
        "empty": gguf(), "v2": gguf(version=2), "nested": gguf(nested, 1),
        "big_endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
        "llama": gguf(architecture + string(b"llama.block_count") + struct.pack("<II", 4, 2), 2, tensor, 1, bytes(68)),
        "alignment": gguf(string(b"general.alignment") + struct.pack("<II", 4, 64), 1),
        "huge_count": b"GGUF" + struct.pack("<IQQ", 3, 2**63, 2**62),
    }


def gguf_vocabulary(model, tokens, more):
    """A GGUF file that holds a vocabulary and no tensor."""
    def strings(items):
        return struct.pack("<IIQ", 9, 8, len(items)) + b"".join(string(item.encode()) for item in items)

    pairs = {"tokenizer.ggml.model": struct.pack("<I", 8) + string(model.encode()), "tokenizer.ggml.tokens": strings(tokens),
             "tokenizer.ggml.scores": struct.pack("<IIQ", 9, 6, len(tokens)) + struct.pack(f"<{len(tokens)}f", *range(len(tokens))),
             "tokenizer.ggml.token_type": struct.pack("<IIQ", 9, 5, len(tokens)) + struct.pack(f"<{len(tokens)}i", *[1] * len(tokens)),
             "tokenizer.ggml.eos_token_id": struct.pack("<II", 4, 1),
             "tokenizer.chat_template": struct.pack("<I", 8) + string(b"{{ messages[0].content }}")}
    pairs.update({key: strings(value) if isinstance(value, list) else struct.pack("<I", 8) + string(value.encode())
                  for key, value in more.items()})
    return gguf(b"".join(string(key.encode()) + value for key, value in pairs.items()), len(pairs))


def archive(entries, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in entries:
            file.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def archive_seeds():
    model = [("p/config.json", b"{}"), ("p/model.safetensors", b"weights"), ("p/run.py", b"")]
    return {"stored": archive(model), "deflated": archive(model, zipfile.ZIP_DEFLATED), "gguf": archive([("m.gguf", b"GGUF")]),
            "outside": archive([("../x.gguf", b"GGUF")]), "zeros": archive([("m.gguf", bytes(1 << 16))], zipfile.ZIP_DEFLATED)}


def receipt_seeds():
    hidden = [0.5] * 16
    probe = {"tokens": [1, 2, 3], "hidden": hidden, "logit_ids": [0, 5], "logits": [0.25, -1.5]}
    receipt = {"version": 1, "tolerance": 0.5, "probes": [probe]}
    return {"one": receipt, "out_of_range": {**receipt, "probes": [{**probe, "tokens": [99]}]},
            "short": {**receipt, "probes": [{**probe, "hidden": [1]}]}, "sure": {**receipt, "tolerance": 2}}


def vocabulary_seeds():
    words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nc\n"
    config = json.dumps({"do_lower_case": True, "unk_token": "[UNK]", "added_tokens_decoder": {"4": {"content": "[MASK]", "special": True}}})
    pairs = json.dumps({"a": 0, "b": 1, "ab": 2, "<s>": 3, "</s>": 4})
    return {"words": f"\0{words}\0{config}", "pairs": f"\1{pairs}\0#version: 0.2\na b\n\0" + json.dumps({"tokenizer_class": "RobertaTokenizer"}),
            "plain": f"\1{pairs}\0a b\n\0" + "{}"}


def seeds():
    for name, data in archive_seeds().items():
        yield "archive", name, data
    for name, receipt in receipt_seeds().items():
        yield "receipt", name, json.dumps(receipt).encode()
    for name, text in vocabulary_seeds().items():
        yield "vocabulary", name, text.encode()
    letters = ["<unk>", "</s>", "a", "b", "ab", "<0x0A>", "\u2581a", "[CLS]", "[SEP]", "[UNK]"]
    yield "gguf", "spm", gguf_vocabulary("llama", letters, {})
    yield "gguf", "bpe", gguf_vocabulary("gpt2", letters, {"tokenizer.ggml.merges": ["a b"], "tokenizer.ggml.pre": "llama-bpe"})
    yield "gguf", "wordpiece", gguf_vocabulary("bert", letters, {})
    yield "gguf", "unigram", gguf_vocabulary("t5", letters, {})
    yield "package", "citius_json", json.dumps({"package_version": 1, "recipe": {}, "receipt": {"version": 1}}).encode() + b"\0" + package_seeds()["int8"]
    yield "safetensors", "types", (GOLDEN / "io" / "types.safetensors").read_bytes()
    yield "safetensors", "one", safetensors({"a": ("F32", [2], bytes(8)), "none": ("I8", [0, 3], b"")}, {"k": "v"})
    yield "safetensors", "long_header", struct.pack("<Q", 2**62) + b"{}"
    yield "gguf", "types", (GOLDEN / "io" / "types.gguf").read_bytes()
    for name, data in gguf_seeds().items():
        yield "gguf", name, data
    for name, data in package_seeds().items():
        yield "package", name, data
    for name, text in {
        "config": '{"model_type":"llama","rope_parameters":{"rope_type":"llama3","rope_theta":5e5,"factor":8.0},"dtype":"bfloat16"}',
        "deep": "[" * 70 + "]" * 70, "index": '{"metadata":{"total_size":1},"weight_map":{"a":"model-00001-of-00002.safetensors"}}', "strings": '{"a":"\\u00e9\\ud83d\\ude00","a":[1,-2.5e-3,true,null]}',
    }.items():
        yield "json", name, text.encode()
    yield "jinja", "chat", b"{% for m in messages %}{{ m['role'] ~ ': ' + m['content'] | trim }}\n{% endfor %}{% if x is defined %}{{ x }}{% endif %}"
    yield "jinja", "macro", b"{% macro f(a, b=2) %}{{ a[::-1] | tojson }}{% endmacro %}{% set ns = namespace(i=0) %}{{ f('x') }}"
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "<unk>": 3}, "merges": ["a b"], "unk_token": "<unk>"}
    for kind in ("BertPreTokenizer", "Whitespace", "ByteLevel"):
        tokenizer = {"version": "1.0", "added_tokens": [], "normalizer": {"type": "NFC"}, "post_processor": None, "decoder": None,
                     "pre_tokenizer": {"type": kind, "add_prefix_space": True, "use_regex": True}, "model": model}
        yield "tokenizer", kind, json.dumps(tokenizer).encode() + b"\0ab a\xc3\xa9 <unk>"


def main():
    out = Path(sys.argv[1])
    for target, name, data in seeds():
        folder = out / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


main()
