#!/usr/bin/env python3
"""Makes blocks.bin: for every GGUF format, random and special blocks with what the gguf package decodes them to, and
values with what its quantizer (where it has one) encodes them to. Layout, little endian, per record:
  u8 name length, name, u8 kind (0 decode, 1 encode), u32 row bytes, u32 cols, row, cols * f32
Needs numpy and gguf. Run: python3 make.py (writes beside itself)."""
import struct
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize, quantize

FORMATS = [T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K, T.IQ4_NL,
           T.IQ4_XS, T.MXFP4]
ENCODERS = [T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.MXFP4]
# Byte offsets of the f16 scales in a block.
SCALES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108],
          T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0]}
SPECIAL = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0x3C00]


def record(name, kind, row, values):
    name = name.encode()
    row = np.ascontiguousarray(row).view(np.uint8).tobytes()
    values = np.ascontiguousarray(values, dtype=np.float32)
    return struct.pack("<B", len(name)) + name + struct.pack("<BII", kind, len(row), values.size) + row + values.tobytes()


def random_rows(rng, kind):
    if kind == T.F16:
        return np.arange(0, 65536, 37, dtype=np.uint16).view(np.uint8)
    if kind == T.BF16:
        return np.arange(0, 65536, 41, dtype=np.uint16).view(np.uint8)
    elements, size = GGML_QUANT_SIZES[kind]
    count = 24 if elements == 32 else 13
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if kind == T.MXFP4:
        blocks[:, 0] = np.resize([0, 1, 2, 127, 128, 200, 254, 255], count)
        return blocks
    for at in SCALES[kind]:  # plausible scales first, then the special ones
        scales = (rng.standard_normal(count) * 0.02).astype(np.float16).view(np.uint16)
        scales[-len(SPECIAL):] = rng.permutation(np.array(SPECIAL, dtype=np.uint16)) if at else SPECIAL
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks


def main():
    rng = np.random.default_rng(20240607)
    out = b""
    for kind in FORMATS:
        rows = random_rows(rng, kind).reshape(-1)
        with np.errstate(all="ignore"):
            out += record(kind.name.lower(), 0, rows, dequantize(rows, kind))
    for kind in ENCODERS:
        values = (rng.standard_normal((12, 32)) * np.exp(rng.uniform(-8, 4, (12, 1)))).astype(np.float32)
        values[1] = 0
        values[2] = 1.5
        values[3, 5:9] = 0
        values[4, [3, 17]] = np.abs(values[4]).max() * np.array([2, -2], dtype=np.float32)  # a tie of magnitudes
        out += record(kind.name.lower(), 1, quantize(values.reshape(1, -1), kind).reshape(-1), values.reshape(-1))
    (Path(__file__).parent / "blocks.bin").write_bytes(out)


main()
