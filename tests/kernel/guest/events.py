#!/usr/bin/env python3
"""events.py NAME SECONDS: what the input device of that name reports in the time, one "type code value" per line.

Waits for the device to appear. Ends earlier when the device goes, as it does with the program that made it.
"""
import glob
import os
import select
import struct
import sys
import time

FORM = "llHHi"  # struct input_event


def find(name):
    for entry in glob.glob("/sys/class/input/event*"):
        if open(f"{entry}/device/name").read().strip() == name:
            return "/dev/input/" + os.path.basename(entry)
    return None


name, until = sys.argv[1], time.monotonic() + float(sys.argv[2])
while (path := find(name)) is None or not os.path.exists(path):
    if time.monotonic() > until:
        sys.exit(f"there is no input device '{name}'")
    time.sleep(0.2)
device = os.open(path, os.O_RDONLY)
print(path, file=sys.stderr, flush=True)
try:
    while (left := until - time.monotonic()) > 0:
        if select.select([device], [], [], left)[0]:
            data = os.read(device, 64 * struct.calcsize(FORM))
            for _, _, kind, code, value in struct.iter_unpack(FORM, data):
                print(kind, code, value, flush=True)
except OSError:  # the device is gone
    pass
