# The module and its worker: loaded, served, tested by the kernel itself, called from programs, listed, removed.
. "$(dirname "$0")/lib.sh"

must insmod "$modules/yoke.ko"
parameter deadline_ms 5000 # from the start: a miss while this machine is busy would bar the worker
start_yoked
eventually 120 served
eventually 120 tested
say "self-tests of the kernel through the worker"
for driver in $drivers; do
    count=$(awk '$1 == "self_test_offloaded" { print $2 }' "$device/drivers/$driver")
    [ "$count" -gt 0 ] || die "the worker saw nothing of the self-test of $driver"
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

say "from programs through AF_ALG, against OpenSSL"
parameter threshold 0
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
configure ''
eventually 120 served
eventually 120 tested
stop_yoked
must rmmod yoke
