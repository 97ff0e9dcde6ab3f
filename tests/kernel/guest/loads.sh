# The module is loaded, used and removed a hundred times, ten of them with a worker: nothing is lost.
#
# loads.py counts what the kernel has allocated when everything is idle, after some rounds and after many more. The
# kernel is told to check the caches of kmalloc (slub_debug=FZPU: what is written behind an object or after it was freed
# is logged) and to note who allocated what, and to merge no caches (slab_nomerge).
. "$(dirname "$0")/lib.sh"

module=/run/yoke.ko # in memory: it is read a hundred times
cp "$modules/yoke.ko" $module
with_worker() {
    must insmod $module arena_mib=4
    eventually 120 tested
    parameter threshold 0
    parameter deadline_ms 5000
    ask_worker
    kill -KILL "$(worker_pid)" # a worker that nobody ends in order: what it had must come back as well
    send_worker_away
    configure '[supervision]' 'backoff_first_ms = 1'
}

say "without a worker"
must python3 "$guest/loads.py" load $module 10
must python3 "$guest/loads.py" count /tmp/alone
must python3 "$guest/loads.py" load $module 80
must python3 "$guest/loads.py" compare /tmp/alone 80

say "with a worker"
start_yoked '[supervision]' 'backoff_first_ms = 1'
with_worker
skip_self_tests
with_worker
must python3 "$guest/loads.py" count /tmp/served
for _ in $(seq 8); do with_worker; done
must python3 "$guest/loads.py" compare /tmp/served 8
stop_yoked
