import subprocess
import sys

import openvino

import engines
import models


class Engine(engines.Encoder):
    """One stream; bf16 by precision hint where the processor has it; int8 by post-training quantization of NNCF."""

    def __init__(self, threads):
        super().__init__(threads)
        self.core = openvino.Core()
        self.version = f"openvino {openvino.__version__.split('-')[0]}"

    def open(self, cell):
        if cell["precision"] == "bf16" and "BF16" not in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise engines.Unable("no bf16 on this machine")
        if cell["precision"] == "f32" and engines.held_to_avx2():
            raise engines.Unable("products in fp32 go through MLAS too, which nothing holds to AVX2")
        path = models.onnx_graph(cell["model"])
        if cell["precision"] == "int8":
            # In a process of its own: this one shall hold nothing but the compiled model.
            subprocess.run([sys.executable, "-m", "engines.openvino", cell["model"]], check=True, stdout=sys.stderr)
            path = engines.derived(cell["model"], "-openvino-int8") / "model.xml"
        hint = "bf16" if cell["precision"] == "bf16" else "f32"
        settings = {"INFERENCE_NUM_THREADS": self.threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": hint}
        return self.core.compile_model(self.core.read_model(path), "CPU", settings).create_infer_request()

    def hidden(self, model, inputs):
        return model.infer(inputs, share_inputs=True, share_outputs=True)[0]

    def measure(self, cell, seconds):
        if cell["kind"] != "encode":
            raise engines.Unable("encoders only")
        return self.encode(cell, seconds)


def quantize(name, folder):
    import nncf
    encoder = engines.Encoder(1)
    items = [encoder.inputs([ids]) for ids in engines.token_ids(name, engines.sentences()[0])]
    quantized = nncf.quantize(openvino.Core().read_model(models.onnx_graph(name)), nncf.Dataset(items), subset_size=len(items),
                              model_type=nncf.ModelType.TRANSFORMER)
    openvino.save_model(quantized, folder / "model.xml", compress_to_fp16=False)


if __name__ == "__main__":
    engines.make(engines.derived(sys.argv[1], "-openvino-int8"), lambda folder: (folder.mkdir(), quantize(sys.argv[1], folder)))
