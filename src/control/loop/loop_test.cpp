// Sources of every kind, and sources that end inside their own callback.
#include "control/loop/loop.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "base/clock.hpp"
#include "base/fd.hpp"

namespace yoke::control {
namespace {

TEST(Loop, CallsWhenADescriptorIsReadyAndASourceMayEndItself) {
    auto loop = Loop::create();
    ASSERT_TRUE(loop);
    const Fd event(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
    int calls = 0;
    std::optional<Source> source;
    auto made = loop->on_io(event.get(), EPOLLIN, [&, mark = std::string("captured")](std::uint32_t) {
        source.reset();  // what the function has captured stays until it returns
        EXPECT_EQ(mark, "captured");
        ++calls;
    });
    ASSERT_TRUE(made);
    source = std::move(*made);
    auto end = loop->on_timer([&] { loop->exit(3); });
    ASSERT_TRUE(end);
    end->arm(now_ns() + 20'000'000);
    EXPECT_EQ(loop->run().value(), 3);
    EXPECT_EQ(calls, 1) << "the event was still there, the source was not";
}

TEST(Loop, ATimerFiresOnceUntilItIsArmedAgain) {
    auto loop = Loop::create();
    ASSERT_TRUE(loop);
    int calls = 0;
    std::optional<Source> timer;
    auto made = loop->on_timer([&] {
        if (++calls == 3) {
            loop->exit(0);
        } else {
            timer->arm(now_ns() + 1'000'000);
        }
    });
    ASSERT_TRUE(made);
    timer = std::move(*made);
    auto never = loop->on_timer([] { FAIL() << "not armed"; });
    auto disarmed = loop->on_timer([] { FAIL() << "disarmed"; });
    ASSERT_TRUE(never && disarmed);
    disarmed->arm(now_ns());
    disarmed->disarm();
    timer->arm(now_ns());
    ASSERT_TRUE(loop->run());
    EXPECT_EQ(calls, 3);
}

TEST(Loop, TakesSignals) {
    auto loop = Loop::create();
    ASSERT_TRUE(loop);
    auto source = loop->on_signal(SIGUSR2, [&](std::uint32_t number) { loop->exit(static_cast<int>(number)); });
    ASSERT_TRUE(source);
    ::kill(::getpid(), SIGUSR2);
    EXPECT_EQ(loop->run().value(), SIGUSR2);
}

TEST(Loop, RefusesADescriptorThatCannotBeWatched) {
    auto loop = Loop::create();
    ASSERT_TRUE(loop);
    EXPECT_FALSE(loop->on_io(-1, EPOLLIN, [](std::uint32_t) {}));
}

}  // namespace
}  // namespace yoke::control
