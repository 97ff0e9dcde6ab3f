# A camera and a pointer of the kernel: vivid gives frames, uinput takes events.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/film.sh"

must modprobe uinput
must modprobe evdev

say "the endpoints' own tests, with a webcam"
must modprobe vivid n_devs=1 node_types=0x1
"$bin/worker_test" --gtest_filter='DeviceTest.*' --gtest_color=no >/tmp/worker_test.log 2>&1
cat /tmp/worker_test.log
same "tests of devices that ran" 2 "$(grep -c '^\[       OK \]' /tmp/worker_test.log)"
must rmmod vivid

play_film 20

# capture NAME OPTION...: catdepth's frames from the camera are the film's, and were copied as often as it says.
capture() {
    local name=$1 && shift
    timeout 200 "$bin/catdepth" --device /dev/video0 --count 8 "$@" 2>/tmp/catdepth.log | tail -n +2 >/tmp/captured
    cat /tmp/catdepth.log
    must python3 "$guest/frames.py" $film /tmp/captured
    same "complaints of catdepth by $name" 0 "$(grep -c 'copied once more' /tmp/catdepth.log)"
}
say "frames straight into an arena"
capture USERPTR
say "frames straight into the channel of the next stage"
YOKE_LOG=client=debug timeout 200 "$bin/catdepth" --device /dev/video0 --count 100 2>/tmp/catdepth.log |
    "$bin/stage-probe" copy | tail -n +2 >/tmp/captured
cat /tmp/catdepth.log
must python3 "$guest/frames.py" $film /tmp/captured
must grep -q ' to_channel=[1-9][0-9]* copied_bytes=0$' /tmp/catdepth.log
say "frames into another driver's memory"
must modprobe vgem
capture DMABUF --dmabuf "$(ls /dev/dri/card* | head -1)"

say "a graph between camera and pointer, without a program"
take_kernels
python3 "$guest/events.py" "yoke /middle/pointer" 600 >/tmp/events 2>/tmp/events.log &
reader=$!
"$bin/yoke" graph start "$guest/middle.toml" >/tmp/graph.log 2>&1 &
moved() { [ "$(grep -c '^3 0 ' /tmp/events)" -ge 5 ]; }
eventually 300 moved
kill $reader
cat /tmp/events.log /tmp/graph.log
say_kernels
python3 - <<'END' || die "the pointer went where no frame's middle is"
film = open("/tmp/film", "rb").read()
middles = {int.from_bytes(film[at:at + 2], "little") for at in range((240 * 640 + 320) * 2, len(film), 640 * 480 * 2)}
values = [int(line.split()[2]) for line in open("/tmp/events") if line.startswith("3 0 ")]
print("pointer at", values[:10])
assert set(values) <= middles and len(set(values)) > 1, (values, middles)
END
