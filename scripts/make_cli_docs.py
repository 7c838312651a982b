#!/usr/bin/env python3
"""make_cli_docs.py [--check] [BINARY]: writes the commands part of docs/cli.md from --help, or checks that it is up to date."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
binary = arguments[0] if arguments else str(root / "build/release/citius")
page = root / "docs/cli.md"
marker = "<!-- The rest is what --help says, written by scripts/make_cli_docs.py and compared by a test. -->\n"


def help_of(*command):
    text = subprocess.run([binary, *command, "--help"], check=True, capture_output=True, text=True).stdout
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


overview = help_of()
commands = re.findall(r"^  ([a-z-]+)  ", overview.split("Subcommands:")[1], re.MULTILINE)
parts = [f"```\n{overview}\n```\n"]
for command in commands:
    text = help_of(command)
    if "Example" not in text:
        sys.exit(f"citius {command} --help has no example")
    parts.append(f"## {command}\n\n```\n{text}\n```\n")
head = page.read_text().split(marker)[0]
wanted = head + marker + "\n" + "\n".join(parts)
if "--check" in sys.argv:
    if page.read_text() != wanted:
        sys.exit("docs/cli.md differs from --help; run scripts/make_cli_docs.py")
    print(f"docs/cli.md agrees with --help: {len(commands)} commands")
else:
    page.write_text(wanted)
