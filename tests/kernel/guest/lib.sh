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

# What is asked often is done by the shell itself: starting a program takes an emulated machine a quarter of a second.
say() {
    local now
    read -r now _ </proc/uptime
    printf '[%7.2f] %s\n' "$now" "$*"
}
die() {
    say "FAILED: $*"
    exit 1
}
# nap SECONDS: as sleep. Nobody ever writes what it waits for.
[ -p /run/never ] || mkfifo /run/never
exec {never}<>/run/never
nap() { read -rt "$1" -u "$never" _ || true; }
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
    local until=$((SECONDS + 1 + $1)) && shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || die "in vain: $*"
        nap 0.1
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
    eventually 120 "$bin/yoke" --socket /run/yoke/yoke.sock status
}
# configure LINE...: yoked takes these lines instead.
configure() {
    local before
    before=$(reloads)
    printf '%s\n' "$@" >/etc/yoke/yoke.toml
    kill -HUP "$yoked"
    eventually 120 reloaded "$before"
}
reloads() { grep -c 'configuration reloaded' /tmp/yoked.log; }
reloaded() { [ "$(reloads)" -gt "$1" ]; }
stop_yoked() {
    kill "$yoked"
    wait "$yoked"
}
yoke() { "$bin/yoke" --socket /run/yoke/yoke.sock "$@"; }
# parameter NAME VALUE: of the module, which is loaded.
parameter() { echo "$2" >/sys/module/yoke/parameters/$1; }
# The kernel tests no cipher from here on, which takes half of the time that a machine needs to begin: that all pass,
# and through the worker, is what kernel.module shows.
skip_self_tests() { echo 1 >/sys/module/cryptomgr/parameters/notests || die "the kernel cannot be told to test no ciphers"; }
drivers='ecb-aes-yoke ctr-aes-yoke xts-aes-yoke gcm-aes-yoke sha256-yoke'
# All drivers are registered and the kernel has tested them. While it tests, and a little longer, a larva of the same
# name stands beside a driver and says that it has passed.
tested() {
    local name colon value driver='' result='' passed=0
    while read -r name colon value; do
        [ "$name" = driver ] && driver=$value
        [ "$name" = selftest ] && result=$value
        [[ $name = type && $value != larval && $result = passed && $driver = *-yoke ]] && passed=$((passed + 1))
    done </proc/crypto
    set -- $drivers
    [ $passed = $# ]
}
served() {
    local state
    read -r state <$device/state && [ "$state" = serving ]
}
# Of the process that serves; 0: none does.
worker_pid() { echo "$(<$device/worker)"; }
# gone PID: the process has ended.
gone() { [ ! -e "/proc/$1" ]; }
unserved() { [ "$(worker_pid)" = 0 ]; }
# One number of the module: counters/NAME.
counter() { echo "$(<"$device/counters/$1")"; }
# Ends the worker for good and removes the module.
send_worker_away() {
    local pid
    pid=$(worker_pid)
    configure '[kernel]' 'serve = 0'
    eventually 120 gone "$pid"
    eventually 120 rmmod yoke
}
# ask_worker: through AF_ALG, of the CPU code's own result, and it is the worker who has answered.
ask_worker() {
    local before
    [ -e /tmp/asked ] || {
        head -c 65536 /dev/urandom >/tmp/asked
        openssl enc -aes-128-ecb -nopad -K 000102030405060708090a0b0c0d0e0f -in /tmp/asked -out /tmp/expected
        printf '\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f' >/tmp/asked.key
    }
    before=$(counter offloaded)
    must kcapi-enc -q -c ecb-aes-yoke --nounpad -i /tmp/asked -o /tmp/answer --keyfd 3 3</tmp/asked.key
    must cmp /tmp/answer /tmp/expected
    [ "$(counter offloaded)" -gt "$before" ] || die "the worker was not asked"
    say "the worker of process $(worker_pid) answers"
}
# Kernels that were compiled outside (tests/kernel/compile) are taken from a folder of this machine: a file that a stranger
# could have written would not be used.
kernels() { ls "$XDG_CACHE_HOME/yoke" | grep -c '\.bin$'; }
take_kernels() {
    mkdir -m 0700 /tmp/cache
    cp -r --no-preserve=ownership "$XDG_CACHE_HOME/yoke" /tmp/cache/
    chmod -R go-rwx /tmp/cache
    export XDG_CACHE_HOME=/tmp/cache
    taken=$(kernels)
}
say_kernels() { say "kernels compiled outside: $taken, here: $(($(kernels) - taken))"; }
# What a failed script leaves behind, for people.
trap 'status=$?; [ $status = 0 ] || { tail -n 40 /tmp/yoked.log /tmp/graph.log 2>/dev/null; grep -r . $device/counters $device/last_error $device/state 2>/dev/null; }' EXIT
