import ctypes

import llama_cpp
import numpy

import engines


class Engine:
    """llama.cpp, built for this machine, on the same GGUF file."""

    def __init__(self, threads):
        self.threads = threads
        self.version = f"llama-cpp-python {llama_cpp.__version__}"
        self.models = engines.Models()

    def open(self, cell):
        return llama_cpp.Llama(model_path=str(engines.model_path(cell["model"])), n_ctx=1024, n_batch=512, n_ubatch=512,
                               n_threads=self.threads, n_threads_batch=self.threads, verbose=False)

    def measure(self, cell, seconds):
        if cell["precision"] != "gguf":
            raise engines.Unable("GGUF as given only")
        llama = self.models.get(cell, self.open)
        vocabulary = llama.n_vocab()
        context = llama._ctx.ctx

        def step(ids):
            array = (llama_cpp.llama_token * len(ids))(*ids)
            if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(ids))) != 0:
                raise RuntimeError("llama_decode failed")
            logits = llama_cpp.llama_get_logits_ith(context, -1)
            return int(numpy.ctypeslib.as_array(ctypes.cast(logits, ctypes.POINTER(ctypes.c_float)), (vocabulary,)).argmax())

        prompt = engines.tokens(cell["length"], vocabulary)

        def prefill():
            llama._ctx.kv_cache_clear()
            step(prompt)

        def decode():
            llama._ctx.kv_cache_clear()
            token = step(prompt[:1])
            for _ in range(cell["length"]):
                token = step([token])

        run = prefill if cell["kind"] == "prefill" else decode
        return {"rate": engines.timed(run, cell["length"], seconds)}
