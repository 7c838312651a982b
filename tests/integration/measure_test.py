"""`eval`, `bench`, `quantize --list` and `embed` on tiny random models: protocols, keys, files, both forms of config.json."""

import json
import math
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tempfile

from support import BINARY, ROOT, results_before_all_input, run, run_json

LLAMA = ROOT / "tests/golden/generate"
BERT = ROOT / "tests/golden/tasks/fill_mask"
EXACT = ["--compute", "exact"]
scratch = tempfile.TemporaryDirectory(prefix="citius_measure_")
work = pathlib.Path(scratch.name)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_perplexity():
    # One window, whose log-probabilities `run --echo` gives too: the tokens after the first half (and one) are scored.
    text = "  anna lives in paris and works for acme.\n\nwhere does bob"
    count = len(run_json("tokenize", LLAMA, text)["ids"])
    file = work / "text.txt"
    file.write_text(text)
    logprobs = run_json("run", LLAMA, "--prompt", text, "--echo", "--max-tokens", 0, *EXACT)["prompt_logprobs"]
    got = run_json("eval", LLAMA, "--perplexity", file, "--context", count, *EXACT)
    scored = logprobs[count // 2 + 1:]
    assert got["windows"] == 1 and got["tokens_scored"] == len(scored) and got["protocol"] == "llama-perplexity", got
    assert math.isclose(got["perplexity"], math.exp(-sum(scored) / len(scored)), rel_tol=1e-5)
    assert got["interval"] == [None, None]  # one window claims nothing
    text_form = run("eval", LLAMA, "--perplexity", file, "--context", count).stdout
    assert "more windows are needed" in text_form and "inf" not in text_form, text_form
    stride = run_json("eval", LLAMA, "--perplexity", file, "--context", count, "--stride", count, *EXACT)
    assert stride["tokens_scored"] == count - 1 and stride["protocol"] == "huggingface", stride
    assert math.isclose(stride["perplexity"], math.exp(-sum(logprobs[1:]) / (count - 1)), rel_tol=1e-5)
    # An incomplete last window is dropped.
    file.write_text(text * 4 + "anna")
    total = len(run_json("tokenize", LLAMA, text * 4 + "anna")["ids"])
    got = run_json("eval", LLAMA, "--perplexity", file, "--context", 16, *EXACT)
    assert got["windows"] == total // 16 and got["tokens_scored"] == total // 16 * 7, got
    assert 1 < got["interval"][0] < got["perplexity"] < got["interval"][1], got
    table = work / "text.jsonl"
    table.write_text(json.dumps({"text": text * 4}))
    assert "as it stands" in run("eval", LLAMA, "--perplexity", table, "--context", 16).stderr
    assert "as it stands" not in run("eval", LLAMA, "--perplexity", file, "--context", 16).stderr
    assert run("eval", LLAMA, "--perplexity", "-", "--context", 16, "--json", *EXACT, input=file.read_text()).stdout == json.dumps(got) + "\n"
    run("eval", LLAMA, "--perplexity", work / "nothing", expect=3)
    run("eval", LLAMA, expect=2)


def test_against():
    file = work / "against.txt"
    file.write_text("anna lives in paris and works for acme. " * 40)
    got = run_json("eval", LLAMA, "--against", LLAMA, "--data", file, "--context", 32, *EXACT)
    assert got["kl_mean"] == 0 and got["top1_agreement"] == 1 and got["perplexity_ratio"] == 1
    got = run_json("eval", LLAMA, "--against", LLAMA, "--data", file, "--context", 32, "--format", "bf16")
    for key in ("kl_mean", "top1_agreement", "perplexity_ratio"):
        assert len(got[key + "_interval"]) == 2
    assert got["kl_mean"] > 0
    # Keys and values lose in both types, more in the smaller one; a reference in exact mode keeps its own in f32.
    rounded = [run_json("eval", LLAMA, "--against", LLAMA, "--against-compute", "exact", "--data", file, "--context", 32, "--kv-type", kv, *EXACT)["kl_mean"]
               for kv in ("f32", "bf16", "int8")]
    assert rounded[0] == 0 < rounded[1] < rounded[2], rounded
    # Names as bench and quantize take them; what does not fit a weight becomes the next format that does.
    for name in ("int8", "q4_k_m", "int4z-g32"):
        assert run_json("eval", LLAMA, "--against", LLAMA, "--data", file, "--context", 32, "--format", name)["kl_mean"] > 0, name
    assert "q9" in run("run", LLAMA, "--prompt", "x", "--format", "q9", expect=2).stderr
    sentences = work / "sentences.txt"
    sentences.write_text("".join(f"anna lives in paris {i}\n" for i in range(8)))
    for task in ("classify_single", "ner_wordpiece", "qa", "choice"):  # judged below the head
        model = ROOT / "tests/golden/tasks" / task
        assert run_json("eval", model, "--against", model, "--data", sentences, *EXACT)["cosine_mean"] > 1 - 1e-6, task
    got = run_json("eval", BERT, "--against", BERT, "--data", sentences, *EXACT)
    assert abs(got["cosine_mean"] - 1) < 1e-6 and len(got["cosine_mean_interval"]) == 2 and "kl_mean" not in got
    assert "is an encoder" in run("eval", BERT, "--perplexity", file, expect=3).stderr
    for flags in (["--windows", 2], ["--context", 16]):
        assert "encoders" in run("eval", BERT, "--against", BERT, "--data", sentences, *flags, expect=2).stderr


def test_the_first_windows():
    words = ["anna", "bob", "paris", "london", "acme", "the", "river", "lives", "works", "for", "in", "is"]
    file = work / "windows.txt"
    file.write_text(" ".join(words[i * i % 11] + words[i % 12] for i in range(200)))
    compare = ["eval", LLAMA, "--against", LLAMA, "--data", file, "--context", 16, "--format", "int8"]
    kl = {}
    for count in (1, 2, 3, 5):
        got = run_json(*compare, "--windows", count)
        assert got["items"] == count, got
        kl[count] = got["kl_mean"]
    assert run_json(*compare, "--windows", 1)["kl_mean_interval"] == [None, None]  # one item claims nothing
    # The first 16 tokens alone give what one window of the whole text gives.
    text = run("tokenize", LLAMA, "--decode", ",".join(map(str, run_json("tokenize", LLAMA, file.read_text())["ids"][:16]))).stdout
    file.write_text(text.rstrip("\n"))
    assert run_json(*compare)["kl_mean"] == kl[1] != kl[2]
    got = run_json("eval", LLAMA, "--against", LLAMA, "--windows", 3, "--context", 16)
    assert got["items"] == 3 and "3 windows" in got["data"], got


def test_eval_refuses_what_would_do_nothing():
    file = work / "text.txt"
    file.write_text("anna lives in paris. " * 40)
    perplexity, against = ["--perplexity", file], ["--against", LLAMA]
    for flags in ([*perplexity, "--data", file], [*perplexity, "--against-compute", "fast"], [*perplexity, "--seed", 9],
                  [*perplexity, *against], [*against, "--stride", 7], [*against, "--text-column", "x"],
                  [*against, "--data", file, "--text-column", "x"], [*against, "--data", file, "--seed", 9]):
        result = run("eval", LLAMA, *flags, expect=2)
        assert not result.stdout and result.stderr, flags
    # The model takes 64 tokens, the protocol's windows are of 512.
    assert "give --context" in run("eval", LLAMA, "--perplexity", file, expect=2).stderr


def test_weights_that_are_no_numbers():
    for source, name in ((LLAMA, "model.norm.weight"), (BERT, "bert.embeddings.LayerNorm.weight")):
        folder = work / f"nan_{source.name}"
        shutil.copytree(source, folder)
        content = bytearray((folder / "model.safetensors").read_bytes())
        size = struct.unpack("<Q", content[:8])[0]
        entry = json.loads(content[8:8 + size])[name]
        assert entry["dtype"] == "F32"
        begin = 8 + size + entry["data_offsets"][0]
        content[begin:begin + 4] = struct.pack("<f", math.nan)
        (folder / "model.safetensors").write_bytes(content)
    llama, bert = work / f"nan_{LLAMA.name}", work / f"nan_{BERT.name}"
    text = work / "text.txt"
    text.write_text("anna lives in paris. " * 40)
    out = work / "nan_out"
    for arguments in (["run", llama, "--prompt", "anna"], ["run", llama, "--prompt", "anna", "--temperature", 1],
                      ["run", llama, "--prompt", "anna", "--beams", 2], ["eval", llama, "--perplexity", text, "--context", 32],
                      ["eval", llama, "--against", LLAMA, "--data", text, "--context", 32],
                      ["eval", LLAMA, "--against", llama, "--data", text, "--context", 32],
                      ["optimize", llama, "--out", out, "--max-time", 1],
                      ["optimize", llama, "--out", out, "--max-time", 1, "--data", text],
                      ["embed", bert, "anna", "--output", work / "nan.npy"], ["fill-mask", bert, "anna [MASK] in paris"]):
        result = run(*arguments, expect=1)
        assert "not finite" in result.stderr and "nan_" in result.stderr, (arguments, result.stderr)
        assert not result.stdout, arguments
    assert not out.exists() and not (work / "nan.npy").exists()


def check_rows(rows, expected, kv_type="f32"):
    assert [(row["kind"], row["batch"], row["length"], row["threads"], row["format"]) for row in rows] == expected, rows
    for row in rows:
        rate = row["sequences_per_s" if row["kind"] == "encode" else "tokens_per_s"]
        assert 0 < row["p25"] <= rate <= row["p75"]
        assert row["share_of_bandwidth"] > 0 and row["share_of_peak"] > 0 and row["kv_type"] == kv_type, row
        assert row["read_bytes_per_s"] > 0 and 0 < row["plain_read_bytes_per_s"] <= row["best_read_bytes_per_s"], row


def test_bench():
    quick = ["--seconds", 0.01, "--repeats", 2]
    rows = run_json("bench", LLAMA, "--prefill", 8, "--decode", 4, "--batch", "1,2", "--threads", "1,2", *quick)["rows"]
    check_rows(rows, [(kind, batch, length, threads, "f32") for threads in (1, 2) for kind, length in (("prefill", 8), ("decode", 4))
                      for batch in (1, 2)])
    config = work / "config.json"
    shutil.copy(BERT / "config.json", config)
    rows = run_json("bench", config, "--length", 8, "--threads", 1, *quick)["rows"]
    check_rows(rows, [("encode", 1, 8, 1, "f32")])
    # Only a bare configuration is measured with random weights, and it is said; weights in another form are not passed over.
    bare = run("bench", config, "--length", 8, "--threads", 1, *quick, "--json")
    assert json.loads(bare.stdout)["random_weights"] is True and "random weights of this shape" in bare.stderr
    assert "random_weights" not in run_json("bench", BERT, "--length", 8, "--threads", 1, *quick)
    other = work / "other"
    other.mkdir()
    shutil.copy(config, other)
    (other / "training_args.bin").write_bytes(b"PK")  # no weights
    assert run_json("info", other)["container"] == "configuration"
    (other / "pytorch_model.bin").write_bytes(b"PK")
    for command in (["bench"], ["info"], ["embed", "text"]):
        refused = run(command[0], other, *command[1:], expect=3)
        assert "pytorch_model.bin" in refused.stderr and "model.safetensors" in refused.stderr and not refused.stdout
    lengths = work / "lengths.txt"
    lengths.write_text("5\n9\r\n\n10\n")
    rows = run_json("bench", BERT, "--lengths", lengths, "--threads", 1, "--compute", "exact", *quick)["rows"]
    check_rows(rows, [("encode", 1, 8, 1, "f32")])
    # A round takes microseconds here: the time asked for is spent, however many rounds that is.
    rows = run_json("bench", BERT, "--length", 1, "--threads", 1, "--seconds", 0.5)["rows"]
    assert rows[0]["repeats"] > 200, rows
    run("bench", BERT, "--decode", 4, expect=2)
    rows = run_json("bench", BERT, "--length", 4, "--threads", 1, "--kv-type", "bf16", *quick)["rows"]
    check_rows(rows, [("encode", 1, 4, 1, "f32")], "bf16")
    header, row = run("bench", LLAMA, "--decode", 4, "--threads", 1, "--kv-type", "int8", *quick).stdout.splitlines()
    assert header.split()[4:6] == ["format", "kv"] and row.split()[4:6] == ["f32", "int8"], row
    run("bench", LLAMA, "--length", 4, expect=2)
    run("bench", BERT, "--lengths", work / "nothing", expect=3)
    run("bench", LLAMA, "--format", "q9", expect=2)
    for flags in (("--seconds", "nan"), ("--scenario", "constant", "--request-rate", "nan"), ("--scenario", "offline", "--ttft-ms", "inf"),
                  ("--scenario", "offline", "--decode", 1, "--tpot-ms", 1), ("--threads", 100000)):
        run("bench", LLAMA, *flags, expect=2)


def test_facts_of_several_thread_counts():
    for flags in (["--seconds", 0, "--repeats", 1], ["--prefill", 5, "--scenario", "offline", "--requests", 2]):
        got = run_json("bench", LLAMA, "--decode", 2, "--threads", "1,2", *flags)
        assert [machine["threads"] for machine in got["machines"]] == [1, 2] and got["machine"] == got["machines"][0], got
        assert len(got["digest"]) == 64 and {row["threads"] for row in got["rows"]} == {1, 2}, got
    result = run("bench", LLAMA, "--decode", 2, "--threads", 128, "--seconds", 0, "--repeats", 1)
    assert "more threads" in result.stderr, result.stderr


def test_messages_hold_no_control_characters():
    trace = work / "hostile.csv"
    trace.write_text("\x1b]0;title\x07\n")
    result = run("bench", LLAMA, "--scenario", "trace", "--trace", trace, expect=3)
    assert "\\x1b]0;title\\x07" in result.stderr and "\x1b" not in result.stderr, result.stderr


def check_percentiles(row, key):
    assert 0 <= row[key]["p50"] <= row[key]["p90"] <= row[key]["p99"], (key, row)


def scenario_row(model, *flags, requests, prompt_tokens, reply_tokens=0, expect=0):
    """The row of one scenario, checked for what all have: every request ended, with as many tokens as were asked for."""
    got = run_json("bench", model, "--threads", 1, "--scenario", *flags, expect=expect)
    assert len(got["digest"]) == 64 and got["machine"]["threads"] == 1 and got["versions"]["citius"], got
    [row] = got["rows"]
    assert row["scenario"] == flags[0] and row["threads"] == 1 and row["format"] == "f32" and row["steps"] > 0, row
    assert row["kv_type"] == (flags[flags.index("--kv-type") + 1] if "--kv-type" in flags else "f32"), row
    assert row["completed"] == row["requests"] == requests and row["prompt_tokens"] == prompt_tokens, row
    assert math.isclose(row["requests_per_s"] * row["duration_s"], requests, rel_tol=1e-6), row
    assert math.isclose(row["prompt_tokens_per_s"] * row["duration_s"], prompt_tokens, rel_tol=1e-6), row
    assert math.isclose(row["total_tokens_per_s"] * row["duration_s"], prompt_tokens + reply_tokens, rel_tol=1e-6), row
    check_percentiles(row, "e2el_ms")
    if reply_tokens:
        assert row["reply_tokens"] == reply_tokens and row["kv_tokens"] >= 64, row
        assert math.isclose(row["output_tokens_per_s"] * row["duration_s"], reply_tokens, rel_tol=1e-6), row
        check_percentiles(row, "ttft_ms")
        check_percentiles(row, "tpot_ms")
        assert row["ttft_ms"]["p50"] <= row["e2el_ms"]["p50"], row
    return row


def test_scenarios_of_decoders():
    sizes = ["--prefill", 9, "--decode", 4, "--requests", 6]
    wanted = {"requests": 6, "prompt_tokens": 54, "reply_tokens": 24}
    row = scenario_row(LLAMA, "single", *sizes, **wanted)
    assert row["request_rate"] is None and row["arrivals"] == "one by one" and "sustained" not in row and row["batch"] == 1 and row["steps"] == 24, row  # a prompt and three tokens each
    assert scenario_row(LLAMA, "offline", *sizes, "--batch", 3, "--kv-type", "int8", **wanted)["steps"] == 8
    row = scenario_row(LLAMA, "constant", *sizes, "--request-rate", 50, "--ttft-ms", 1e6, **wanted)
    assert row["request_rate"] == 50 and row["limits"] == {"ttft_ms": 1e6} and row["limits_kept"] and row["duration_s"] >= 0.1, row
    assert math.isclose(row["goodput_requests_per_s"], row["requests_per_s"], rel_tol=1e-9), row
    assert 0 <= row["drain_s"] < row["duration_s"] and row["arrivals"] == "constant", row
    row = scenario_row(LLAMA, "poisson", *sizes, "--request-rate", 50, "--tpot-ms", 1e-6, "--seed", 3, **wanted, expect=1)
    assert not row["limits_kept"] and row["goodput_requests_per_s"] == 0, row
    # The model's context is 64 tokens.
    row = scenario_row(LLAMA, "long-context", "--decode", 4, requests=4, prompt_tokens=240, reply_tokens=16)
    assert row["load"] == {"prefix": 0, "prefill": 60, "decode": 4}, row
    scenario_row(LLAMA, "long-context", "--decode", 4, "--context", 32, "--requests", 1, requests=1, prompt_tokens=28, reply_tokens=4)


def test_prefixes_are_computed_once():
    config = work / "long"
    config.mkdir()
    (config / "config.json").write_text(json.dumps({**json.loads((LLAMA / "config.json").read_text()), "max_position_embeddings": 512}))
    flags = ["shared-prefix", "--prefix", 200, "--prefill", 5, "--decode", 2, "--requests", 6, "--batch", 1]
    wanted = {"requests": 6, "prompt_tokens": 1230, "reply_tokens": 12}
    # Three whole blocks of 64 tokens of the prefix, for all but the first.
    for flags in (flags, [*flags[:-1], 6]):  # all at once, too
        row = scenario_row(config / "config.json", *flags, **wanted)
        assert row["reused_tokens"] == 5 * 192 and math.isclose(row["reused_prompt_share"], 5 * 192 / 1230), row
        assert scenario_row(config / "config.json", *flags, "--no-prefix-cache", **wanted)["reused_tokens"] == 0
    assert "78 %" in run("bench", config / "config.json", "--scenario", *flags).stdout
    trace = work / "prefixes.jsonl"
    trace.write_text("".join(json.dumps({"timestamp": 1000 + i, "input_length": 1100, "output_length": 20, "hash_ids": [0, 1, 2 + i]}) + "\n"
                             for i in range(3)))
    flags = ["trace", "--trace", trace, "--speedup", 10, "--context", 448, "--batch", 1]
    row = scenario_row(config / "config.json", *flags, requests=3, prompt_tokens=1320, reply_tokens=24)
    assert row["load"]["length_scale"] == 448 / 1120 and row["load"]["speedup"] == 10 and len(row["load"]["trace_digest"]) == 64, row
    assert row["reused_tokens"] == 2 * 384, row  # 2 * 512 * 0.4 = 409.6 tokens in common
    row = scenario_row(config / "config.json", *flags, "--requests", 2, requests=2, prompt_tokens=880, reply_tokens=16)
    assert math.isclose(row["request_rate"], 10000, rel_tol=1e-6), row


def test_azure_trace():
    trace = work / "azure.csv"
    lines = [f"2023-11-16 18:15:46.{500 + i},{20 + 10 * i},{4 + i}" for i in range(4)]
    lines_header = "TIMESTAMP,ContextTokens,GeneratedTokens"
    trace.write_text("\n".join([lines_header, *lines]) + "\n")
    row = scenario_row(LLAMA, "trace", "--trace", trace, requests=4, prompt_tokens=20 + 30 + 40 + 50, reply_tokens=4 + 5 + 6 + 7)
    assert row["load"]["length_scale"] == 1 and row["load"]["trace_requests"] == 4, row
    for requests, told in ((3, "the first 3 of the 4 requests"), (1000, "4 of 4 requests of the trace, all")):
        assert told in run("bench", LLAMA, "--scenario", "trace", "--trace", trace, "--requests", requests).stdout
    # All at once, so that the last answer is long in coming after the last question.
    trace.write_text("\n".join([lines_header, *[f"2023-11-16 18:15:46.500000{i},20,4" for i in range(3)]]) + "\n")
    flags = ["bench", LLAMA, "--scenario", "trace", "--trace", trace, "--e2el-ms"]
    assert "missed, and not sustained" in run(*flags, 1e-6, expect=1).stdout
    assert "kept, but not sustained" in run(*flags, 1e6).stdout
    trace.write_text(trace.read_text() + "2023-11-16 18:15:47,x,3\n")
    assert "azure.csv: line 5" in run("bench", LLAMA, "--scenario", "trace", "--trace", trace, expect=3).stderr


def test_the_highest_rate():
    # So many that some rate lasts, however busy the machine is.
    row = scenario_row(LLAMA, "constant", "--prefill", 5, "--decode", 2, "--requests", 200, "--ttft-ms", 1e6, "--tpot-ms", 1e6,
                       requests=200, prompt_tokens=1000, reply_tokens=400)
    assert row["highest_rate"] == row["request_rate"] <= row["capacity_requests_per_s"] and row["sustained"], row
    assert row["arrivals"] == "constant" and row["drain_s"] <= 0.2 * row["duration_s"], row
    assert all(trial["limits_kept"] for trial in row["trials"]), row
    sizes = ["--prefill", 5, "--decode", 2, "--requests", 8]
    wanted = {"requests": 8, "prompt_tokens": 40, "reply_tokens": 16}
    row = scenario_row(LLAMA, "poisson", *sizes, "--e2el-ms", 1e-6, **wanted, expect=1)
    assert row["highest_rate"] is None and row["arrivals"] == "one by one" and not row["trials"] and not row["limits_kept"], row
    result = run("bench", LLAMA, "--scenario", "poisson", *sizes, "--e2el-ms", 1e-6, expect=1)
    assert "no rate keeps it" in result.stdout and "8 requests one by one" in result.stdout and "1 of 1 rows" in result.stderr, result
    run("bench", LLAMA, "--scenario", "poisson", "--requests", 1, "--e2el-ms", 1, expect=2)


def test_rows_come_as_they_are_measured():
    endless = ["bench", LLAMA, "--scenario", "constant", "--prefill", 5, "--decode", "1,2", "--requests", 3, "--request-rate"]
    with subprocess.Popen([BINARY, *map(str, [*endless, 1])], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("scenario") and " 5+1 " in process.stdout.readline()
        process.send_signal(signal.SIGINT)  # the second load takes two seconds more
        assert process.wait() == 130 and process.stdout.read() == ""
    # With --json there is one object, whenever it ends. Rows take two seconds here; the first progress is told after five, on a slow
    # machine of the first row still.
    endless[endless.index("1,2")] = ",".join(map(str, range(1, 31)))
    command = [BINARY, *map(str, [*endless, 1, "--json"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not re.match(r"constant 5\+(?!1:)", process.stderr.readline()):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rows = json.loads(process.stdout.read())["rows"]
        assert process.wait() == 130
    assert 1 <= len(rows) < 30 and [row["load"]["decode"] for row in rows] == list(range(1, len(rows) + 1)), rows


def test_scenarios_of_encoders():
    lengths = work / "mixed.txt"
    lengths.write_text("5\n9\n10\n")
    for flags in (["single"], ["offline", "--batch", 4], ["constant", "--request-rate", 200], ["poisson", "--e2el-ms", 1e6]):
        row = scenario_row(BERT, *flags, "--length", 8, "--requests", 7, requests=7, prompt_tokens=56)
        assert "ttft_ms" not in row and row["load"] == {"length": 8}, row
        assert flags[0] != "offline" or row["steps"] == 2, row
        scenario_row(BERT, *flags, "--lengths", lengths, "--requests", 4, requests=4, prompt_tokens=29)


def test_scenarios_refuse_what_would_do_nothing():
    for flags in (["single", "--request-rate", 1], ["poisson", "--request-rate", 1, "--seed", -1], ["single", "--batch", 2], ["offline", "--requests", 2, "--batch", "4,2"],
                  ["constant"], ["offline", "--seed", 1], ["trace"],
                  ["offline", "--trace", "x.csv"], ["offline", "--speedup", 2], ["trace", "--trace", "x.csv", "--decode", 1],
                  ["offline", "--batch", 1024], ["trace", "--trace", "x.txt"], ["single", "--seconds", 1], ["offline", "--length", 5],
                  ["sideways"]):
        result = run("bench", LLAMA, "--scenario", *flags, expect=2)
        assert result.stderr and not result.stdout, flags
    for flags in (["single", "--decode", 5], ["offline", "--ttft-ms", 1], ["shared-prefix"], ["long-context"],
                  ["trace", "--trace", "x.csv"], ["offline", "--no-prefix-cache"]):
        run("bench", BERT, "--scenario", *flags, expect=2)
    run("bench", LLAMA, "--requests", 5, expect=2)
    assert "at most 64" in run("bench", LLAMA, "--scenario", "single", expect=2).stderr
    assert "context of 64" in run("bench", LLAMA, "--scenario", "long-context", expect=2).stderr


def test_formats():
    formats = {row["format"]: row for row in run_json("quantize", "--list")["formats"]}
    for name in ("f32", "bf16", "f16", "int8", "int8-g32", "int8-g64", "int8-g128", "int4-g32", "int4z-g128", "q8_0", "q4_k_m"):
        assert 3 < formats[name]["bits_per_weight"] <= 32 and "fast" in formats[name], formats.get(name)
    assert abs(formats["q4_k_m"]["bits_per_weight"] - 4.85) < 0.02  # what llama.cpp makes of a Llama 7B
    assert run("quantize", "--list").stdout.count("\n") == len(formats) + 1
    assert formats["f32"]["fast"] is True
    # What doctor says of bf16 follows from what it measured, which another run may measure otherwise.
    doctor = run_json("doctor", "--seconds", "0.01")
    advice = " ".join(doctor["advice"])
    fp32, bf16 = (max(doctor[threads].get(rate) or 0 for threads in ("one_thread", "all_threads")) for rate in ("fp32_gflop_per_s", "bf16_gflop_per_s"))
    fast = bf16 >= 1.5 * fp32
    assert ("bf16 is fast" in advice) is fast and ("bf16 saves memory" in advice) is not fast, doctor
    run("quantize", "--list", "--format", "int8", expect=2)
    out = work / "kept"
    assert "nosuch*" in run("quantize", LLAMA, "--format", "int8", "--out", out, "--keep", "model.layers.0.*,nosuch*", expect=2).stderr
    assert not out.exists()
    assert not run("quantize", LLAMA, "--format", "int8", "--out", out, "--keep", "model.layers.0.*").stderr
    # What was lost stays lost; a package over its own source would lose more.
    for name, more in (("int7", ""), ("f32", " and take more memory now")):
        errors = run("quantize", out, "--format", name, "--out", work / "again", "--json").stderr
        assert f"quantized before (int8){more}:" in errors and errors.count("\n") == 1, errors
        shutil.rmtree(work / "again")
    before = (out / "citius.json").read_bytes()
    assert "is the model that is read" in run("quantize", out, "--format", "f32", "--out", out, expect=2).stderr
    assert (out / "citius.json").read_bytes() == before


def test_embed():
    texts = ["anna", "", "bob \u2028 in london"]
    got = lines(run("embed", BERT, "--json", input="".join(text + "\n" for text in texts)).stdout)
    assert len(got) == 3 and all(list(row) == ["embedding"] for row in got)
    out = work / "vectors.npy"
    run("embed", BERT, "--output", out, input="".join(text + "\n" for text in texts))
    raw = out.read_bytes()
    assert raw[:8] == b"\x93NUMPY\x01\x00"
    size = struct.unpack("<H", raw[8:10])[0]
    header = eval(raw[10:10 + size])
    width = len(got[0]["embedding"])
    assert header == {"descr": "<f4", "fortran_order": False, "shape": (3, width)}
    values = struct.unpack(f"<{3 * width}f", raw[10 + size:])
    assert all(abs(a - b) < 1e-6 for a, b in zip(values, (v for row in got for v in row["embedding"])))
    result = run("embed", BERT, "--json", " ".join(["anna"] * 100))
    assert "1 of 1 inputs were cut to 40 tokens" in result.stderr and len(lines(result.stdout)) == 1
    # The length of sentence_bert_config.json goes before the tokenizer's.
    folder = work / "short"
    shutil.copytree(BERT, folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 7}')
    assert "cut to 7 tokens" in run("embed", folder, "--json", " ".join(["anna"] * 100)).stderr
    whole = run_json("embed", folder, "anna", *EXACT)["embedding"]
    (folder / "config_sentence_transformers.json").write_text('{"truncate_dim": 5}')
    assert run_json("embed", folder, "anna", *EXACT)["embedding"] == whole[:5]
    assert run_json("embed", folder, "anna", "--dimensions", 6, *EXACT)["embedding"] == whole[:6]
    run("embed", BERT, "x", "--output", work / "vectors.txt", expect=2)
    # The input is not lost to the output, and endings are the same in capitals.
    table = work / "table.CSV"
    table.write_text("text\nanna\n")
    assert "input too" in run("embed", BERT, "--input", table, "--output", table, expect=2).stderr
    with open(table) as opened:
        result = subprocess.run([BINARY, "embed", BERT, "--output", table], stdin=opened, capture_output=True, text=True)
    assert result.returncode == 2 and "input too" in result.stderr, result
    assert table.read_text() == "text\nanna\n"
    assert len(lines(run("embed", BERT, "--input", table, "--json").stdout)) == 1
    run("embed", BERT, "--input", "-", "--output", out, input="")
    assert b"(0, %d)" % width in out.read_bytes()
    run("run", LLAMA, "anna", "--prompt", "bob", expect=2)
    run("run", LLAMA, "--prompt", "x", "--output", work / "vectors.npy", expect=2)


def test_forms_of_configuration():
    config = {key: value for key, value in json.loads((LLAMA / "config.json").read_text()).items()
              if key not in ("rope_parameters", "rope_theta", "rope_scaling", "dtype", "torch_dtype")}
    forms = [{"rope_theta": 500.0, "rope_scaling": {"rope_type": "linear", "factor": 2.0}, "torch_dtype": "float32"},
             {"rope_parameters": {"rope_theta": 500.0, "rope_type": "linear", "factor": 2.0}, "dtype": "float32"}, {}]
    results = []
    for i, form in enumerate(forms):
        folder = work / f"form{i}"
        shutil.copytree(LLAMA, folder)
        (folder / "config.json").write_text(json.dumps({**config, **form}))
        results.append(run_json("run", folder, "--prompt", "anna lives in paris", "--echo", "--max-tokens", 0)["prompt_logprobs"])
    assert results[0] == results[1] != results[2]


def test_results_before_all_input():
    results_before_all_input(["embed", BERT, "--json"], ("anna", ""), "embedding")


for test in (test_perplexity, test_against, test_the_first_windows, test_eval_refuses_what_would_do_nothing,
             test_weights_that_are_no_numbers, test_bench, test_facts_of_several_thread_counts, test_messages_hold_no_control_characters,
             test_scenarios_of_decoders, test_prefixes_are_computed_once, test_azure_trace,
             test_the_highest_rate, test_rows_come_as_they_are_measured, test_scenarios_of_encoders, test_scenarios_refuse_what_would_do_nothing,
             test_formats, test_embed, test_forms_of_configuration, test_results_before_all_input):
    test()
    print("passed", test.__name__)
