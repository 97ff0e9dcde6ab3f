#!/usr/bin/env python3
"""keys.py PID SEARCH: while a program of AF_ALG has a key, the kernel and the worker PID have it; when the program has
closed it, it is nowhere in the machine's memory: not in the module's key, the CPU driver's context, the arena or its
status page, the worker's memory, or pages that any of them has given back.

SEARCH is kmod/test_search. Nothing here may keep the key either: it is in one buffer, which is overwritten, and known
by its complement.
"""
import array
import ctypes
import os
import socket
import subprocess
import sys
import time

TRIES = 20           # the order to remove it is on its way
KEY_BYTES = 32
FOUND_BYTES = 16     # what is searched for: half of it in a row betrays it as well
KERNELS_PLACES = 2   # the module's key, and the beginning of what the CPU's driver has made of it
PAGE_BYTES = 4096
PAGE_NUMBER, PAGE_PRESENT = (1 << 55) - 1, 1 << 63
libc = ctypes.CDLL(None, use_errno=True)


def complement_of(buffer):
    return "".join(f"{byte ^ 0xff:02x}" for byte in buffer)  # numbers one by one, never bytes in a row


def use_key(algorithm):
    """The complement of a fresh key that `algorithm` has got; all that is left of it here."""
    key = (ctypes.c_ubyte * KEY_BYTES)()
    if libc.getrandom(key, KEY_BYTES, 0) != KEY_BYTES:
        sys.exit("no random bytes")
    if libc.setsockopt(algorithm.fileno(), socket.SOL_ALG, socket.ALG_SET_KEY, key, KEY_BYTES):
        sys.exit(f"the key was refused: {os.strerror(ctypes.get_errno())}")
    complement = complement_of(key)[:2 * FOUND_BYTES]
    ctypes.memset(key, 0, KEY_BYTES)
    return complement


def pages_of(pid):
    """Numbers of the physical pages that the process can write."""
    numbers = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in maps:
            words = line.split()
            begin, end = (int(word, 16) // PAGE_BYTES for word in words[0].split("-"))
            if "w" in words[1]:
                entries = array.array("Q", os.pread(pagemap.fileno(), (end - begin) * 8, begin * 8))
                numbers |= {entry & PAGE_NUMBER for entry in entries if entry & PAGE_PRESENT}
    return numbers


def in_memory(search, complement):
    done = subprocess.run([search, complement], check=True, capture_output=True, text=True)
    return {int(word, 16) for word in done.stdout.split()}


def main():
    pid, search = sys.argv[1:]
    with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as algorithm:
        algorithm.bind(("skcipher", "ecb-aes-yoke"))
        complement = use_key(algorithm)
        operation, _ = algorithm.accept()
        operation.sendmsg_afalg([bytes(4096)], op=socket.ALG_OP_ENCRYPT)
        operation.recv(4096)
        before, workers_pages = in_memory(search, complement), pages_of(pid)
        operation.close()
    workers = {place for place in before if place // PAGE_BYTES in workers_pages}
    print(f"places of memory with a key in use: {len(workers)} of the worker, {len(before - workers)} of the kernel")
    if not workers or len(before - workers) < KERNELS_PLACES:
        sys.exit("they are less than must have it: this test cannot tell whether it is wiped")
    for _ in range(TRIES):
        after = in_memory(search, complement)
        if not after:
            break
        time.sleep(0.1)
    print(f"when its user is gone: {len(after)}")
    if after:
        sys.exit(f"the key was not wiped: {[hex(place) for place in after]}")


main()
