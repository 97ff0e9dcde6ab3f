#!/usr/bin/env python3
"""Checks that every public header compiles alone: C headers as C11 and C++20, C++ headers as C++20.

usage: headers_test.py C_COMPILER CXX_COMPILER INCLUDE_DIRECTORY
"""
import pathlib
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", "-Wno-unused-function"]


def main():
    c, cxx, include = sys.argv[1:]
    languages = {".h": [[c, "-xc", "-std=c11"], [cxx, "-xc++", "-std=c++20"]], ".hpp": [[cxx, "-xc++", "-std=c++20"]]}
    headers = sorted(path for path in pathlib.Path(include).rglob("*") if path.suffix in languages)
    failures = 0
    for header in headers:
        name = header.relative_to(include)
        for compiler in languages[header.suffix]:
            # Included twice: a header without a guard fails.
            source = f"#include <{name}>\n#include <{name}>\nint main(void) {{ return 0; }}\n"
            run = subprocess.run([*compiler, *WARNINGS, "-I", include, "-fsyntax-only", "-"], input=source, text=True)
            print("ok    " if run.returncode == 0 else "FAILED", name, compiler[-1])
            failures += run.returncode != 0
    if not headers:
        print("no headers under", include)
    return failures != 0 or not headers


if __name__ == "__main__":
    sys.exit(main())
