// inotify on the folder of the node. What a notice says about others is passed over; a queue that overflowed may have
// lost ours.
#include "daemon/kernel_device.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uapi/yoke_kernel.h>

#include <array>
#include <cstring>
#include <string_view>

namespace yoke::daemon {
namespace {

constexpr std::string_view node = YOKE_KERNEL_DEVICE;
constexpr std::string_view name = node.substr(node.rfind('/') + 1);
constexpr std::uint32_t notices = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB;

}  // namespace

std::optional<uid_t> kernel_user() {
    struct stat info {};
    if (::stat(YOKE_KERNEL_DEVICE, &info) != 0 || !S_ISCHR(info.st_mode)) {
        return std::nullopt;
    }
    return info.st_uid;
}

Result<std::unique_ptr<KernelDevice>> KernelDevice::watch(control::Loop& loop, std::function<void()> changed) {
    Fd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    const std::string folder(node.substr(0, node.rfind('/')));
    if (!fd || ::inotify_add_watch(fd.get(), folder.c_str(), notices) < 0) {
        return fail_errno("{} cannot be watched", folder);
    }
    std::unique_ptr<KernelDevice> device(new KernelDevice(std::move(fd), std::move(changed)));
    auto source = loop.on_io(device->notices_.get(), EPOLLIN, [self = device.get()](std::uint32_t) { self->read(); });
    if (!source) {
        return tl::unexpected(source.error());
    }
    device->source_ = std::move(*source);
    return device;
}

void KernelDevice::read() {
    alignas(inotify_event) std::array<char, 4096> buffer;
    bool ours = false;
    ssize_t length = 0;
    while ((length = ::read(notices_.get(), buffer.data(), buffer.size())) > 0) {
        for (ssize_t at = 0; at < length;) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + at, sizeof event);
            ours = ours || (event.mask & IN_Q_OVERFLOW) != 0 ||
                   (event.len != 0 && name == buffer.data() + at + sizeof event);
            at += static_cast<ssize_t>(sizeof event + event.len);
        }
    }
    if (ours) {
        changed_();
    }
}

}  // namespace yoke::daemon
