#!/usr/bin/env python3
"""Checks what the compiler does not: who includes whom, and how long files are.

A room may include only rooms of lower rows (ARCHITECTURE.md shows the same table). A test beside the source may also
use what its room's CMakeLists.txt links for tests. The file exits with 1 and one line per offence.

Usage: structure_test.py ROOT [--self-test]
"""
import pathlib
import re
import sys
import tempfile

# Lower rows first. Rooms of one row do not know each other.
ROWS = [
    ["base"],
    ["ring", "cost", "control"],
    ["service", "sched"],
    ["device"],
    ["executive", "graph"],
    ["client", "daemon", "worker"],
]
PUBLIC = ("yoke/", "uapi/")
PUBLIC_ONLY = ["src/cli", "examples"]  # programs over the public API
LINES_MAX = 600
SUFFIXES = {".c", ".cpp", ".h", ".hpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)


def row_of(room):
    for number, rooms in enumerate(ROWS):
        if room in rooms:
            return number
    return None


def offences_of(root, path):
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(root).as_posix()
    lines = text.count("\n")
    if lines > LINES_MAX:
        yield f"{name}: {lines} lines, more than {LINES_MAX}: split it by nouns"
    if not text.lstrip().startswith(("//", "/*")):
        yield f"{name}: does not open with what problem it solves and how"
    parts = pathlib.PurePosixPath(name).parts
    for included in INCLUDE.findall(text):
        target = included.split("/")[0]
        if included.startswith(".."):
            yield f"{name}: includes {included}: name it from src/"
        if any(name.startswith(place + "/") for place in PUBLIC_ONLY):
            if row_of(target) is not None:
                yield f"{name}: includes {included}: only include/yoke and include/uapi are public"
        elif parts[0] == "include":
            if row_of(target) is not None:
                yield f"{name}: includes {included}: a public header knows no room"
        elif parts[0] == "src" and row_of(parts[1]) is not None and row_of(target) is not None:
            mine, other = row_of(parts[1]), row_of(target)
            if parts[1] != target and other >= mine:
                yield f"{name}: room {parts[1]} includes {included}: {target} is not in a lower row"


def sources_of(root):
    for folder in ("src", "include", "examples", "bench", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                yield path


def self_test():
    """The check must be able to fail: each kind of offence, planted."""
    planted = {
        "src/base/a.cpp": ('// x\n#include "ring/layout.hpp"\n', "not in a lower row"),
        "src/client/b.cpp": ('// x\n#include "worker/session.hpp"\n', "not in a lower row"),
        "src/cli/c.cpp": ('// x\n#include "base/fd.hpp"\n', "are public"),
        "include/yoke/d.h": ('/* x */\n#include "base/fd.hpp"\n', "knows no room"),
        "src/ring/e.cpp": ('// x\n#include "../base/fd.hpp"\n', "name it from src/"),
        "src/ring/f.cpp": ("int x;\n", "does not open"),
        "tests/g.cpp": ("// x\n" * (LINES_MAX + 1), "split it by nouns"),
    }
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, (text, _) in planted.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        for name, (_, expected) in planted.items():
            if not any(expected in line for line in offences_of(root, root / name)):
                return [f"self-test: planted offence in {name} was not found"]
    return []


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    found = self_test()
    count = 0
    for path in sources_of(root):
        count += 1
        found += offences_of(root, path)
    print("\n".join(found))
    print(f"{count} files, {len(found)} offences")
    return 1 if found or count < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
