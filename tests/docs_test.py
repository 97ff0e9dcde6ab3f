#!/usr/bin/env python3
"""Runs the examples of the pages as they are printed: an example that does not run is a lie.

Each block of shell is run by `bash -e` in one folder per page, in the order of the page; graph files (blocks of TOML) are
written there under the names of their graphs. /tmp is that folder. What needs root, a kernel or a terminal is left out,
and so is what this machine has no program for.

usage: docs_test.py BIN_DIRECTORY SOURCE_DIRECTORY KERNEL_CACHE
"""
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

BIN, SOURCE, CACHE = (pathlib.Path(argument) for argument in sys.argv[1:4])

# Of the README: installs, builds, needs root or the kernel module.
ELSEWHERE = ("scripts/run", "cmake --install", "make -C kmod")
# Until Ctrl-C.
ENDLESS = ("--live",)

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
COMMANDS = ("yoke call", "yoke graph check", "yoke graph start", "yoke graph stop", "yoke graph rm", "yoke graph ls",
            "yoke graph show", "yoke graph dot", "yoke graph why", "yoke push", "yoke pull", "yoke stage", "yoke ls",
            "yoke status", "yoke shutdown", "yoke doctor", "yoke version", "yoked", "yoke-tour", "catdepth", "xform",
            "detect", "hidinput", "gesture-graph", "gesture-run", "gesture-draw", "scripts/run", "scripts/check",
            "bench/gesture_table", "bench/gesture_accuracy", "scripts/bench")
# Options of other people's programs, with what they are given to.
FOREIGN = re.compile(r"(pkg-config|cmake|systemctl|dmsetup|blockdev)\b[^`;|&#]*")


def blocks(page, language):
    text = (SOURCE / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


class DocsTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="yoke-docs-"))
        (self.folder / "run").mkdir(mode=0o700)
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.copytree(SOURCE / "examples", self.folder / "examples")
        (self.folder / "kernels").symlink_to(self.folder / "examples/kernels")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("YOKE_")}
        self.environment = {**kept, "XDG_RUNTIME_DIR": str(self.folder / "run"), "XDG_CACHE_HOME": str(CACHE),
                            "XDG_STATE_HOME": str(self.folder / "state"), "PATH": f"{BIN}:{os.environ['PATH']}"}

    def tearDown(self):
        subprocess.run([BIN / "yoke", "shutdown"], env=self.environment, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run_block(self, block):
        lines = [line for line in block.splitlines() if not any(word in line for word in ENDLESS)]
        if shutil.which("dot") is None:
            lines = [line for line in lines if "| dot " not in line]
        script = "\n".join(lines).replace("/tmp/", f"{self.folder}/")
        ended = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script + "\nwait\n"], cwd=self.folder,
                               env=self.environment, capture_output=True, timeout=280, check=False)
        self.assertEqual(ended.returncode, 0, f"{script}\n{ended.stderr.decode(errors='replace')}")
        return ended

    def run_page(self, page):
        for text in blocks(page, "toml"):
            name = re.search(r'^name\s*= "/(\w+)"', text, re.M)
            self.assertTrue(name, f"a graph of {page} has no name:\n{text}")
            (self.folder / f"{name[1]}.toml").write_text(text.replace("/tmp/", f"{self.folder}/"), encoding="utf-8")
        ended = [self.run_block(block) for block in blocks(page, "sh") if not block.startswith(ELSEWHERE)]
        self.assertTrue(ended, f"{page} has no examples")
        return ended

    def test_options(self):
        """Each option that a page names is one of the program that it is given to, or of some program of ours."""
        helps = {}

        def options_of(*command):
            if command not in helps:
                place = SOURCE / command[0] if "/" in command[0] else BIN / command[0]
                ended = subprocess.run([place, *command[1:], "--help"], env=self.environment, capture_output=True,
                                       stdin=subprocess.DEVNULL, timeout=60, check=False)
                self.assertEqual(ended.returncode, 0, f"{command} --help\n{ended.stderr.decode(errors='replace')}")
                helps[command] = set(OPTION.findall(ended.stdout.decode() + ended.stderr.decode()))
            return helps[command]

        ours = set().union(*(options_of(*command.split()) for command in COMMANDS))
        self.assertIn("--persist", ours)
        self.assertNotIn("--no-such-option", ours)
        named = 0
        for page in sorted([SOURCE / "README.md", *(SOURCE / "docs").glob("*.md")]):
            for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
                text = FOREIGN.sub("", line)
                for command in sorted(COMMANDS, key=len, reverse=True):
                    for call in re.findall(rf"(?<![\w/-]){re.escape(command)}(?![\w-])([^|;&`#>\n]*)", text):
                        for option in OPTION.findall(call):
                            named += 1
                            self.assertIn(option, options_of(*command.split()), f"{page}:{number}: {command}")
                for option in OPTION.findall(text):
                    self.assertIn(option, ours, f"{page}:{number}: no program of yoke has it")
        self.assertGreater(named, 30)

    def test_readme(self):
        ended = self.run_page("README.md")
        self.assertEqual((self.folder / "cloud.raw").stat().st_size, 60 * 640 * 480 * 16)
        self.assertIn(b"open-palm", b"".join(block.stdout for block in ended))

    def test_cli(self):
        self.run_page("docs/cli.md")
        self.assertEqual((self.folder / "cloud.raw").stat().st_size, 60 * 640 * 480 * 16)
        self.assertEqual((self.folder / "unit100").read_bytes(),
                         (self.folder / "disk.img").read_bytes()[100 * 4096:101 * 4096])

    def test_graph(self):
        ended = self.run_page("docs/graph.md")
        self.assertEqual((self.folder / "points.raw").stat().st_size, 60 * 640 * 480 * 16)
        roots = struct.unpack("<256f", (self.folder / "roots").read_bytes())
        for number, root in enumerate(roots, 1):
            self.assertAlmostEqual(root, number ** 0.5, places=4)
        self.assertEqual(len(ended[-1].stdout.splitlines()), 10)

    def test_stage(self):
        ended = self.run_page("docs/stage.md")
        self.assertEqual(len(ended[0].stdout.splitlines()), 60)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
