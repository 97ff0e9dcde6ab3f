// libyoke against a real yoked and a real worker: calls, callbacks, cancel, close, keys, fork.
#include <sys/wait.h>
#include <optional>
#include <vector>

#include "support/client.hpp"

namespace yoke::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using Client = ClientTest;

TEST_F(Client, TheWorkerComputesWhatTheCallerComputes) {
    Session session(options_for(instance_));
    const Key key = session.key(YOKE_SERVICE_AES_XTS, key_bytes());
    for (const std::size_t bytes : {16UL, 48UL, 512UL, 4096UL, 30'000UL, 65'536UL, 1'000'000UL, 4UL << 20U}) {
        Buffer in = session.alloc(bytes);
        Buffer here = session.alloc(bytes);
        Buffer there = session.alloc(bytes);
        fill(in, bytes);
        const auto params = xts(bytes);
        const auto call = [&](Buffer& out) { return Call(YOKE_SERVICE_AES_XTS, in, out).key(key).params(params); };
        const yoke_result mine = session.call(call(here).place(YOKE_PLACE_CALLER));
        const yoke_result theirs = session.call(call(there).place(YOKE_PLACE_WORKER));
        EXPECT_EQ(mine.where, YOKE_WHERE_CALLER);
        EXPECT_EQ(theirs.where, YOKE_WHERE_CPU);
        EXPECT_EQ(theirs.out_length, bytes);
        ASSERT_TRUE(std::ranges::equal(here.bytes(), there.bytes())) << bytes;
        session.call(
            Call(YOKE_SERVICE_AES_XTS, there, here).key(key).params(params).decrypt().place(YOKE_PLACE_WORKER));
        ASSERT_TRUE(std::ranges::equal(in.bytes(), here.bytes())) << bytes;
        Buffer digest_here = session.alloc(32);
        Buffer digest_there = session.alloc(32);
        session.call(Call(YOKE_SERVICE_SHA256, in, digest_here).place(YOKE_PLACE_CALLER));
        session.call(Call(YOKE_SERVICE_SHA256, in, digest_there).place(YOKE_PLACE_WORKER));
        ASSERT_TRUE(std::ranges::equal(digest_here.bytes(), digest_there.bytes())) << bytes;
    }
    const yoke_session_info info = session.info();
    EXPECT_EQ(info.in_flight, 0U);
    EXPECT_EQ(info.reconnects, 0U);
    EXPECT_EQ(info.quarantined, 0U);
    EXPECT_EQ(info.fallbacks, 0U);
}

TEST_F(Client, RefusesTheSameCallsInBothPlaces) {
    Session session(options_for(instance_));
    Buffer memory = session.alloc(4096);
    for (const yoke_place place : {YOKE_PLACE_CALLER, YOKE_PLACE_WORKER}) {
        const auto status = [&](const Call& call) {
            const yoke_call raw = call.raw();
            return yoke_call_sync(session.get(), &raw, nullptr);
        };
        EXPECT_EQ(status(Call(999, memory, {}).place(place)), -ENOSYS);
        EXPECT_EQ(status(Call(YOKE_SERVICE_ECHO, memory, memory).place(place)), -EINVAL);
        EXPECT_EQ(
            status(Call(YOKE_SERVICE_SHA256, memory.bytes().first(64), memory.bytes().subspan(64, 31)).place(place)),
            -EMSGSIZE);
        EXPECT_EQ(
            status(Call(YOKE_SERVICE_AES_ECB, memory.bytes().first(64), memory.bytes().subspan(64, 64)).place(place)),
            -ENOKEY);
    }
    std::array<std::byte, 64> outside{};
    const yoke_call call = Call(YOKE_SERVICE_ECHO, outside, memory).place(YOKE_PLACE_WORKER).raw();
    yoke_result result{};
    EXPECT_EQ(yoke_call_sync(session.get(), &call, &result), -EFAULT);
    EXPECT_EQ(result.detail, YOKE_MEMBER_INPUT);
    EXPECT_THAT(yoke_error(session.get()), HasSubstr("yoke_alloc"));
}

TEST_F(Client, BouncesInPlaceCalls) {
    Session session(options_for(instance_));
    const Key key = session.key(YOKE_SERVICE_AES_XTS, key_bytes());
    Buffer memory = session.alloc(100'000);
    fill(memory, 5);
    const std::uint64_t free_before = session.info().arena_free;
    const std::vector<std::byte> plain(memory.bytes().begin(), memory.bytes().end());
    const auto call = Call(YOKE_SERVICE_AES_XTS, memory, memory).key(key).params(xts(0)).place(YOKE_PLACE_WORKER);
    session.call_inplace(call);
    EXPECT_FALSE(std::ranges::equal(memory.bytes(), plain));
    session.call_inplace(Call(call).decrypt());
    EXPECT_TRUE(std::ranges::equal(memory.bytes(), plain));
    EXPECT_EQ(session.info().arena_free, free_before) << "the bounce memory was not given back";
}

TEST_F(Client, ThousandsInFlightEndOnceEach) {
    yoke_options options = options_for(instance_);
    options.express_slots = 16;
    options.bulk_slots = 8;
    Session session(options);
    constexpr std::size_t places = 64;
    constexpr std::size_t block = 96 * 1024;  // larger than the express ring takes
    Buffer in = session.alloc(block);
    Buffer out = session.alloc(places * block);
    fill(in, 7);
    std::vector<int> busy(places, 0);
    int ended = 0;
    int submitted = 0;
    while (ended < 3000) {
        for (std::size_t k = 0; k < places && submitted < 3000; k++) {
            if (busy[k] != 0) {
                continue;
            }
            const std::size_t bytes = submitted % 3 == 0 ? block : 64;
            const auto target = out.bytes().subspan(k * block, bytes);
            try {
                session.submit(Call(YOKE_SERVICE_ECHO, in.bytes().first(bytes), target).place(YOKE_PLACE_WORKER),
                               [&, k, target](const yoke_result& result) {
                                   EXPECT_EQ(result.status, 0);
                                   EXPECT_EQ(result.out_length, target.size());
                                   EXPECT_TRUE(std::ranges::equal(target, in.bytes().first(target.size())));
                                   std::ranges::fill(target, std::byte{0});
                                   EXPECT_EQ(busy[k]--, 1);
                                   ended++;
                               });
                busy[k]++;
                submitted++;
            } catch (const error& failure) {
                ASSERT_EQ(failure.code(), EAGAIN) << failure.what();
                break;
            }
        }
        session.dispatch(10s);
    }
    EXPECT_EQ(session.info().in_flight, 0U);
}

TEST_F(Client, CancelEndsEarlyOrNotAtAll) {
    Session session(options_for(instance_));
    Buffer in = session.alloc(1U << 20U);
    Buffer out = session.alloc(1U << 20U);
    fill(in, 2);
    yoke_ticket first = 0;
    yoke_ticket second = 0;
    {
        const Stopped stopped(worker(session));
        first = session.submit(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER));
        second = session.submit(
            Call(YOKE_SERVICE_ECHO, in.bytes().first(64), out.bytes().first(64)).place(YOKE_PLACE_WORKER));
        EXPECT_FALSE(session.wait(first, 0ns));
        EXPECT_FALSE(session.wait(second, 1ms));
        session.cancel(first);
        session.cancel(second);
        EXPECT_FALSE(session.wait(first, 0ns)) << "a cancelled call ends when its executor says so";
    }
    for (const yoke_ticket ticket : {first, second}) {
        const auto result = session.wait(ticket, 60s);
        ASSERT_TRUE(result);
        EXPECT_TRUE(result->status == -ECANCELED || result->status == 0) << result->status;
    }
    EXPECT_THROW(session.cancel(first), error);
}

TEST_F(Client, CloseWithCallsInFlightDisturbsNobody) {
    Session other(options_for(instance_));
    Buffer in = other.alloc(4096);
    Buffer out = other.alloc(4096);
    {
        Session opened(options_for(instance_));
        Session session(std::move(opened));
        Buffer mine = session.alloc(8U << 20U);
        const Stopped stopped(worker(session));
        for (std::size_t k = 0; k < 20; k++) {
            session.submit(Call(YOKE_SERVICE_ECHO, mine.bytes().first(4096 * (k + 1)),
                                mine.bytes().subspan(4U << 20U, 4096 * (k + 1)))
                               .place(YOKE_PLACE_WORKER),
                           [](const yoke_result&) { ADD_FAILURE() << "called after close"; });
        }
    }
    fill(in, 9);
    for (int k = 0; k < 100; k++) {
        other.call(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER));
        ASSERT_TRUE(std::ranges::equal(in.bytes(), out.bytes()));
    }
}

TEST_F(Client, AKeyDestroyedInFlightStillServesItsCalls) {
    Session session(options_for(instance_));
    Buffer in = session.alloc(65536);
    Buffer out = session.alloc(65536);
    Buffer expected = session.alloc(65536);
    fill(in, 3);
    yoke_ticket ticket = 0;
    {
        std::optional<Key> key(session.key(YOKE_SERVICE_AES_XTS, key_bytes()));
        session.call(Call(YOKE_SERVICE_AES_XTS, in, expected).key(*key).params(xts(0)).place(YOKE_PLACE_CALLER));
        const Stopped stopped(worker(session));
        ticket = session.submit(Call(YOKE_SERVICE_AES_XTS, in, out).key(*key).params(xts(0)).place(YOKE_PLACE_WORKER));
        key.reset();
    }
    const auto result = session.wait(ticket, 60s);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, 0);
    EXPECT_TRUE(std::ranges::equal(out.bytes(), expected.bytes()));
}

TEST_F(Client, AChildOfForkOpensItsOwnSession) {
    Session session(options_for(instance_));
    Buffer in = session.alloc(64);
    Buffer out = session.alloc(64);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const yoke_call call = Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER).raw();
        int failures = yoke_call_sync(session.get(), &call, nullptr) != -ECHILD;
        yoke_close(session.get());
        try {
            Session own(options_for(instance_));
            Buffer mine = own.alloc(128);
            own.call(
                Call(YOKE_SERVICE_ECHO, mine.bytes().first(64), mine.bytes().subspan(64)).place(YOKE_PLACE_WORKER));
        } catch (const error&) {
            failures += 2;
        }
        ::_exit(failures);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    for (int k = 0; k < 100; k++) {
        EXPECT_EQ(session.call(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER)).status, 0);
    }
}

TEST_F(Client, AsksTheDaemon) {
    char* answer = nullptr;
    ASSERT_EQ(yoke_ask_daemon(instance_.socket().c_str(), 0, R"({"op": "status"})", &answer), 0) << yoke_error(nullptr);
    EXPECT_THAT(answer, HasSubstr("\"version\""));
    std::free(answer);
    EXPECT_EQ(yoke_ask_daemon(instance_.socket().c_str(), 0, R"({"op": "nonsense"})", &answer), -ENOSYS);
    EXPECT_EQ(answer, nullptr);
    EXPECT_EQ(yoke_ask_daemon(instance_.socket().c_str(), 0, "no JSON", &answer), -EBADMSG);
}

TEST_F(Client, ExceptionsOfCallbacksReachTheCaller) {
    Session session(options_for(instance_));
    Buffer memory = session.alloc(128);
    session.submit(
        Call(YOKE_SERVICE_ECHO, memory.bytes().first(64), memory.bytes().subspan(64)).place(YOKE_PLACE_WORKER),
        [](const yoke_result&) { throw std::runtime_error("from the callback"); });
    EXPECT_THROW(session.dispatch(60s), std::runtime_error);
    EXPECT_EQ(session.dispatch(0ns), 0);
}

}  // namespace
}  // namespace yoke::test
