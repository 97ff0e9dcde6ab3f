#!/usr/bin/env python3
"""opener.py busy|refused: openers of /dev/yoke that the module turns away, with the errno that uapi/yoke_kernel.h says.

busy     somebody serves: nobody else can open it
refused  nobody does: attachments that the module does not speak, what an opener may not do before it is attached, and a
         session that cannot be served
"""
import errno
import fcntl
import mmap
import os
import re
import struct
import sys

HEADERS = "".join(open(f"{os.environ['source']}/include/uapi/{name}").read() for name in ("yoke.h", "yoke_kernel.h"))
ATTACHMENT = struct.Struct("<IIIiIIQ144s")


def constant(name):
    return int(re.search(rf"#define {name} (\w+?)u?\b", HEADERS)[1], 0)


def command(number, size=0):
    """_IOWR for an attachment, _IO else."""
    return (3 << 30 if size else 0) | size << 16 | ord("Y") << 8 | number


ATTACH, SERVE, LEAVE, BELL = command(0x60, ATTACHMENT.size), command(0x61), command(0x62), command(0x63)
MAGIC, ABI, VERSION = constant("YOKE_ABI_MAGIC"), constant("YOKE_ABI_VERSION"), constant("YOKE_KERNEL_VERSION")
EXPRESS_AND_BULK = 3


def expect(what, number, action):
    try:
        action()
        got = 0
    except OSError as error:
        got = error.errno
    if got != number:
        sys.exit(f"{what}: {errno.errorcode.get(got, got)}, expected {errno.errorcode.get(number, number)}")
    print(f"{what}: {errno.errorcode.get(number, 'done')}")


def attach(device, bell, magic=MAGIC, version=VERSION, abi=ABI, features=EXPRESS_AND_BULK):
    """Versions that the module says it speaks."""
    memory = bytearray(ATTACHMENT.pack(magic, version, abi, bell, features, 0, 0, b""))
    try:
        fcntl.ioctl(device, ATTACH, memory)
    finally:
        attach.spoken = struct.unpack_from("<II", memory, 4)


def refused():
    expect("opened for reading only", errno.EPERM, lambda: os.open("/dev/yoke", os.O_RDONLY))
    device, bell = os.open("/dev/yoke", os.O_RDWR), os.eventfd(0)
    expect("a second opener", errno.EBUSY, lambda: os.open("/dev/yoke", os.O_RDWR))
    expect("served before it is attached", errno.ENOTCONN, lambda: fcntl.ioctl(device, SERVE))
    expect("left before it is attached", errno.ENOTCONN, lambda: fcntl.ioctl(device, LEAVE))
    expect("rung before it is attached", errno.ENOTCONN, lambda: fcntl.ioctl(device, BELL))
    expect("mapped before it is attached", errno.ENOTCONN, lambda: mmap.mmap(device, 1 << 20))
    for what, members in (("the next version", {"version": VERSION + 1}), ("another ABI", {"abi": ABI + 1}),
                          ("version 0", {"version": 0}), ("another magic", {"magic": MAGIC ^ 1}),
                          ("a worker of one ring", {"features": 1})):
        expect(what, errno.EPROTO, lambda: attach(device, bell, **members))
        if attach.spoken != (VERSION, ABI):
            sys.exit(f"{what}: the module says that it speaks {attach.spoken}")
    expect("a bell that is no eventfd", errno.EINVAL, lambda: attach(device, device))
    expect("a bell that is not open", errno.EBADF, lambda: attach(device, -1))
    expect("what the module speaks", 0, lambda: attach(device, bell))
    expect("attached twice", errno.EALREADY, lambda: attach(device, bell))
    expect("served with an empty status page", errno.EPROTO, lambda: fcntl.ioctl(device, SERVE))
    os.close(device)


if sys.argv[1] == "busy":
    expect("a second opener", errno.EBUSY, lambda: os.open("/dev/yoke", os.O_RDWR))
else:
    refused()
