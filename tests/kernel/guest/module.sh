# The module and its worker: loaded, served, tested by the kernel itself, listed, removed.
. "$(dirname "$0")/lib.sh"

must insmod "$modules/yoke.ko"
start_yoked
eventually 30 served
"$bin/yoke" --socket /run/yoke/yoke.sock status
"$bin/yoke" --socket /run/yoke/yoke.sock ls sessions
eventually 120 sh -c "! grep -q unknown /proc/crypto && [ \$(grep -c -- -yoke /proc/crypto) -ge 5 ]"
grep -A7 -- '-yoke' /proc/crypto
grep -r . $device/drivers $device/counters $device/state $device/last_error
