#!/usr/bin/env python3
"""Checks that libyoke exports exactly the functions that its C headers declare, under one version node.

usage: exports_test.py NM LIBRARY HEADER...
"""
import re
import subprocess
import sys


def declared(header):
    text = re.sub(r"/\*.*?\*/", "", open(header).read(), flags=re.S)
    return set(re.findall(r"\b(yoke_\w+)\s*\((?!\*)[^;{}]*\)\s*;", text))


def exported(nm, library):
    lines = subprocess.run([nm, "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    return {fields[-1] for fields in map(str.split, lines.splitlines()) if fields[-2] != "A"}


def main():
    nm, library, *headers = sys.argv[1:]
    wanted = {name + "@@YOKE_0.1" for header in headers for name in declared(header)}
    found = exported(nm, library)
    for name in sorted(wanted - found):
        print("declared but not exported:", name)
    for name in sorted(found - wanted):
        print("exported but not declared:", name)
    if len(wanted) < 20:
        print("only", len(wanted), "functions were found in", *headers, "- is this test still reading it rightly?")
        return 1
    return wanted != found


if __name__ == "__main__":
    sys.exit(main())
