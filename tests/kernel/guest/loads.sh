# The module is loaded, used and removed a hundred times, ten of them with a worker: nothing is lost.
#
# What is compared is what the kernel has allocated when everything is idle, after some rounds and after many more: a
# cache that has grown by an object per round, or memory that has shrunk by an arena in all, is a leak. The kernel is told
# to merge no caches (slab_nomerge) and to check those of kmalloc (slub_debug=FZPU: what is written behind an object or
# after it was freed is logged), which also makes it count them exactly.
. "$(dirname "$0")/lib.sh"

module=/run/yoke.ko # in memory: it is read a hundred times
cp "$modules/yoke.ko" $module
alone() {
    must insmod $module
    grep -r . $device/counters $device/drivers $device/state >/dev/null || die "no attributes"
    must rmmod yoke
}
with_worker() {
    must insmod $module
    eventually 60 served
    eventually 60 tested
    parameter threshold 0
    same "digest" "$(sha256sum </etc/passwd | cut -d' ' -f1)" "$(kcapi-dgst -c sha256-yoke --hex </etc/passwd 2>/dev/null | tr -d '\n')"
    kill -KILL "$(worker_pid)" # a worker that nobody ends in order: what it had must come back as well
    printf '[kernel]\nserve = 0\n' >/etc/yoke/yoke.toml
    kill -HUP "$yoked"
    eventually 20 sh -c '! pgrep -x yoke-worker'
    eventually 10 rmmod yoke
    printf '[supervision]\nbackoff_first_ms = 1\n' >/etc/yoke/yoke.toml
    kill -HUP "$yoked"
}
# snapshot FILE: objects per cache and free memory, once what is freed later has been freed.
snapshot() {
    local i
    for i in 1 2 3; do
        sync
        echo 3 >/proc/sys/vm/drop_caches
        sleep 1
    done
    # By who allocated them, less what keeps the files of this machine's root.
    for cache in /sys/kernel/debug/slab/kmalloc-*; do
        awk -v name="${cache##*/}" '/^ +[0-9]+ / && !/\[(9p|9pnet|netfs|fscache|overlay)\]/ { n += $1 } END { print name, n + 0 }' \
            "$cache/alloc_traces"
    done >"$1"
    awk '/^yoke/ { print $1, $2 }' /proc/slabinfo >>"$1"
    awk '/^MemFree|^Percpu|^VmallocUsed/ { print $1, $2 }' /proc/meminfo >"$1.memory"
}
# compare ROUNDS BEFORE AFTER
compare() {
    [ "$(wc -l <"$2")" -gt 10 ] || die "no caches were counted"
    python3 - "$@" <<'END' || die "something is lost"
import sys
rounds = int(sys.argv[1])
read = lambda path: {line.split()[0]: [int(n) for n in line.split()[1:]] for line in open(path)}
before, after = read(sys.argv[2]), read(sys.argv[3])
lost = {name: now[0] - before.get(name, [0])[0] for name, now in after.items()}
print("caches that grew most:", sorted(lost.items(), key=lambda item: -item[1])[:8])
memory = {name: [now[0], read(sys.argv[2] + ".memory")[name][0]] for name, now in read(sys.argv[3] + ".memory").items()}
print("KiB after and before:", memory)
guilty = {name: grown for name, grown in lost.items() if grown >= rounds}
used = memory["MemFree:"][1] - memory["MemFree:"][0]
if guilty or used >= 16 << 10:  # an arena: programs move free memory up and down by a few MiB
    sys.exit(f"in {rounds} rounds: {guilty}, {used} KiB")
END
}

say "without a worker"
for _ in $(seq 10); do alone; done
snapshot /tmp/alone.before
for _ in $(seq 80); do alone; done
snapshot /tmp/alone.after
compare 80 /tmp/alone.before /tmp/alone.after

say "with a worker"
start_yoked '[supervision]' 'backoff_first_ms = 1'
with_worker
with_worker
snapshot /tmp/served.before
for _ in $(seq 8); do with_worker; done
snapshot /tmp/served.after
compare 8 /tmp/served.before /tmp/served.after
