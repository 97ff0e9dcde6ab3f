// A session served by an executive with the CUDA device, and cases of the vectors library as calls through its rings.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>

#include "executive/session_fixture.hpp"
#include "gpu/kind.hpp"
#include "vectors/random_case.hpp"

namespace yoke::executive {

inline constexpr std::uint64_t patient_ns = 60'000'000'000;

// Offers every hot ring and every bulk call to the device at once.
inline Limits device_limits() {
    Limits limits;
    limits.bulk_threads = 2;
    limits.cuda = true;
    limits.device_after_calls = 0;
    limits.device_bulk_bytes = 0;
    if (std::getenv("YOKE_TEST_SHARE") != nullptr) {
        limits.device_answer_ns = patient_ns;  // a tool makes the kernel slow
    }
    return limits;
}

// Waits until the device is open. False: there is none, and why.
inline bool device_is_open(const Executive& executive, std::string& why) {
    for (int i = 0; i < 3000; ++i) {
        const DeviceReport report = executive.device();
        if (report.state != "opening") {
            why = report.error;
            return report.state == "open";
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    why = "the device does not open within 30 s";
    return false;
}

class DeviceTest : public testing::Test {
   protected:
    static constexpr SessionId session = 1;

    void SetUp() override { start(device_limits()); }

    void start(const Limits& limits, std::uint64_t arena_bytes = 64U << 20) {
        executive_.reset();
        auto executive = Executive::create(limits, nullptr);
        if (!executive) {
            GTEST_SKIP() << executive.error().message;
        }
        executive_ = std::move(*executive);
        std::string why;
        if (!device_is_open(*executive_, why)) {
            GTEST_SKIP() << why;
        }
        client_ = std::make_unique<TestClient>(ring::Geometry{.arena_bytes = arena_bytes});
        ASSERT_TRUE(executive_->add_session(session, client_->take_worker_side()));
    }
    void TearDown() override {
        if (executive_ != nullptr && client_ != nullptr) {
            executive_->remove_session(session);
        }
    }

    // As start(), with a ring that stays with the NSK once it has it, so that where a call runs is certain.
    void start_lasting() {
        Limits limits = device_limits();
        limits.device_idle_ns = 60'000'000'000;
        limits.device_answer_ns = patient_ns;  // a batch of long calls on an emulated device takes seconds
        start(limits);
    }

    // Calls until one has been executed by the resident kernel.
    testing::AssertionResult reaches_nsk() {
        const std::uint64_t until = now_ns() + 20'000'000'000;
        while (now_ns() < until) {
            const yoke_completion done = client_->call(YOKE_RING_EXPRESS, client_->echo(0, 8192, 64));
            if (done.status != 0) {
                return testing::AssertionFailure() << "a call ended with " << done.status;
            }
            if (done.where == YOKE_WHERE_NSK) {
                return testing::AssertionSuccess();
            }
        }
        return testing::AssertionFailure() << "no call was executed by the resident kernel";
    }

    // Lays a case out at `offset` of the data area, input, aux and poisoned output at odd distances, and calls.
    testing::AssertionResult holds(const vectors::Case& test, unsigned ring, std::size_t offset, int where) {
        if (test.key_error != 0) {
            return testing::AssertionSuccess();
        }
        const std::size_t in = offset;
        const std::size_t aux = round(in + test.in.size()) + offset % 5;
        const std::size_t out = round(aux + test.aux.size()) + offset % 7;
        std::copy(test.in.begin(), test.in.end(), client_->data(in));
        std::copy(test.aux.begin(), test.aux.end(), client_->data(aux));
        std::memset(client_->data(out) - 16, 0xa5, test.expected.size() + 32);
        yoke_submission s{};
        s.opcode = YOKE_OP_CALL;
        s.service = test.service;
        s.flags = test.flags;
        s.in_offset = client_->layout().data + in;
        s.aux_offset = client_->layout().data + aux;
        s.out_offset = client_->layout().data + out;
        s.in_length = static_cast<std::uint32_t>(test.in.size());
        s.out_length = static_cast<std::uint32_t>(test.expected.size());
        if (!test.key.empty()) {
            const auto key = key_for(test);
            if (!key) {
                return testing::AssertionFailure() << key.error().message;
            }
            s.object = *key;
        }
        const bool params = (test.flags & YOKE_FLAG_PARAMS) != 0;
        const yoke_completion done = client_->call(ring, s, params ? test.params.data() : nullptr);
        if (done.status != test.status || (done.status == 0 && done.out_length != test.expected.size())) {
            return testing::AssertionFailure() << test.name << " ended with " << done.status << " of " << test.status
                                               << ", " << done.out_length << " bytes";
        }
        if (!std::equal(test.expected.begin(), test.expected.end(), client_->data(out))) {
            return testing::AssertionFailure() << test.name << ": wrong output";
        }
        for (std::size_t i = 0; i < 16; ++i) {
            if (client_->data(out)[-1 - static_cast<std::ptrdiff_t>(i)] != std::byte{0xa5} ||
                client_->data(out + test.expected.size())[i] != std::byte{0xa5}) {
                return testing::AssertionFailure() << test.name << ": wrote beside the output";
            }
        }
        if (where != 0 && done.where != where) {
            return testing::AssertionFailure() << test.name << " was executed at " << int{done.where};
        }
        ++executed_[done.where];
        ++kinds_[kind_of(test)].calls;
        kinds_[kind_of(test)].on_device += done.where != YOKE_WHERE_CPU ? 1 : 0;
        return testing::AssertionSuccess();
    }

    // One key at a time is kept, so that keys come and go as the cases do.
    Result<std::uint32_t> key_for(const vectors::Case& test) {
        if (key_ != 0 && key_bytes_ == test.key && key_service_ == test.service) {
            return key_;
        }
        if (key_ != 0) {
            if (auto removed = executive_->remove_key(session, key_); !removed) {
                return tl::unexpected(removed.error());
            }
        }
        auto key = executive_->add_key(session, *service::find(test.service), test.key);
        key_ = key ? *key : 0;
        key_bytes_ = test.key;
        key_service_ = test.service;
        return key;
    }

    static std::size_t round(std::size_t bytes) { return (bytes + 127) / 64 * 64; }

    std::unique_ptr<Executive> executive_;
    std::unique_ptr<TestClient> client_;
    std::map<int, std::size_t> executed_;
    KindCounts kinds_;
    std::uint32_t key_ = 0;
    vectors::Bytes key_bytes_;
    std::uint16_t key_service_ = 0;
};

constexpr std::uint16_t device_services[] = {YOKE_SERVICE_ECHO,    YOKE_SERVICE_AES_ECB, YOKE_SERVICE_AES_CBC,
                                             YOKE_SERVICE_AES_CTR, YOKE_SERVICE_AES_XTS, YOKE_SERVICE_AES_GCM,
                                             YOKE_SERVICE_SHA256};

}  // namespace yoke::executive
