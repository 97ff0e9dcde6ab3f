#!/usr/bin/env python3
"""Checks that every public header compiles alone: C headers as C11 and C++20, C++ headers as C++20, and those of the
binary interface as kernel C and, where nvcc is, as CUDA for host and device.

Kernel C is what a module sees: no libc, gnu11, no vector registers. The few names that the kernel's own headers would
give are written here, so that the check needs no kernel's headers.

usage: headers_test.py C_COMPILER CXX_COMPILER INCLUDE_DIRECTORY
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", "-Wno-unused-function"]

KERNEL = {
    "linux/types.h": """
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
#define offsetof(type, member) __builtin_offsetof(type, member)
""",
    "linux/compiler.h": """
#define READ_ONCE(word) (*(const volatile __typeof__(word) *)&(word))
#define WRITE_ONCE(word, value) (*(volatile __typeof__(word) *)&(word) = (value))
""",
    "asm/barrier.h": """
#define virt_mb() __sync_synchronize()
#define virt_rmb() __sync_synchronize()
#define virt_wmb() __sync_synchronize()
#define virt_load_acquire(word) __atomic_load_n(word, __ATOMIC_ACQUIRE)
#define virt_store_release(word, value) __atomic_store_n(word, value, __ATOMIC_RELEASE)
""",
    "linux/ioctl.h": """
#define _IO(type, number) ((type) << 8 | (number))
#define _IOR(type, number, argument) (_IO(type, number) | (unsigned)sizeof(argument) << 16)
#define _IOW(type, number, argument) _IOR(type, number, argument)
#define _IOWR(type, number, argument) _IOR(type, number, argument)
""",
    "linux/string.h": "void *memcpy(void *, const void *, __SIZE_TYPE__);\n",
    "linux/build_bug.h": "#define static_assert(condition) _Static_assert(condition, #condition)\n",
}
KERNEL_FLAGS = ["-xc", "-std=gnu11", "-D__KERNEL__", "-nostdinc", "-ffreestanding", "-Wall", "-Wextra", "-Werror",
                "-Wdeclaration-after-statement", "-Wstrict-prototypes", "-Wno-unused-function"]
NVCC = shutil.which("nvcc", path=os.environ.get("PATH", "") + ":/usr/local/cuda/bin")


def check_abi(c, include):
    """The binary interface as kernel C and as CUDA; returns the number of failures."""
    headers = sorted(path.relative_to(include) for path in pathlib.Path(include, "uapi").glob("*.h"))
    source = "".join(f"#include <{name}>\n" for name in headers)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, text in KERNEL.items():
            path = pathlib.Path(folder, "kernel", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        compilers = {"kernel C": [c, *KERNEL_FLAGS, "-I", folder + "/kernel", "-I", include, "-fsyntax-only", "-"]}
        if NVCC:
            device = source + "__global__ void look(yoke_line *line, yoke_submission *entry)\n{\n" \
                              "\tif (yoke_line_read(line, entry, 1))\n\t\tyoke_line_write(line, entry, 2);\n}\n"
            pathlib.Path(folder, "abi.cu").write_text(device, encoding="utf-8")
            compilers["CUDA"] = [NVCC, "-std=c++17", "-I", include, "-c", folder + "/abi.cu", "-o", folder + "/abi.o"]
        for language, command in compilers.items():
            run = subprocess.run(command, input=source, text=True)
            print("ok    " if run.returncode == 0 else "FAILED", "uapi/*.h", language)
            failures += run.returncode != 0
    return failures


def main():
    c, cxx, include = sys.argv[1:]
    languages = {".h": [[c, "-xc", "-std=c11"], [cxx, "-xc++", "-std=c++20"]], ".hpp": [[cxx, "-xc++", "-std=c++20"]]}
    headers = sorted(path for path in pathlib.Path(include).rglob("*") if path.suffix in languages)
    failures = check_abi(c, include)
    for header in headers:
        name = header.relative_to(include)
        for compiler in languages[header.suffix]:
            # Included twice: a header without a guard fails.
            source = f"#include <{name}>\n#include <{name}>\nint main(void) {{ return 0; }}\n"
            run = subprocess.run([*compiler, *WARNINGS, "-I", include, "-fsyntax-only", "-"], input=source, text=True)
            print("ok    " if run.returncode == 0 else "FAILED", name, compiler[-1])
            failures += run.returncode != 0
    if not headers:
        print("no headers under", include)
    return failures != 0 or not headers


if __name__ == "__main__":
    sys.exit(main())
