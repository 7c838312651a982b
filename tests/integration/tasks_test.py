"""The task commands on tiny random models, against what transformers' pipelines and sentence-transformers answered
(tests/golden/tasks/make.py): files in, JSON lines out, order, offsets, exit codes."""

import json
import pathlib
import tempfile

from support import ROOT, run, run_json

GOLDEN = ROOT / "tests/golden/tasks"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
TEXTS = EXPECTED["texts"]
EXACT = ["--compute", "exact"]
TOLERANCE = 5e-5  # as in tests/runtime/tasks_test.cc


def near(a, b):
    assert abs(a - b) <= TOLERANCE, (a, b)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def expect_scores(got, expected):
    assert got["scores"].keys() == expected.keys()
    for label, score in expected.items():
        near(got["scores"][label], score)
    assert got["scores"][got["label"]] == got["score"] == max(got["scores"].values())


with tempfile.TemporaryDirectory(prefix="citius_tasks_") as folder:
    folder = pathlib.Path(folder)
    table = folder / "texts.jsonl"
    table.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))

    for name in ("classify_single", "classify_multi", "classify_regression"):
        result = run("classify", GOLDEN / name, "--input", table, "--json", *EXACT)
        got = lines(result.stdout)
        assert len(got) == len(TEXTS)
        for one, expected in zip(got, EXPECTED[name]):
            expect_scores(one, expected)
        assert "cut to" not in result.stderr, result.stderr
        single = run_json("classify", GOLDEN / name, TEXTS[2], *EXACT)
        assert single == got[2]
    cut = run("classify", GOLDEN / "classify_single", "--input", table, "--max-length", 20, "--json")
    assert "2 of 7 inputs were cut to 20 tokens" in cut.stderr and len(lines(cut.stdout)) == 7, cut.stderr
    labels = EXPECTED["zero_shot_labels"]
    for key, flags in (("zero_shot", []), ("zero_shot_multi", ["--multi-label"])):
        full = [text for text in TEXTS if text]
        for text, expected in zip(full, EXPECTED[key]):
            expect_scores(run_json("classify", GOLDEN / "nli", text, "--labels", ",".join(labels), *flags, *EXACT), expected)
    assert "entail" in run("classify", GOLDEN / "classify_single", "x", "--labels", "a,b", expect=3).stderr
    assert "{}" in run("classify", GOLDEN / "nli", "x", "--labels", "a", "--hypothesis-template", "no place", expect=2).stderr
    plain = run_json("classify", GOLDEN / "nli", TEXTS[0], "--labels", ",".join(labels), *EXACT)
    other = run_json("classify", GOLDEN / "nli", TEXTS[0], "--labels", ",".join(labels), "--hypothesis-template", "{} it is.", *EXACT)
    assert plain["scores"] != other["scores"]
    run("classify", GOLDEN / "nli", "x", "--labels", "a,a", expect=2)
    run("classify", GOLDEN / "nli", "x", "--labels", "a, ,b", expect=2)
    spaced = run_json("classify", GOLDEN / "nli", TEXTS[0], "--labels", ", ".join(labels), *EXACT)
    assert spaced == plain, (spaced, plain)
    run("classify", GOLDEN / "classify_single", "x", "--multi-label", expect=2)
    run("classify", GOLDEN / "classify_single", "x", "--hypothesis-template", "{}", expect=2)
    run("classify", GOLDEN / "ner_bytes", "x", expect=3)  # another head

    for name in ("ner_wordpiece", "ner_bytes"):
        for aggregation, expected in EXPECTED[name].items():
            got = lines(run("ner", GOLDEN / name, "--input", table, "--aggregation", aggregation, "--json", *EXACT).stdout)
            for one, entities, text in zip(got, expected, TEXTS):
                assert len(one["entities"]) == len(entities), (name, aggregation, one, entities)
                for a, b in zip(one["entities"], entities):
                    near(a["score"], b["score"])
                    assert {**a, "score": 0} == {**b, "score": 0}, (a, b)
                    assert text[a["start"]:a["end"]] == a["text"]

    long = json.loads((GOLDEN / "expected_windows.json").read_text())
    for case in long["cases"]:
        for text, entities in zip(long["texts"], case["entities"], strict=True):
            result = run("ner", GOLDEN / "ner_wordpiece", text, "--aggregation", case["aggregation"], "--max-length", long["length"],
                         "--overlap", long["overlap"], "--json", *EXACT)
            got = json.loads(result.stdout)["entities"]
            assert [{**a, "score": 0} for a in got] == [{**b, "score": 0} for b in entities], (case["aggregation"], got, entities)
            for a, b in zip(got, entities):
                near(a["score"], b["score"])
            assert "cut to" not in result.stderr
    run("ner", GOLDEN / "ner_wordpiece", "x", "--aggregation", "none", "--overlap", 3, expect=2)
    run("ner", GOLDEN / "ner_wordpiece", "x", "--max-length", 10, "--overlap", 8, expect=2)

    for case in json.loads((GOLDEN / "expected_qa.json").read_text()):
        options = case["options"]
        flags = ["--top-k", options.get("top_k", 1), "--max-answer-tokens", options.get("max_answer_len", 15)]
        flags += ["--no-answer"] if options.get("handle_impossible_answer") else []
        got = run_json("qa", GOLDEN / "qa", "--question", case["question"], "--context", case["context"], *flags, *EXACT)["answers"]
        assert len(got) == len(case["answers"])
        for a, b in zip(got, case["answers"]):
            near(a["score"], b["score"])
            assert case["context"][a["start"]:a["end"]] == a["text"]
        assert [a["text"] for a in got] == [b["text"] for b in case["answers"]]
    pairs = folder / "pairs.csv"
    pairs.write_text('question,context\nwho?,"bob said, it was great"\nwhere?,paris\n')
    answers = lines(run("qa", GOLDEN / "qa", "--input", pairs, "--json", *EXACT).stdout)
    assert answers[1] == run_json("qa", GOLDEN / "qa", "--question", "where?", "--context", "paris", *EXACT)
    run("qa", GOLDEN / "qa", "--context", "paris", expect=2)
    # With a question the inputs are contexts; a blank one has no answer but "none".
    blank = lines(run("qa", GOLDEN / "qa", "--question", "where?", "--json", *EXACT, input="paris\n\n").stdout)
    assert blank == [answers[1], {"answers": []}]
    none = run_json("qa", GOLDEN / "qa", "--question", "where?", "--context", "", "--no-answer", *EXACT)["answers"]
    assert [(a["text"], a["start"], a["end"]) for a in none] == [("", 0, 0)]
    assert run_json("qa", GOLDEN / "qa", "--question", "where?", "--context", "paris", "--min-score", 1) == {"answers": []}
    # Narrow windows read the same context in more pieces; every answer stands at its place.
    context = "\u00c9t\u00e9 \U0001f600 in London. " + " ".join(TEXTS)
    found = run_json("qa", GOLDEN / "qa", "--question", "where?", "--context", context, "--window", 16, "--overlap", 4, "--top-k", 5, *EXACT)
    assert len(found["answers"]) == 5 and all(context[a["start"]:a["end"]] == a["text"] for a in found["answers"])
    # As text: the best answer alone, or each with its score.
    asked = ["qa", GOLDEN / "qa", "--question", "where?", "--context", context, "--window", 16, "--overlap", 4, *EXACT]
    assert run(*asked).stdout == run_json(*asked)["answers"][0]["text"] + "\n"
    assert run(*asked, "--top-k", 5).stdout.splitlines() == [f"{a['text']}\t{a['score']:.4f}" for a in found["answers"]]
    run("qa", GOLDEN / "qa", "--question", "x", "--context", "y", "--window", 41, expect=2)
    run("qa", GOLDEN / "qa", "--question", " ".join(TEXTS), "--context", "y", expect=3)

    for expected in EXPECTED["fill_mask"]:
        got = run_json("fill-mask", GOLDEN / "fill_mask", expected["text"], "--top-k", 4, *EXACT)["masks"]
        for ours, theirs in zip(got, expected["masks"], strict=True):
            for a, b in zip(ours, theirs, strict=True):
                near(a["score"], b["score"])
                assert a["token"] == b["token"] and a["sequence"] == b["sequence"]
    assert "[MASK]" in run("fill-mask", GOLDEN / "fill_mask", "no mask", expect=3).stderr
    some = run("fill-mask", GOLDEN / "fill_mask", "--json", input="the [MASK]\nnone\n\n")
    assert [len(one["masks"]) for one in lines(some.stdout)] == [1, 0, 0] and "2 inputs have no mask" in some.stderr
    one = run("fill-mask", GOLDEN / "fill_mask", "--json", input="the [MASK]\nnone\n")
    assert "citius: 1 input has no mask" in one.stderr
    two = ["fill-mask", GOLDEN / "fill_mask", "the [MASK] [MASK]", *EXACT]
    masks = run_json(*two)["masks"]
    assert run(*two).stdout == "\t".join(fills[0]["token_text"] for fills in masks) + "\n"
    assert run(*two, "--top-k", 3).stdout.splitlines() == [f"{a['token_text']}\t{a['score']:.4f}" for fills in masks for a in fills[:3]]
    # Many texts have a line each.
    assert run("fill-mask", GOLDEN / "fill_mask", "--top-k", 2, input="the [MASK]\nnone\nthe [MASK] [MASK]\n").stdout.count("\n") == 3
    # What stands before a row that cannot be answered has its results.
    long_row = run("fill-mask", GOLDEN / "fill_mask", "--json", input="the [MASK]\n" + "anna " * 50 + "[MASK]\nthe [MASK]\n", expect=3)
    assert len(lines(long_row.stdout)) == 1 and "[standard input:2]" in long_row.stderr, long_row

    choice = json.loads((GOLDEN / "expected_choice.json").read_text())
    flags = [part for one in choice["choices"] for part in ("--choice", one)]
    got = lines(run("choose", GOLDEN / "choice", "--input", table, *flags, "--json", *EXACT).stdout)
    for one, scores in zip(got, choice["scores"], strict=True):
        for a, b in zip(one["scores"], scores, strict=True):
            near(a, b)
        assert one["score"] == max(one["scores"]) == one["scores"][one["index"]] and one["choice"] == choice["choices"][one["index"]]
    wide = folder / "choices.jsonl"
    wide.write_text("".join(json.dumps({"text": text, **dict(zip("abc", choice["choices"]))}) + "\n" for text in choice["texts"]))
    assert lines(run("choose", GOLDEN / "choice", "--input", wide, "--choice-columns", "a,b,c", "--json", *EXACT).stdout) == got
    for wrong in ([], ["--choice", "a"], ["--choice-columns", "a,b"], ["--choice", "a", "--choice", "b", "--choice-columns", "a,b"]):
        run("choose", GOLDEN / "choice", "x", *wrong, expect=2)
    run("choose", GOLDEN / "qa", "x", "--choice", "a", "--choice", "b", expect=3)

    rerank = EXPECTED["rerank"]
    got = lines(run("rerank", GOLDEN / "rerank", "--query", rerank["query"], "--input", table, "--json", *EXACT).stdout)
    assert [one["index"] for one in got] == list(range(len(TEXTS)))
    for one, score in zip(got, rerank["scores"], strict=True):
        near(one["score"], score)
    best = lines(run("rerank", GOLDEN / "rerank", "--query", rerank["query"], "--input", table, "--top", 3, "--json", *EXACT).stdout)
    assert best == sorted(got, key=lambda one: -one["score"])[:3]
    # By embeddings: the query too may be cut, and that is said.
    long = run("rerank", GOLDEN / "fill_mask", "--query", "anna " * 60, "anna", "--max-length", 20)
    assert "the query was cut to 20 tokens" in long.stderr and "inputs were cut" not in long.stderr, long.stderr
    # A model that does not say how its tokens become one vector.
    guess = run("embed", GOLDEN / "fill_mask", "anna lives", "--json")
    assert guess.stderr.count("--pooling") == 1, guess.stderr
    said = {mode: run("embed", GOLDEN / "fill_mask", "anna lives", "--json", "--pooling", mode) for mode in ("mean", "cls", "lasttoken")}
    assert not any(one.stderr for one in said.values()) and said["mean"].stdout == guess.stdout
    assert len({one.stdout for one in said.values()}) == 3
    run("embed", GOLDEN / "fill_mask", "anna", "--pooling", "nosuch", expect=2)
    # What is no text is refused before anything is answered.
    for name, begin, remedy in (("a.txt", b"\x1f\x8b\x08\0", "gzip -dc"), ("a.csv", "text\nanna\n".encode("utf-16"), "iconv")):
        (folder / name).write_bytes(begin)
        refused = run("embed", GOLDEN / "fill_mask", "--input", folder / name, "--json", expect=3)
        assert remedy in refused.stderr and not refused.stdout, refused
    out = folder / "scores.csv"
    run("rerank", GOLDEN / "rerank", "--query", rerank["query"], "--input", table, "--output", out)
    assert len(out.read_text().splitlines()) == len(TEXTS) + 1
print("passed")
