// Threads for what would hold the control loop up: compiling kernels, waiting for a device, taking sessions apart.
//
// A job has two halves: `work` runs on a thread of the pool, then `done` on the loop. Who submits bounds the number of
// jobs (a session has at most one at a time), so the queue needs no limit of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/fd.hpp"
#include "control/loop/loop.hpp"

namespace yoke::worker {

class Pool {
   public:
    static Result<std::unique_ptr<Pool>> create(control::Loop& loop, unsigned threads);
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    ~Pool();  // stops, then waits for the jobs that run; drops the others and all `done`

    void submit(std::function<void()> work, std::function<void()> done);
    void stop();  // no job begins from now on; from any thread, does not wait

   private:
    struct Job {
        std::function<void()> work;
        std::function<void()> done;
    };
    Pool() = default;
    void run();
    void collect();

    Fd event_;
    control::Source source_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> waiting_;
    std::vector<std::function<void()>> finished_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace yoke::worker
