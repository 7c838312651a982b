"""`chat` on a tiny random Llama with a template of its own: conversations on a terminal that outgrow the context, its commands, and
conversations given whole."""

import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
import tempfile
import time

from support import BINARY, ROOT, run, run_json

scratch = tempfile.TemporaryDirectory(prefix="citius_chat_")
work = pathlib.Path(scratch.name)
model = work / "model"
model.mkdir()
for name in ("config.json", "model.safetensors", "tokenizer.json"):
    shutil.copy(ROOT / "tests/golden/generate" / name, model)
TEMPLATE = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }} {% endfor %}"
(model / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))

NEVER_ENDS = ["--logit-bias", "65=100"]


class Terminal:
    """citius chat on a terminal of its own; what it says is read up to a text."""

    def __init__(self, *arguments):
        self.side, other = pty.openpty()
        self.process = subprocess.Popen([BINARY, "chat", str(model), *map(str, arguments)], stdin=other, stdout=other, stderr=other)
        os.close(other)
        self.read_to("> ")

    def read_to(self, end):
        said = ""
        deadline = time.monotonic() + 120
        while not said.endswith(end):
            assert select.select([self.side], [], [], deadline - time.monotonic())[0], said
            said += os.read(self.side, 1000).decode(errors="replace")
        return said

    def say(self, line):
        os.write(self.side, (line + "\n").encode())
        return self.read_to("> ")

    def end(self, line):
        os.write(self.side, (line + "\n").encode())
        assert self.process.wait(120) == 0
        os.close(self.side)


def test_outgrown_context():
    chat = Terminal("--context", 48, "--max-tokens", 8, "--system", "anna", *NEVER_ENDS)
    said = [chat.say("the river") for _ in range(8)]
    assert "forgotten" not in said[0] and any("messages are forgotten" in one for one in said), said
    assert all("got " not in one and "cut at --max-tokens 8" in one for one in said), said
    # What can never fit is refused, and the conversation goes on.
    refused = chat.say("the river " * 20)
    assert "room for a reply" in refused and "/clear" in refused, refused
    assert "cut at --max-tokens 8" in chat.say("the river")
    chat.end("/exit")


def test_commands():
    chat = Terminal("--max-tokens", 2)
    assert "/exit" in chat.say("/help") and "expected a command" in chat.say("/nosuch")
    first = chat.say("anna")
    chat.say("the river")
    chat.say("/clear")
    assert chat.say("anna") == first
    chat.end("/quit")


def test_cut_by_the_context():
    result = run("chat", model, "anna", "--context", 16, "--max-tokens", 50, *NEVER_ENDS)
    assert "cut at the end of the context, 16 tokens" in result.stderr
    result = run("chat", model, "--context", 16, "--max-tokens", 50, "--json", *NEVER_ENDS, input="anna\nthe\n")
    assert len(result.stdout.splitlines()) == 2 and "2 replies were cut" in result.stderr
    assert "cut at --max-tokens 2" in run("chat", model, "anna", "--max-tokens", 2, *NEVER_ENDS).stderr
    run("chat", model, "the river " * 20, "--context", 16, expect=3)


def test_messages():
    talk = [{"role": "user", "content": "anna"}, {"role": "assistant", "content": "lives"}, {"role": "user", "content": "in"}]
    table = work / "talks.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in ({"messages": talk}, {"messages": talk[:1]}, {"text": "anna"})))
    flags = ["--max-tokens", 3, "--echo"]
    got = [json.loads(line) for line in run("chat", model, "--input", table, "--json", *flags).stdout.splitlines()]
    assert got[0]["prompt_tokens"] == run_json("tokenize", model, "u:anna a:lives u:in ", "--no-special-tokens")["ids"]
    assert got[1]["tokens"] == got[2]["tokens"] == run_json("chat", model, "anna", *flags)["tokens"]
    table.write_text(json.dumps({"messages": talk}) + "\n")
    system = json.loads(run("chat", model, "--input", table, "--system", "x", "--json", *flags).stdout)
    assert system["prompt_tokens"] == run_json("tokenize", model, "s:x u:anna a:lives u:in ", "--no-special-tokens")["ids"]
    for wrong in ([], [1], [{"role": "user"}], [{"role": 1, "content": "x"}], "x"):
        table.write_text(json.dumps({"messages": wrong}) + "\n")
        assert "messages" in run("chat", model, "--input", table, expect=3).stderr
    run("tokenize", model, "--input", table, expect=3)  # a text is wanted there


def has_terminals():
    try:
        for end in pty.openpty():
            os.close(end)
        return True
    except OSError:
        return False


for test in (test_outgrown_context, test_commands, test_cut_by_the_context, test_messages):
    if test in (test_outgrown_context, test_commands) and not has_terminals():
        print("no terminal can be opened here (/dev/pts) for", test.__name__)
        continue
    test()
    print("passed", test.__name__)
