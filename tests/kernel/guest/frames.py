#!/usr/bin/env python3
"""frames.py FILM CAPTURED: each captured frame is one of the film, bit for bit, and not all are the same one."""
import sys

BYTES = 640 * 480 * 2


def frames(path):
    data = open(path, "rb").read()
    if not data or len(data) % BYTES:
        sys.exit(f"{path} has {len(data)} bytes, no whole frames")
    return [data[at:at + BYTES] for at in range(0, len(data), BYTES)]


film = frames(sys.argv[1])
seen = []
for number, frame in enumerate(frames(sys.argv[2])):
    if frame not in film:
        sys.exit(f"captured frame {number} is none of the film's {len(film)}")
    seen.append(film.index(frame))
print(f"frames of the film that were captured: {seen}")
if len(set(seen)) < 2:
    sys.exit("only one picture was captured")
