import ctypes
import os

import numpy

import engines

LIBRARIES = engines.CACHE / "llama.cpp" / ("build-avx2" if engines.held_to_avx2() else "build") / "bin"
os.environ["LLAMA_CPP_LIB_PATH"] = str(LIBRARIES)
import llama_cpp
from llama_cpp import _internals

CHUNK = 512


class Engine:
    """llama.cpp, built for this machine, on the same GGUF file, with FlashAttention. Sequences at once have a part of the cache each."""

    def __init__(self, threads):
        self.threads = threads
        self.version = f"llama-cpp-python {llama_cpp.__version__}"
        self.models = engines.Models()
        self.session = None

    def open(self, cell):
        self.session = None
        return llama_cpp.Llama(model_path=str(engines.model_path(cell["model"])), n_ctx=CHUNK, n_batch=CHUNK, n_ubatch=CHUNK,
                               n_threads=self.threads, n_threads_batch=self.threads, verbose=False)

    def measure(self, cell, seconds):
        if cell["precision"] != "gguf":
            raise engines.Unable("GGUF as given only")
        llama = self.models.get(cell, self.open)
        if self.session is None or self.session.cell != cell:
            self.session = None
            self.session = Session(llama, cell)
        run = self.session.prefill if cell["kind"] == "prefill" else self.session.decode
        return {"rate": engines.timed(run, cell["length"] * cell.get("batch", 1), seconds)}


class Session:
    """A context for one cell; that of a decoder holds the tokens before the first new one."""

    def __init__(self, llama, cell):
        self.cell = cell
        self.batch = cell.get("batch", 1)
        self.past = cell.get("context", 1)
        self.vocabulary = llama.n_vocab()
        parameters = llama.context_params
        parameters.n_ctx = self.batch * -(-(self.past + cell["length"]) // 256) * 256
        parameters.n_seq_max = self.batch
        parameters.kv_unified = False
        parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self.owner = _internals.LlamaContext(model=llama._model, params=parameters, verbose=False)
        self.context = self.owner.ctx
        self.memory = llama_cpp.llama_get_memory(self.context)
        if cell["kind"] == "prefill":
            self.prompt = engines.tokens(cell["length"], self.vocabulary)
        elif self.batch > 1:
            self.first = self.step_all(engines.tokens(self.batch, self.vocabulary), 0)
        else:
            prompt = engines.tokens(self.past, self.vocabulary)
            for i in range(0, len(prompt), CHUNK):
                self.first = self.step(prompt[i:i + CHUNK])

    def run(self, batch):
        if llama_cpp.llama_decode(self.context, batch) != 0:
            raise RuntimeError("llama_decode failed")

    def step(self, ids):
        """Feeds tokens of the only sequence; the best next one, in a list."""
        tokens = (llama_cpp.llama_token * len(ids))(*ids)
        self.run(llama_cpp.llama_batch_get_one(tokens, len(ids)))
        return self.best(llama_cpp.llama_get_logits_ith(self.context, -1), 1)

    def step_all(self, ids, position):
        """Feeds a token of every sequence; the best next ones."""
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, position, 1, i, 1
        self.run(batch)
        llama_cpp.llama_batch_free(batch)
        return self.best(llama_cpp.llama_get_logits(self.context), len(ids))

    def best(self, logits, rows):
        return numpy.ctypeslib.as_array(ctypes.cast(logits, ctypes.POINTER(ctypes.c_float)), (rows, self.vocabulary)).argmax(1).tolist()

    def prefill(self):
        llama_cpp.llama_memory_clear(self.memory, False)
        self.step(self.prompt)

    def decode(self):
        llama_cpp.llama_memory_seq_rm(self.memory, -1, self.past, -1)
        ids = self.first
        for i in range(self.cell["length"]):
            ids = self.step(ids) if self.batch == 1 else self.step_all(ids, self.past + i)
