# A depth camera of the kernel whose picture is known: vivid's output is looped into its input, and a film is played to it.
# Its hand is open in the first twenty frames and a fist after them. Sourced after lib.sh. Afterwards /dev/video0 is the camera (Y16, 640x480), and $film is the folder's file of raw frames.
film=/tmp/film
frame_bytes=$((640 * 480 * 2))

play_film() {
    local frames=$1
    must modprobe vivid n_devs=1 num_inputs=1 input_types=0x3 num_outputs=1 output_types=0x1 node_types=0x101
    "$bin/catdepth" --synthetic 95003 --count "$frames" | tail -n +2 >$film || die "no film"
    same "bytes of the film" $((frames * frame_bytes)) "$(stat -c %s $film)"
    must v4l2-ctl -d /dev/video1 --set-dv-bt-timings index=0 >/dev/null
    must v4l2-ctl -d /dev/video0 --set-dv-bt-timings index=0 >/dev/null
    must v4l2-ctl -d /dev/video1 --set-fmt-video-out=width=640,height=480,pixelformat='Y16 '
    must v4l2-ctl -d /dev/video0 --set-fmt-video=width=640,height=480,pixelformat='Y16 '
    must v4l2-ctl -d /dev/video0 --set-ctrl=loop_video=1,osd_text_mode=2
    # At the rate of a depth camera: sixty frames a second would leave an emulated machine little else to do.
    v4l2-ctl -d /dev/video1 --stream-out-mmap --stream-from=$film --stream-loop --stream-count=1000000 \
        >/tmp/film.log 2>&1 &
    eventually 120 grep -q . /tmp/film.log
}
