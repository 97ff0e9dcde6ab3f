#!/usr/bin/env python3
"""libkcapi's tools, calling yoke's drivers by name through AF_ALG, against OpenSSL: long and odd sizes.

Ciphers that OpenSSL's program does not speak (GCM, and XTS with a short last block) are compared to `yoke call` in its
own process, which is OpenSSL's library.
"""
import hashlib
import os
import socket
import subprocess
import sys

BUILD = os.environ["build"]
DATA = os.urandom(1 << 20)
KEY = bytes(range(32))  # kcapi-enc reads no more
IV = bytes(range(100, 116))


def run(*command, data=b"", fds=(), good=True):
    done = subprocess.run([str(word) for word in command], input=data, capture_output=True, pass_fds=fds)
    if (done.returncode == 0) != good:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode} with {len(data)} bytes: {done.stderr.decode(errors='replace')}")
    return done.stdout


def with_key(key, command, data, good=True):
    """`command`, with a descriptor of the key behind it."""
    reader, writer = os.pipe()
    os.write(writer, key)
    os.close(writer)
    try:
        return run(*command, reader, data=data, fds=(reader,), good=good)
    finally:
        os.close(reader)


def kcapi(driver, key, data, *options, good=True):
    """What it makes of `data`; not `good`: it has to fail."""
    name, out = "/tmp/kcapi.in", "/tmp/kcapi.out"
    open(name, "wb").write(data)
    open(out, "wb").close()
    with_key(key, ["kcapi-enc", "-q", "-c", driver, "-i", name, "-o", out, "--nounpad", *options, "--keyfd"], b"", good)
    return open(out, "rb").read()


def openssl(cipher, key, data, iv=None):
    return run("openssl", "enc", f"-{cipher}", "-nopad", "-K", key.hex(), *(["-iv", iv.hex()] if iv else []), data=data)


def yoke(service, key, data, *options):
    open("/tmp/key", "wb").write(key)
    os.chmod("/tmp/key", 0o600)
    return run(f"{BUILD}/bin/yoke", "call", service, "--place", "caller", "--key-file", "/tmp/key", *options, data=data)


def compare(what, length, got, expected):
    if got != expected:
        sys.exit(f"{what} of {length} bytes: {got[:32].hex()}... is not {expected[:32].hex()}...")


def splice_digest():
    """A page that is spliced is one request, as in the kernel; what is sent comes in pieces (kmod/README.md)."""
    figures = "/sys/class/misc/yoke/drivers/sha256-yoke"
    before = open(figures).readline()
    with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as algorithm:
        algorithm.bind(("hash", "sha256-yoke"))
        operation, _ = algorithm.accept()
        reader, writer = os.pipe()
        os.write(writer, DATA[:4096])
        os.splice(reader, operation.fileno(), 4096)
        compare("spliced sha256", 4096, operation.recv(32), hashlib.sha256(DATA[:4096]).digest())
        for descriptor in (reader, writer):
            os.close(descriptor)
        operation.close()
    if open(figures).readline() == before:
        sys.exit(f"the worker was not asked for a whole message: {before}")


def both_ways(what, driver, key, plain, sealed, *options):
    """The driver makes `sealed` of `plain`, as somebody else did, and `plain` of `sealed`."""
    compare(what, len(plain), kcapi(driver, key, plain, *options)[:len(plain)], sealed)
    compare(f"{what} back", len(plain), kcapi(driver, key, sealed, *options, "--decrypt")[:len(plain)], plain)


def seal_and_open(plain):
    options = ("--iv", IV[:12].hex(), "--aad", IV.hex())
    open("/tmp/aad", "wb").write(IV)
    sealed = yoke("aes-gcm", KEY, plain, "--iv", IV[:12].hex(), "--aad-file", "/tmp/aad")
    got = kcapi("gcm-aes-yoke", KEY, plain, *options, "--taglen", 16)
    compare("gcm", len(plain), got[-len(plain) - 16:], sealed)
    code, tag = sealed[:-16], sealed[-16:]
    got = kcapi("gcm-aes-yoke", KEY, code, *options, "--decrypt", "--tag", tag.hex())
    compare("gcm back", len(plain), got[-len(plain):], plain)
    wrong = bytes([tag[0] ^ 1]) + tag[1:]
    kcapi("gcm-aes-yoke", KEY, code, *options, "--decrypt", "--tag", wrong.hex(), good=False)


def main():
    splice_digest()
    for length in (0, 1, 55, 56, 63, 64, 65, 4095, 4096, 4097, 65535, 65536, 100003, 1 << 20):
        got = run("kcapi-dgst", "-c", "sha256-yoke", "--hex", data=DATA[:length]).strip().decode()
        compare("sha256", length, bytes.fromhex(got), run("openssl", "dgst", "-sha256", "-binary", data=DATA[:length]))
    for length in (16, 32, 4096, 4112, 65536, 65552, 262144):
        both_ways("ecb", "ecb-aes-yoke", KEY[:16], DATA[:length], openssl("aes-128-ecb", KEY[:16], DATA[:length]))
    for length in (1, 15, 16, 17, 4095, 4096, 4097, 65537, 262143):
        both_ways("ctr", "ctr-aes-yoke", KEY, DATA[:length], openssl("aes-256-ctr", KEY, DATA[:length], IV),
                  "--iv", IV.hex())
    for length in (16, 512, 4096, 65536, 4112):
        sealed = yoke("aes-xts", KEY, DATA[:length], "--unit", length, "--start", int.from_bytes(IV, "little"))
        both_ways("xts", "xts-aes-yoke", KEY, DATA[:length], sealed, "--iv", IV.hex())
    for length in (16, 4096, 65536, 1000, 17):
        seal_and_open(DATA[:length])
    print("all sizes are equal, both ways")


main()
