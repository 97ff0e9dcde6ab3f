# Workers that fail or lie in every way that the test worker knows: no call of the kernel is lost, none gets another's
# result, and the next honest worker is served as if nothing had been.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/test_worker.sh"

must insmod "$modules/yoke.ko"
must insmod "$modules/yoke_test.ko"
# Honest workers get time, whatever else this machine does; the time that liars waste is theirs.
say honest
parameter deadline_ms 5000
start_test_worker honest
eventually 60 tested
run_test calls
stop_test_worker
for mode in status length place wrong unasked twice late mute deaf scribble refuse 'die 20' 'leave 20'; do
    say "$mode"
    faults=$(counter session_faults)
    start_test_worker $mode
    parameter deadline_ms 200
    run_test lied
    parameter deadline_ms 5000
    stop_test_worker
    faults=$(($(counter session_faults) - faults))
    say "$mode: faults $faults, last error: $(cat $device/last_error)"
    case $mode in status | length | place) [ $faults = 1 ] || die "nobody noticed" ;; esac
done
say "honest again"
start_test_worker honest
run_test calls
stop_test_worker
must rmmod yoke_test
must rmmod yoke
