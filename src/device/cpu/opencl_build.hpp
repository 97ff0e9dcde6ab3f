// From OpenCL C to the binary of exactly one launch: what yoke-compile does.
//
// PROBLEM. PoCL compiles twice: clBuildProgram makes LLVM bitcode, and the first launch with a new geometry compiles
// that to machine code and links it by running `ld`. The worker must do neither: its seccomp filter forbids execve, and
// a kernel that keeps a compiler busy for ever must not do so inside the worker.
//
// MODEL. The binary that clGetProgramInfo(CL_PROGRAM_BINARIES) gives holds, with PoCL, one shared object per kernel and
// launch geometry: a generic one, and those named by POCL_BINARY_SPECIALIZE_WG as "X-Y-Z[-goffs0][-smallgrid]" (local
// size; global offset zero; all global sizes below 65535). So the geometry is fixed before compiling, exactly that
// variant is asked for, and when the worker loads the binary and launches, PoCL finds the shared object and only calls
// dlopen. That holds for PoCL 3.1 and is tested (opencl_device_test: ForbiddenExecDeathTest).
//
// TRADE-OFF. A kernel is compiled per geometry. In return the worker gets code specialised for it.
#pragma once

#include <cstddef>
#include <vector>

#include "base/error.hpp"
#include "device/cpu/compile_request.hpp"

namespace yoke::device {

struct BuiltBinary {
    CompileAnswer answer;
    std::vector<unsigned char> bytes;
    std::vector<Parameter> parameters;  // as the source says
};

// Runs the compiler in this process. Sets POCL_BINARY_SPECIALIZE_WG. ENOEXEC: the compiler's messages; EINVAL: no such
// function, or a work-group size that does not fit; ENODEV: no such platform; ENOMEM.
Result<BuiltBinary> build_opencl(const CompileRequest& request);

}  // namespace yoke::device
