import os

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers

import engines

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class Engine(engines.Encoder):
    """transformers in fp32 or bf16; a GGUF file is decoded to fp32 by transformers itself."""

    def __init__(self, threads):
        super().__init__(threads)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.version = f"torch {torch.__version__}, transformers {transformers.__version__}"

    def open(self, cell):
        path = engines.model_path(cell["model"])
        kind = transformers.AutoModel if cell["kind"] == "encode" else transformers.AutoModelForCausalLM
        place = (path.parent, {"gguf_file": path.name}) if path.is_file() else (path, {})
        return kind.from_pretrained(place[0], dtype=TYPES[cell["precision"]], **place[1]).eval()

    def inputs(self, sequences):
        return {name: torch.from_numpy(array) for name, array in super().inputs(sequences).items()}

    def hidden(self, model, inputs):
        return model(**inputs).last_hidden_state.float()

    def measure(self, cell, seconds):
        if cell["precision"] not in TYPES:
            raise engines.Unable("fp32 and bf16 only")
        if cell["kind"] == "encode":
            return self.encode(cell, seconds)
        model = self.models.get(cell, self.open)
        ids = torch.tensor([engines.tokens(cell["length"], model.config.vocab_size)])

        def prefill():
            model(input_ids=ids, use_cache=True, logits_to_keep=1).logits.argmax(-1)

        def decode():  # as many steps as new tokens, the first of which takes the prompt of one token
            token, cache = ids[:, :1], None
            for _ in range(cell["length"]):
                out = model(input_ids=token, past_key_values=cache, use_cache=True)
                token, cache = out.logits[:, -1:].argmax(-1), out.past_key_values

        return {"rate": engines.timed(prefill if cell["kind"] == "prefill" else decode, cell["length"], seconds)}
