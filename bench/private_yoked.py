"""A directory and a yoked of its own, for a benchmark that must not meet anybody else's: the programs that it starts with
`environment` find that yoked only, which begins with the first of them and ends with the object."""
import json
import os
import shutil
import subprocess
import tempfile


class PrivateYoked:
    def __init__(self, programs, **settings):
        self.directory = tempfile.mkdtemp(prefix="yoke-bench.")
        self.environment = dict(os.environ, XDG_RUNTIME_DIR=self.directory,
                                PATH=programs + ":" + os.environ["PATH"])
        self.environment.pop("YOKE_SOCKET", None)
        self.environment.pop("YOKE_STAGE", None)
        self.environment.update(settings)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["yoke", "shutdown"], env=self.environment, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def ask(self, kind):
        """What `yoke ls KIND` lists."""
        answer = subprocess.run(["yoke", "ls", kind, "--json"], env=self.environment, capture_output=True, text=True,
                                check=False)
        return json.loads(answer.stdout).get(kind, []) if answer.returncode == 0 else []

    def worker(self):
        workers = self.ask("workers")
        return workers[0]["pid"] if workers else None
