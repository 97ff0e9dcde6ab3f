// The device node of the kernel module yoke, as yoked sees it: whether it is there, and whose it is.
//
// The module is loaded and removed while yoked runs, and udev may give the node to a user a moment after it was made.
// So its folder is watched, and whoever owns the node is the user as whom the kernel's worker runs: one thing to set
// up, and no right to open the device that the worker would not have by itself. yoked never opens it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>

#include "base/fd.hpp"
#include "control/loop/loop.hpp"

namespace yoke::daemon {

// Owner of the node; nothing: it is not there.
std::optional<uid_t> kernel_user();

class KernelDevice {
   public:
    // `changed` is called when the node may have come, gone or got another owner.
    static Result<std::unique_ptr<KernelDevice>> watch(control::Loop& loop, std::function<void()> changed);
    KernelDevice(const KernelDevice&) = delete;
    KernelDevice& operator=(const KernelDevice&) = delete;
    ~KernelDevice() = default;

   private:
    KernelDevice(Fd notices, std::function<void()> changed)
        : notices_(std::move(notices)), changed_(std::move(changed)) {}
    void read();

    Fd notices_;
    std::function<void()> changed_;
    control::Source source_;
};

}  // namespace yoke::daemon
