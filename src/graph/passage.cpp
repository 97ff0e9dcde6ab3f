// Ends of copies become completions of transfers; see passage.hpp. Records are pooled for the life of their graph.
#include "graph/passage.hpp"

#include <algorithm>

#include "base/clock.hpp"

namespace yoke::graph {

void Passage::done(int status) noexcept {
    completion.run_ns = now_ns() - begun_ns;
    if (status != 0 || owner_.failed_.load(std::memory_order_acquire)) {
        completion.status = -YOKE_EIO;
        completion.out_length = 0;
        completion.signal = 0;
    }
    transfer.sink->complete(transfer, completion);
    owner_.give_back(*this);
}

Passage& Passages::take(const Transfer& transfer) {
    Passage* passage = nullptr;
    {
        const std::lock_guard lock(mutex_);
        if (free_.empty()) {
            all_.push_back(std::make_unique<Passage>(*this));
            free_.reserve(all_.size());  // so that giving back never allocates
            passage = all_.back().get();
        } else {
            passage = free_.back();
            free_.pop_back();
        }
        passage->transfer = transfer;
        passage->busy = true;
    }
    passage->completion = yoke_completion{};
    passage->begun_ns = now_ns();
    return *passage;
}

void Passages::give_back(Passage& passage) {
    const std::lock_guard lock(mutex_);
    passage.busy = false;
    free_.push_back(&passage);
    returned_.notify_all();
}

void Passages::wait_for(std::uint32_t session) {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [&] {
        return std::none_of(all_.begin(), all_.end(), [&](const std::unique_ptr<Passage>& passage) {
            return passage->busy && passage->transfer.session == session;
        });
    });
}

std::size_t Passages::in_flight() const {
    const std::lock_guard lock(mutex_);
    return all_.size() - free_.size();
}

}  // namespace yoke::graph
