// What the tests of libyoke against a real yoked share: a forgiving instance, data, and a worker that hangs.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <yoke/yoke.hpp>

#include "support/instance.hpp"
#include "support/process_tree.hpp"

namespace yoke::test {

// Tests kill workers on purpose, far more often than an honest account loses them.
inline constexpr const char* forgiving =
    "[lifetime]\nidle_exit_s = 60\n[supervision]\nsuspects_max = 1000000\nbackoff_first_ms = 1\nbackoff_max_ms = 50\n";

inline yoke_options options_for(const Instance& instance, std::uint64_t arena_bytes = 16U << 20U) {
    yoke_options options{};
    options.socket = instance.socket().c_str();
    options.arena_bytes = arena_bytes;
    return options;
}

inline std::array<std::byte, 64> key_bytes() {
    std::array<std::byte, 64> bytes{};
    for (std::size_t k = 0; k < bytes.size(); k++) {
        bytes[k] = static_cast<std::byte>(k * 37 + 11);
    }
    return bytes;
}

inline void fill(std::span<std::byte> memory, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (std::byte& byte : memory) {
        byte = static_cast<std::byte>(random());
    }
}

inline yoke_params_aes_xts xts(std::uint64_t start, std::uint32_t unit = 512) {
    yoke_params_aes_xts params{};
    std::memcpy(params.start, &start, sizeof(start));
    params.unit = unit;
    return params;
}

class ClientTest : public testing::Test {
   protected:
    void SetUp() override { ASSERT_TRUE(instance_.ready()) << instance_.error(); }

    pid_t worker(Session& session) { return static_cast<pid_t>(session.info().worker_pid); }

    Instance instance_{{.config = forgiving, .environment = {}}};
};

// A worker that is stopped answers nobody, as one that hangs.
class Stopped {
   public:
    explicit Stopped(pid_t worker) : worker_(worker) { EXPECT_TRUE(stop(worker_)); }
    Stopped(const Stopped&) = delete;
    Stopped& operator=(const Stopped&) = delete;
    ~Stopped() { ::kill(worker_, SIGCONT); }

   private:
    pid_t worker_;
};

}  // namespace yoke::test
