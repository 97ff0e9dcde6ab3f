// Tells whoever sits at the terminal what a command waits for, when that takes longer than people like to wait without
// a word. Only on a terminal: what scripts read of the standard error stays what is documented.
#pragma once

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "cli/failure.hpp"

namespace yoke::cli {

inline constexpr const char* compiling = "kernels are being compiled, which may take a minute the first time";

class SlowNotice {
   public:
    // @sentence is said once @patience has passed, unless this is gone by then.
    explicit SlowNotice(std::string sentence, std::chrono::milliseconds patience = std::chrono::seconds(2))
        : sentence_(std::move(sentence)) {
        if (::isatty(STDERR_FILENO) == 1) {
            thread_ = std::thread([this, patience] { wait(patience); });
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
    void wait(std::chrono::milliseconds patience) {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, patience, [this] { return over_; })) {
            say("yoke: {}", sentence_);
        }
    }

    std::string sentence_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::thread thread_;  // last: it uses the rest
};

}  // namespace yoke::cli
