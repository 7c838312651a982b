"""A GGUF model on its way through the commands: as a package, pulled from there, and as GGUF again where types do not fit."""

import pathlib
import struct
import tempfile

from support import ROOT, run, run_json


def string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def with_pre(source, target):
    """The golden lacks tokenizer.ggml.pre: two metadata keys more, of 96 bytes together, so that the tensors stay aligned."""
    data = source.read_bytes()
    text = struct.pack("<I", 8)  # the type of both values
    more = string("tokenizer.ggml.pre") + text + string("gpt-2") + string("x.pad") + text
    more += string(" " * (96 - 8 - len(more)))
    tensors, keys = struct.unpack_from("<QQ", data, 8)
    target.write_bytes(data[:8] + struct.pack("<QQ", tensors, keys + 2) + more + data[24:])


with tempfile.TemporaryDirectory(prefix="citius_gguf_") as folder:
    folder = pathlib.Path(folder)
    store = {"CITIUS_HOME": str(folder / "home")}
    model, package = folder / "model.gguf", folder / "package"
    with_pre(ROOT / "tests/golden/models/llama/model.gguf", model)
    assert run_json("info", model)["container"] == "gguf"
    run("quantize", model, "--format", "int8", "--out", package)
    (package / "notes.txt").write_text("mine")
    pulled = run_json("pull", package, "--name", "gp", env=store)
    names = sorted(path.name for path in pathlib.Path(pulled["path"]).iterdir())
    assert names == ["citius-source.json", "citius.json", "config.json", "metadata.gguf", "model.safetensors"], names
    for name in (package, "gp"):
        info = run_json("info", name, env=store)
        assert info["container"] == "package" and info["tokenizer"] == 53, info
        assert run("tokenize", name, "--decode", "7,8", env=store).stdout == "t7t8\n"
    weights = pathlib.Path(pulled["path"]) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert "changed after it was pulled" in run("pull", package, "--name", "gp", env=store, expect=3).stderr

    # In capitals too.
    capitals = folder / "MODEL.GGUF"
    capitals.write_bytes(model.read_bytes())
    assert run_json("info", capitals)["container"] == "gguf"
    assert run_json("pull", capitals, env=store)["name"] == "MODEL"
    assert run_json("info", "MODEL", env=store)["container"] == "gguf"

    # A file that is there is replaced where it was made so from the same model, and never the source.
    other = folder / "other.gguf"
    for target, problem in ((model, "is the model that is read"), (capitals, "no GGUF file that citius wrote")):
        before = target.read_bytes()
        assert problem in run("quantize", model, "--format", "q8_0", "--out", target, expect=2).stderr
        assert target.read_bytes() == before

    # Rows of 24 and 40 weights are no multiple of any block: F16, as llama.cpp has it.
    for name, number in (("q8_0", 7), ("q4_k_m", 15), ("iq4_nl", 25), ("q3_k", 11)):
        result = run_json("quantize", model, "--format", name, "--out", other)
        assert any("no multiple" in (row["reason"] or "") for row in result["other_formats"]), result
        assert string("general.file_type") + struct.pack("<II", 4, number) in other.read_bytes()
        formats = {row["format"] for row in run_json("info", other)["weights"] if row["kind"] != "embedding"}
        assert formats == {"f16"}, (name, formats)
    assert "int8 is no GGUF type" in run("quantize", model, "--format", "int8", "--out", other, expect=2).stderr
print("passed")
