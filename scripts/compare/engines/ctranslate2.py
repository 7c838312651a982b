import json
import subprocess
import sys

import ctranslate2
import numpy

import engines
import models

TYPES = {"f32": "float32", "bf16": "bfloat16", "int8": "int8"}


class Engine(engines.Encoder):
    """Weights through its converter from transformers; int8 is its own quantization while loading. A GGUF file goes through fp32."""

    def __init__(self, threads):
        super().__init__(threads)
        self.version = f"ctranslate2 {ctranslate2.__version__}"

    def open(self, cell):
        if TYPES.get(cell["precision"]) not in ctranslate2.get_supported_compute_types("cpu"):
            raise engines.Unable(f"no {cell['precision']} on this machine")
        # In a process of its own: this one shall hold nothing but the model.
        subprocess.run([sys.executable, "-m", "engines.ctranslate2", cell["model"], cell["kind"]], check=True, stdout=sys.stderr)
        kind = ctranslate2.Encoder if cell["kind"] == "encode" else ctranslate2.Generator
        return kind(str(engines.derived(cell["model"], "-ctranslate2")), device="cpu", compute_type=TYPES[cell["precision"]], inter_threads=1,
                    intra_threads=self.threads)

    def inputs(self, sequences):
        return sequences

    def hidden(self, model, inputs):
        return numpy.array(model.forward_batch(inputs).last_hidden_state)

    def measure(self, cell, seconds):
        if cell["kind"] == "encode":
            return self.encode(cell, seconds)
        model = self.models.get(cell, self.open)
        vocabulary = json.loads((engines.derived(cell["model"], "-ctranslate2") / "vocabulary.json").read_text())
        prompt = [vocabulary[i] for i in engines.tokens(cell["length"] if cell["kind"] == "prefill" else 1, len(vocabulary))]
        count = 1 if cell["kind"] == "prefill" else cell["length"]

        def run():
            model.generate_batch([prompt], min_length=count, max_length=count, sampling_topk=1, include_prompt_in_result=False)

        return {"rate": engines.timed(run, cell["length"], seconds)}


if __name__ == "__main__":
    from ctranslate2.converters import TransformersConverter
    folder = engines.model_path(sys.argv[1]) if sys.argv[2] == "encode" else models.decoded(sys.argv[1])
    engines.make(engines.derived(sys.argv[1], "-ctranslate2"), lambda path: TransformersConverter(str(folder)).convert(str(path)))
