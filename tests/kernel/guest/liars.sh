# Workers that fail or lie in every way that the test worker knows: no call of the kernel is lost, none gets another's
# result, and the next honest worker is served as if nothing had been.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/test_worker.sh"

skip_self_tests
must insmod "$modules/yoke.ko"
must insmod "$modules/yoke_test.ko"
# Honest workers get time, whatever else this machine does; the time that liars waste is theirs.
say honest
parameter deadline_ms 5000
start_test_worker honest
eventually 120 tested
run_test calls
stop_test_worker
# traces MODE: what the module has counted of the lie. Of two lies it can see nothing, and both harm nobody: a completion
# written twice carries a tag that no call waits for any more (or is read once, as the second one), and noise in the
# status page is the worker's own word about its pace, its cost and its sleep, which is believed about nothing else.
traces() {
    case $1 in
        status | length | place | wrong | unasked) counter session_faults ;;
        late | mute | deaf) counter breaker_trips ;;
        refuse) counter keys_refused ;;
        *) echo "$tests" ;;
    esac
}
for mode in status length place wrong unasked twice late mute deaf scribble refuse 'die 20' 'leave 20'; do
    say "$mode"
    tests=0
    faults=$(counter session_faults) before=$(traces ${mode% *})
    start_test_worker $mode
    parameter deadline_ms 200
    # A lie in the wrong place, say, is found when that place is used next, which the breaker may put off.
    while [ $tests -lt 20 ] && [ "$(traces ${mode% *})" = "$before" ]; do
        run_test lied
        run_test no_room
        tests=$((tests + 1))
    done
    parameter deadline_ms 5000
    stop_test_worker
    [ "$(traces ${mode% *})" != "$before" ] || die "nobody noticed"
    faults=$(($(counter session_faults) - faults))
    say "$mode: faults $faults, tests $tests, last error: $(cat $device/last_error)"
    case $mode in
        status | length | place | wrong | unasked) same "faults of $mode" 1 $faults ;;
        *) same "faults of $mode" 0 $faults ;;
    esac
done
say "honest again"
start_test_worker honest
run_test calls
stop_test_worker
must rmmod yoke_test
must rmmod yoke
