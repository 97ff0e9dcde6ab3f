// The device judges entries by the rules of the host: what it takes is what the host would execute, with the same
// lengths, and everything that the host refuses it leaves alone. Random entries, most of them almost right.
#include "executive/cuda/protocol.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <vector>

#include "executive/validation.hpp"

namespace yoke::executive::cuda {
namespace {

constexpr std::uint64_t data_begin = 65536;
constexpr std::uint64_t arena_end = 1U << 20;

class Judge : public testing::Test {
   protected:
    void SetUp() override {
        for (const service::Service* service : service::all()) {
            if (!service->needs_key()) {
                continue;
            }
            std::vector<std::byte> bytes(service->id() == YOKE_SERVICE_AES_XTS ? 64 : 16);
            for (std::size_t i = 0; i < bytes.size(); ++i) {
                bytes[i] = static_cast<std::byte>(i);
            }
            auto key = service->make_key(bytes, 1);
            ASSERT_TRUE(key);
            const auto id = keys_.add(*service, std::move(*key));
            ASSERT_TRUE(id);
            services_of_keys_.emplace_back(*id, service->id());
        }
        ring_.data = data_begin;
        ring_.end = arena_end;
    }

    std::uint64_t pick(std::initializer_list<std::uint64_t> values) {
        const std::size_t at = random_() % values.size();
        return *(values.begin() + at);
    }

    ring::Entry random_entry() {
        ring::Entry entry;
        yoke_submission& s = entry.submission;
        s.opcode = random_() % 16 == 0 ? static_cast<std::uint8_t>(random_() % 6) : std::uint8_t{YOKE_OP_CALL};
        s.service = static_cast<std::uint16_t>(random_() % 9);
        s.flags = static_cast<std::uint8_t>(random_() % 4);
        if (random_() % 16 == 0) {
            s.flags = static_cast<std::uint8_t>(random_());
        }
        for (const auto& [id, service] : services_of_keys_) {
            if (service == s.service && random_() % 8 != 0) {
                s.object = id;
            }
        }
        if (random_() % 32 == 0) {
            s.object = static_cast<std::uint32_t>(random_() % 9);
        }
        s.in_length = static_cast<std::uint32_t>(pick({0, 16, 64, 100, 4096, 4096, 8192, 65536, 65537, 1U << 31}));
        s.out_length = static_cast<std::uint32_t>(pick({0, 16, 32, 4096, 8192, 65536, 70000, 70000, 1U << 31}));
        s.in_offset = pick({data_begin, data_begin + 1, data_begin - 1, arena_end - 4096, ~0ULL, 0});
        s.out_offset = pick({400'000, 400'001, 300'000, data_begin + 4096, data_begin + 64, arena_end, ~0ULL - 100});
        s.aux_offset = pick({600'000, 400'010, arena_end - 16, data_begin, ~0ULL});
        entry.params_valid = (s.flags & YOKE_FLAG_PARAMS) != 0 && random_() % 16 != 0;
        if (entry.params_valid) {
            const std::array<std::uint32_t, 6> words{
                static_cast<std::uint32_t>(pick({0, 1, 12, 16, 64, 128, 129, 4096})),
                static_cast<std::uint32_t>(pick({0, 0, 20, 65536, 70000})),
                static_cast<std::uint32_t>(pick({0, 4, 12, 16, 17})),
                0,
                static_cast<std::uint32_t>(pick({0, 0, 15, 16, 512, 4096, 1U << 24, (1U << 24) + 1})),
                static_cast<std::uint32_t>(pick({0, 0, 0, 1}))};
            std::memcpy(entry.params.data(), words.data(), sizeof(words));
        }
        return entry;
    }

    std::mt19937_64 random_{2037345125};
    KeyTable keys_{16};
    std::vector<std::pair<std::uint32_t, std::uint16_t>> services_of_keys_;
    Ring ring_{};
    std::vector<std::byte> memory_ = std::vector<std::byte>(arena_end);
};

TEST_F(Judge, AgreesWithTheHost) {
    const Bounds bounds{memory_.data(), data_begin, arena_end};
    std::array<unsigned, 9> taken{};
    for (unsigned round = 0; round < 400'000; ++round) {
        const ring::Entry entry = random_entry();
        const yoke_submission& s = entry.submission;
        std::uint32_t key_service = 0;
        for (const auto& [id, service] : services_of_keys_) {
            key_service = id == s.object ? service : key_service;
        }
        std::array<std::uint32_t, 12> params{};
        std::memcpy(params.data(), entry.params.data(), sizeof(params));
        const Judgement judged = judge(s, params.data(), entry.params_valid, key_service, ring_);
        CheckedCall call;
        const Verdict verdict = check_call(entry, YOKE_RING_EXPRESS, bounds, keys_, call);
        const bool is_call = s.opcode == YOKE_OP_CALL;
        if (judged.run) {
            ASSERT_TRUE(is_call);
            ASSERT_EQ(verdict.status, 0) << "round " << round << ", service " << s.service;
            ASSERT_EQ(judged.out_length, call.work.plan.out_length);
            ++taken.at(s.service);
        } else if (is_call && verdict.status == 0) {
            // Right, and still the host's: no device form, or too long for one thread.
            const bool chain = s.service == YOKE_SERVICE_AES_CBC && (s.flags & YOKE_FLAG_DECRYPT) == 0;
            const std::uint32_t message = params[0] == 0 ? s.in_length : params[0];
            ASSERT_TRUE(chain || (s.service == YOKE_SERVICE_SHA256 && message > message_bytes_max))
                << "round " << round << ", service " << s.service;
        }
        call.key.end();
    }
    for (std::uint16_t service = YOKE_SERVICE_ECHO; service <= YOKE_SERVICE_SHA256; ++service) {
        EXPECT_GT(taken.at(service), 20U) << "service " << service;
    }
}

}  // namespace
}  // namespace yoke::executive::cuda
