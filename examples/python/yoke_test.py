#!/usr/bin/env python3
"""Runs yoke.py against a private yoked (started on demand) and compares with hashlib and with itself."""
import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

DIRECTORY = tempfile.mkdtemp(prefix="yoke-python-")
os.environ["XDG_RUNTIME_DIR"] = DIRECTORY
os.environ["XDG_CACHE_HOME"] = DIRECTORY + "/cache"
os.environ.pop("YOKE_SOCKET", None)
os.environ.pop("YOKE_AUTOSTART", None)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import yoke  # noqa: E402  (after the environment that it reads)


class YokeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.session = yoke.Session()

    @classmethod
    def tearDownClass(cls):
        cls.session.close()

    def test_sha256_is_that_of_hashlib(self):
        for length in (0, 1, 55, 64, 1000, 300_000):
            data = os.urandom(length)
            for place in (yoke.PLACE_CALLER, yoke.PLACE_WORKER, yoke.PLACE_AUTO):
                self.assertEqual(self.session.sha256(data, place), hashlib.sha256(data).digest())

    def test_aes_xts_is_official_and_comes_back(self):
        # IEEE 1619, vector 2.
        key = self.session.key(yoke.SERVICE_AES_XTS, bytes([0x11] * 16 + [0x22] * 16))
        sealed = self.session.aes_xts(key, bytes([0x44] * 32), unit=32, start=0x3333333333, place=yoke.PLACE_WORKER)
        self.assertEqual(sealed.hex(), "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0")
        data = os.urandom(1_000_000)
        sealed = self.session.aes_xts(key, data, start=7, place=yoke.PLACE_WORKER)
        self.assertEqual(sealed, self.session.aes_xts(key, data, start=7, place=yoke.PLACE_CALLER))
        self.assertEqual(self.session.aes_xts(key, sealed, start=7, decrypt=True), data)
        self.session.destroy_key(key)

    def test_submitted_calls_end_in_their_callbacks(self):
        messages = [os.urandom(5000) for _ in range(100)]
        sources, digests, ended = [], [], []
        for message in messages:
            source, digest = self.session.alloc(len(message)), self.session.alloc(32)
            source.view[:] = message
            sources.append(source)
            digests.append(digest)
            self.session.submit(yoke.SERVICE_SHA256, source, digest, ended.append, place=yoke.PLACE_WORKER)
        while len(ended) < len(messages):
            self.assertGreater(self.session.dispatch(20 * 10**9), 0)
        self.assertTrue(all(yoke.WHERE[result.where] in ("cpu", "cuda", "nsk") for result in ended))
        for message, digest in zip(messages, digests):
            self.assertEqual(bytes(digest.view), hashlib.sha256(message).digest())
        for buffer in sources + digests:
            buffer.free()

    def test_errors_are_typed_and_explained(self):
        with self.assertRaises(yoke.Error) as caught:
            self.session.key(yoke.SERVICE_AES_XTS, b"short")
        self.assertEqual(caught.exception.errno, errno.EKEYREJECTED)
        with self.assertRaises(yoke.Error) as caught:
            yoke.Session(socket="/nonexistent/yoke.sock")
        self.assertEqual(caught.exception.errno, errno.ENOTCONN)
        self.assertIn("/nonexistent/yoke.sock", caught.exception.strerror)

    def test_a_local_session_needs_no_daemon(self):
        with yoke.Session(local=True) as session:
            self.assertEqual(session.sha256(b"hello"), hashlib.sha256(b"hello").digest())

    def test_the_hello_worlds_say_the_same(self):
        programs = os.environ.get("YOKE_EXAMPLES", "").split(":")
        for program in filter(None, programs):
            run = subprocess.run([program], capture_output=True, text=True, timeout=60)
            self.assertEqual((run.returncode, run.stdout.strip()), (0, hashlib.sha256(b"hello").hexdigest()), run.stderr)


def end_daemon():
    """Ends the daemon that was started on demand and waits until it is gone with its files."""
    import ctypes
    ask = yoke._library.yoke_ask_daemon
    answer = ctypes.c_char_p()
    socket = (DIRECTORY + "/yoke/yoke.sock").encode()
    status = ask(socket, 0, b'{"op": "shutdown"}', ctypes.byref(answer))
    deadline = time.monotonic() + 20
    while os.path.exists(socket) and time.monotonic() < deadline:
        time.sleep(0.01)
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    return status


if __name__ == "__main__":
    program = unittest.main(verbosity=2, exit=False)
    ended = end_daemon()
    if ended != 0:
        print("the private yoked did not end:", ended)
    sys.exit(not program.result.wasSuccessful() or ended != 0)
