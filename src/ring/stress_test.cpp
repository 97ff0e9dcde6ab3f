// Both sides of a ring at full speed, as threads and as processes, each falling asleep at every chance: no entry is
// lost, changed or completed twice, and no wake-up is lost (a lost one would hang until the time limit of the test).
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ring/consumer.hpp"
#include "ring/memory_fixture.hpp"
#include "ring/waiter.hpp"

namespace yoke::ring {
namespace {

// The executive side of a stress: takes, holds a few, completes in random order, sleeps by the protocol.
class TestExecutive {
   public:
    TestExecutive(const TestMemory& memory, std::uint64_t entries)
        : consumer_(memory.worker(), YOKE_RING_BULK),
          bell_(memory.worker()),
          fd_(memory.bell.get()),
          entries_(entries) {}

    // Until `entries` have been completed. False: a fault.
    bool run() {
        std::mt19937 random(5);
        std::vector<Entry> held;
        std::uint64_t completed = 0;
        while (completed < entries_) {
            Entry entry;
            const Take taken = consumer_.take(entry);
            if (taken == Take::fault) {
                return false;
            }
            if (taken == Take::entry) {
                if (entry.submission.out_offset != ~entry.submission.in_offset) {
                    return false;  // a mixture of two entries
                }
                held.push_back(entry);
            }
            if (!held.empty() && (taken == Take::nothing || held.size() > 3)) {
                std::swap(held[random() % held.size()], held.back());
                consumer_.begin(held.back().slot, held.back().tag);
                consumer_.complete(held.back().slot, held.back().tag, answer_to(held.back().submission));
                held.pop_back();
                bell_.ring_if_wanted();
                ++completed;
            } else if (taken == Take::nothing && random() % 8 == 0) {
                sleep();
            }
        }
        return true;
    }

   private:
    void sleep() {
        consumer_.set_asleep(true);
        yoke_full_fence();
        std::uint64_t count = 0;
        while (!consumer_.pending()) {
            // The counter of a test may be read: nobody here is hostile. A lost bell would end in the test's time
            // limit.
            pollfd bell{fd_, POLLIN, 0};
            ::poll(&bell, 1, -1);
            static_cast<void>(!::read(fd_, &count, sizeof(count)));
        }
        consumer_.set_asleep(false);
    }
    Consumer consumer_;
    ClientBell bell_;
    int fd_;
    std::uint64_t entries_;
};

// The client side: keeps up to `window` in flight, checks each completion against its entry, sleeps by the protocol.
bool run_client(const TestMemory& memory, std::uint64_t entries, std::uint32_t window) {
    Producer producer(memory.client(), YOKE_RING_BULK);
    Waiter waiter(memory.client());
    std::mt19937 random(9);
    std::vector<std::uint64_t> number_at(memory.layout.ring[YOKE_RING_BULK].slots);
    std::uint64_t submitted = 0;
    for (std::uint64_t completed = 0; completed < entries;) {
        while (submitted < entries && producer.in_flight() < window) {
            const std::int64_t position = producer.submit(numbered(submitted), nullptr);
            if (position < 0) {
                break;
            }
            number_at[static_cast<std::uint64_t>(position) % number_at.size()] = submitted++;
        }
        std::uint64_t position = 0;
        yoke_completion c;
        Waited waited = Waited::slice;
        while (waited == Waited::slice) {
            waited = waiter.wait([&] { return producer.take_any(position, c); }, random() % 2 * 2000, 0);
        }
        if (c.out_length != number_at[position % number_at.size()] || c.detail != ~c.out_length) {
            return false;
        }
        ++completed;
    }
    return producer.in_flight() == 0;
}

constexpr std::uint64_t stress_entries = 30'000;

TEST(Ring, two_threads_agree_while_both_fall_asleep) {
    for (const std::uint32_t window : {1U, 3U, 16U}) {
        const TestMemory memory(8);
        std::atomic<bool> executive_ok{false};
        std::thread executive([&] { executive_ok = TestExecutive(memory, stress_entries).run(); });
        EXPECT_TRUE(run_client(memory, stress_entries, window));
        executive.join();
        EXPECT_TRUE(executive_ok);
    }
}

TEST(Ring, two_processes_agree_while_both_fall_asleep) {
    const TestMemory memory(8);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::_exit(TestExecutive(memory, stress_entries).run() ? 0 : 1);
    }
    EXPECT_TRUE(run_client(memory, stress_entries, 4));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace yoke::ring
