// The cpu device: OpenCL through the ICD loader, PoCL by default.
//
// Programs are compiled by yoke-compile (spawner.hpp, opencl_build.hpp) and only loaded here. Buffers are OpenCL memory
// objects, queues are in-order command queues; PoCL runs them on threads of its own.
#pragma once

#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "device/device.hpp"

namespace yoke::device {

struct OpenclOptions {
    Fd spawner;                   // of start_spawner(): made before the process has threads
    std::string platform;         // part of the platform's name; "": $YOKE_OPENCL_PLATFORM, else PoCL, else the first
    std::string cache_directory;  // "": default_cache_directory(), or temporary files when there is none
};

// Opens the device. Call it while the process has one thread (it sets environment variables) and may still create
// files. ENODEV: "no OpenCL platform found; install pocl-opencl-icd", or none of that name.
Result<std::unique_ptr<Device>> open_opencl_device(OpenclOptions options);

}  // namespace yoke::device
