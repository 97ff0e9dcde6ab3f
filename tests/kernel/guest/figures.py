#!/usr/bin/env python3
"""figures.py FROM TO: what calls.sh has measured, as JSON like that of the benchmarks in bench/results.

A benchmark for each service and way: median and 99th percentile of the whole call (real_time) and of each hop, in ns.
A run is what the counters of the module count: entries and bells, for all calls of one way together.
"""
import datetime
import json
import os
import platform
import re
import sys


def parse(lines):
    benchmarks, runs = [], []
    for line in lines:
        found = re.match(r"way (\w+), worker (.+), entries (\d+), rung (\d+), heard (\d+)$", line)
        if found:
            runs.append({"way": found[1], "worker": found[2], "entries": int(found[3]), "worker_rung": int(found[4]),
                         "kernel_rung": int(found[5])})
            continue
        found = re.match(r"figure (\S+) (\w+): (whole \d.*) ns(?:, calls (\d+), by the cpu (\d+))?$", line)
        if not found:
            continue
        hops = {name: (int(median), int(p99)) for name, median, p99 in re.findall(r"(\w+) (\d+) p99 (\d+)", found[3])}
        whole = hops.pop("whole")
        calls = {"calls": int(found[4]), "calls_by_cpu": int(found[5])} if found[4] else {}
        benchmarks.append({
            "name": f"{found[1]}/4096/{found[2]}/worker {runs[-1]['worker']}", "time_unit": "ns",
            "real_time": whole[0], "real_time_p99": whole[1], **calls,
            **{f"{hop}_ns": value[0] for hop, value in hops.items()},
            **{f"{hop}_p99_ns": value[1] for hop, value in hops.items()}})
    return benchmarks, runs


def main():
    benchmarks, runs = parse(line.strip() for line in open(sys.argv[1]))
    assert benchmarks and runs, "nothing was measured"
    context = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
               "executable": "tests/kernel/guest/calls.sh", "machine": "QEMU", "accelerator": os.environ["accelerator"],
               "kernel": platform.release(), "num_cpus": os.cpu_count(), "host_cpus": int(os.environ["host_cpus"]),
               "host_load_avg_at_begin": float(os.environ["host_load"])}
    with open(sys.argv[2], "w") as file:
        json.dump({"context": context, "benchmarks": benchmarks, "runs": runs}, file, indent=2)
        file.write("\n")
    print(f"{len(benchmarks)} figures kept; load of the host when the machine began: {os.environ['host_load']}")


main()
