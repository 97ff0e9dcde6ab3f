# Calls of kernel code, with the worker that yoked starts and without; what they cost; pages that outlive their worker.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/test_worker.sh"

rounds=${rounds:-500} # calls of each way that are measured
skip_self_tests
must insmod "$modules/yoke.ko"
must insmod "$modules/yoke_test.ko" rounds="$rounds"
say "without a worker"
run_test alone
parameter deadline_ms 5000 # from the start: a miss while this machine is busy would bar the worker
start_yoked
eventually 120 served
eventually 120 tested
say "with the worker"
run_test calls
run_test room

# figures WAY [WORKER]: what yoke_test.ko measures; $entries, and the bells for them: $rung to the worker, $heard to
# the kernel. Kept for figures.py.
figures() {
    rung=$(counter bells_rung) heard=$(counter bells_heard) entries=$(counter entries)
    run_test "$1"
    rung=$(($(counter bells_rung) - rung)) heard=$(($(counter bells_heard) - heard))
    entries=$(($(counter entries) - entries))
    echo "    entries $entries, bells to the worker $rung, bells to the kernel $heard"
    {
        echo "way $1, worker ${2:-polls 50 us}, entries $entries, rung $rung, heard $heard"
        cat /sys/kernel/debug/yoke_test/report
    } >>/tmp/figures
}
say "calls of many keys that come together"
submitted=$(counter submitted)
figures together
submitted=$(($(counter submitted) - submitted))
say "calls $submitted, entries $entries, bells $rung"
[ $entries -le $((submitted / 4)) ] || die "the calls of a key did not share entries"
[ $rung -le $((submitted / 8)) ] || die "the calls of many keys did not share bells"

say "what a call of 4 KiB costs"
for way in spinning waiting callback cpu; do figures $way; done

# Emulated, a caller needs as long between two calls as a worker polls by default. One that polls for a second is awake
# as long as it is called; the first call finds it asleep.
say "system calls while both are awake"
configure '[worker]' 'spin_us = 1000000'
pid=$(worker_pid)
kill -KILL "$pid"
eventually 120 gone "$pid"
eventually 120 served
figures spinning "polls 1 s"
[ "$entries" -ge $((2 * rounds * 39 / 40)) ] || die "only $entries entries"
[ "$rung" -le 1 ] || die "the worker was rung $rung times while it was awake"
[ "$heard" = 0 ] || die "the kernel was rung $heard times while it was awake"

must python3 "$guest/figures.py" /tmp/figures $out/figures.json

say "threads that call in every way, while the worker is killed each time it has done some of it"
configure '[supervision]' 'backoff_first_ms = 1' 'backoff_max_ms = 50'
kills=0 by_worker=0
for round in $(seq 10); do
    run_test stress >/tmp/stress &
    stress=$!
    last=$(counter offloaded)
    while kill -0 $stress 2>/dev/null; do
        pid=$(worker_pid)
        if [ "$pid" != 0 ] && served && [ "$(counter offloaded)" -gt $((last + 20)) ]; then
            kill -KILL "$pid"
            kills=$((kills + 1))
            eventually 120 gone "$pid"
            last=$(counter offloaded)
        fi
        nap 0.05
    done
    wait $stress || die "$(cat /tmp/stress)"
    cat /tmp/stress
    by_worker=$((by_worker + $(sed -n 's/.* \([0-9]*\) by the worker.*/\1/p' /tmp/stress)))
    [ $kills -ge 5 ] && break
done
say "workers killed: $kills, rounds: $round, calls done by a worker: $by_worker"
[ $kills -ge 5 ] || die "too few"
[ $by_worker -ge 50 ] || die "too few"
eventually 120 served

say "pages that a driver has pinned outlive worker and module"
must insmod "$modules/yoke_pin.ko"
pid=$(worker_pid)
range=$(awk '$6 == "/dev/yoke" && $3 == "00000000" { print $1 }' "/proc/$pid/maps")
bytes=$((0x${range#*-} - 0x${range%-*}))
command=/sys/kernel/debug/yoke_pin/command
echo "pin $pid ${range%-*} $bytes" >$command || die "no pages can be pinned"
kill -KILL "$pid"
eventually 120 gone "$pid"
eventually 120 served
run_test calls # in the other arena
stop_yoked
same "pages left to their holder" $((bytes / 4096)) "$(counter pages_left_to_holders)"
must rmmod yoke_test
must rmmod yoke
echo "witness 256" >$command || die "no witness"
echo "write 90" >$command || die "cannot write to pinned pages"
echo "check 90" >$command || die "somebody's memory has changed"
echo unpin >$command
must rmmod yoke_pin
