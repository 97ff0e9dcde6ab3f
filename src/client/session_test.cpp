// Sessions without a worker (YOKE_OPEN_LOCAL), through the C interface: everything that a caller sees before a worker
// is involved. Calls through a real worker are tested in tests/client_test.cpp.
#include "client/session.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <yoke/yoke.h>

namespace {

using testing::HasSubstr;

constexpr std::array<std::uint8_t, 32> digest_of_abc = {
    0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};

class LocalSession : public testing::Test {
   protected:
    void SetUp() override { open(yoke_options{}); }
    void TearDown() override { yoke_close(session_); }

    void open(yoke_options options) {
        yoke_close(session_);
        session_ = nullptr;
        options.flags = YOKE_OPEN_LOCAL;
        ASSERT_EQ(yoke_open(&session_, &options), 0) << yoke_error(nullptr);
    }
    template <typename T = std::uint8_t>
    T* allocate(std::size_t bytes) {
        void* memory = nullptr;
        EXPECT_EQ(yoke_alloc(session_, bytes, &memory), 0) << yoke_error(session_);
        return static_cast<T*>(memory);
    }
    static yoke_call echo(const void* in, void* out, std::size_t bytes) {
        yoke_call call{};
        call.service = YOKE_SERVICE_ECHO;
        call.in = in;
        call.in_length = bytes;
        call.out = out;
        call.out_length = bytes;
        return call;
    }

    yoke_session* session_ = nullptr;
};

TEST_F(LocalSession, ComputesInTheCaller) {
    yoke_call call{};
    std::array<std::uint8_t, 32> digest{};
    call.service = YOKE_SERVICE_SHA256;
    call.in = "abc";
    call.in_length = 3;
    call.out = digest.data();
    call.out_length = digest.size();
    yoke_result result{};
    ASSERT_EQ(yoke_call_sync(session_, &call, &result), 0) << yoke_error(session_);
    EXPECT_EQ(digest, digest_of_abc);
    EXPECT_EQ(result.where, YOKE_WHERE_CALLER);
    EXPECT_EQ(result.why, YOKE_WHY_ONLY);
    EXPECT_EQ(result.out_length, 32U);
    call.place = YOKE_PLACE_CALLER;
    ASSERT_EQ(yoke_call_sync(session_, &call, &result), 0);
    EXPECT_EQ(result.why, YOKE_WHY_ASKED);
}

TEST_F(LocalSession, HasNoWorker) {
    auto* memory = allocate(128);
    yoke_call call = echo(memory, memory + 64, 64);
    call.place = YOKE_PLACE_WORKER;
    yoke_result result{};
    EXPECT_EQ(yoke_call_sync(session_, &call, &result), -ENOTCONN);
    EXPECT_EQ(result.status, -ENOTCONN);
    EXPECT_EQ(yoke_open_graph(session_, "/g"), -ENOTCONN);
    EXPECT_THAT(yoke_error(session_), HasSubstr("YOKE_OPEN_LOCAL"));
    EXPECT_EQ(yoke_push(session_, 1, memory, 64, 0, 0, nullptr), -ENOTCONN);
}

TEST_F(LocalSession, RefusesWhatIsNeverValid) {
    auto* memory = allocate(4096);
    yoke_result result{};
    yoke_call call = echo(memory, memory + 2048, 64);
    call.service = 999;
    EXPECT_EQ(yoke_call_sync(session_, &call, &result), -ENOSYS);
    EXPECT_EQ(result.detail, YOKE_MEMBER_SERVICE);
    call = echo(memory, memory + 2048, 64);
    call.place = 3;
    EXPECT_EQ(yoke_call_sync(session_, &call, &result), -EINVAL);
    call = echo(memory, memory + 2048, 64);
    call.flags = YOKE_FLAG_END;
    EXPECT_EQ(yoke_call_sync(session_, &call, &result), -EINVAL);
    EXPECT_EQ(result.detail, YOKE_MEMBER_FLAGS);
    call = echo(nullptr, memory, 64);
    EXPECT_EQ(yoke_call_sync(session_, &call, &result), -EINVAL);
    EXPECT_EQ(result.detail, YOKE_MEMBER_INPUT);
    call = echo(memory, memory + 2048, 64);
    call.in_length = YOKE_CALL_BYTES_MAX + 1ULL;
    EXPECT_EQ(yoke_call_sync(session_, &call, &result), -EMSGSIZE);
    call = echo(memory, memory + 2048, 64);
    call.out_length = 63;
    EXPECT_EQ(yoke_call_sync(session_, &call, &result), -EMSGSIZE);
    EXPECT_EQ(result.out_length, 64U);
    EXPECT_THAT(yoke_error(session_), HasSubstr("64 bytes"));
    EXPECT_EQ(yoke_call_sync(session_, nullptr, nullptr), -EINVAL);
    EXPECT_EQ(yoke_call_sync(nullptr, &call, nullptr), -EINVAL);
}

TEST_F(LocalSession, RefusesOverlapAndOffersTheBounce) {
    auto* memory = allocate(256);
    for (int k = 0; k < 256; k++) {
        memory[k] = static_cast<std::uint8_t>(k);
    }
    yoke_result result{};
    yoke_call call = echo(memory, memory + 32, 64);
    EXPECT_EQ(yoke_call_sync(session_, &call, &result), -EINVAL);
    EXPECT_EQ(result.detail, YOKE_MEMBER_OVERLAP);
    EXPECT_THAT(yoke_error(session_), HasSubstr("yoke_call_inplace"));
    EXPECT_EQ(yoke_call_inplace(session_, &call, &result), 0) << yoke_error(session_);
    for (int k = 0; k < 64; k++) {
        EXPECT_EQ(memory[32 + k], k);
    }
    yoke_session_info info{};
    ASSERT_EQ(yoke_info(session_, &info), 0);
    EXPECT_EQ(info.arena_free, info.arena_bytes - 256) << "the bounce memory was not given back";
}

TEST_F(LocalSession, KeysAreCheckedAndBelongToOneService) {
    std::array<std::uint8_t, 64> bytes{};
    yoke_key* key = nullptr;
    EXPECT_EQ(yoke_key_create(session_, YOKE_SERVICE_AES_CTR, bytes.data(), 20, &key), -EKEYREJECTED);
    EXPECT_EQ(key, nullptr);
    EXPECT_EQ(yoke_key_create(session_, YOKE_SERVICE_AES_XTS, bytes.data(), 64, &key), -EKEYREJECTED) << "equal halves";
    EXPECT_EQ(yoke_key_create(session_, YOKE_SERVICE_ECHO, bytes.data(), 32, &key), -ENOSYS);
    EXPECT_EQ(yoke_key_create(session_, 999, bytes.data(), 32, &key), -ENOSYS);
    ASSERT_EQ(yoke_key_create(session_, YOKE_SERVICE_AES_CTR, bytes.data(), 32, &key), 0) << yoke_error(session_);

    auto* memory = allocate(256);
    yoke_call call = echo(memory, memory + 128, 64);
    call.service = YOKE_SERVICE_AES_ECB;
    EXPECT_EQ(yoke_call_sync(session_, &call, nullptr), -ENOKEY);
    call.key = key;
    EXPECT_EQ(yoke_call_sync(session_, &call, nullptr), -ENOKEY) << "a key of another service";
    call.service = YOKE_SERVICE_AES_CTR;
    yoke_params_aes_iv params{};
    call.params = &params;
    EXPECT_EQ(yoke_call_sync(session_, &call, nullptr), 0) << yoke_error(session_);
    EXPECT_EQ(yoke_key_destroy(session_, key), 0);
    EXPECT_EQ(yoke_key_destroy(session_, key), -EINVAL);
    EXPECT_EQ(yoke_key_destroy(session_, nullptr), 0);
}

TEST_F(LocalSession, FreesOnlyWhatItGave) {
    auto* memory = allocate(100);
    int mine = 0;
    EXPECT_EQ(yoke_free(session_, &mine), -EINVAL);
    EXPECT_EQ(yoke_free(session_, memory + 64), -EINVAL);
    EXPECT_EQ(yoke_free(session_, nullptr), 0);
    EXPECT_EQ(yoke_free(session_, memory), 0);
    EXPECT_EQ(yoke_free(session_, memory), -EINVAL);
    void* none = nullptr;
    EXPECT_EQ(yoke_alloc(session_, 0, &none), -EINVAL);
    EXPECT_EQ(yoke_alloc(session_, 1ULL << 40, &none), -ENOMEM);
    EXPECT_THAT(yoke_error(session_), HasSubstr("arena_bytes"));
}

struct Ends {
    std::vector<std::pair<yoke_ticket, int>> seen;
    static void note(void* user, yoke_ticket ticket, const yoke_result* result) {
        static_cast<Ends*>(user)->seen.emplace_back(ticket, result->status);
    }
};

TEST_F(LocalSession, ReportsEndsByCallbackOrByWait) {
    auto* memory = allocate(256);
    const yoke_call call = echo(memory, memory + 128, 64);
    Ends ends;
    yoke_ticket with = 0;
    yoke_ticket without = 0;
    ASSERT_EQ(yoke_submit(session_, &call, Ends::note, &ends, &with), 0);
    ASSERT_EQ(yoke_submit(session_, &call, nullptr, nullptr, &without), 0);
    EXPECT_TRUE(ends.seen.empty()) << "a callback must not be called from yoke_submit";
    yoke_result result{};
    EXPECT_EQ(yoke_wait(session_, with, 0, &result), -EINVAL);
    EXPECT_EQ(yoke_dispatch(session_, 0), 1);
    EXPECT_THAT(ends.seen, testing::ElementsAre(std::pair(with, 0)));
    EXPECT_EQ(yoke_wait(session_, with, 0, &result), -ENOENT);
    EXPECT_EQ(yoke_wait(session_, without, 0, &result), 0);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(yoke_wait(session_, without, 0, &result), -ENOENT);
    EXPECT_EQ(yoke_cancel(session_, without), -ENOENT);
    EXPECT_EQ(yoke_dispatch(session_, UINT64_MAX), 0) << "nothing in flight: nothing to wait for";
}

TEST_F(LocalSession, TakesNoMoreCallsThanItHasTickets) {
    open({.socket = nullptr, .arena_bytes = 1U << 20, .express_slots = 2, .bulk_slots = 2, .flags = 0});
    auto* memory = allocate(256);
    const yoke_call call = echo(memory, memory + 128, 64);
    std::array<yoke_ticket, 4> tickets{};
    for (yoke_ticket& ticket : tickets) {
        ASSERT_EQ(yoke_submit(session_, &call, nullptr, nullptr, &ticket), 0);
    }
    yoke_ticket more = 0;
    EXPECT_EQ(yoke_submit(session_, &call, nullptr, nullptr, &more), -EAGAIN);
    EXPECT_EQ(yoke_call_sync(session_, &call, nullptr), 0);
    EXPECT_EQ(yoke_wait(session_, tickets[1], 0, nullptr), 0);
    EXPECT_EQ(yoke_submit(session_, &call, nullptr, nullptr, &more), 0);
}

struct Chain {
    yoke_session* session = nullptr;
    yoke_call call{};
    int left = 0;
    int nested = 0;
    static void next(void* user, yoke_ticket, const yoke_result*) {
        auto* chain = static_cast<Chain*>(user);
        chain->nested = yoke_dispatch(chain->session, 0);
        if (chain->left-- > 0) {
            EXPECT_EQ(yoke_submit(chain->session, &chain->call, next, user, nullptr), 0);
        }
    }
};

TEST_F(LocalSession, ACallbackMaySubmitButNotDispatch) {
    auto* memory = allocate(256);
    Chain chain{.session = session_, .call = echo(memory, memory + 128, 64), .left = 5};
    ASSERT_EQ(yoke_submit(session_, &chain.call, Chain::next, &chain, nullptr), 0);
    EXPECT_EQ(yoke_dispatch(session_, 0), 6);
    EXPECT_EQ(chain.nested, -EDEADLK);
}

TEST_F(LocalSession, AChildOfForkHasNoSessionUntilItOpensOne) {
    auto* memory = allocate(256);
    const yoke_call call = echo(memory, memory + 128, 64);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        int failures = yoke_call_sync(session_, &call, nullptr) != -ECHILD;
        failures += yoke_free(session_, memory) != -ECHILD;
        yoke_session* own = nullptr;
        const yoke_options options{
            .socket = nullptr, .arena_bytes = 0, .express_slots = 0, .bulk_slots = 0, .flags = YOKE_OPEN_LOCAL};
        failures += yoke_open(&own, &options) != 0;
        std::array<std::uint8_t, 128> own_memory{};
        yoke_call own_call = call;
        own_call.in = own_memory.data();
        own_call.out = own_memory.data() + 64;
        failures += yoke_call_sync(own, &own_call, nullptr) != 0;
        failures += yoke_call_sync(session_, &call, nullptr) != -ECHILD;
        yoke_close(own);
        yoke_close(session_);
        ::_exit(failures);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(yoke_call_sync(session_, &call, nullptr), 0) << "the parent's session goes on";
}

TEST(Open, NamesWhatIsWrong) {
    yoke_session* session = nullptr;
    yoke_options options{};
    options.flags = 0x80;
    EXPECT_EQ(yoke_open(&session, &options), -EINVAL);
    options.flags = YOKE_OPEN_LOCAL;
    options.express_slots = 3;
    EXPECT_EQ(yoke_open(&session, &options), -EINVAL);
    EXPECT_THAT(yoke_error(nullptr), HasSubstr("3 slots"));
    options = {};
    options.socket = "/nonexistent/yoke.sock";
    EXPECT_EQ(yoke_open(&session, &options), -ENOTCONN);
    EXPECT_THAT(yoke_error(nullptr), HasSubstr("/nonexistent/yoke.sock"));
    EXPECT_EQ(session, nullptr);
    EXPECT_EQ(yoke_open(nullptr, &options), -EINVAL);
    yoke_close(nullptr);
    EXPECT_STREQ(yoke_version(), "0.1.0");
}

}  // namespace
