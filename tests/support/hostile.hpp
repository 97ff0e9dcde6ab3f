// What the tests of hostile clients share: a real yoked, a neighbour that notices whatever should not reach it, and a
// look at what yoked and the worker hold before and after.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/footprint.hpp"
#include "support/instance.hpp"
#include "support/neighbour.hpp"
#include "support/process_tree.hpp"
#include "support/raw_session.hpp"

namespace yoke::test {

using control::Json;

// How a request was answered. 0: it was granted.
struct Answer {
    int code = 0;
    std::string sentence;
    control::Message message;
};

inline Answer answer_to(const Fd& socket, const Json& request, std::span<const int> fds = {}) {
    auto message = control::request(socket, request, fds, 60'000);
    if (!message) {
        return {message.error().code, message.error().message, {}};
    }
    return {0, {}, std::move(*message)};
}

// A request was refused with `code`, and the sentence says what about.
inline testing::AssertionResult is_refused(const Answer& answer, int code, const std::string& about) {
    if (answer.code == code && answer.sentence.find(about) != std::string::npos) {
        return testing::AssertionSuccess();
    }
    return testing::AssertionFailure() << "answered with " << answer.code << " (" << std::strerror(answer.code)
                                       << ") \"" << answer.sentence << "\", expected " << code << " ("
                                       << std::strerror(code) << ") about " << about;
}

// A thread that does something over and over until it is destroyed.
class Again {
   public:
    explicit Again(std::function<void(std::mt19937_64&)> action, unsigned seed = 1)
        : thread_([this, action = std::move(action), seed] {
              std::mt19937_64 random(seed);
              while (!stop_) {
                  action(random);
              }
          }) {}
    Again(const Again&) = delete;
    Again& operator=(const Again&) = delete;
    ~Again() {
        stop_ = true;
        thread_.join();
    }

   private:
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

class Hostile : public testing::Test {
   protected:
    explicit Hostile(const std::string& config = "") : instance_({.config = lifetime + config, .environment = {}}) {}

    void SetUp() override {
        ASSERT_TRUE(instance_.ready()) << instance_.error();
        // What a worker opens once, for its first graph, is open before anything is counted.
        auto first = open();
        ASSERT_TRUE(first);
        ASSERT_EQ(answer_to(first->socket(), {{"op", "open_graph"}, {"name", "/first"}}).code, 0);
        try {
            neighbour_ = std::make_unique<Neighbour>(instance_.socket());
        } catch (const error& failure) {
            FAIL() << failure.what();
        }
    }

    void TearDown() override {
        if (!neighbour_) {
            return;
        }
        EXPECT_TRUE(neighbour_->is_served());
        EXPECT_EQ(instance_.worker_pids(), std::vector<pid_t>{neighbour_->worker()}) << "the worker is another one";
        // Those who have hung up count until the worker has told yoked of it.
        Result<std::unique_ptr<RawSession>> fresh = tl::unexpected(Error{});
        EXPECT_TRUE(eventually([&] {
            fresh = RawSession::open(instance_);
            return fresh || fresh.error().code != ENOBUFS;
        }));
        ASSERT_TRUE(fresh) << fresh.error().message;
        EXPECT_TRUE((*fresh)->echo(1000) && (*fresh)->echo(100'000, YOKE_RING_BULK));
    }

    // Does `attack` some times; afterwards yoked and the worker hold no more than after the first two times, which fill
    // their pools. Meanwhile and afterwards the neighbour is served.
    void expect_no_trace(const std::function<void()>& attack, unsigned rounds = 3, std::size_t slack_kib = 6 * 1024) {
        for (unsigned warm = 0; warm < 2; ++warm) {
            attack();
            ASSERT_FALSE(HasFatalFailure());
        }
        const std::array<pid_t, 2> pids{instance_.yoked_pid(), neighbour_->worker()};
        std::array<Footprint, 2> before;
        std::transform(pids.begin(), pids.end(), before.begin(), &settled_footprint_of);
        for (unsigned round = 0; round < rounds && !HasFatalFailure(); ++round) {
            attack();
        }
        EXPECT_TRUE(neighbour_->is_served());
        for (std::size_t i = 0; i < pids.size(); ++i) {
            Footprint now;
            EXPECT_TRUE(eventually([&] {
                now = footprint_of(pids[i]).value_or(Footprint{});
                return now.threads != 0 && within(now, before[i], slack_kib);
            })) << (i == 0 ? "yoked" : "the worker")
                << " had " << before[i] << " and has " << now;
        }
    }

    [[nodiscard]] std::unique_ptr<RawSession> open(std::uint64_t arena_bytes = 1U << 20U) {
        auto session = RawSession::open(instance_, arena_bytes);
        EXPECT_TRUE(session) << session.error().message;
        return session ? std::move(*session) : nullptr;
    }
    // A session socket of the worker, nothing opened on it.
    [[nodiscard]] Fd connect() {
        auto connected = connect_to_worker(instance_);
        EXPECT_TRUE(connected) << connected.error().message;
        return connected ? std::move(connected->session) : Fd();
    }

    static constexpr const char* lifetime = "[lifetime]\nidle_exit_s = 60\n";
    Instance instance_;
    std::unique_ptr<Neighbour> neighbour_;
};

// Sends bytes as one packet.
inline void send_packet(const Fd& socket, std::string_view bytes) {
    ASSERT_EQ(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

}  // namespace yoke::test
