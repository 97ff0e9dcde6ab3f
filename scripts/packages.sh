# What yoke needs from Debian, and why. Sourced by setup.sh; one "package|reason" per line.

packages_to_build='
g++|compiles yoke (C++20)
cmake|configures the build
ninja-build|runs the build
pkg-config|finds libraries
libfmt-dev|text formatting
libspdlog-dev|structured logs
libcli11-dev|command lines
nlohmann-json3-dev|control messages
libtomlplusplus-dev|configuration and graph files
libexpected-dev|errors as values
libsystemd-dev|event loop and socket activation
libseccomp-dev|confines the worker
libssl-dev|AES and SHA-256 on the CPU
ocl-icd-opencl-dev|OpenCL loader and headers
pocl-opencl-icd|OpenCL on the CPU
libpng-dev|depth frames and pictures
libdrm-dev|headers of DRM, whose buffers a camera can write into
libgcrypt20-dev|independent check of every cipher
libgtest-dev|tests
libgmock-dev|tests
libbenchmark-dev|benchmarks
python3|structure test and the ctypes example
'

packages_to_check='
clang|fuzz targets
libclang-rt-14-dev|run time of the fuzz targets
clang-format|formatting check
clang-tidy|static analysis
spin|model check of the sleeping protocol
gcc|compiles the model checker and the C examples
python3-cryptography-vectors|official test vectors (NIST CAVP)
strace|counts system calls in tests
procps|looks for processes left behind
util-linux|setarch for the sanitizer builds
coreutils|sha256sum as a reference
'

packages_to_check_kernel='
qemu-system-x86|virtual machine for the tests of the kernel module
linux-headers-amd64|builds the kernel module
make|runs that build
sparse|checks the annotations of the kernel module
kmod|finds what the modules of the kernel need (depmod)
busybox-static|first process of that machine
cpio|its initial memory disk
v4l-utils|plays a film to the virtual camera of the kernel
dmsetup|encrypts a disk in that machine
e2fsprogs|puts files on it
openssl|ciphers to compare with
kcapi-tools|ciphers of the kernel, called from programs
'
