#!/usr/bin/env python3
"""Refuses an #include between folders of src/ that the link lists of src/CMakeLists.txt do not allow."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "src"
allowed = {}
for line in (root / "CMakeLists.txt").read_text().splitlines():
    match = re.match(r"\s*citius_folder\((\w+)(?:\s+DEPS ([\w ]+?))?(?:\s+LIBS .*)?\)", line)
    if match:
        deps = set((match.group(2) or "").split())
        allowed.setdefault(match.group(1), set()).update(deps)

errors = []
seen = 0
for path in sorted(root.rglob("*")):
    if path.suffix not in {".h", ".cc", ".cu", ".inc"} or path.parent == root:
        continue
    folder = path.relative_to(root).parts[0]
    if folder not in allowed:
        errors.append(f"{path}: folder '{folder}' is not listed in src/CMakeLists.txt")
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if not match or (match.group(1) == "<" and match.group(2).split("/")[0] not in allowed):
            continue
        seen += 1
        included = match.group(2)
        target = included.split("/")[0]
        if "/" not in included:
            errors.append(f"{path}:{number}: include {included} by its path from src/")
        elif target != folder and target not in allowed[folder]:
            errors.append(f"{path}:{number}: {folder}/ must not include {included}")
        private = re.match(r"backend/(cpu|cuda|ref)/", included)
        if private and not str(path.relative_to(root)).startswith(private.group(0)) and path.name != "registry.cc":
            errors.append(f"{path}:{number}: only backend/registry.cc may include {included}")
print(f"{seen} includes checked, {len(errors)} refused")
print("\n".join(errors))
sys.exit(1 if errors or seen == 0 else 0)
