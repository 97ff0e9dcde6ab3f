# The module and its worker: loaded, served, tested by the kernel itself, listed, removed.
. "$(dirname "$0")/lib.sh"

must insmod "$modules/yoke.ko"
start_yoked
eventually 30 served
for i in 1 2 3 4 5 6 7 8; do sleep 3;  grep -B2 -A4 -- '-yoke' /proc/crypto | grep -E "driver|selftest"; dmesg | grep -A1000 "loading out" ; done
  "$bin/yoke" --socket /run/yoke/yoke.sock ls sessions; 
 grep -r . $device/drivers $device/counters $device/state $device/last_error | grep -v ":0$"
