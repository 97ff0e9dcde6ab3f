// The way into the CUDA device of an executive, also where the program is built without one.
#pragma once

#include <memory>

#include "executive/host/accelerator.hpp"

namespace yoke::executive::cuda {

#if defined(YOKE_WITH_CUDA)
// Starts opening the device on a thread of its own; what comes of it is in report(). EAGAIN: no thread can be started.
Result<std::unique_ptr<Accelerator>> open_accelerator(const Limits& limits, Lender& lender);
#else
inline Result<std::unique_ptr<Accelerator>> open_accelerator(const Limits& /*limits*/, Lender& /*lender*/) {
    return fail(ENODEV, "yoke was built without CUDA (YOKE_CUDA); build it where nvcc is");
}
#endif

}  // namespace yoke::executive::cuda
