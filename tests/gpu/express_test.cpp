// Express calls through the non-stop kernel: right answers, keys that come and go, sleep, parking.
#include <openssl/evp.h>

#include "device_session.hpp"

namespace yoke::executive {
namespace {

class GpuExpress : public DeviceTest {};

// First those that the NSK must leave to the host, then those that it must execute: where each ran is asserted. A ring
// that it gave back for a moment, without need, is lent again and counted.
TEST_F(GpuExpress, HoldsOfficialVectors) {
    const auto loaded = vectors::load(vectors::default_directory());
    ASSERT_TRUE(loaded.has_value()) << loaded.error();
    start_lasting();
    std::size_t n = 0;
    for (const vectors::Case& test : loaded->cases) {
        if (!is_for_nsk(test) && test.in.size() <= YOKE_EXPRESS_BYTES_MAX) {
            ASSERT_TRUE(holds(test, YOKE_RING_EXPRESS, 64 + n % 64, YOKE_WHERE_CPU));
            ++n;
        }
    }
    kinds_.clear();
    executed_.clear();
    ASSERT_TRUE(reaches_nsk());
    std::size_t strays = 0;
    for (const vectors::Case& test : loaded->cases) {
        if (is_for_nsk(test) && test.key_error == 0) {
            ASSERT_TRUE(holds(test, YOKE_RING_EXPRESS, 64 + n % 64, 0));
            ++n;
            if (executed_[YOKE_WHERE_CPU] != strays) {
                strays = executed_[YOKE_WHERE_CPU];
                ASSERT_TRUE(reaches_nsk());
            }
        }
    }
    std::vector<Kind> kinds = device_kinds();
    std::erase_if(kinds, [](const Kind& kind) {  // those without vectors
        return kind.service == YOKE_SERVICE_ECHO || (kind.service == YOKE_SERVICE_AES_CTR && kind.decrypts);
    });
    EXPECT_TRUE(all_ran_on_device(kinds_, 0.99, kinds));
    EXPECT_GT(executed_[YOKE_WHERE_NSK], 30'000U);
    RecordProperty("on_nsk", static_cast<int>(executed_[YOKE_WHERE_NSK]));
    RecordProperty("given_back", static_cast<int>(strays));
    RecordProperty("cases", static_cast<int>(n));
    RecordProperty("kinds", text_of(kinds_));
}

TEST_F(GpuExpress, RandomCallsHold) {
    start_lasting();
    vectors::Random random(vectors::test_seed());
    const auto hold = [&](std::uint16_t service, bool wanted, int where) -> testing::AssertionResult {
        const auto test = vectors::random_case(random, service, 0, 60'000);
        if (!test) {
            return testing::AssertionFailure() << test.error();
        }
        const bool fits = test->in.size() <= YOKE_EXPRESS_BYTES_MAX && test->aux.size() <= YOKE_EXPRESS_BYTES_MAX &&
                          test->expected.size() <= YOKE_EXPRESS_BYTES_MAX;
        if (!fits || is_for_nsk(*test) != wanted) {
            return testing::AssertionSuccess();
        }
        return holds(*test, YOKE_RING_EXPRESS, 64 + vectors::random_between(random, 0, 63), where)
               << "; repeat with YOKE_TEST_SEED=" << vectors::test_seed();
    };
    const unsigned rounds = vectors::test_rounds(4000);
    for (unsigned round = 0; round < rounds / 10; ++round) {
        const std::uint16_t service = round % 2 == 0 ? YOKE_SERVICE_AES_CBC : YOKE_SERVICE_SHA256;
        ASSERT_TRUE(hold(service, false, YOKE_WHERE_CPU)) << "round " << round;
    }
    executed_.clear();
    ASSERT_TRUE(reaches_nsk());
    const unsigned in_a_row = std::max(1U, rounds / 40);  // of one service
    std::size_t strays = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        ASSERT_TRUE(hold(device_services[round / in_a_row % std::size(device_services)], true, 0)) << "round " << round;
        if (executed_[YOKE_WHERE_CPU] != strays) {
            strays = executed_[YOKE_WHERE_CPU];
            ASSERT_TRUE(reaches_nsk());
        }
    }
    EXPECT_GT(executed_[YOKE_WHERE_NSK], rounds / 2) << text_of(kinds_);
    EXPECT_LE(strays, rounds / 50);
    RecordProperty("on_nsk", static_cast<int>(executed_[YOKE_WHERE_NSK]));
    RecordProperty("given_back", static_cast<int>(strays));
    RecordProperty("kinds", text_of(kinds_));
}

// Data changes at one address, keys change under one number of places: nothing old may be read.
TEST_F(GpuExpress, ReencryptsChangedDataAtOneAddressWithChangingKeys) {
    constexpr std::size_t bytes = 256;
    const unsigned rounds = vectors::test_rounds(1'000'000);
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> cipher(EVP_CIPHER_CTX_new(),
                                                                                 &EVP_CIPHER_CTX_free);
    std::array<unsigned char, 16> raw{};
    std::array<unsigned char, bytes> expected{};
    std::uint32_t key = 0;
    std::uint64_t on_nsk = 0;
    yoke_submission s = client_->echo(0, 4096, bytes);
    s.service = YOKE_SERVICE_AES_ECB;
    for (unsigned round = 0; round < rounds; ++round) {
        if (round % 500 == 0) {
            if (key != 0) {
                ASSERT_TRUE(executive_->remove_key(session, key));
            }
            for (std::size_t i = 0; i < raw.size(); ++i) {
                raw[i] = static_cast<unsigned char>(round / 500 * 31 + i * 7);
            }
            auto made = executive_->add_key(session, *service::find(std::uint16_t{YOKE_SERVICE_AES_ECB}),
                                            std::as_bytes(std::span(raw)));
            ASSERT_TRUE(made) << made.error().message;
            key = *made;
            ASSERT_EQ(EVP_EncryptInit_ex(cipher.get(), EVP_aes_128_ecb(), nullptr, raw.data(), nullptr), 1);
            EVP_CIPHER_CTX_set_padding(cipher.get(), 0);
        }
        auto* in = reinterpret_cast<std::uint64_t*>(client_->data());
        for (std::size_t i = 0; i < bytes / 8; ++i) {
            in[i] = (round + 1) * 0x9e3779b97f4a7c15ULL + i;
        }
        std::memset(client_->data(4096), 0xa5, bytes);
        s.object = key;
        const yoke_completion done = client_->call(YOKE_RING_EXPRESS, s);
        ASSERT_EQ(done.status, 0) << round;
        on_nsk += done.where == YOKE_WHERE_NSK ? 1 : 0;
        int length = 0;
        ASSERT_EQ(EVP_EncryptUpdate(cipher.get(), expected.data(), &length, reinterpret_cast<const unsigned char*>(in),
                                    bytes),
                  1);
        ASSERT_EQ(std::memcmp(client_->data(4096), expected.data(), bytes), 0) << "round " << round;
    }
    EXPECT_GT(on_nsk, rounds - rounds / 10);
    RecordProperty("on_nsk", std::to_string(on_nsk));
}

TEST_F(GpuExpress, ParksWhenIdleAndComesBack) {
    for (int round = 0; round < 20; ++round) {
        yoke_completion done{};
        for (int i = 0; i < 200 && done.where != YOKE_WHERE_NSK; ++i) {
            fill(client_->data(), 4096, static_cast<unsigned>(round));
            std::memset(client_->data(8192), 0xa5, 4096);
            done = client_->call(YOKE_RING_EXPRESS, client_->echo(0, 8192, 4096));
            ASSERT_EQ(done.status, 0);
            ASSERT_EQ(std::memcmp(client_->data(), client_->data(8192), 4096), 0);
        }
        ASSERT_EQ(done.where, YOKE_WHERE_NSK);
        for (int i = 0; i < 1000 && executive_->device().resident; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        ASSERT_FALSE(executive_->device().resident);
    }
    EXPECT_EQ(executive_->device().launches, 20U);
}

TEST_F(GpuExpress, WakesAClientThatSleeps) {
    for (int round = 0; round < 2000; ++round) {
        fill(client_->data(), 1024, static_cast<unsigned>(round));
        std::memset(client_->data(8192), 0xa5, 1024);
        const std::int64_t position = client_->express->submit(client_->echo(0, 8192, 1024), nullptr);
        ASSERT_GE(position, 0);
        yoke_completion done{};
        ASSERT_TRUE(client_->wait(YOKE_RING_EXPRESS, static_cast<std::uint64_t>(position), done, 0)) << round;
        ASSERT_EQ(done.status, 0);
        ASSERT_EQ(std::memcmp(client_->data(), client_->data(8192), 1024), 0);
    }
}

TEST_F(GpuExpress, GivesBackWhatItDoesNotServe) {
    const auto key = executive_->add_key(session, *service::find(std::uint16_t{YOKE_SERVICE_AES_CBC}),
                                         std::vector<std::byte>(16, std::byte{1}));
    ASSERT_TRUE(key);
    for (unsigned round = 0; round < vectors::test_rounds(300); ++round) {
        yoke_submission s = client_->echo(0, 8192, 64);
        ASSERT_EQ(client_->call(YOKE_RING_EXPRESS, s).status, 0);
        s.opcode = 77;
        ASSERT_EQ(client_->call(YOKE_RING_EXPRESS, s).status, -YOKE_ENOSYS);
        s = client_->echo(0, 8192, 64);
        s.out_offset = client_->layout().arena_bytes;
        ASSERT_EQ(client_->call(YOKE_RING_EXPRESS, s).status, -YOKE_EFAULT);
        s = client_->echo(0, 32, 64);
        ASSERT_EQ(client_->call(YOKE_RING_EXPRESS, s).status, -YOKE_EINVAL);
        s = client_->echo(0, 8192, 64);
        s.deadline_ns = 1;
        ASSERT_EQ(client_->call(YOKE_RING_EXPRESS, s).status, -YOKE_ETIME);
        s = client_->echo(0, 8192, 64);
        s.service = YOKE_SERVICE_AES_CBC;
        s.object = *key + 1;
        const std::array<std::byte, YOKE_PAYLOAD_BYTES> params{};
        ASSERT_EQ(client_->call(YOKE_RING_EXPRESS, s, params.data()).status, -YOKE_ENOKEY);
    }
}

}  // namespace
}  // namespace yoke::executive
