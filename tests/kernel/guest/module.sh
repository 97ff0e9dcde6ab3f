# The module and its worker: loaded, served, tested by the kernel itself, called from programs, listed, removed.
. "$(dirname "$0")/lib.sh"

must insmod "$modules/yoke.ko"
parameter deadline_ms 5000 # from the start: a miss while this machine is busy would bar the worker
start_yoked
eventually 120 served
eventually 120 tested
say "self-tests of the kernel through the worker"
# The module notes it when a driver is registered, a moment after the kernel says that it has passed.
self_test_offloaded() { awk '$1 == "self_test_offloaded" { print $2 }' "$device/drivers/$1"; }
reached() { [ "$(self_test_offloaded "$1")" -gt 0 ]; }
for driver in $drivers; do
    eventually 20 reached "$driver"
    count=$(self_test_offloaded "$driver")
    echo "$driver: $count calls"
done

say "the kernel is listed as a client"
yoke status
yoke ls sessions
same "accounts with a worker" kernel "$(yoke ls -H workers | cut -f1)"
same "client of the session" kernel "$(yoke ls --json sessions | python3 -c 'import json, sys; print(json.load(sys.stdin)["sessions"][0]["client"])')"
pid=$(worker_pid)
grep -E 'VmLck|Seccomp:|NoNewPrivs' "/proc/$pid/status"
locked=$(awk '/VmLck/ { print $2 }' "/proc/$pid/status")
[ "$locked" -gt 10000 ] || die "the worker has $locked KiB of locked memory, which is not all of it"

# PR_SET_IO_FLUSHER: what the kernel allocates for any of its threads starts no I/O, and none is throttled as a writer.
io_flusher=$((0x00080000 | 0x00100000)) # PF_MEMALLOC_NOIO, PF_LOCAL_THROTTLE
for thread in "/proc/$pid/task"/*; do
    flags=$(sed 's/.*) //' "$thread/stat" | cut -d ' ' -f 7)
    [ $((flags & io_flusher)) = $io_flusher ] || die "thread ${thread##*/} of the worker is no I/O flusher: flags $flags"
done
say "threads of the worker, all below writeback: $(ls "/proc/$pid/task" | wc -l)"
must python3 "$guest/opener.py" busy

# A call of 16 bytes is never worth a way to another process. One measurement that was disturbed may say otherwise for
# some thousand calls.
say "the cost model decides"
same threshold -1 "$(</sys/module/yoke/parameters/threshold)"
for round in $(seq 200); do
    offloaded=$(counter offloaded) cost=$(counter fell_back_cost)
    must python3 "$guest/small_calls.py" 100
    offloaded=$(($(counter offloaded) - offloaded)) cost=$(($(counter fell_back_cost) - cost))
    [ $cost = 100 ] && break
done
same "small calls of 100 that the worker got" 0 $offloaded
same "small calls of 100 left to the CPU because it is faster" 100 $cost

say "what is traced"
tracing=/sys/kernel/tracing
echo 1 >$tracing/events/yoke/enable || die "no tracepoints"
parameter threshold 0
ask_worker
echo 0 >$tracing/events/yoke/enable
must python3 "$guest/trace.py" "$(<$device/generation)" 2 "$(stat -c %s /tmp/asked)" # YOKE_SERVICE_AES_ECB

say "what is traced when the CPU has to do it"
generation=$(<$device/generation)
echo >$tracing/trace
echo 1 >$tracing/events/yoke/enable
must python3 "$guest/falls.py" "$pid"
echo 0 >$tracing/events/yoke/enable
parameter deadline_ms 5000
must python3 "$guest/trace.py" "$generation" 2 4096 ETIME EAGAIN ENOKEY
eventually 120 served

say "keys are wiped"
must python3 "$guest/keys.py" "$pid" "$modules/test_search"

say "from programs through AF_ALG, against OpenSSL"
before=$(counter offloaded)
must python3 "$guest/kcapi.py"
offloaded=$(($(counter offloaded) - before))
say "calls offloaded meanwhile: $offloaded"
[ $offloaded -gt 20 ] || die "the worker was hardly asked"

say "a worker that the owner of the device gets when it changes hands"
chown nobody /dev/yoke
eventually 120 sh -c '[ "$(ps -o user= -C yoke-worker)" = nobody ]'
eventually 120 served
ask_worker

say "the module goes when its worker has been sent away"
! rmmod yoke 2>/dev/null || die "the module could be removed under its worker"
send_worker_away
must insmod "$modules/yoke.ko"
sleep 1
same "process that serves a kernel that is not to be served" 0 "$(worker_pid)"
must python3 "$guest/opener.py" refused
configure ''
eventually 120 served
eventually 120 tested
stop_yoked
must rmmod yoke
