#!/usr/bin/env python3
"""Writes the tiny random models of this folder and what transformers computes with them.

One folder a model: config.json and model.safetensors as transformers saves them (some configurations rewritten in the
transformers 4 form), model.gguf where the architecture exists in GGUF, and golden.safetensors:
  input_ids [T], token_types [T] (where used), lengths [B]    packed sequences, each run alone through transformers
  hidden.0 [T, C] enters layer 0, hidden.i leaves layer i - 1; final [T, C] after the last norm
  logits: a row a token (language models, token classification, question answering) or a row a sequence
Weights have the scale of trained ones (the default 0.02 hides errors), biases are not zero, norms are not one.

Run: python3 make.py [NAME ...] (torch, transformers 5, safetensors, gguf); without a name, all. Seeds are fixed.
"""
import copy
import functools
import json
import math
import shutil
import sys
import zlib
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers as tf
from safetensors.torch import save_file

HERE = Path(__file__).parent
SHORT = [7, 1, 12]
LONG = [5, 70, 1, 9]  # crosses a block of keys (64)


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    done = set()
    for name, p in sorted(model.named_parameters()):
        if p.data_ptr() in done:
            continue
        done.add(p.data_ptr())
        noise = torch.randn(p.shape, generator=generator)
        is_norm = "norm" in name.lower() or ".ln_" in name
        if name.endswith("bias"):
            p.data = noise * (0.2 if is_norm else 0.3)
        elif p.dim() == 1:
            p.data = 1 + 0.3 * noise
        elif "embed" in name or ".wte" in name or ".wpe" in name or name in ("wte.weight", "wpe.weight") or "relative" in name:
            p.data = noise * (0.7 if "relative" in name else 0.5)
        else:
            fan_in = p.shape[0] if isinstance_conv1d(model, name) else p.shape[1]
            p.data = noise * (1.3 / math.sqrt(fan_in))
    model.tie_weights()
    # Rows that the default initialisation keeps at zero (padding) are not special in a trained file.


def isinstance_conv1d(model, name):
    owner = model
    for part in name.split(".")[:-1]:
        owner = getattr(owner, part)
    return type(owner).__name__ == "Conv1D"


def layers_of(model):
    base = model.base_model
    for path in ("layers", "h", "encoder.layer", "transformer.layer"):
        owner = base
        for part in path.split("."):
            owner = getattr(owner, part, None)
            if owner is None:
                break
        if owner is not None:
            return owner
    raise ValueError("no layers")


def as_version4(config):
    """The transformers 4 form: rope_theta and rope_scaling, torch_dtype, no layer_types."""
    config = copy.deepcopy(config)
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.48.0"
    if "id2label" in config:
        config["label2id"] = {label: int(index) for index, label in config["id2label"].items()}
    rope = config.pop("rope_parameters", None)
    if config["model_type"] == "modernbert":
        config["global_rope_theta"] = rope["full_attention"]["rope_theta"]
        config["local_rope_theta"] = rope["sliding_attention"]["rope_theta"]
        types = config.pop("layer_types")
        config["global_attn_every_n_layers"] = types.index("full_attention", 1) if "full_attention" in types[1:] else len(types)
        return config
    config.pop("layer_types", None)
    if rope is not None:
        config["rope_theta"] = rope.pop("rope_theta")
        kind = rope.pop("rope_type")
        config["rope_scaling"] = None if kind == "default" else {"type" if kind == "linear" else "rope_type": kind, **rope}
    return config


@torch.no_grad()
def run(model, ids, types):
    seen = []
    hooks = []
    for i, layer in enumerate(layers_of(model)):
        if i == 0:
            hooks.append(layer.register_forward_pre_hook(
                lambda m, args, kwargs: seen.append((args[0] if args else kwargs["hidden_states"])[0].clone()), with_kwargs=True))
        hooks.append(layer.register_forward_hook(
            lambda m, args, out: seen.append((out[0] if isinstance(out, tuple) else out)[0].clone())))
    kwargs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.int64)}
    if types is not None:
        kwargs["token_type_ids"] = torch.tensor([types])
    final = model.base_model(**kwargs).last_hidden_state[0]
    for hook in hooks:
        hook.remove()
    logits = None
    if model is not model.base_model:
        if "MultipleChoice" in type(model).__name__:
            kwargs = {key: value[None] for key, value in kwargs.items()}
        out = model(**kwargs)
        if hasattr(out, "start_logits"):
            logits = torch.stack([out.start_logits[0], out.end_logits[0]], dim=-1)
        else:
            logits = out.logits[0]
            logits = logits[None] if logits.dim() == 1 else logits
    return seen, final, logits


def make(name, model_class, config, lengths=SHORT, types=False, version4=False, to_gguf=False, pad=None):
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    config._attn_implementation = "eager"
    seed = zlib.crc32(name.encode())
    torch.manual_seed(seed)
    model = model_class(config).float().eval()
    randomise(model, seed)
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    text = json.loads((folder / "config.json").read_text())
    if version4:
        text = as_version4(text)
    (folder / "config.json").write_text(json.dumps(text, indent=1, sort_keys=True) + "\n")

    generator = torch.Generator().manual_seed(seed + 1)
    low = 3 if pad is not None else 0
    sequences = [torch.randint(low, config.vocab_size, (n,), generator=generator).tolist() for n in lengths]
    if pad is not None:
        sequences[0][3] = pad  # a padding token written in the text
    type_ids = [[int(i >= n // 2) for i in range(n)] for n in lengths] if types else [None] * len(lengths)
    runs = [run(model, s, t) for s, t in zip(sequences, type_ids)]
    golden = {
        "input_ids": torch.tensor(sum(sequences, []), dtype=torch.int32),
        "lengths": torch.tensor(lengths, dtype=torch.int32),
        "final": torch.cat([r[1] for r in runs]),
    }
    if types:
        golden["token_types"] = torch.tensor(sum(type_ids, []), dtype=torch.int32)
    for i in range(len(runs[0][0])):
        golden[f"hidden.{i}"] = torch.cat([r[0][i] for r in runs])
    if runs[0][2] is not None:
        golden["logits"] = torch.cat([r[2] for r in runs])
    save_file({key: value.contiguous() for key, value in golden.items()}, folder / "golden.safetensors")
    if to_gguf:
        write_gguf(folder / "model.gguf", model, config)
    print(name, sum(f.stat().st_size for f in folder.iterdir()))


def write_gguf(path, model, config):
    """As llama.cpp's converter does it: names by gguf's map, rows of Q and K permuted for llama, Conv1D turned."""
    arch = "llama" if config.model_type == "mistral" else config.model_type
    kind = {value: key for key, value in gguf.MODEL_ARCH_NAMES.items()}[arch]
    writer = gguf.GGUFWriter(path, arch)
    writer.add_name("tiny")
    hidden, layers = config.hidden_size, config.num_hidden_layers
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_head_count(config.num_attention_heads)
    inner = getattr(config, "n_inner" if arch == "gpt2" else "intermediate_size")
    writer.add_feed_forward_length(inner or 4 * hidden)
    if arch in ("bert", "gpt2"):
        writer.add_layer_norm_eps(config.layer_norm_eps if arch == "bert" else config.layer_norm_epsilon)
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_head_count_kv(config.num_key_value_heads)
        rope = config.rope_parameters
        writer.add_rope_freq_base(rope["rope_theta"])
        head_dim = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
        if head_dim != hidden // config.num_attention_heads:
            writer.add_key_length(head_dim)
            writer.add_value_length(head_dim)
        if rope["rope_type"] == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(rope["factor"])
        if rope["rope_type"] == "yarn":
            writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
            writer.add_rope_scaling_factor(rope["factor"])
            writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if config.model_type == "mistral":
        writer.add_sliding_window(config.sliding_window)
    if arch == "llama":
        writer.add_vocab_size(config.vocab_size)
        writer.add_rope_dimension_count(hidden // config.num_attention_heads)
    if arch == "bert":
        writer.add_causal_attention(False)
        writer.add_pooling_type(gguf.PoolingType.MEAN)
        writer.add_token_type_count(config.type_vocab_size)
    writer.add_tokenizer_model("bert" if arch == "bert" else "gpt2")
    writer.add_token_list([f"t{i}" for i in range(config.vocab_size)])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    names = gguf.get_tensor_name_map(kind, layers)
    state = {key: value for key, value in model.state_dict().items()}
    if arch == "llama" and config.rope_parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config))
    for name, tensor in state.items():
        if name.endswith(("position_ids", ".attn.bias", ".attn.masked_bias")) or "pooler" in name:
            continue
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        data = tensor.numpy()
        if arch == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            data = data.reshape(heads, 2, data.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(data.shape)
        if arch == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            data = data.T
        lookup = name[len("bert."):] if name.startswith("bert.") else name
        target = names.get_name(lookup, try_suffixes=(".weight", ".bias"))
        assert target is not None, name
        writer.add_tensor(target, np.ascontiguousarray(data, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama3_factors(config):
    rope = config.rope_parameters
    dim = config.hidden_size // config.num_attention_heads
    frequencies = 1.0 / (rope["rope_theta"] ** (np.arange(0, dim, 2, dtype=np.float64) / dim))
    low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    factors = []
    for frequency in frequencies:
        wavelength = 2 * math.pi / frequency
        if wavelength < high:
            factors.append(1)
        elif wavelength > low:
            factors.append(rope["factor"])
        else:
            smooth = (rope["original_max_position_embeddings"] / wavelength - rope["low_freq_factor"]) / (
                rope["high_freq_factor"] - rope["low_freq_factor"])
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


LABELS = {"id2label": {0: "O", 1: "B-LOC", 2: "I-LOC"}, "label2id": {"O": 0, "B-LOC": 1, "I-LOC": 2}}


def bert(**over):
    return tf.BertConfig(**{**dict(vocab_size=67, hidden_size=36, num_hidden_layers=2, num_attention_heads=3,
                                   intermediate_size=50, max_position_embeddings=80), **over})


def roberta(cls=tf.RobertaConfig, **over):
    return cls(**{**dict(vocab_size=71, hidden_size=30, num_hidden_layers=2, num_attention_heads=5, intermediate_size=44,
                         max_position_embeddings=20, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2),
                  **over})


def distilbert(**over):
    return tf.DistilBertConfig(**{**dict(vocab_size=59, dim=28, n_layers=2, n_heads=2, hidden_dim=40,
                                         max_position_embeddings=20), **over})


def mpnet(**over):
    return tf.MPNetConfig(**{**dict(vocab_size=53, hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
                                    intermediate_size=33, max_position_embeddings=160), **over})


def modernbert(**over):
    return tf.ModernBertConfig(**{**dict(vocab_size=61, hidden_size=32, num_hidden_layers=3, num_attention_heads=2,
                                         intermediate_size=37, max_position_embeddings=96, local_attention=10,
                                         layer_types=["full_attention", "sliding_attention", "sliding_attention"],
                                         pad_token_id=0, cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2),
                               **over})


def llama(cls=tf.LlamaConfig, **over):
    return cls(**{**dict(vocab_size=53, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
                         intermediate_size=40, max_position_embeddings=96, tie_word_embeddings=False, bos_token_id=1,
                         eos_token_id=2), **over})


def rope(kind, theta=10000.0, **rest):
    return {"rope_type": kind, "rope_theta": theta, **rest}


def bodies():
    make("bert", tf.BertModel, bert(), LONG, types=True, to_gguf=True)
    make("roberta", tf.RobertaModel, roberta(), pad=1, version4=True)
    make("xlm_roberta", tf.XLMRobertaModel, roberta(tf.XLMRobertaConfig), pad=1)
    make("distilbert", tf.DistilBertModel, distilbert(), version4=True)
    make("mpnet", tf.MPNetModel, mpnet(), [4, 140, 1], pad=1)
    make("modernbert", tf.ModernBertModel, modernbert(), LONG)
    make("modernbert_alternate", tf.ModernBertModel, modernbert(
        num_hidden_layers=4, local_attention=6, layer_types=["full_attention", "sliding_attention"] * 2), [21, 1, 13], version4=True)
    make("gpt2", tf.GPT2LMHeadModel, tf.GPT2Config(vocab_size=57, n_embd=28, n_layer=2, n_head=4, n_positions=24,
                                                   bos_token_id=0, eos_token_id=0), version4=True, to_gguf=True)
    make("gpt2_scaled", tf.GPT2Model, tf.GPT2Config(
        vocab_size=41, n_embd=12, n_layer=3, n_head=2, n_positions=16, scale_attn_by_inverse_layer_idx=True, bos_token_id=0,
        eos_token_id=0), [5, 1, 9])
    make("llama", tf.LlamaForCausalLM, llama(), LONG, version4=True, to_gguf=True)
    make("llama_gqa", tf.LlamaForCausalLM, llama(num_key_value_heads=2, tie_word_embeddings=True, num_hidden_layers=3,
                                                 rope_parameters=rope("default", 500.0)), to_gguf=True)
    make("llama_biases", tf.LlamaForCausalLM, llama(attention_bias=True, mlp_bias=True, head_dim=10, num_key_value_heads=2,
                                                    hidden_act="gelu_pytorch_tanh"))
    make("llama_rope_llama3", tf.LlamaForCausalLM, llama(num_key_value_heads=1, rope_parameters=rope(
        "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=48)),
        [40, 3], to_gguf=True)
    make("llama_rope_linear", tf.LlamaForCausalLM, llama(num_key_value_heads=2, rope_parameters=rope("linear", factor=2.5)),
         version4=True, to_gguf=True)
    # One sequence longer than max_position_embeddings: transformers scales by its length, we by the context prepared for.
    make("llama_rope_dynamic", tf.LlamaForCausalLM, llama(num_key_value_heads=2, max_position_embeddings=16,
                                                          rope_parameters=rope("dynamic", factor=3.0)), [29])
    make("llama_rope_yarn", tf.LlamaForCausalLM, llama(num_key_value_heads=2, rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=24)), [50, 3], version4=True, to_gguf=True)
    make("mistral", tf.MistralForCausalLM, llama(tf.MistralConfig, num_key_value_heads=2, sliding_window=6), LONG, to_gguf=True)
    make("mistral_tied", tf.MistralForCausalLM, llama(tf.MistralConfig, num_key_value_heads=1, head_dim=8, sliding_window=None,
                                                      tie_word_embeddings=True), version4=True)
    make("qwen2", tf.Qwen2ForCausalLM, llama(tf.Qwen2Config, num_key_value_heads=2, tie_word_embeddings=True), to_gguf=True)
    make("qwen2_yarn", tf.Qwen2ForCausalLM, llama(tf.Qwen2Config, num_key_value_heads=1, rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=24)), [31, 2], to_gguf=True)
    # Only layers from max_window_layers on have a window; the second in the form that lists them.
    make("qwen2_window", tf.Qwen2ForCausalLM, llama(tf.Qwen2Config, num_key_value_heads=2, num_hidden_layers=3, use_sliding_window=True,
                                                    sliding_window=5, max_window_layers=1), [23, 1, 9], version4=True)
    make("qwen3_window", tf.Qwen3ForCausalLM, llama(tf.Qwen3Config, num_key_value_heads=2, head_dim=10, use_sliding_window=True,
                                                    sliding_window=7, max_window_layers=1, tie_word_embeddings=True), [70, 1, 9])
    make("qwen3", tf.Qwen3ForCausalLM, llama(tf.Qwen3Config, num_key_value_heads=2, head_dim=10), version4=True, to_gguf=True)


def heads():
    families = {
        "bert": ("Bert", bert, dict(hidden_size=12, num_hidden_layers=1, intermediate_size=19)),
        "roberta": ("Roberta", roberta, dict(hidden_size=15, num_hidden_layers=1, intermediate_size=19)),
        "xlm_roberta": ("XLMRoberta", functools.partial(roberta, tf.XLMRobertaConfig),
                        dict(hidden_size=10, num_hidden_layers=1, intermediate_size=17)),
        "distilbert": ("DistilBert", distilbert, dict(dim=12, n_layers=1, hidden_dim=19)),
        "mpnet": ("MPNet", mpnet, dict(hidden_size=12, num_hidden_layers=1, intermediate_size=19, max_position_embeddings=20)),
        "modernbert": ("ModernBert", modernbert, dict(hidden_size=12, num_hidden_layers=1, intermediate_size=19,
                                                      layer_types=["full_attention"], max_position_embeddings=20)),
    }
    for family, (prefix, config, small) in families.items():
        for head, suffix, extra in (
                ("sequence", "ForSequenceClassification", LABELS),
                ("token", "ForTokenClassification", LABELS),
                ("qa", "ForQuestionAnswering", {}),
                ("choice", "ForMultipleChoice", {}),
                ("mlm", "ForMaskedLM", {})):
            over = dict(small)
            over.update(copy.deepcopy(extra))
            if family == "modernbert" and head == "sequence":
                over.update(classifier_pooling="mean", classifier_bias=True, norm_bias=True)
            if family == "modernbert" and head == "choice":
                over.update(classifier_pooling="mean")
            model_class = getattr(tf, prefix + suffix)
            make(f"{family}_{head}", model_class, config(**over), [5, 1, 9],
                 types=family == "bert", version4=family in ("modernbert", "distilbert"))
    make("gpt2_untied", tf.GPT2LMHeadModel, tf.GPT2Config(
        vocab_size=41, n_embd=12, n_layer=1, n_head=2, n_positions=16, n_inner=21, activation_function="gelu_new",
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=0), [5, 1, 9], to_gguf=True)
    make("gpt2_relu", tf.GPT2LMHeadModel, tf.GPT2Config(
        vocab_size=41, n_embd=12, n_layer=1, n_head=2, n_positions=16, n_inner=21, activation_function="relu",
        bos_token_id=0, eos_token_id=0), [5, 1, 9])


if __name__ == "__main__":
    bodies()
    heads()
