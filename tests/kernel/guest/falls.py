#!/usr/bin/env python3
"""falls.py PID: requests of ecb-aes-yoke, of which the worker PID does the first; the CPU does a second, which the worker,
stopped, does not finish in time, a third, since nobody has heard of the worker meanwhile, and one with a key that no
worker has a cipher for. All results are right. The worker goes on in the end."""
import glob
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time

KEY, LONGER_KEY = bytes(range(16)), bytes(range(24))
DATA = hashlib.shake_128(b"data").digest(4096)


def sealed(key):
    command = ["openssl", "enc", f"-aes-{8 * len(key)}-ecb", "-nopad", "-K", key.hex()]
    return subprocess.run(command, input=DATA, check=True, capture_output=True).stdout


class Cipher:
    def __init__(self, key):
        self.expected = sealed(key)
        self.algorithm = socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)
        self.algorithm.bind(("skcipher", "ecb-aes-yoke"))
        self.algorithm.setsockopt(socket.SOL_ALG, socket.ALG_SET_KEY, key)
        self.operation, _ = self.algorithm.accept()

    def check(self, what):
        self.operation.sendmsg_afalg([DATA], op=socket.ALG_OP_ENCRYPT)
        if self.operation.recv(len(DATA)) != self.expected:
            sys.exit(f"{what}: wrong")
        print(f"{what}: right")


def stop(process):
    """Stopped are its threads when each says so: one that runs on another processor does so a little longer."""
    os.kill(process, signal.SIGSTOP)
    for path in glob.glob(f"/proc/{process}/task/*/stat"):
        while open(path).read().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.01)


worker = int(sys.argv[1])
first, last = Cipher(KEY), Cipher(LONGER_KEY)
first.check("while the worker serves")
# What is late on a busy machine is not what this is about; a worker that is stopped too long is ended.
open("/sys/module/yoke/parameters/deadline_ms", "w").write("2000")
try:
    stop(worker)
    first.check("the worker stopped")
    first.check("the worker barred")
    last.check("a key of 192 bits")
finally:
    os.kill(worker, signal.SIGCONT)
