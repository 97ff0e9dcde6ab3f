// A measurement that goes on after a failed CUDA call measures nothing, so every failure names its place and ends the
// program. Calls whose failure is itself a result do not go through here.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <source_location>

namespace measure {

[[noreturn]] inline void die(const char* what, std::source_location at = std::source_location::current()) {
    std::fprintf(stderr, "%s:%u: %s\n", at.file_name(), static_cast<unsigned>(at.line()), what);
    std::fflush(stderr);
    std::_Exit(1);
}

inline void check(cudaError_t error, std::source_location at = std::source_location::current()) {
    if (error != cudaSuccess) die(cudaGetErrorString(error), at);
}

inline void check(CUresult error, std::source_location at = std::source_location::current()) {
    if (error == CUDA_SUCCESS) return;
    const char* text = nullptr;
    cuGetErrorString(error, &text);
    die(text ? text : "unknown error of the CUDA driver", at);
}

}  // namespace measure
