// For tests: a device with a cache of its own in a temporary directory.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "device/cpu/opencl_device.hpp"
#include "device/cpu/spawner.hpp"
#if defined(YOKE_TEST_CUDA)
#include "device/cuda/cuda_device.hpp"
#endif

namespace yoke::device {

class TestDirectory {
   public:
    TestDirectory() {
        std::string path = (std::filesystem::temp_directory_path() / "yoke-test-XXXXXX").string();
        path_ = ::mkdtemp(path.data()) != nullptr ? path : std::string();
    }
    TestDirectory(const TestDirectory&) = delete;
    TestDirectory& operator=(const TestDirectory&) = delete;
    ~TestDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::string& path() const { return path_; }

   private:
    std::string path_;
};

// The scratch directory of a process stays where its first device was opened, so that directory stays too.
inline const std::string& test_cache() {
    static const TestDirectory directory;
    return directory.path();
}

// The cpu device; where YOKE_TEST_CUDA is defined, the CUDA device.
inline std::unique_ptr<Device> open_test_device(const std::string& cache, const SpawnerLimits& limits = {}) {
    auto spawner = start_spawner(limits);
    if (!spawner) {
        ADD_FAILURE() << spawner.error().message;
        return nullptr;
    }
#if defined(YOKE_TEST_CUDA)
    cuda::Options options{.spawner = std::move(*spawner), .cache_directory = cache};
    auto device = cuda::open_cuda_device(options);
#else
    OpenclOptions options;
    options.spawner = std::move(*spawner);
    options.cache_directory = cache;
    auto device = open_opencl_device(std::move(options));
#endif
    if (!device) {
        ADD_FAILURE() << device.error().message;
        return nullptr;
    }
    return std::move(*device);
}

}  // namespace yoke::device
