import subprocess
import sys

import onnxruntime

import engines
import models


class Engine(engines.Encoder):
    """The graph with the fusions of onnxruntime.transformers; int8 is its dynamic quantization, per channel, with codes of seven
    bits where the machine has no four-way dot product, as its documentation says."""

    def __init__(self, threads):
        super().__init__(threads)
        self.version = f"onnxruntime {onnxruntime.__version__}"

    def open(self, cell):
        if cell["precision"] not in ("f32", "int8"):
            raise engines.Unable("fp32 and int8 only")
        # In a process of its own: this one shall hold nothing but the session.
        subprocess.run([sys.executable, "-m", "engines.onnxruntime", cell["model"], cell["precision"]], check=True, stdout=sys.stderr)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        path = engines.derived(cell["model"], f"-onnxruntime-{cell['precision']}.onnx")
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def hidden(self, model, inputs):
        return model.run(None, inputs)[0]

    def measure(self, cell, seconds):
        if cell["kind"] != "encode":
            raise engines.Unable("encoders only")
        return self.encode(cell, seconds)


def fuse(name, path):
    from onnxruntime.transformers import optimizer
    shape = engines.config(name)
    fused = optimizer.optimize_model(str(models.onnx_graph(name)), model_type="bert", num_heads=shape["num_attention_heads"],
                                     hidden_size=shape["hidden_size"], opt_level=0)
    fused.save_model_to_file(str(path))


def quantize(source, path):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    # Its shape inference does not know the types behind its own fused operators.
    quantize_dynamic(source, path, per_channel=True, reduce_range=not models.has_dot_product(), weight_type=QuantType.QInt8,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})


if __name__ == "__main__":
    fused = engines.make(engines.derived(sys.argv[1], "-onnxruntime-f32.onnx"), lambda path: fuse(sys.argv[1], path))
    if sys.argv[2] == "int8":
        engines.make(engines.derived(sys.argv[1], "-onnxruntime-int8.onnx"), lambda path: quantize(fused, path))
