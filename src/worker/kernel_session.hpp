// The session whose client is the kernel, through /dev/yoke (uapi/yoke_kernel.h).
//
// The rings are served by the executive like those of any session. What differs stands here: the memory is the
// kernel's, so it is mapped from the device instead of made; keys come as orders of the device instead of messages of a
// socket; and the kernel never hangs up. The kernel is trusted: it could do to this process what it likes anyway. What
// it says is checked all the same, by the same code.
//
// Everything here belongs to the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <uapi/yoke_kernel.h>

#include "control/loop/loop.hpp"
#include "control/message.hpp"
#include "executive/executive.hpp"

namespace yoke::worker {

class KernelSession {
   public:
    struct Handlers {
        std::function<void()> changed;                        // what record() says
        std::function<void(const std::string& why)> refused;  // the kernel wants another worker
    };

    // Attaches to the device and serves it. EBUSY: another process has it, which may just be ending. EPROTO: the module
    // is of another version.
    static Result<std::unique_ptr<KernelSession>> open(control::Loop& loop, executive::Executive& executive,
                                                       executive::SessionId id, const std::string& device,
                                                       Handlers handlers);
    KernelSession(const KernelSession&) = delete;
    KernelSession& operator=(const KernelSession&) = delete;
    // Leaves: the kernel completes by itself what is in flight. Blocks for the chunks that run.
    ~KernelSession();

    [[nodiscard]] control::Json record() const;
    [[nodiscard]] control::Json key_record() const;

   private:
    KernelSession(executive::Executive& executive, executive::SessionId id, Fd device, Handlers handlers)
        : executive_(executive), id_(id), device_(std::move(device)), handlers_(std::move(handlers)) {}
    Status attach(const std::string& device);
    Result<executive::SessionMemory> map(const yoke_kernel_attach& attached, Fd bell);
    void on_device(std::uint32_t events);
    // Carries out one order; false: there is none.
    bool obey();
    void add_key(yoke_kernel_key_order& order);

    executive::Executive& executive_;
    executive::SessionId id_;
    Fd device_;  // the executive's bell rings it, so it outlives the executive's session
    Handlers handlers_;
    control::Source source_;
    yoke_kernel_attach attached_{};
    bool served_ = false;
};

}  // namespace yoke::worker
