// Opened once, at the first use, whichever thread comes first; the outcome stays.
#include "device/cuda/driver.hpp"

#include <dlfcn.h>

#include <array>
#include <cstdlib>

#include "base/log.hpp"

namespace yoke::device::cuda {
namespace {

const Driver*& opened() {
    static const Driver* instance = nullptr;
    return instance;
}

Result<const Driver*> open() {
    void* const library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        return fail(ENODEV, "there is no CUDA driver (libcuda.so.1); install NVIDIA's driver to use a GPU");
    }
    static Driver functions;
#define YOKE_CUDA_STRING(name) #name
#define YOKE_CUDA_LOOK_UP(function)                                                                                    \
    functions.function = reinterpret_cast<decltype(functions.function)>(::dlsym(library, YOKE_CUDA_STRING(function))); \
    if (functions.function == nullptr) {                                                                               \
        return fail(ENODEV, "the CUDA driver has no {}; install driver 580 or newer", YOKE_CUDA_STRING(function));     \
    }
    YOKE_CUDA_FUNCTIONS(YOKE_CUDA_LOOK_UP)
#undef YOKE_CUDA_LOOK_UP
#undef YOKE_CUDA_STRING
    opened() = &functions;
    if (auto initialised = check(functions.cuInit(0), "the CUDA driver cannot be initialised"); !initialised) {
        return fail(ENODEV, "{}", initialised.error().message);
    }
    return &functions;
}

Result<const Context*> open_context() {
    auto found = driver();
    if (!found) {
        return tl::unexpected(found.error());
    }
    static Context context;
    context.driver = *found;
    const Driver& cuda = **found;
    int count = 0;
    if (auto counted = check(cuda.cuDeviceGetCount(&count), "CUDA devices cannot be counted"); !counted) {
        return tl::unexpected(counted.error());
    }
    if (count == 0) {
        return fail(ENODEV, "the CUDA driver sees no device; check nvidia-smi and CUDA_VISIBLE_DEVICES");
    }
    std::array<char, 256> name{};
    Status done = check(cuda.cuDeviceGet(&context.device, 0), "the first CUDA device cannot be opened");
    done = done ? check(cuda.cuDeviceGetName(name.data(), static_cast<int>(name.size()), context.device),
                        "the first CUDA device has no name")
                : done;
    done = done ? check(cuda.cuDeviceGetAttribute(&context.multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
                                                  context.device),
                        "the first CUDA device does not tell its size")
                : done;
    done = done ? check(cuda.cuDevicePrimaryCtxRetain(&context.context, context.device),
                        "the first CUDA device gives no context")
                : done;
    if (!done) {
        return tl::unexpected(done.error());
    }
    int major = 0;
    int minor = 0;
    done = check(cuda.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, context.device),
                 "the first CUDA device does not tell its architecture");
    done = done ? check(cuda.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, context.device),
                        "the first CUDA device does not tell its architecture")
                : done;
    done = done ? check(cuda.cuDriverGetVersion(&context.driver_version), "the CUDA driver does not tell its version")
                : done;
    if (!done) {
        return tl::unexpected(done.error());
    }
    context.architecture = fmt::format("sm_{}{}", major, minor);
    context.name = name.data();
    return &context;
}

}  // namespace

Result<const Driver*> driver() {
    static const Result<const Driver*> outcome = open();
    return outcome;
}

Result<const Context*> primary_context() {
    static const Result<const Context*> outcome = open_context();
    return outcome;
}

void lost(const Error& error) {
    log_error(Topic::device, "the CUDA device failed; the worker ends, its calls and graphs go on at the next one",
              {{"error", error.message}});
    std::_Exit(EXIT_FAILURE);
}

Status check(CUresult result, const char* what) {
    if (result == CUDA_SUCCESS) {
        return {};
    }
    const char* text = nullptr;
    if (opened() == nullptr || opened()->cuGetErrorString(result, &text) != CUDA_SUCCESS || text == nullptr) {
        text = "unknown error";
    }
    const int code = result == CUDA_ERROR_OUT_OF_MEMORY ? ENOMEM : EIO;
    return fail(code, "{}: {} (CUDA error {})", what, text, static_cast<int>(result));
}

}  // namespace yoke::device::cuda
