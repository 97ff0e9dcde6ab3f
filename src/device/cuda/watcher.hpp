// The thread that tells the ends of commands of all queues of a CUDA device.
//
// MODEL. Each lane of a queue has a word in pinned host memory, to which the device writes the number of the last
// command that has ended. The watcher compares the words with what it was told to expect and calls back. It looks
// without pause, and without the lock, for a while after anything has ended, then now and then, and sleeps when nothing
// is expected. A device that has failed writes no more words: when they stand still, the watcher asks the driver, and
// the worker ends.
//
// TRADE-OFF. While graphs run whose datablocks take less than some milliseconds, the watcher occupies a processor: a
// nap that is too long is paid by every datablock, and a nap ends tens of microseconds late.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "device/cuda/cuda_buffer.hpp"
#include "device/cuda/driver.hpp"
#include "device/device.hpp"

namespace yoke::device::cuda {

class Watcher {
   public:
    // What the watcher keeps of one queue.
    struct Post {
        struct Expected {
            std::uint64_t position = 0;
            Positions covers{};
            Done* done = nullptr;
        };
        std::shared_ptr<Progress> progress;
        std::array<CUstream, lanes> streams{};
        std::uint32_t* words = nullptr;
        CUdeviceptr address = 0;
        std::uint32_t place = 0;
        std::array<std::deque<Expected>, lanes> expected;
        std::size_t open = 0;  // expected, and callbacks that have not returned
    };

    static Result<std::unique_ptr<Watcher>> create(const Context& context);
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher();  // no queue is left

    Result<Post*> enter(std::shared_ptr<Progress> progress);
    // The stream of a lane, to ask the driver about.
    void open_lane(Post& post, LaneName lane, CUstream stream);
    // Waits until nothing is expected of it.
    void leave(Post* post);
    // The device address of the word of a lane.
    [[nodiscard]] static CUdeviceptr word_of(const Post& post, LaneName lane);
    // The word of `lane` gets the low half of `position` at its time: then `covers` has ended too and `done`, which may
    // be null, is told 0. Called in the order of a lane's positions.
    void expect(Post& post, LaneName lane, std::uint64_t position, const Positions& covers, Done* done);
    // Waits until nothing is expected of the post.
    void drain(Post& post);

   private:
    explicit Watcher(const Context& context) : context_(context) {}
    void run();
    bool look(Post& post, std::unique_lock<std::mutex>& lock);
    void list_nearest();
    void spin() const;
    void ask_driver(const Post& post) const;
    void pause(std::unique_lock<std::mutex>& lock, std::uint64_t still_ns);

    const Context& context_;
    std::mutex mutex_;  // of the list and of what is expected
    std::condition_variable changed_;
    std::condition_variable drained_;
    std::list<std::unique_ptr<Post>> posts_;
    std::uint32_t* words_ = nullptr;  // lanes_padded for each post
    CUdeviceptr words_address_ = 0;
    std::vector<std::uint32_t> free_places_;
    std::uint64_t expected_ = 0;
    bool stopping_ = false;
    struct Nearest {
        const std::uint32_t* word = nullptr;
        std::uint64_t position = 0;
    };
    std::vector<Nearest> nearest_;  // of every lane what is expected first; of the thread, which has no lock meanwhile
    std::atomic<std::uint32_t> told_{0};  // how often something new was expected
    std::thread thread_;
};

}  // namespace yoke::device::cuda
