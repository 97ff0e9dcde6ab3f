#!/usr/bin/env python3
"""small_calls.py COUNT: so many requests of one block through AF_ALG by ecb-aes-yoke; all have the same result."""
import socket
import sys

with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as algorithm:
    algorithm.bind(("skcipher", "ecb-aes-yoke"))
    algorithm.setsockopt(socket.SOL_ALG, socket.ALG_SET_KEY, bytes(range(16)))
    operation, _ = algorithm.accept()
    results = set()
    for _ in range(int(sys.argv[1])):
        operation.sendmsg_afalg([bytes(16)], op=socket.ALG_OP_ENCRYPT)
        results.add(operation.recv(16))
    operation.close()
# AES-128 of a block of zeros with the key 00 01 .. 0f
if {result.hex() for result in results} != {"c6a13b37878f5b826f4f8162a1c8d879"}:
    sys.exit(f"wrong: {results}")
