# The worker that the module brings for its tests. Sourced after lib.sh.

# start_test_worker MODE [COUNT]: returns once it serves.
start_test_worker() {
    "$modules/test_worker" "$@" >/tmp/test_worker.log 2>&1 &
    test_worker=$!
    eventually 120 grep -q serving /tmp/test_worker.log
}
# However it ends: it may have killed itself, or ended because the kernel faulted it.
stop_test_worker() {
    kill "$test_worker" 2>/dev/null
    wait "$test_worker" 2>/dev/null
    eventually 120 unserved
}
# run_test WHAT: of yoke_test.ko.
run_test() {
    echo "$1" >/sys/kernel/debug/yoke_test/run || { cat /sys/kernel/debug/yoke_test/report; die "tests of kind '$1'"; }
    sed "s/^/    /" /sys/kernel/debug/yoke_test/report
    ! grep -q FAILED /sys/kernel/debug/yoke_test/report || die "tests of kind '$1'"
    grep -q . /sys/kernel/debug/yoke_test/report || die "nothing was tested"
}
