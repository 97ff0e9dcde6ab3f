# One processor: who waits for the worker by spinning holds the very processor that the worker needs.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/test_worker.sh"

same processors 1 "$(nproc)"
skip_self_tests
must insmod "$modules/yoke.ko"
must insmod "$modules/yoke_test.ko"
parameter deadline_ms 5000 # from the start: a miss while this machine is busy would bar the worker
start_yoked
eventually 120 served
eventually 120 tested
run_test calls
run_test spinning
stop_yoked
must rmmod yoke_test
must rmmod yoke
