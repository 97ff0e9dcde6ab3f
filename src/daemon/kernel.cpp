// The broker's side of the kernel's account: its worker needs no client that connects, the device node is its client.
//
// It is an account like any other (one worker, supervision, gate), but for two things: its worker runs as the user who
// owns the node, and it is wanted as long as the node is there.
#include <yoke/yoke.h>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "daemon/broker.hpp"

namespace yoke::daemon {

bool Broker::kernel_wants_worker() const {
    return !options_.private_instance && options_.config.kernel_serve != 0 && kernel_user().has_value();
}

// After any change of node or configuration. A worker that dies because the node has gone is not started again; one
// that is told to end while it is wanted, is.
void Broker::serve_kernel() {
    if (ending_ || options_.private_instance) {
        return;
    }
    if (!kernel_wants_worker() && !accounts_.contains(YOKE_ACCOUNT_KERNEL)) {
        return;  // where no device node is, nobody is told of such an account
    }
    const auto user = kernel_user();
    Account& account = account_of(YOKE_ACCOUNT_KERNEL);
    if (account.worker) {
        const bool others = user && account.user && *user != *account.user;
        if ((options_.config.kernel_serve == 0 || others) && account.worker->state() != Worker::State::ending) {
            log_info(Topic::daemon, others ? "device of the kernel has another owner" : "kernel is served no more",
                     {{"pid", account.worker->process().name.pid}});
            account.worker->end(now_ns());
        }
        return;
    }
    account.wanted = kernel_wants_worker();
    if (account.wanted) {
        ensure_worker(account);
    }
    changed();
}

}  // namespace yoke::daemon
