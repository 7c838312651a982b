import os

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers

import engines


class Engine:
    """transformers in fp32; a GGUF file is decoded to fp32 by transformers itself."""

    def __init__(self, threads):
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.version = f"torch {torch.__version__}, transformers {transformers.__version__}"
        self.models = {}

    def load(self, cell):
        if cell["model"] not in self.models:
            path = engines.model_path(cell["model"])
            kind = transformers.AutoModel if cell["kind"] == "encode" else transformers.AutoModelForCausalLM
            place = (path.parent, {"gguf_file": path.name}) if path.is_file() else (path, {})
            self.models[cell["model"]] = kind.from_pretrained(place[0], dtype=torch.float32, **place[1]).eval()
        return self.models[cell["model"]]

    def measure(self, cell, seconds):
        if cell["precision"] != "f32":
            return {"error": "fp32 only"}
        model = self.load(cell)
        vocabulary = model.config.vocab_size
        ids = torch.tensor([engines.tokens(cell["length"], vocabulary, i) for i in range(cell["batch"])])
        if cell["kind"] == "encode":
            mask = torch.ones_like(ids)
            return {"rate": engines.timed(lambda: model(input_ids=ids, attention_mask=mask), cell["batch"], seconds)}
        if cell["kind"] == "prefill":
            run = lambda: model(input_ids=ids, use_cache=True, logits_to_keep=1).logits.argmax(-1)
            return {"rate": engines.timed(run, cell["batch"] * cell["length"], seconds)}

        def decode():
            out = model(input_ids=ids[:, :1], use_cache=True)
            for _ in range(cell["length"]):
                token = out.logits[:, -1:].argmax(-1)
                out = model(input_ids=token, past_key_values=out.past_key_values, use_cache=True)

        return {"rate": engines.timed(decode, cell["batch"] * cell["length"], seconds, at_least=1)}
