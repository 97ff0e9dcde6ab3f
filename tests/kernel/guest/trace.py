#!/usr/bin/env python3
"""trace.py GENERATION SERVICE BYTES [REASON...]: what the kernel has traced of yoke since it was told to.

Entries of SERVICE with BYTES in all went to the worker of GENERATION, and calls with as many ended with its result. Then
calls fell back to the CPU for each REASON (the name of an errno), in this order, and for no other; without one, none did.
"""
import errno
import itertools
import re
import sys

CALLER, WORKER = 1, 2  # YOKE_WHERE_CALLER; YOKE_WHERE_CPU: host code in the worker
generation, service, total = map(int, sys.argv[1:4])
reasons = [-getattr(errno, name) for name in sys.argv[4:]]
events = {"yoke_submit": [], "yoke_complete": [], "yoke_fall_back": []}
for line in open("/sys/kernel/tracing/trace"):
    found = re.search(r": (yoke_\w+): (.+)$", line)
    if found:
        events[found[1]].append({name: int(value) for name, value in re.findall(r"(\w+)=(-?\d+)", found[2])})
print({name: len(found) for name, found in events.items()}, "such as", [found[-1] for found in events.values() if found])

entries = [event for event in events["yoke_submit"] if event["service"] == service]
ended = [event for event in events["yoke_complete"] if event["service"] == service]
assert all(event["generation"] == generation and event["ring"] in (0, 1) for event in entries), entries
for ring in (0, 1):
    positions = [event["position"] for event in entries if event["ring"] == ring]
    assert positions == sorted(set(positions)), positions
assert all(event["status"] == 0 and 0 < event["took_ns"] < 60_000_000_000 for event in ended), ended
offloaded = [event for event in ended if event["where"] == WORKER]
assert sum(event["bytes"] for event in offloaded) == total, offloaded
fell = events["yoke_fall_back"]
assert all(event["service"] == service and event["bytes"] > 0 for event in fell), fell
assert [reason for reason, _ in itertools.groupby(event["reason"] for event in fell)] == reasons, fell
if reasons:
    by_cpu = [event for event in ended if event["where"] == CALLER]
    late = [event for event in fell if event["reason"] == -errno.ETIME]
    # What was refused never was a call of the worker; what was submitted ends as a call, whoever has done it.
    assert sum(event["bytes"] for event in by_cpu) == sum(event["bytes"] for event in late), (by_cpu, late)
else:
    assert sum(event["bytes"] for event in entries) == total, entries
