// A well-behaved client beside a hostile one: makes calls all the time on a thread of its own and checks every result.
//
// It uses libyoke as anybody would, both rings, and has every call executed by the worker. What must not happen to it:
// a wrong result, an error, a worker that died (libyoke would repeat the calls and say so), or no progress.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <yoke/yoke.hpp>

#include "support/instance.hpp"
#include "support/process_tree.hpp"

namespace yoke::test {

class Neighbour {
   public:
    explicit Neighbour(const std::string& socket) : session_(options_for(socket)) {
        worker_ = static_cast<pid_t>(session_.info().worker_pid);
        thread_ = std::thread([this] { run(); });
        EXPECT_TRUE(is_served());
    }
    Neighbour(const Neighbour&) = delete;
    Neighbour& operator=(const Neighbour&) = delete;
    ~Neighbour() {
        stop_ = true;
        thread_.join();
    }

    [[nodiscard]] pid_t worker() const { return worker_; }
    // Two more rounds of calls come back, right.
    [[nodiscard]] bool is_served() const {
        const std::uint64_t before = rounds_;
        return eventually([&] { return failed_ || rounds_ >= before + 2; }) && !failed_;
    }

   private:
    static yoke_options options_for(const std::string& socket) {
        yoke_options options{};
        options.socket = socket.c_str();
        options.arena_bytes = 8U << 20U;
        options.express_slots = 16;
        options.bulk_slots = 16;
        return options;
    }

    void run() {
        try {
            serve();
        } catch (const error& failure) {
            ADD_FAILURE() << "the neighbour's call failed: " << failure.what();
            failed_ = true;
        }
    }

    void serve() {
        std::array<std::byte, 64> bytes{};
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            bytes[i] = static_cast<std::byte>(i * 41 + 3);
        }
        const Key key = session_.key(YOKE_SERVICE_AES_XTS, bytes);
        yoke_params_aes_xts params{};
        params.unit = 512;
        Buffer in = session_.alloc(large);
        Buffer out = session_.alloc(large);
        Buffer expected = session_.alloc(large);
        for (std::size_t i = 0; i < large; ++i) {
            in.data()[i] = static_cast<std::byte>((i * 2654435761U) >> 13U);
        }
        for (std::uint64_t round = 0; !stop_; ++round) {
            const std::size_t from = round % 7 * 64;
            const auto small_in = in.bytes().subspan(from, small);
            check(session_.call(Call(YOKE_SERVICE_ECHO, small_in, out.bytes().first(small)).place(YOKE_PLACE_WORKER)),
                  small_in, out.bytes().first(small));
            std::memcpy(params.start, &round, sizeof(round));
            const auto xts = [&](Buffer& to) { return Call(YOKE_SERVICE_AES_XTS, in, to).key(key).params(params); };
            session_.call(xts(expected).place(YOKE_PLACE_CALLER));
            check(session_.call(xts(out).place(YOKE_PLACE_WORKER)), expected, out);
            const yoke_session_info info = session_.info();
            if (info.reconnects != 0 || info.repeated != 0 || info.fallbacks != 0) {
                ADD_FAILURE() << "the neighbour lost its worker " << info.reconnects << " times";
                failed_ = true;
                return;
            }
            ++rounds_;
            std::this_thread::sleep_for(std::chrono::microseconds(200));  // leaves the machine to others
        }
    }

    void check(const yoke_result& result, std::span<const std::byte> expected, std::span<std::byte> got) {
        if (result.status != 0 || result.where != YOKE_WHERE_CPU || result.out_length != expected.size() ||
            !std::ranges::equal(expected, got)) {
            ADD_FAILURE() << "the neighbour got a wrong result, status " << result.status;
            failed_ = true;
        }
        std::ranges::fill(got, std::byte{0});
    }

    static constexpr std::size_t small = 3000;     // express ring
    static constexpr std::size_t large = 200'000;  // bulk ring
    Session session_;
    pid_t worker_ = 0;
    std::atomic<bool> stop_{false};
    std::atomic<bool> failed_{false};
    std::atomic<std::uint64_t> rounds_{0};
    std::thread thread_;
};

}  // namespace yoke::test
