#!/usr/bin/env python3
"""trace.py GENERATION SERVICE BYTES: what the kernel has traced of yoke since it was told to.

Entries of SERVICE with BYTES in all went to the worker of GENERATION, calls with as many ended with its result, and none
fell back to the CPU.
"""
import re
import sys

WORKER = 2  # YOKE_WHERE_CPU: host code in the worker
generation, service, total = map(int, sys.argv[1:])
events = {"yoke_submit": [], "yoke_complete": [], "yoke_fall_back": []}
for line in open("/sys/kernel/tracing/trace"):
    found = re.search(r": (yoke_\w+): (.+)$", line)
    if found:
        events[found[1]].append({name: int(value) for name, value in re.findall(r"(\w+)=(-?\d+)", found[2])})
print({name: len(found) for name, found in events.items()}, "such as", [found[-1] for found in events.values() if found])

entries = [event for event in events["yoke_submit"] if event["service"] == service]
assert sum(event["bytes"] for event in entries) == total, entries
assert all(event["generation"] == generation and event["ring"] in (0, 1) for event in entries), entries
for ring in (0, 1):
    positions = [event["position"] for event in entries if event["ring"] == ring]
    assert positions == sorted(set(positions)), positions
ended = [event for event in events["yoke_complete"] if event["service"] == service]
offloaded = [event for event in ended if event["where"] == WORKER]
assert sum(event["bytes"] for event in offloaded) == total, offloaded
assert all(event["status"] == 0 and 0 < event["took_ns"] < 60_000_000_000 for event in ended), ended
assert not events["yoke_fall_back"], events["yoke_fall_back"]
