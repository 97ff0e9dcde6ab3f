#!/usr/bin/env python3
"""Runs one script in a virtual machine with Debian's kernel, and reads what the kernel logged.

The machine sees this one's root through 9p, read-only, with memory laid over it: programs and libraries of a build run
inside by the same paths, and nothing they write stays, but for /out, a folder of this machine. Processors are emulated
(TCG) unless KVM proves by booting a kernel that it works here: a device that is there may still hang.

Passed is a script that ends with 0 within its time, and a kernel log without a complaint. Exit status: 0 passed, 1 not,
77 where the machine cannot be made here (CTest's SKIP_RETURN_CODE).
"""
import argparse
import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXIT_BASE = 3  # isa-debug-exit: 2 * (status + 1) + 1
COMPLAINT = re.compile(r"\bBUG\b|\bWARNING\b|\bOops\b|hung task|blocked for more than|slab error|Kernel panic|"
                       r"general protection fault|Object padding|Objects remaining|bad page state|refcount_t:|"
                       r"UBSAN|KASAN|unreferenced object")
PROBE_SECONDS = 15  # a machine with KVM is at its shell after two
POCL_TARGET = "sse2"  # what PoCL compiles for, here and in the machine: every processor of this kind has it
LOG_LINES = 200


def say(text):
    print(text, file=sys.stderr, flush=True)


def absolute(text):
    return Path(text).resolve()  # inside, the working directory is another


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", type=Path)
    parser.add_argument("--directory", type=absolute, required=True, help="where prepare puts what the machine boots")
    parser.add_argument("--build", type=absolute, required=True, help="build whose programs are tested: $build inside")
    parser.add_argument("--kmod", type=Path, default=HERE.parent.parent / "kmod", help="sources of the modules")
    parser.add_argument("--out", type=absolute, help="/out of the machine is kept here")
    parser.add_argument("--cpus", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--memory", type=int, default=1536, help="MiB")
    parser.add_argument("--disk", type=int, default=0, help="MiB of an empty disk, /dev/vda")
    parser.add_argument("--timeout", type=int, default=120, help="seconds")
    parser.add_argument("--kernels", action="store_true", help="compile before what the script runs by OpenCL")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="variable of the script")
    parser.add_argument("--append", default="", help="words for the kernel's command line")
    return parser.parse_args()


def missing():
    for program in ("qemu-system-x86_64", "busybox", "cpio", "depmod", "apt-get", "sparse",
                    "v4l2-ctl", "dmsetup", "kcapi-enc", "mkfs.ext4"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None if releases() else "no kernel headers (linux-headers-amd64) are installed"


def releases():
    """Kernels whose headers are installed, the newest last."""
    names = [path.name.removeprefix("linux-headers-") for path in Path("/usr/src").glob("linux-headers-*-amd64")]
    return sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def processor_name():
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip()[:47] if found else "emulated"


def compile_kernels(options):
    with open(options.directory / "compile.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([HERE / "compile", options.build, options.directory / "cache"], check=True,
                       env=os.environ | {"POCL_KERNELLIB_NAME": POCL_TARGET})


class Machine:
    def __init__(self, options, work):
        self.options, self.work, self.release = options, work, releases()[-1]
        self.out = options.out or work / "out"
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "kernel.log").unlink(missing_ok=True)
        # Compiled kernels, from here: the compiler takes twenty times as long on an emulated processor.
        self.cache = options.directory / "cache"
        self.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.console = work / "console.log"

    def command(self, script, accelerator):
        options, image = self.options, self.options.directory / "image"
        variables = {"image": image, "script": script, "build": options.build, "source": HERE.parent.parent,
                     "directory": options.directory, "accelerator": accelerator.partition(",")[0],
                     "host_cpus": os.cpu_count(), "host_load": f"{os.getloadavg()[0]:.1f}"}
        words = [f"{name}={value}" for name, value in variables.items()] + options.set
        words.append(f"POCL_KERNELLIB_NAME={POCL_TARGET}")
        # Emulated processors are slow, so the watchdogs wait long. Nothing inside is worth protecting from itself.
        line = ("console=ttyS0 loglevel=5 rdinit=/init panic=-1 mitigations=off nokaslr watchdog_thresh=60 "
                "audit=0 tsc=reliable clocksource=tsc no_timer_check " + options.append + " " + " ".join(words))
        # PoCL takes a binary for the processor that it names, so the emulated one has the name of this one.
        processor = "host" if accelerator == "kvm" else "max,model-id=" + processor_name().replace(",", ",,")
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-machine", "q35", "-accel", accelerator, "-cpu", processor,
                   "-smp", str(options.cpus), "-m", str(options.memory),
                   "-kernel", str(options.directory / "vmlinux"),
                   "-initrd", str(options.directory / "initramfs"), "-append", line,
                   "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
                   "-serial", f"file:{self.console}", "-serial", "stdio",
                   "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
                   "-virtfs", f"local,path={self.out},mount_tag=out,security_model=none",
                   "-virtfs", f"local,path={self.cache},mount_tag=cache,security_model=none"]
        if options.disk:
            disk = self.work / "disk"
            with open(disk, "wb") as file:
                file.truncate(options.disk << 20)
            command += ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"]
        return command

    def run(self, script, accelerator, seconds, quiet=False):
        """Status of the script, or None when the machine did not end by itself in time."""
        qemu = subprocess.Popen(self.command(script, accelerator), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                preexec_fn=end_with_parent)
        timer = threading.Timer(seconds, qemu.kill)
        timer.start()
        try:
            for line in qemu.stdout:
                if not quiet:
                    sys.stdout.buffer.write(line.replace(b"\r", b""))
                    sys.stdout.flush()
            status = qemu.wait()
        finally:
            timer.cancel()
            qemu.kill()
        return (status - EXIT_BASE) // 2 if status >= EXIT_BASE else None

    def accelerator(self):
        """kvm where it boots to a shell in time; looked at once per prepared directory."""
        known = self.options.directory / "accelerator"
        if not known.exists():
            works = os.access("/dev/kvm", os.R_OK | os.W_OK) and \
                self.run(HERE / "guest" / "nothing.sh", "kvm", PROBE_SECONDS, quiet=True) == 0
            known.write_text("kvm" if works else "tcg,thread=multi")
            say(f"kernel tests use {known.read_text()}")
        return known.read_text()

    def log(self):
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        kept = self.out / "kernel.log"
        return text + (kept.read_text(errors="replace") if kept.exists() else "")


def main():
    options = arguments()
    reason = missing()
    if reason:
        say(f"skipped: {reason}; scripts/check installs it")
        return 77
    with tempfile.TemporaryDirectory(prefix="yoke-vm.") as folder:
        machine = Machine(options, Path(folder))
        subprocess.run([HERE / "prepare", options.directory, options.kmod, machine.release], check=True)
        if options.kernels:
            compile_kernels(options)
        status = machine.run(options.script.resolve(), machine.accelerator(), options.timeout)
        log = machine.log()
        complaints = [line for line in log.splitlines() if COMPLAINT.search(line)]
        if status is None or complaints:
            say("kernel log:\n" + "\n".join(log[log.find("Run /init"):].splitlines()[-LOG_LINES:]))
        if status is None:
            say(f"{options.script.name}: the machine did not end by itself within {options.timeout} s, or crashed")
        elif status:
            say(f"{options.script.name}: exit status {status}")
        for line in complaints:
            say(f"{options.script.name}: the kernel complained: {line}")
        return 1 if status != 0 or complaints else 0


if __name__ == "__main__":
    sys.exit(main())
