// Completions of transfers that move no data, told to their sink at once; see channel.hpp. Those that copy are told by
// a passage when the device is done.
#include "graph/channel.hpp"

namespace yoke::graph {

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
