"""The engines: each module has a class Engine with `version` and `measure(cell, seconds)`, which gives {"rate": ...} or raises
Unable. One that encodes also has `vectors(cell, texts)`: a unit vector for each text, the mean of its tokens' hidden states."""
import json
import os
import pathlib
import re
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
USER_CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
CACHE = pathlib.Path(os.environ.get("CITIUS_COMPARE") or USER_CACHE / "citius-compare")
STORE = pathlib.Path(os.environ.get("CITIUS_HOME") or USER_CACHE / "citius") / "models"
CITIUS = os.environ.get("CITIUS_BINARY", str(ROOT / "build/release/citius"))


class Unable(Exception):
    """The engine does not do this cell: a dash in the table."""


def held_to_avx2():
    """Whether engines shall do without newer instructions: compare.py says so by the variable that citius obeys."""
    return os.environ.get("CITIUS_ISA") == "avx2"


def model_path(name):
    """Where a model is, a path, a name of the store or one that models.py made: a directory in Hugging Face layout, or a .gguf file."""
    path = next((path for path in (pathlib.Path(name), STORE / name, CACHE / "models" / name) if path.exists()), None)
    if path is None:
        raise FileNotFoundError(f"no model {name}")
    files = list(path.glob("*.gguf")) if path.is_dir() else []
    return files[0] if len(files) == 1 else path


def derived(name, suffix):
    """Where something made from a model is kept: a file or directory in the cache."""
    path = CACHE / "models" / (pathlib.Path(name).name + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def make(path, write):
    """`path`, written by write(temporary path) if it is not there; never half written."""
    if not path.exists():
        partial = path.with_name("partial-" + path.name)
        subprocess.run(["rm", "-rf", str(partial)], check=True)
        write(partial)
        partial.rename(path)
    return path


def config(name):
    return json.loads((model_path(name) / "config.json").read_text())


def sentences():
    """Two halves of the sentences that citius judges encoders on: some to calibrate with, the others to compare vectors on."""
    body = (ROOT / "src/data/sentences.cc").read_text().split("return {", 1)[1]
    literal = r'"(?:[^"\\]|\\.)*"'
    texts = ["".join(json.loads(part) for part in re.findall(literal, run)) for run in re.findall(rf"(?:{literal}\s*)+", body)]
    return texts[::2], texts[1::2]


def timed(run, units, seconds):
    """Median rate of `run`, called for `seconds`; one call processes `units`. The first call warms up and is not counted, as in citius."""
    run()
    times = []
    while sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return units / statistics.median(times)


def tokens(count, vocabulary, stream=0):
    """Pseudo-random token ids, the same in every run."""
    state = 12345 + stream
    ids = []
    for _ in range(count):
        state = (state * 1103515245 + 12345) % (1 << 31)
        ids.append(state % vocabulary)
    return ids


class Models:
    """An engine's models, one open at a time: most cells follow others of the same model and precision."""

    def __init__(self):
        self.key = None
        self.model = None

    def get(self, cell, open_model):
        key = (cell["model"], cell["precision"])
        if key != self.key:
            self.key = self.model = None
            self.model = open_model(cell)
            self.key = key
        return self.model


class Encoder:
    """Base of the engines that encode with Python: they give `open(cell)` -> model, and `hidden(model, inputs)` -> array
    [sequences, longest, hidden size], where inputs are what `inputs(sequences of ids)` makes once, before time is taken."""

    def __init__(self, threads):
        self.threads = threads
        self.models = Models()

    def inputs(self, sequences):
        import numpy
        longest = max(map(len, sequences))
        ids = numpy.zeros((len(sequences), longest), numpy.int64)
        mask = numpy.zeros_like(ids)
        for i, sequence in enumerate(sequences):
            ids[i, :len(sequence)] = sequence
            mask[i, :len(sequence)] = 1
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}

    def encode(self, cell, seconds):
        model = self.models.get(cell, self.open)
        vocabulary = config(cell["model"])["vocab_size"]
        sequences = [tokens(length, vocabulary, i) for i, length in enumerate(cell["lengths"])]
        groups = [self.inputs(sequences[i:i + cell["at_once"]]) for i in range(0, len(sequences), cell["at_once"])]

        def run():
            for group in groups:
                self.hidden(model, group)

        return {"rate": timed(run, len(sequences), seconds)}

    def vectors(self, cell, texts):
        import numpy
        model = self.models.get(cell, self.open)
        means = [numpy.asarray(self.hidden(model, self.inputs([ids])))[0].mean(0) for ids in token_ids(cell["model"], texts)]
        return numpy.array([mean / numpy.linalg.norm(mean) for mean in means])


def token_ids(name, texts):
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(str(model_path(name) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return [tokenizer.encode(text).ids for text in texts]


def cosine(name, vectors):
    """Mean cosine of vectors(texts) to those of citius in exact fp32."""
    import numpy
    texts = sentences()[1]
    from engines import citius
    exact = make(derived(name, "-vectors.npy"), lambda path: citius.embed(name, texts, path, "--compute", "exact"))
    return float(numpy.sum(numpy.load(exact) * vectors(texts), axis=1).mean())


def quality(engine, cell):
    return cosine(cell["model"], lambda texts: engine.vectors(cell, texts))
