#!/usr/bin/env python3
"""Makes the small files that the readers' tests open: safetensors and GGUF files written by the reference packages, and
what they hold (expected.json). Needs numpy, torch, safetensors and gguf. Run: python3 make.py (writes beside itself)."""
import json
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType as T
from gguf import GGUFWriter
from gguf.quants import dequantize, quantize
from safetensors.torch import save_file

HERE = Path(__file__).parent


def make_safetensors():
    g = torch.Generator().manual_seed(5)
    values = torch.randn(3, 5, generator=g) * 4
    ints = torch.tensor([[0, 1, 2], [100, -3, -100]])
    tensors = {"x." + str(dtype).removeprefix("torch."): values.to(dtype)
               for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
                             torch.float8_e5m2)}
    tensors |= {"x." + str(dtype).removeprefix("torch."): ints.to(dtype)
                for dtype in (torch.int8, torch.int16, torch.int32, torch.int64)}
    tensors["x.uint8"] = ints.abs().to(torch.uint8)
    tensors["x.bool"] = ints > 0
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["deep"] = torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2)
    save_file(tensors, HERE / "types.safetensors", metadata={"format": "pt", "note": "caf\u00e9 \u2713"})
    return {name: {"shape": list(t.shape), "values": t.to(torch.float32).flatten().tolist()}
            for name, t in tensors.items()}


def make_gguf():
    rng = np.random.default_rng(3)
    w = GGUFWriter(HERE / "types.gguf", "llama")
    w.add_uint8("a.u8", 250)
    w.add_int8("a.i8", -5)
    w.add_uint16("a.u16", 65000)
    w.add_int16("a.i16", -30000)
    w.add_uint32("a.u32", 4000000000)
    w.add_int32("a.i32", -2000000000)
    w.add_uint64("a.u64", 2**63 + 5)
    w.add_int64("a.i64", -(2**62))
    w.add_float32("a.f32", 0.5)
    w.add_float64("a.f64", 1e-300)
    w.add_bool("a.bool", True)
    w.add_string("a.string", "caf\u00e9 \u2713")
    w.add_array("a.strings", ["x", "", "\u4e2d\u6587"])
    w.add_array("a.ints", [1, -2, 3])
    w.add_array("a.floats", [0.25, -1.5])
    w.add_array("a.bools", [True, False])
    w.add_array("a.nested", [[1, 2], [3]])
    w.add_custom_alignment(64)
    expected = {}
    data = rng.standard_normal((3, 64)).astype(np.float32)
    for kind in (T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.MXFP4):
        raw = quantize(data, kind)
        name = "t." + kind.name.lower()
        w.add_tensor(name, raw, raw_dtype=kind)
        expected[name] = {"shape": [3, 64], "values": dequantize(raw, kind).flatten().tolist()}
    w.add_tensor("v", data[0])
    expected["v"] = {"shape": [64], "values": data[0].tolist()}
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return expected


def main():
    expected = {"safetensors": make_safetensors(), "gguf": make_gguf()}
    (HERE / "expected.json").write_text(json.dumps(expected))


main()
