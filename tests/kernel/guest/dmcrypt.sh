# An encrypted disk over the worker: it is written, read back, read by the kernel's own code, and survives a worker that
# is killed again and again, or stopped while more is written than there is memory.
. "$(dirname "$0")/lib.sh"

key=$(head -c 64 /dev/urandom | od -An -tx1 | tr -d ' \n')
export DM_DISABLE_UDEV=1

# map CIPHER [OPTIONS [BEGIN SECTORS]]: /dev/mapper/secret, the file system's part of the image or SECTORS of 512 bytes from
# BEGIN on. OPTIONS begin with their number.
map() {
    must dmsetup create secret --table "0 ${4:-$file_system} crypt $1 $key 0 $loop ${3:-0}${2:+ $2}"
    dmsetup mknodes
}
unmap() {
    eventually 120 dmsetup remove secret
}
# check FILE COUNT: COUNT times the block, as it lies on the disk and not in memory.
check() {
    echo 3 >/proc/sys/vm/drop_caches
    python3 - "$1" "$2" <<'END' || die "$1 is not what was written"
import sys
block = open("/tmp/block", "rb").read()
with open(sys.argv[1], "rb") as file:
    for number in range(int(sys.argv[2])):
        part = file.read(len(block))
        if part != block:
            at = next((i for i, (a, b) in enumerate(zip(part, block)) if a != b), min(len(part), len(block)))
            sys.exit(f"block {number} of {len(part)} bytes differs at {at}")
    if file.read(1):
        sys.exit("the file is too long")
END
}
# A file system that writes what it is told to: little of its own, and nothing later.
make_file_system() { must mkfs.ext4 -q -N 64 -J size=4 -E lazy_itable_init=0 "$1"; }
write() {
    for _ in $(seq "$2"); do cat /tmp/block; done >"$1" || die "cannot write $1"
}

must modprobe virtio_blk
must modprobe loop
make_file_system /dev/vda
mkdir -p /disk /secret
must mount /dev/vda /disk
must truncate -s 1200M /disk/image
loop=$(losetup -f --show /disk/image) || die "no loop device"
strip=$((16 << 11)) # 16 MiB at the end, without a file system
file_system=$(($(blockdev --getsz "$loop") - strip))
skip_self_tests
must insmod "$modules/yoke.ko"
start_yoked '[supervision]' 'backoff_first_ms = 1' 'backoff_max_ms = 50'
eventually 120 served
eventually 120 tested
parameter threshold 0
head -c 16777216 /dev/urandom >/tmp/block

# meanwhile WHAT COUNT: that many requests at least have come after `begin`, and the worker has done most of them. The
# rest was late, or found no room in time, which a busy machine may bring about.
begin() {
    before=$(counter offloaded) full=$(counter fell_back_full) late=$(counter fell_back_deadline)
    entries=$(counter entries) waited=$(counter waited)
}
meanwhile() {
    local offloaded=$(($(counter offloaded) - before)) rest
    full=$(($(counter fell_back_full) - full)) late=$(($(counter fell_back_deadline) - late))
    entries=$(($(counter entries) - entries)) waited=$(($(counter waited) - waited)) rest=$((full + late))
    [ $((offloaded + rest)) -ge "$2" ] || die "not every sector went through the driver"
    say "$1: by the worker $offloaded ($((100 * offloaded / (offloaded + rest)))%), by the CPU since there was no room $full," \
        "late $late; entries $entries, requests that waited for room $waited"
    [ $offloaded -ge $((3 * rest)) ] || die "less than three quarters went through the worker"
}

say "written and read through the worker"
parameter deadline_ms 5000
large='2 sector_size:4096 iv_large_sectors' # as new disks have them, and numbered so that neighbours share entries
map capi:xts-aes-yoke-plain64 "$large"
begin
make_file_system /dev/mapper/secret
must mount /dev/mapper/secret /secret
write /secret/four 4
must sync
check /secret/four 4
must umount /secret
meanwhile "64 MiB in sectors of 4 KiB, written and read" $((2 * 16384))
[ "$entries" -le $((2 * 16384 / 2)) ] || die "large sectors did not share entries"
unmap

say "the kernel's own code reads the same"
map aes-xts-plain64 "$large"
must mount -o ro /dev/mapper/secret /secret
check /secret/four 4
must umount /secret
unmap

say "in small sectors, which share entries"
map capi:xts-aes-yoke-plain64 '' $file_system $strip
begin
must dd if=/tmp/block of=/dev/mapper/secret bs=1M conv=fsync status=none
echo 1 >/proc/sys/vm/drop_caches
must cmp /tmp/block /dev/mapper/secret
meanwhile "16 MiB in sectors of 512 bytes, written and read" $((2 * 32768))
[ "$entries" -le $((2 * 32768 / 4)) ] || die "small sectors did not share entries"
unmap
map aes-xts-plain64 '' $file_system $strip
must cmp /tmp/block /dev/mapper/secret
unmap

head -c 1048576 /tmp/block >/tmp/piece
say "while the worker is killed each time it has served"
parameter deadline_ms 50
map capi:xts-aes-yoke-plain64 "$large"
must mount /dev/mapper/secret /secret
(
    last=$(counter offloaded)
    for kill in $(seq 21); do
        until pid=$(worker_pid) && [ "$pid" != 0 ] && served && [ "$(counter offloaded)" -gt "$last" ]; do nap 0.02; done
        last=$(counter offloaded)
        kill -KILL "$pid"
        echo "$kill" >/tmp/kills
        while [ "$(worker_pid)" = "$pid" ]; do nap 0.02; done
    done
) &
killer=$!
write /secret/killed_four 4
must sync
say "64 MiB were written, kills so far: $(cat /tmp/kills 2>/dev/null || echo 0)"
rounds=0
while kill -0 $killer 2>/dev/null; do
    must cp /tmp/piece /secret/killed
    must sync /secret/killed
    echo 1 >/proc/sys/vm/drop_caches
    must cmp /tmp/piece /secret/killed
    rounds=$((rounds + 1))
    [ $rounds -lt 1000 ] || die "the worker was killed $(cat /tmp/kills) times only"
done
must sync
say "kills: $(cat /tmp/kills), rounds: $rounds, workers: $(counter workers)"
[ "$(cat /tmp/kills)" -ge 20 ] || die "too few"
check /secret/killed_four 4
eventually 120 served

say "while the worker is stopped and more is written than there is memory"
total=$(awk '/MemTotal/ { print int($2 / 16384) }' /proc/meminfo)
count=$((total + total / 4))
pid=$(worker_pid)
trips=$(counter breaker_trips)
must kill -STOP "$pid"
write /secret/stopped $count
must sync
say "breaker trips: $(($(counter breaker_trips) - trips)), state: $(cat $device/state)"
[ "$(counter breaker_trips)" -gt "$trips" ] || die "nobody noticed"
say "written: $((count * 16)) MiB with $(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MiB of memory"
must kill -CONT "$pid"
eventually 120 served
before=$(counter offloaded)
for try in $(seq 10); do # it may be barred again at once, on a busy machine
    echo 1 >/proc/sys/vm/drop_caches
    must cmp /tmp/piece /secret/killed
    [ "$(counter offloaded)" -gt "$before" ] && break
done
say "calls offloaded since the worker goes on: $(($(counter offloaded) - before)), files read: $try"
[ "$(counter offloaded)" -gt "$before" ] || die "the worker is not used any more"
must umount /secret
unmap
map aes-xts-plain64 "$large"
must mount -o ro /dev/mapper/secret /secret
check /secret/stopped $count
must cmp /tmp/piece /secret/killed
must umount /secret
unmap
losetup -d "$loop"
grep -r . $device/counters | grep -v ':0$' | sed 's,.*/,,'
stop_yoked
must rmmod yoke
