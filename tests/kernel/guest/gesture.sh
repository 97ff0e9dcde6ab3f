# The gesture interface from a camera of the kernel to a pointer of the kernel: four programs, yoked, a worker and PoCL.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/film.sh"

must modprobe uinput
must modprobe evdev
play_film 26
export YOKE_LOG=info

say "kernels"
take_kernels
head -c $frame_bytes $film >/tmp/frame
header=$("$bin/catdepth" --synthetic 95003 --count 1 | head -n 1)
{ echo "$header"; cat /tmp/frame; } | "$bin/xform" 2>>/tmp/stages.log | "$bin/detect" 2>>/tmp/stages.log | "$bin/hidinput" --print || die "the pipeline"

say_kernels

say "camera to pointer"
python3 "$guest/events.py" "yoke gesture pointer" 600 >/tmp/moves 2>/tmp/moves.log &
reader=$!
"$bin/catdepth" --device /dev/video0 --count 12 | tee /tmp/frames | "$bin/xform" | "$bin/detect" | tee /tmp/events |
    "$bin/hidinput" 2>&1 | grep -v ' info ' || true
wait $reader
cat /tmp/moves.log
"$bin/hidinput" --print </tmp/events | tee /tmp/told
tail -n +2 /tmp/frames >/tmp/captured
must python3 "$guest/frames.py" $film /tmp/captured
same "events that the film's frames give once more" "$(md5sum </tmp/events)" "$("$bin/xform" </tmp/frames | "$bin/detect" | md5sum)"
python3 - <<'END' || die "the pointer did something else than it was told"
# What hidinput tells as text in thousandths, the device has in steps of 1/65535; the kernel passes on what changes.
told, got = [], []
presses = {"told": 0, "got": 0}
for line in open("/tmp/told"):
    words = line.split()
    presses["told"] += words[-1] == "press"
    if "move" in words:
        told.append(tuple(float(word) for word in words[words.index("move") + 1:][:2]))
place = [None, None]
for line in open("/tmp/moves"):
    kind, code, value = map(int, line.split())
    presses["got"] += (kind, code, value) == (1, 272, 1)  # EV_KEY, BTN_LEFT
    if kind == 3:
        place[code] = value / 65535
    if kind == 0 and place != [None, None] and (not got or got[-1] != tuple(place)):
        got.append(tuple(place))
print(len(told), "moves told,", len(got), "places of the pointer,", presses)
assert presses["told"] == presses["got"], presses
assert len(got) >= 2, got
near = lambda a, b: all(x is None or abs(x - y) < 0.0011 for x, y in zip(a, b))
at = 0
for place in got:  # in order
    while at < len(told) and not near(place, told[at]):
        at += 1
    assert at < len(told), (place, told)
END
