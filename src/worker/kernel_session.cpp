// The life that uapi/yoke_kernel.h describes, from the worker's side.
#include "worker/kernel_session.hpp"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <yoke/yoke.h>

#include <algorithm>

#include "base/log.hpp"
#include "service/service.hpp"
#include "worker/locked_heap.hpp"
#include "worker/session_memory.hpp"
#include "worker/session_record.hpp"

namespace yoke::worker {
namespace {

constexpr std::uint32_t features = YOKE_FEATURE_EXPRESS | YOKE_FEATURE_BULK;
constexpr unsigned orders_at_a_time = 64;  // then the loop sees to others

int control_device(const Fd& device, unsigned long request, void* argument) {
    int result = 0;
    do {
        result = ::ioctl(device.get(), request, argument);
    } while (result != 0 && errno == EINTR);
    return result;
}

}  // namespace

Result<std::unique_ptr<KernelSession>> KernelSession::open(control::Loop& loop, executive::Executive& executive,
                                                           executive::SessionId id, const std::string& device,
                                                           Handlers handlers) {
    Fd fd(::open(device.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) {
        return fail_errno("{} cannot be opened; is the module yoke loaded, and whose is the device?", device);
    }
    std::unique_ptr<KernelSession> session(new KernelSession(executive, id, std::move(fd), std::move(handlers)));
    if (auto attached = session->attach(device); !attached) {
        return tl::unexpected(attached.error());
    }
    auto source = loop.on_io(session->device_.get(), EPOLLIN,
                             [self = session.get()](std::uint32_t events) { self->on_device(events); });
    if (!source) {
        return tl::unexpected(source.error());
    }
    session->source_ = std::move(*source);
    log_info(Topic::worker, "the kernel is served",
             {{"device", device},
              {"generation", session->attached_.generation},
              {"arena_bytes", session->attached_.layout.arena_bytes}});
    return session;
}

Status KernelSession::attach(const std::string& device) {
    Fd bell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!bell) {
        return fail_errno("{} cannot be served", device);
    }
    attached_.magic = YOKE_ABI_MAGIC;
    attached_.version = YOKE_KERNEL_VERSION;
    attached_.abi_version = YOKE_ABI_VERSION;
    attached_.bell = bell.get();
    attached_.features = features;
    if (control_device(device_, YOKE_KERNEL_ATTACH, &attached_) != 0) {
        if (errno == EPROTO) {
            return fail(EPROTO, "the module yoke speaks version {}.{} and this worker {}.{}; install matching versions",
                        attached_.version, attached_.abi_version, YOKE_KERNEL_VERSION, YOKE_ABI_VERSION);
        }
        return fail_errno("{} takes no worker", device);
    }
    auto memory = map(attached_, std::move(bell));
    if (!memory) {
        return tl::unexpected(memory.error());
    }
    if (auto added = executive_.add_session(id_, std::move(*memory)); !added) {
        return added;
    }
    served_ = true;
    if (control_device(device_, YOKE_KERNEL_SERVE, nullptr) != 0) {
        return fail_errno("{} does not take what this worker serves", device);
    }
    return {};
}

Result<executive::SessionMemory> KernelSession::map(const yoke_kernel_attach& attached, Fd bell) {
    executive::SessionMemory memory;
    memory.layout = attached.layout;
    auto arena = Mapping::map(device_, attached.layout.arena_bytes, true, YOKE_KERNEL_MAP_ARENA);
    if (!arena) {
        return tl::unexpected(arena.error());
    }
    auto status = Mapping::map(device_, attached.layout.status_bytes, true, YOKE_KERNEL_MAP_STATUS);
    if (!status) {
        return tl::unexpected(status.error());
    }
    memory.arena = std::move(*arena);
    memory.status = std::move(*status);
    fill_status_page(memory.status, id_);
    memory.bell = std::move(bell);
    memory.kernel_device = device_.get();
    return memory;
}

KernelSession::~KernelSession() {
    source_ = control::Source();
    if (!served_) {
        return;
    }
    // First, so that the kernel waits for nothing that is not executed any more.
    if (control_device(device_, YOKE_KERNEL_LEAVE, nullptr) != 0) {
        log_debug(Topic::worker, "the kernel had dropped this worker already", {});
    }
    executive_.remove_session(id_);
}

void KernelSession::on_device(std::uint32_t events) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        source_ = control::Source();
        const auto refused = handlers_.refused;
        refused("the kernel says that this worker broke the protocol");  // may destroy this
        return;
    }
    for (unsigned count = 0; count < orders_at_a_time && obey(); ++count) {
    }
    handlers_.changed();
}

bool KernelSession::obey() {
    yoke_kernel_key_order order{};
    if (control_device(device_, YOKE_KERNEL_KEY_ORDER, &order) != 0) {
        if (errno != EAGAIN) {
            log_debug(Topic::worker, "no order of the kernel can be had", {{"error", ::strerror(errno)}});
        }
        return false;
    }
    if (order.op == YOKE_KERNEL_KEY_ADD) {
        add_key(order);
    } else if (auto removed = executive_.remove_key(id_, order.worker_key); !removed) {
        log_warning(Topic::worker, "key of the kernel cannot be removed", {{"error", removed.error().message}});
    }
    ::explicit_bzero(&order, sizeof order);
    return true;
}

void KernelSession::add_key(yoke_kernel_key_order& order) {
    yoke_kernel_key_answer answer{};
    answer.handle = order.handle;
    const service::Service* service =
        order.service <= UINT16_MAX ? service::find(static_cast<std::uint16_t>(order.service)) : nullptr;
    const auto bytes =
        std::as_bytes(std::span(order.bytes)).first(std::min<std::size_t>(order.length, sizeof order.bytes));
    auto key = [&]() -> Result<std::uint32_t> {
        if (service == nullptr) {
            return fail(ENOSYS, "there is no service {}", order.service);
        }
        const LockedHeap::Scope locked;
        return executive_.add_key(id_, *service, bytes);
    }();
    ::explicit_bzero(order.bytes, sizeof order.bytes);
    if (key) {
        answer.worker_key = *key;
    } else {
        answer.status = -key.error().code;
        log_warning(Topic::worker, "key of the kernel is refused", {{"error", key.error().message}});
    }
    // Not awaited any more: the kernel has dropped the key meanwhile.
    if (control_device(device_, YOKE_KERNEL_KEY_ANSWER, &answer) != 0 && key) {
        if (auto removed = executive_.remove_key(id_, *key); !removed) {
            log_debug(Topic::worker, "key is gone already", {{"error", removed.error().message}});
        }
    }
}

control::Json KernelSession::record() const {
    control::Json record{{"session", id_},  {"client", "kernel"},
                         {"client_pid", 0}, {"client_uid", YOKE_ACCOUNT_KERNEL},
                         {"state", "open"}, {"arena_bytes", attached_.layout.arena_bytes}};
    add_report(record, executive_.report(id_));
    return record;
}

control::Json KernelSession::key_record() const {
    return {{"session", id_}, {"count", executive_.report(id_).keys}};
}

}  // namespace yoke::worker
