// Completions of transfers that move no data, told to their sink at once; see channel.hpp. Those that copy are told by
// a passage when the device is done.
#include "graph/channel.hpp"

#include <algorithm>

namespace yoke::graph {

void Channel::add(std::vector<std::weak_ptr<Watcher>>& watchers, const std::shared_ptr<Watcher>& watcher) {
    std::erase_if(watchers, [](const std::weak_ptr<Watcher>& there) { return there.expired(); });
    const bool known = std::any_of(watchers.begin(), watchers.end(),
                                   [&](const std::weak_ptr<Watcher>& there) { return there.lock() == watcher; });
    if (!known) {
        watchers.push_back(watcher);
    }
}

yoke_completion completion_of(int status, std::uint64_t detail) {
    yoke_completion completion{};
    completion.status = -status;
    completion.detail = detail;
    return completion;
}

void complete(const Transfer& transfer, int status, std::uint64_t detail) {
    transfer.sink->complete(transfer, completion_of(status, detail));
}

void complete_all(Fifo<Waiting>& waiting, int status) {
    while (!waiting.empty()) {
        complete(waiting.pop().transfer, status);
    }
}

}  // namespace yoke::graph
