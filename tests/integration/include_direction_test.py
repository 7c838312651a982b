"""scripts/check_includes.py passes on this tree and refuses each kind of forbidden include."""

import subprocess
import sys
import tempfile
from pathlib import Path

from support import ROOT

LISTS = "citius_folder(base LIBS x)\ncitius_folder(io DEPS base)\ncitius_folder(backend DEPS base)\ncitius_folder(nn DEPS base backend)\n"
GOOD = {"base/a.h": "", "io/b.h": '#include "base/a.h"\n', "nn/c.cc": '#include <vector>\n#include "backend/registry.h"\n',
        "backend/registry.cc": '#include "backend/cpu/d.h"\n', "backend/cpu/d.h": ""}


def check(root):
    done = subprocess.run([sys.executable, str(ROOT / "scripts/check_includes.py"), str(root)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def check_tree(files):
    with tempfile.TemporaryDirectory(prefix="citius_includes_") as folder:
        for name, text in {"CMakeLists.txt": LISTS, **files}.items():
            path = Path(folder) / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check(folder)


code, output = check(ROOT)
assert code == 0, output
code, output = check_tree(GOOD)
assert code == 0, output
for name, line, reason in [
    ("base/a.h", '#include "io/b.h"', "base/ must not include io/b.h"),
    ("base/a.h", "#  include <io/b.h>", "base/ must not include io/b.h"),
    ("io/b.h", '#include "nn/c.h"', "io/ must not include nn/c.h"),
    ("nn/c.cc", '#include "backend/cpu/d.h"', "only backend/registry.cc may include backend/cpu/d.h"),
    ("io/b.h", '#include "e.h"', "include e.h by its path from src/"),
    ("io/b.h", '#include "../base/a.h"', "io/ must not include ../base/a.h"),
    ("other/f.h", "", "folder 'other' is not listed"),
]:
    code, output = check_tree({**GOOD, name: GOOD.get(name, "") + line + "\n"})
    assert code == 1 and reason in output, (name, line, code, output)
