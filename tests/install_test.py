#!/usr/bin/env python3
"""Installs a build into a prefix of its own and uses it from there, as somebody who has no source tree would.

Also compiles and runs what the README shows to a systems programmer: an example that does not compile is a lie.

usage: install_test.py CMAKE BUILD_DIRECTORY C_COMPILER README
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

CMAKE, BUILD, COMPILER, README = sys.argv[1:5]

# The README's lines, and what a newcomer would add to see that they work.
PROGRAM = """#include <stdio.h>
#include <string.h>
{includes}
int main(void)
{{
{body}
    return 0;
}}
"""


def readme_example():
    block = re.search(r"```c\n(.*?)```", pathlib.Path(README).read_text(encoding="utf-8"), re.S).group(1)
    lines = block.splitlines()
    includes = [line for line in lines if line.startswith("#include")]
    body = [line for line in lines if line and not line.startswith("#include")]
    show = "for (int k = 0; k < 32; k++) printf(\"%02x\", ((unsigned char *)digest)[k]);"
    body.insert(next(i for i, line in enumerate(body) if "yoke_close" in line), show)
    return PROGRAM.format(includes="\n".join(includes), body="\n".join(body))


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="yoke-install-"))
        cls.prefix = cls.folder / "prefix"
        (cls.folder / "run").mkdir(mode=0o700)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("YOKE_", "DESTDIR"))}
        cls.environment = {**kept, "XDG_RUNTIME_DIR": str(cls.folder / "run"), "XDG_CACHE_HOME": str(cls.folder / "cache"),
                           "XDG_CONFIG_HOME": str(cls.folder / "config")}
        subprocess.run([CMAKE, "--install", BUILD, "--prefix", cls.prefix], check=True, stdout=subprocess.DEVNULL,
                       env=cls.environment)
        cls.library = next(cls.prefix.rglob("libyoke.so.0")).parent
        cls.environment["PKG_CONFIG_PATH"] = str(cls.library / "pkgconfig")

    @classmethod
    def tearDownClass(cls):
        subprocess.run([cls.prefix / "bin/yoke", "shutdown"], env=cls.environment, stderr=subprocess.DEVNULL)
        shutil.rmtree(cls.folder, ignore_errors=True)

    def run_ok(self, *command, **options):
        run = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120, **options)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_programs_find_each_other(self):
        yoke = self.prefix / "bin/yoke"
        checks = {check["name"]: check for check in json.loads(self.run_ok(yoke, "doctor", "--json"))["checks"]}
        for name in ("yoked", "yoke-worker", "yoke-compile"):
            self.assertEqual(pathlib.Path(checks[name]["found"]), self.prefix / "lib/yoke" / name)
        data = self.folder / "data"
        data.write_bytes(b"x" * 100_000)
        digest = self.run_ok(yoke, "call", "sha256", "--place", "worker", "-i", data)
        self.assertEqual(digest.split()[0], hashlib.sha256(b"x" * 100_000).hexdigest())
        worker = json.loads(self.run_ok(yoke, "ls", "workers", "--json"))["workers"][0]["pid"]
        self.assertEqual(os.readlink(f"/proc/{worker}/exe"), str(self.prefix / "lib/yoke/yoke-worker"))

    def test_installed_graph_runs(self):
        example = self.prefix / "share/doc/yoke/examples/depth.toml"
        frame = self.folder / "frame.raw"
        frame.write_bytes(bytes(640 * 480 * 2))
        cloud = self.folder / "cloud.raw"
        self.run_ok(self.prefix / "bin/yoke", "graph", "start", example, "--push", f"depth={frame}", "--pull",
                    f"cloud={cloud}")
        self.assertEqual(cloud.stat().st_size % (640 * 480), 0)
        self.assertGreater(cloud.stat().st_size, 0)

    def test_nothing_outside_a_prefix_is_written(self):
        for name in ("lib/systemd/system/yoked.service", "lib/systemd/system/yoked.socket"):
            unit = (self.prefix / name).read_text(encoding="utf-8")
            self.assertNotIn("@", unit)
        service = (self.prefix / "lib/systemd/system/yoked.service").read_text(encoding="utf-8")
        yoked = re.search(r"^ExecStart=(\S+)", service, re.M).group(1)
        self.assertTrue(os.access(yoked, os.X_OK), yoked)
        for page in re.findall(r"^Documentation=file:(\S+)", service, re.M):
            self.assertTrue(os.path.exists(page), page)
        self.assertEqual(self.run_ok(yoked, "--default-config"),
                         (self.prefix / "share/doc/yoke/yoke.toml").read_text(encoding="utf-8"))
        manifest = pathlib.Path(BUILD, "install_manifest.txt").read_text(encoding="utf-8").split("\n")
        self.assertEqual([path for path in manifest if path and not path.startswith(str(self.prefix))], [])

    def test_library_has_its_names(self):
        real = (self.library / "libyoke.so").resolve()
        self.assertEqual((self.library / "libyoke.so.0").resolve(), real)
        self.assertFalse(real.is_symlink())
        flags = self.run_ok("pkg-config", "--cflags", "--libs", "yoke").split()
        self.assertIn(f"-I{self.prefix}/include", flags)
        self.assertIn("-lyoke", flags)

    def compile_and_run(self, source):
        program = self.folder / source.stem
        flags = self.run_ok("pkg-config", "--cflags", "--libs", "yoke").split()
        self.run_ok(COMPILER, "-std=c11", "-Wall", "-Wextra", "-Werror", source, "-o", program, *flags,
                    f"-Wl,-rpath,{self.library}")
        needed = self.run_ok("ldd", program)
        self.assertIn(f"libyoke.so.0 => {self.library}", needed)
        return self.run_ok(program)

    def test_readme_example_compiles_and_runs(self):
        source = self.folder / "readme.c"
        source.write_text(readme_example(), encoding="utf-8")
        self.assertEqual(self.compile_and_run(source).strip(), hashlib.sha256(b"hello").hexdigest())

    def test_installed_example_compiles_and_runs(self):
        output = self.compile_and_run(self.prefix / "share/doc/yoke/examples/hello.c")
        self.assertEqual(output.strip(), hashlib.sha256(b"hello").hexdigest())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
