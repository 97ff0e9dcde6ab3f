// A queue under a mutex; finished jobs come back to the loop through an eventfd.
#include "worker/pool.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <system_error>

namespace yoke::worker {

Result<std::unique_ptr<Pool>> Pool::create(control::Loop& loop, unsigned threads) {
    std::unique_ptr<Pool> pool(new Pool);
    pool->event_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!pool->event_) {
        return fail_errno("pool of threads cannot be created");
    }
    auto source = loop.on_io(pool->event_.get(), EPOLLIN, [self = pool.get()](std::uint32_t) { self->collect(); });
    if (!source) {
        return tl::unexpected(source.error());
    }
    pool->source_ = std::move(*source);
    try {
        for (unsigned i = 0; i < threads; ++i) {
            pool->threads_.emplace_back([self = pool.get()] { self->run(); });
        }
    } catch (const std::system_error& error) {
        return fail(error.code().value(), "thread cannot be started: {}", error.what());
    }
    return pool;
}

void Pool::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
}

Pool::~Pool() {
    stop();
    for (std::thread& thread : threads_) {
        thread.join();
    }
}

void Pool::submit(std::function<void()> work, std::function<void()> done) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back({std::move(work), std::move(done)});
    }
    wake_.notify_one();
}

void Pool::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) {
            return;
        }
        Job job = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        job.work();
        job.work = nullptr;  // what it holds is destroyed here, not under the lock
        lock.lock();
        finished_.push_back(std::move(job.done));
        ::eventfd_write(event_.get(), 1);
    }
}

void Pool::collect() {
    eventfd_t count = 0;
    ::eventfd_read(event_.get(), &count);
    std::vector<std::function<void()>> finished;
    {
        const std::lock_guard lock(mutex_);
        finished.swap(finished_);
    }
    for (const auto& done : finished) {
        done();
    }
}

}  // namespace yoke::worker
