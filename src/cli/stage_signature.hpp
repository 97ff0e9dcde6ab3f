// The signature of a kernel function, read from its OpenCL C text: enough to connect it without being told.
//
// This is no compiler: it looks for `kernel void NAME(...)` outside of comments and takes the arguments apart. Text
// that macros hide is not seen; the command then asks for what it could not find. The compiler in the worker has the
// last word.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/failure.hpp"

namespace yoke::cli {

struct KernelArgument {
    std::string name;
    std::string element;  // element type of yoke ("u16", "f32x4"); empty: another type, such as a structure
    bool pointer = false;
    bool read_only = false;  // pointer to const
    bool global = false;     // pointer to global or constant memory
};

struct KernelSignature {
    std::string name;
    std::vector<KernelArgument> arguments;
};

std::vector<KernelSignature> kernels_in(std::string_view source);

// Whether records of elements of @type can be what a kernel takes for an array of @element; an empty one tells nothing.
// A stage has one work item per element of its input: so an element of the stream may be several of the kernel's (it
// uses vload3), but not a part of one.
bool can_be(const std::string& type, const std::string& element);

// Value of a scalar argument: @text as @element, little-endian. Fails for what does not fit and for vectors.
Outcome<std::vector<std::byte>> scalar_bytes(const std::string& element, const std::string& text,
                                             const std::string& name);

}  // namespace yoke::cli
