#!/usr/bin/env python3
"""Loads and removes the module many times, and counts what the kernel keeps.

  loads.py load FILE COUNT       loads the module in FILE, reads all its attributes, removes it, COUNT times
  loads.py count RESULT          writes what is allocated once everything is idle
  loads.py compare RESULT ROUNDS what has grown since, by as much as an object per round, is a leak

Counted are the objects of each kmalloc cache by the function that has allocated them (slub_debug makes the kernel keep
both), and pages that belong to nothing that the kernel has a name for, as those of an arena do. What the kernel frees later (kfree_rcu() gathers for up to five seconds) is no leak: a count is
taken when nothing goes away any more, and something is lost only if it never goes.
"""
import collections
import ctypes
import glob
import json
import os
import re
import sys
import time

ATTRIBUTES = "/sys/class/misc/yoke"
FINIT_MODULE, DELETE_MODULE = 313, 176  # of x86-64; starting insmod and rmmod would take longer than their work
LATER_S = 6                # what was freed with kfree_rcu() is free after this time and a look at the caches
PATIENCE_S = 120
PAGES_KIB = 4 << 10        # the smallest arena; network and block devices have a few hundred
ROOT = re.compile(r"\[(9p|9pnet|netfs|fscache|overlay)\]")  # what keeps the files of this machine's root
libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    if libc.syscall(number, *arguments):
        sys.exit(f"system call {number}: {os.strerror(ctypes.get_errno())}")


def load(path):
    with open(path, "rb") as module:
        call(FINIT_MODULE, module.fileno(), b"arena_mib=2", 0)
    names = [name for place in (".", "counters", "drivers") for name in glob.glob(f"{ATTRIBUTES}/{place}/*")]
    files = [name for name in names if os.path.isfile(name) and os.access(name, os.R_OK)]
    if len(files) < 30:
        sys.exit(f"only {len(files)} attributes")
    for name in files:
        with open(name) as file:
            file.read()
    call(DELETE_MODULE, b"yoke", os.O_NONBLOCK)


def nameless_kib():
    """Pages that are neither free nor anything that /proc/meminfo counts."""
    memory = {line.split(":")[0]: int(line.split()[1]) for line in open("/proc/meminfo")}
    named = ("MemFree", "Buffers", "Cached", "SwapCached", "Slab", "AnonPages", "KernelStack", "PageTables",
             "SecPageTables", "Percpu", "VmallocUsed")
    # Freed, but kept by a processor for its next allocation.
    kept = sum(int(found) for found in re.findall(r"^ +count: +(\d+)$", open("/proc/zoneinfo").read(), re.MULTILINE))
    return memory["MemTotal"] - sum(memory.get(name, 0) for name in named) - 4 * kept


def count():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")
    objects = collections.Counter()
    for path in glob.glob("/sys/kernel/debug/slab/kmalloc-*/alloc_traces"):
        for line in open(path):
            found = re.match(r" +(\d+) (\S+)", line)
            if found and not ROOT.search(line):
                objects[f"{path.split('/')[-2]} {found[2].split('+')[0]}"] += int(found[1])
    if not objects:
        sys.exit("the kernel does not say who allocated what; is slub_debug on?")
    return {"objects": objects, "nameless": nameless_kib()}


def settle():
    begun, now = time.monotonic(), count()
    while True:
        time.sleep(2)
        before, now = now, count()
        going = sum((before["objects"] - now["objects"]).values())
        waited = time.monotonic() - begun
        if waited > LATER_S and (going <= 2 or waited > PATIENCE_S):
            return now


def lost(before, now, rounds):
    grown = {name: more for name, more in (now["objects"] - collections.Counter(before["objects"])).items()
             if more >= rounds}
    if now["nameless"] - before["nameless"] >= PAGES_KIB:
        grown["KiB of pages"] = now["nameless"] - before["nameless"]
    return grown


def compare(before, rounds):
    until, now = time.monotonic() + PATIENCE_S, settle()
    while (grown := lost(before, now, rounds)) and time.monotonic() < until:
        time.sleep(2)
        now = count()
    more = now["objects"] - collections.Counter(before["objects"])
    print(f"most grown in {rounds} rounds:", more.most_common(4), "KiB of pages:", now["nameless"], "before:",
          before["nameless"])
    if grown:
        sys.exit(f"lost in {rounds} rounds: {grown}")


if sys.argv[1] == "load":
    for _ in range(int(sys.argv[3])):
        load(sys.argv[2])
elif sys.argv[1] == "count":
    with open(sys.argv[2], "w") as result:
        json.dump(settle(), result)
else:
    compare(json.load(open(sys.argv[2])), int(sys.argv[3]))
