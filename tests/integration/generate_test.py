"""`run` and its generation options on a tiny random Llama: greedy, penalties, bans, stop strings and beam search against
transformers (tests/golden/generate/make.py); keys, log-probabilities, seeds, streaming and exit codes."""

import json
import pathlib
import shutil
import tempfile

from support import ROOT, results_before_all_input, run, run_json

MODEL = ROOT / "tests/golden/generate"
EXPECTED = json.loads((MODEL / "expected.json").read_text())
EXACT = ["--compute", "exact"]
scratch = tempfile.TemporaryDirectory(prefix="citius_generate_")
work = pathlib.Path(scratch.name)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def reply(prompt, *flags):
    length = [] if "--max-tokens" in flags else ["--max-tokens", 24]
    return run_json("run", MODEL, "--prompt", prompt, *length, *flags, *EXACT)


def flags_of(options):
    names = {"repetition_penalty": "--repetition-penalty", "num_beams": "--beams", "length_penalty": "--length-penalty"}
    flags = [part for key, name in names.items() if key in options for part in (name, options[key])]
    flags += [part for word in options.get("bad", []) for part in ("--ban", word)]
    return flags + [part for word in options.get("stop", []) for part in ("--stop", word)]


def test_as_transformers():
    groups = {}
    for case in EXPECTED:
        groups.setdefault(json.dumps(case["options"]), []).append(case)
    for options, cases in groups.items():
        flags = flags_of(json.loads(options))
        table = work / "prompts.jsonl"
        table.write_text("".join(json.dumps({"text": case["prompt"]}) + "\n" for case in cases))
        got = lines(run("run", MODEL, "--input", table, "--max-tokens", 24, "--json", *flags, *EXACT).stdout)
        assert len(got) == len(cases)
        for one, case in zip(got, cases):
            assert one["tokens"] == case["tokens"], (options, case, one)
            assert one["finish_reason"] in ("stop", "length")
            assert (one["finish_reason"] == "length") <= (len(one["tokens"]) == 24)
            assert not any(stop in one["text"] for stop in json.loads(options).get("stop", []))
            for word in json.loads(options).get("bad", []):
                assert word not in {"of", "as"} or f" {word} " not in one["text"]


def test_keys_and_logprobs():
    got = reply("anna lives", "--logprobs", 3, "--echo")
    count = len(got["tokens"])
    assert len(got["logprobs"]) == len(got["top_logprobs"]) == count
    assert len(got["prompt_logprobs"]) == len(got["prompt_top_logprobs"]) == len(got["prompt_tokens"])
    assert got["prompt_logprobs"][0] is None and got["prompt_top_logprobs"][0] is None
    for value, top in zip(got["logprobs"], got["top_logprobs"]):
        assert top[0]["logprob"] == value and len(top) == 3  # greedy: the best one
        assert [entry["logprob"] for entry in top] == sorted((entry["logprob"] for entry in top), reverse=True)
    assert all(value < 0 for value in got["prompt_logprobs"][1:])
    # Scoring prompt and reply at once gives the same numbers.
    text = run("tokenize", MODEL, "--decode", ",".join(map(str, got["prompt_tokens"] + got["tokens"]))).stdout
    assert text
    for wrong in ("", "x", "99999999999"):
        run("tokenize", MODEL, "--decode", wrong, expect=2)
    only = reply("anna lives", "--echo", "--max-tokens", 0)
    assert only["text"] == "" and only["tokens"] == [] and only["prompt_logprobs"] == got["prompt_logprobs"]
    assert only["prompt_top_logprobs"] == [None] + [[]] * (len(only["prompt_tokens"]) - 1) and "logprobs" not in only
    beams = reply("anna lives", "--beams", 3, "--logprobs", 1, "--echo")
    assert beams["prompt_logprobs"] == got["prompt_logprobs"] and len(beams["logprobs"]) == len(beams["tokens"])
    assert beams["prefill_ms"] > 0 and beams["decode_ms"] > 0
    for flags in (["--echo"], ["--logprobs", 1]):
        run("run", MODEL, "--prompt", "x", *flags, expect=2)


def test_sampling():
    first = reply("anna", "--temperature", 1, "--seed", 3)
    assert reply("anna", "--temperature", 1, "--seed", 3)["tokens"] == first["tokens"]
    assert any(reply("anna", "--temperature", 1, "--seed", seed)["tokens"] != first["tokens"] for seed in range(4, 8))
    greedy = reply("anna")
    for flags in (["--top-k", 1], ["--top-p", 1e-9], ["--min-p", 1], ["--temperature", 0, "--top-k", 50]):
        assert reply("anna", *flags)["tokens"] == greedy["tokens"], flags
    assert any(reply("anna", "--top-k", 40, "--seed", seed)["tokens"] != greedy["tokens"] for seed in range(4))
    assert any(reply("anna", "--typical-p", 0.9, "--seed", seed)["tokens"] != greedy["tokens"] for seed in range(4))
    banned = greedy["tokens"][0]
    assert reply("anna", "--logit-bias", f"{banned}=-100")["tokens"][0] != banned
    assert reply("anna", "--logit-bias", "65=100")["tokens"] == [65] * 24
    forced = reply("anna", "--begin-with", " paris")
    assert forced["text"].startswith(" paris") and forced["tokens"] != greedy["tokens"]
    for name in ("--presence-penalty", "--frequency-penalty"):
        punished = reply("anna", "--logit-bias", "65=20", name, 50)["tokens"]
        assert punished[0] == 65 and punished[1] != 65, (name, punished)
    for flags in (["--temperature", -1], ["--top-p", 0], ["--min-p", 2], ["--top-k", -1], ["--beams", 2, "--top-k", 3],
                  ["--beams", 2, "--temperature", 0.5], ["--logit-bias", "x"], ["--logit-bias", "99999999999=1000"],
                  ["--logit-bias", "50=nan"], ["--logit-bias", "50=inf"], ["--logit-bias", "=1"], ["--stop", ""], ["--ban", ""], ["--max-tokens", -1]):
        run("run", MODEL, "--prompt", "x", *flags, expect=2)
    run("run", MODEL, "--prompt", "x", "--logit-bias", "330=1", expect=3)
    run("run", MODEL, "--prompt", "x", "--backend", "plan", expect=2)  # it computes nothing
    # A repeatable option takes one value, not the arguments after it.
    assert run("run", "--stop", "zz", MODEL, "anna", "--max-tokens", 2, *EXACT).stdout == run("run", MODEL, "anna", "--max-tokens", 2, *EXACT).stdout
    table, prompts = work / "rates.csv", work / "prompts.txt"
    prompts.write_text("anna\nthe river\n")
    run("run", MODEL, "--input", prompts, "--max-tokens", 1, "--output", table, *EXACT)
    assert table.read_text().splitlines()[0].endswith("decode_tokens_per_s") and run("nosuch", expect=2).stderr.count("'nosuch'") == 1
    run("run", MODEL, "--prompt", "x " * 65, expect=3)


def with_generation_config(config):
    model = work / "model"
    model.mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(MODEL / name, model)
    (model / "generation_config.json").write_text(json.dumps(config))
    return model


def test_generation_config():
    first, second = reply("anna")["tokens"][:2]

    def tokens(config, *flags):
        result = run("run", with_generation_config(config), "--prompt", "anna", "--max-tokens", 2, "--json", *flags, *EXACT)
        return json.loads(result.stdout)["tokens"], result.stderr

    assert tokens({}) == ([first, second], "")
    for config in ({"suppress_tokens": [first]}, {"bad_words_ids": [[first]]}):
        for flags in ([], ["--temperature", 0], ["--beams", 2]):
            got, errors = tokens(config, *flags)
            assert first not in got and not errors, (config, flags, got, errors)
    got, _ = tokens({"bad_words_ids": [[first, second]]})
    assert got[0] == first and got[1] != second
    assert tokens({"bad_words_ids": [[first]], "eos_token_id": first})[0] == []  # a reply may always end
    neutral = {"no_repeat_ngram_size": 0, "num_beams": 1, "forced_bos_token_id": None, "begin_suppress_tokens": [], "guidance_scale": 1.0}
    assert tokens(neutral)[1] == ""
    _, errors = tokens({"no_repeat_ngram_size": 3, "num_beams": 4, "forced_bos_token_id": 2, "begin_suppress_tokens": [5]})
    assert errors.count("\n") == 1
    assert all(key in errors for key in ("no_repeat_ngram_size", "num_beams", "forced_bos_token_id", "begin_suppress_tokens")), errors
    assert "num_beams" not in tokens({"num_beams": 4, "min_length": 1}, "--beams", 2)[1]
    others = {"dola_layers": "low", "encoder_repetition_penalty": 1.5, "watermarking_config": {"bias": 2.5}, "penalty_alpha": 0.6}
    _, errors = tokens({**others, "length_penalty": 2.0, "early_stopping": True})
    assert all(key in errors for key in others) and "length_penalty" not in errors and "early_stopping" not in errors, errors
    _, errors = tokens({"length_penalty": 2.0, "early_stopping": True}, "--beams", 2)
    assert "length_penalty" in errors and "early_stopping" in errors
    assert "length_penalty" not in tokens({"length_penalty": 2.0}, "--beams", 2, "--length-penalty", 2)[1]
    # A penalty counts for greedy replies too; what was given goes before the file, --temperature 0 without penalties as well.
    (seen,) = json.loads(run("tokenize", MODEL, "anna", "--no-special-tokens", "--json").stdout)["ids"][:1]
    bias = ["--logit-bias", f"{seen}=60"]
    strong = {"repetition_penalty": 1000}
    assert tokens({}, *bias)[0] == [seen, seen] and tokens(strong, *bias)[0][0] != seen
    assert tokens(strong, *bias, "--temperature", 0)[0] == tokens(strong, *bias, "--repetition-penalty", 1)[0] == [seen, seen]
    for stops in ([text := run("tokenize", MODEL, "--decode", second).stdout.strip()], text):
        got = run_json("run", with_generation_config({"stop_strings": stops}), "--prompt", "anna", "--max-tokens", 8, *EXACT)
        assert got["finish_reason"] == "stop" and text not in got["text"] and len(got["tokens"]) <= 2, got
    got = run_json("run", with_generation_config({"stop_strings": text}), "--prompt", "anna", "--max-tokens", 8, "--stop", "zz", *EXACT)
    assert got["tokens"] == reply("anna", "--max-tokens", 8)["tokens"]
    wrong = [{"suppress_tokens": "x"}, {"suppress_tokens": [1 << 40]}, {"suppress_tokens": [330]}, {"suppress_tokens": [-1]},
             {"bad_words_ids": [1]}, {"bad_words_ids": [[]]}, {"bad_words_ids": [[first, 330]]}]
    named = [{"temperature": "hot"}, {"top_k": 1.5}, {"stop_strings": ""}, {"stop_strings": [1]}, {"repetition_penalty": 0}]
    named += [{"do_sample": True, key: value} for key, value in (("temperature", -1), ("top_k", -2), ("top_p", 0), ("min_p", 2), ("typical_p", "x"))]
    for config in wrong + named:
        result = run("run", with_generation_config(config), "--prompt", "anna", expect=3)
        key = list(config)[-1]
        name = f"generation_config.json] key '{key}'" if config in named else f"generation_config.json: {key}]"
        assert name in result.stderr, (config, result.stderr)
    assert tokens({"do_sample": True, "top_p": 0}, "--top-p", 0.5, "--top-k", 1)[0] == [first, second]  # what is replaced does not count


def test_inputs():
    source = "anna\r\n\n  the river \nin\u2028x"
    whole = run("run", MODEL, "--json", "--echo", "--max-tokens", 4, *EXACT, input=source)
    got = lines(whole.stdout)
    assert len(got) == 4 and "citius: 1 empty prompt has an empty reply" in whole.stderr, whole.stderr
    assert "2 empty prompts have empty replies" in run("run", MODEL, "--max-tokens", 1, *EXACT, input="a\n\n\n").stderr
    assert got[1]["text"] == "" and got[1]["tokens"] == got[1]["prompt_tokens"] == got[1]["prompt_logprobs"] == []
    for one, prompt in zip(got, ("anna", "", "  the river ", "in\u2028x")):
        assert one["prompt_tokens"] == run_json("tokenize", MODEL, prompt)["ids"]
        assert not prompt or one["tokens"] == reply(prompt, "--max-tokens", 4)["tokens"]
    # A prompt that is too long: those before it have their results.
    result = run("run", MODEL, "--json", input="anna\n" + "x " * 65 + "\nin\n", expect=3)
    assert len(lines(result.stdout)) == 1 and "[standard input:2]" in result.stderr, result
    out = work / "replies.jsonl"
    out.write_text("old")
    run("run", MODEL, "--output", out, input="anna\n" + "x " * 65 + "\n", expect=3)
    assert out.read_text() == "old" and list(work.glob("*replies*")) == [out]
    run("run", MODEL, "--output", out, input="anna\nin\n")
    assert len(lines(out.read_text())) == 2


def test_results_before_all_input():
    results_before_all_input(["run", MODEL, "--json", "--max-tokens", 2], ("anna", "the river"), "tokens")


def test_plain():
    whole = run("run", MODEL, "--prompt", "anna", "--max-tokens", 8, *EXACT)
    assert whole.stdout == reply("anna", "--max-tokens", 8)["text"] + "\n" and "1 prompt token in" in whole.stderr
    assert "no chat template" in run("chat", MODEL, "hi", expect=3).stderr


def test_packages_take_every_type_of_keys_and_values():
    package = work / "package"
    run("quantize", MODEL, "--format", "f32", "--out", package)  # its receipt leaves no room for another rounding
    for kind in ("f32", "bf16", "int8"):
        run("run", package, "--prompt", "anna lives", "--max-tokens", 4, "--kv-type", kind)


for test in (test_as_transformers, test_keys_and_logprobs, test_sampling, test_generation_config, test_inputs, test_results_before_all_input, test_plain,
             test_packages_take_every_type_of_keys_and_values):
    test()
    print("passed", test.__name__)
