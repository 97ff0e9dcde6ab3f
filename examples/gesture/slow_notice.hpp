// Tells whoever sits at the terminal that kernels are being compiled, when that takes longer than people like to wait
// without a word: the first time it may take a minute, later they come from a cache.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

namespace gesture {

class SlowNotice {
   public:
    SlowNotice() {
        if (::isatty(STDERR_FILENO) == 1) {
            thread_ = std::thread([this] { wait(); });
        }
    }
    SlowNotice(const SlowNotice&) = delete;
    SlowNotice& operator=(const SlowNotice&) = delete;
    ~SlowNotice() {
        {
            const std::lock_guard lock(mutex_);
            over_ = true;
        }
        changed_.notify_one();
        if (thread_.joinable()) {
            thread_.join();
        }
    }

   private:
    void wait() {
        constexpr std::chrono::seconds patience{2};
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, patience, [this] { return over_; })) {
            std::fprintf(stderr, "%s: kernels are being compiled, which may take a minute the first time\n",
                         program_invocation_short_name);
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::thread thread_;  // last: it uses the rest
};

}  // namespace gesture
