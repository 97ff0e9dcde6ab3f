# A camera and a pointer of the kernel: vivid gives frames, uinput takes events.
. "$(dirname "$0")/lib.sh"

must modprobe vivid n_devs=1
must modprobe uinput

say "the worker's endpoints"
must "$bin/worker_test" --gtest_filter='DeviceTest.*' --gtest_brief=0
