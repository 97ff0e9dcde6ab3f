// The watcher's loop; see watcher.hpp. Callbacks are made without the lock: they may take locks whose holders are about
// to expect something.
#include "device/cuda/watcher.hpp"

#include <chrono>
#include <system_error>

#include "base/clock.hpp"
#include "device/cuda/quiet.hpp"

namespace yoke::device::cuda {
namespace {

constexpr std::uint32_t posts_max = 4096;   // queues at a time: graphs of one account
constexpr std::uint32_t lanes_padded = 16;  // words of a post: its lanes' lie in one line of 64 bytes
static_assert(lanes <= lanes_padded);
constexpr std::uint64_t spin_ns = 2'000'000;    // looking without pause after something has ended or begun
constexpr unsigned spin_looks = 256;            // some microseconds, before the thread sees to anything else
constexpr std::uint64_t nap_ns = 50'000;        // between two looks afterwards
constexpr std::uint64_t doubt_ns = 10'000'000;  // without an end before the driver is asked whether all is well

bool has_passed(std::uint32_t word, std::uint64_t position) {
    return static_cast<std::int32_t>(word - static_cast<std::uint32_t>(position)) >= 0;
}

}  // namespace

Result<std::unique_ptr<Watcher>> Watcher::create(const Context& context) {
    std::unique_ptr<Watcher> watcher(new Watcher(context));
    context.make_current();
    void* memory = nullptr;
    Status done = check(context.driver->cuMemHostAlloc(&memory, posts_max * lanes_padded * sizeof(std::uint32_t),
                                                       CU_MEMHOSTALLOC_DEVICEMAP),
                        "pinned memory cannot be had");
    done = done ? check(context.driver->cuMemHostGetDevicePointer(&watcher->words_address_, memory, 0),
                        "pinned memory has no address")
                : done;
    if (!done) {
        return tl::unexpected(done.error());
    }
    watcher->words_ = static_cast<std::uint32_t*>(memory);
    for (std::uint32_t place = posts_max; place > 0; --place) {
        watcher->free_places_.push_back(place - 1);
    }
    try {
        watcher->thread_ = std::thread([self = watcher.get()] { self->run(); });
    } catch (const std::system_error& e) {
        return fail(e.code().value(), "the thread that watches the device cannot be started: {}", e.what());
    }
    return watcher;
}

Watcher::~Watcher() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
    if (words_ != nullptr) {
        context_.make_current();
        const Quiet quiet;
        context_.driver->cuMemFreeHost(words_);
    }
}

Result<Watcher::Post*> Watcher::enter(std::shared_ptr<Progress> progress) {
    const std::lock_guard lock(mutex_);
    if (free_places_.empty()) {
        return fail(ENOMEM, "a device has at most {} queues; terminate graphs that are not used", posts_max);
    }
    Post& post = *posts_.emplace_back(std::make_unique<Post>());
    post.place = free_places_.back();
    free_places_.pop_back();
    post.progress = std::move(progress);
    post.words = words_ + std::size_t{post.place} * lanes_padded;
    post.address = words_address_ + std::size_t{post.place} * lanes_padded * sizeof(std::uint32_t);
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
        __atomic_store_n(&post.words[lane], 0, __ATOMIC_RELAXED);
    }
    return &post;
}

void Watcher::open_lane(Post& post, LaneName lane, CUstream stream) {
    const std::lock_guard lock(mutex_);
    post.streams[lane] = stream;
}

void Watcher::leave(Post* post) {
    drain(*post);
    const std::lock_guard lock(mutex_);
    free_places_.push_back(post->place);
    posts_.remove_if([post](const std::unique_ptr<Post>& other) { return other.get() == post; });
}

CUdeviceptr Watcher::word_of(const Post& post, LaneName lane) {
    return post.address + lane * sizeof(std::uint32_t);
}

void Watcher::expect(Post& post, LaneName lane, std::uint64_t position, const Positions& covers, Done* done) {
    {
        const std::lock_guard lock(mutex_);
        post.expected[lane].push_back({position, covers, done});
        ++post.open;
        ++expected_;
        told_.fetch_add(1, std::memory_order_relaxed);
    }
    changed_.notify_one();
}

void Watcher::drain(Post& post) {
    std::unique_lock lock(mutex_);
    drained_.wait(lock, [&post] { return post.open == 0; });
}

// Tells what has ended. True: something had.
bool Watcher::look(Post& post, std::unique_lock<std::mutex>& lock) {
    bool any = false;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        auto& expected = post.expected[lane];
        while (!expected.empty()) {
            const Post::Expected first = expected.front();
            if (!has_passed(__atomic_load_n(&post.words[lane], __ATOMIC_ACQUIRE), first.position)) {
                break;
            }
            expected.pop_front();
            --expected_;
            any = true;
            post.progress->advance(lane, first.position);
            for (std::size_t other = 0; other < lanes; ++other) {
                post.progress->advance(other, first.covers[other]);
            }
            if (first.done != nullptr) {
                lock.unlock();
                first.done->done(0);
                lock.lock();
            }
            if (--post.open == 0) {
                drained_.notify_all();
            }
        }
    }
    return any;
}

// A failed device answers every question with its error.
void Watcher::ask_driver(const Post& post) const {
    for (CUstream stream : post.streams) {
        if (stream == nullptr) {
            continue;
        }
        const CUresult result = context_.driver->cuStreamQuery(stream);
        if (result != CUDA_SUCCESS && result != CUDA_ERROR_NOT_READY) {
            lost(check(result, "a command of a graph failed on the device").error());
        }
    }
}

void Watcher::list_nearest() {
    nearest_.clear();
    for (const auto& post : posts_) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            if (!post->expected[lane].empty()) {
                nearest_.push_back({&post->words[lane], post->expected[lane].front().position});
            }
        }
    }
}

// Returns when something that is expected has ended, when more is expected, or after a while. Without the lock, so that
// nobody who queues commands waits for it.
void Watcher::spin() const {
    const std::uint32_t told = told_.load(std::memory_order_relaxed);
    for (unsigned i = 0; i < spin_looks && told_.load(std::memory_order_relaxed) == told; ++i) {
        for (const Nearest& one : nearest_) {
            if (has_passed(__atomic_load_n(one.word, __ATOMIC_RELAXED), one.position)) {
                return;
            }
        }
        __builtin_ia32_pause();
    }
}

void Watcher::pause(std::unique_lock<std::mutex>& lock, std::uint64_t still_ns) {
    if (expected_ == 0) {
        changed_.wait(lock, [this] { return stopping_ || expected_ != 0; });
    } else if (still_ns < spin_ns) {
        list_nearest();
        lock.unlock();
        spin();
        lock.lock();
    } else {
        changed_.wait_for(lock, std::chrono::nanoseconds(nap_ns));
    }
}

void Watcher::run() {
    context_.make_current();
    std::unique_lock lock(mutex_);
    std::uint64_t last = now_ns();
    std::uint64_t asked = last;
    while (!stopping_ || expected_ != 0) {
        bool any = false;
        // A post leaves the list only when nothing is expected of it, and callbacks are expected until they return.
        for (auto post = posts_.begin(); post != posts_.end();) {
            Post& each = **post;
            ++each.open;  // stays in the list meanwhile
            any = look(each, lock) || any;
            ++post;
            if (--each.open == 0) {
                drained_.notify_all();
            }
        }
        const std::uint64_t now = now_ns();
        if (any || expected_ == 0) {
            last = now;
            asked = now;
        } else if (now - asked >= doubt_ns) {
            asked = now;
            for (const auto& post : posts_) {
                ask_driver(*post);
            }
        }
        const bool slept = expected_ == 0;
        pause(lock, now - last);
        if (slept) {
            last = asked = now_ns();
        }
    }
}

}  // namespace yoke::device::cuda
