// How busy the first GPU is, as NVIDIA's management library tells it: the part of its last sample period in which any
// kernel ran. The library is opened at run time; what it does not tell is empty.
#pragma once

#include <dlfcn.h>

#include <optional>

namespace yoke {

class GpuUse {
   public:
    GpuUse() {
        void* const library = ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) {
            return;
        }
        const auto init = reinterpret_cast<int (*)()>(::dlsym(library, "nvmlInit_v2"));
        const auto handle =
            reinterpret_cast<int (*)(unsigned, void**)>(::dlsym(library, "nvmlDeviceGetHandleByIndex_v2"));
        rates_ = reinterpret_cast<decltype(rates_)>(::dlsym(library, "nvmlDeviceGetUtilizationRates"));
        processes_ =
            reinterpret_cast<decltype(processes_)>(::dlsym(library, "nvmlDeviceGetComputeRunningProcesses_v3"));
        if (init == nullptr || handle == nullptr || init() != 0 || handle(0, &device_) != 0) {
            device_ = nullptr;
        }
    }

    // Percent of the time.
    [[nodiscard]] std::optional<unsigned> percent() const {
        Rates rates;
        if (device_ == nullptr || rates_ == nullptr || rates_(device_, &rates) != 0) {
            return std::nullopt;
        }
        return rates.gpu;
    }
    // Processes that have a context, this one included.
    [[nodiscard]] std::optional<unsigned> processes() const {
        unsigned count = 0;
        constexpr int more_than_room = 7;
        if (device_ == nullptr || processes_ == nullptr) {
            return std::nullopt;
        }
        const int status = processes_(device_, &count, nullptr);
        return status == 0 || status == more_than_room ? std::optional(count) : std::nullopt;
    }

   private:
    struct Rates {
        unsigned gpu = 0;
        unsigned memory = 0;
    };
    void* device_ = nullptr;
    int (*rates_)(void*, Rates*) = nullptr;
    int (*processes_)(void*, unsigned*, void*) = nullptr;
};

}  // namespace yoke
