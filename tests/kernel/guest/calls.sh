# Calls of kernel code, with the worker that yoked starts and without; what they cost; pages that outlive their worker.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/test_worker.sh"

must insmod "$modules/yoke.ko"
must insmod "$modules/yoke_test.ko"
say "without a worker"
run_test alone
parameter deadline_ms 5000 # from the start: a miss while this machine is busy would bar the worker
start_yoked
eventually 120 served
eventually 120 tested
say "with the worker"
run_test calls

# figures WAY: of 4000 calls of 4 KiB; $entries, and the bells for them: $rung to the worker, $heard to the kernel.
figures() {
    rung=$(counter bells_rung) heard=$(counter bells_heard) entries=$(counter entries)
    run_test "$1"
    rung=$(($(counter bells_rung) - rung)) heard=$(($(counter bells_heard) - heard))
    entries=$(($(counter entries) - entries))
    echo "    entries $entries, bells to the worker $rung, bells to the kernel $heard"
}
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
figures spinning
[ "$entries" -ge 3900 ] || die "only $entries entries"
[ "$rung" -le 1 ] || die "the worker was rung $rung times while it was awake"
[ "$heard" = 0 ] || die "the kernel was rung $heard times while it was awake"

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
left=$(counter pages_left_to_holders)
must rmmod yoke_test
must rmmod yoke
echo "witness 256" >$command || die "no witness"
echo "write 90" >$command || die "cannot write to pinned pages"
echo "check 90" >$command || die "somebody's memory has changed"
echo unpin >$command
must rmmod yoke_pin
say "pages left to their holder: $left when the module went, of $((bytes / 4096))"
