# What the scripts in the machine share. Sourced first: . "$(dirname "$0")/lib.sh"
#
# $build, $source and $directory are what vm.py was given: the build, the source tree, and what prepare made. A check
# that fails ends the script with 1 after saying what; everything said goes to the test's output.
set -u
guest=$source/tests/kernel/guest
bin=$build/bin
out=/out
export YOKE_LIBEXEC_DIR=$bin LD_LIBRARY_PATH=$build/lib XDG_RUNTIME_DIR=/run/user XDG_CACHE_HOME=/var/cache/yoke-test
mkdir -p -m 0700 /run/user "$XDG_CACHE_HOME"
began=$(cut -d' ' -f1 /proc/uptime)

say() {
    printf '[%7.2f] %s\n' "$(cut -d' ' -f1 /proc/uptime)" "$*"
}
die() {
    say "FAILED: $*"
    exit 1
}
# must COMMAND...: it succeeds.
must() {
    "$@" || die "$* (exit status $?)"
}
# same WHAT A B: both are equal.
same() {
    [ "$2" = "$3" ] || die "$1: '$2' is not '$3'"
    say "$1: $2"
}
# eventually SECONDS COMMAND...: it succeeds in time.
eventually() {
    local until=$(($(date +%s) + $1)) && shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$until" ] || die "in vain: $*"
        sleep 0.1
    done
}

modules=$directory/tree/kmod
device=/sys/class/misc/yoke

# start_yoked LINE...: the system's yoked, with these lines as configuration.
start_yoked() {
    mkdir -p /etc/yoke /run/yoke # the service manager does that
    printf '%s\n' "$@" >/etc/yoke/yoke.toml
    "$bin/yoked" 2>>/tmp/yoked.log &
    yoked=$!
    eventually 20 "$bin/yoke" --socket /run/yoke/yoke.sock status
}
stop_yoked() {
    kill "$yoked"
    wait "$yoked"
}
yoke() { "$bin/yoke" --socket /run/yoke/yoke.sock "$@"; }
# parameter NAME VALUE: of the module, which is loaded.
parameter() { echo "$2" >/sys/module/yoke/parameters/$1; }
drivers='ecb-aes-yoke ctr-aes-yoke xts-aes-yoke gcm-aes-yoke sha256-yoke'
# All drivers are registered and the kernel has tested them.
tested() {
    [ "$(grep -A10 '^driver *: .*-yoke$' /proc/crypto | grep -c '^selftest *: passed')" = "$(wc -w <<<"$drivers")" ]
}
served() { [ "$(cat $device/state)" = serving ]; }
worker_pid() { pgrep -x yoke-worker; } # one account, one worker
# One number of the module: counters/NAME.
counter() { cat "$device/counters/$1"; }
# What a failed script leaves behind, for people.
trap 'status=$?; [ $status = 0 ] || { tail -n 40 /tmp/yoked.log 2>/dev/null; grep -r . $device/counters $device/last_error $device/state 2>/dev/null; }' EXIT
