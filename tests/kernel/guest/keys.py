#!/usr/bin/env python3
"""keys.py PID: a key that the kernel gives the worker PID is in its memory while a program of AF_ALG has it, and nowhere
in it when the program has closed it."""
import os
import socket
import sys
import time

TRIES = 20  # the order to remove it is on its way


def places(pid, key):
    """Where the worker has `key`: address and mapping."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            words = line.split()
            if "w" not in words[1]:
                continue
            begin, end = (int(word, 16) for word in words[0].split("-"))
            memory.seek(begin)
            try:
                at = memory.read(end - begin).find(key)
            except OSError:
                continue  # nobody can read it: a guard, say
            if at >= 0:
                found.append(f"{begin + at:x} in {words[-1]}")
    return found


def main():
    pid, key = sys.argv[1], os.urandom(32)
    with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as algorithm:
        algorithm.bind(("skcipher", "ecb-aes-yoke"))
        algorithm.setsockopt(socket.SOL_ALG, socket.ALG_SET_KEY, key)
        operation, _ = algorithm.accept()
        operation.sendmsg_afalg([bytes(4096)], op=socket.ALG_OP_ENCRYPT)
        operation.recv(4096)
        before = places(pid, key[:16])
        operation.close()
    if not before:
        sys.exit("the worker that has used a key does not have it: this test cannot tell whether it was wiped")
    for _ in range(TRIES):
        after = places(pid, key[:16])
        if not after:
            break
        time.sleep(0.1)
    print(f"places of the worker's memory with a key in use: {len(before)}, when its user is gone: {len(after)}")
    if after:
        sys.exit(f"the key was not wiped: {after}")


main()
