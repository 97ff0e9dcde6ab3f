// Pipes, and moves of datablocks between graphs: order, ends, deaths, and that nothing is copied.
#include <atomic>
#include <thread>

#include "graph/test_builder.hpp"

namespace yoke::graph {
namespace {

constexpr std::size_t items = 16;
constexpr std::uint32_t writer = 1;
constexpr std::uint32_t reader = 2;

class MoveTest : public testing::Test {
   protected:
    MoveTest() {
        add_test_functions(device_);
        add_port_functions(device_);
    }

    std::uint32_t open_pipe(const std::string& name, std::uint32_t session, std::uint32_t capacity = 4) {
        auto opened = runtime_->open_pipe(session, {name, {"i32", {items, 1, 1}, 0}, false, capacity});
        EXPECT_TRUE(opened) << opened.error().message;
        return opened ? opened->channel : 0;
    }

    device::HostDevice device_;
    TestRuntime runtime_{device_};
};

TEST_F(MoveTest, APipeBelongsToAllWhoOpenedIt) {
    const auto id = open_pipe("/pipe-1", writer);
    EXPECT_EQ(open_pipe("/pipe-1", reader), id);
    EXPECT_EQ(runtime_.push(id, iota(items, 1), 0, 0, writer)->wait().status, 0);
    EXPECT_EQ(runtime_.push(id, iota(items, 2), 0, 0, 3)->wait().status, -YOKE_EACCES) << "it has not opened it";
    const auto other = runtime_->open_pipe(3, {"/pipe-1", {"i32", {items + 1, 1, 1}, 0}, false, 4});
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, EEXIST);
    EXPECT_TRUE(runtime_->close_pipe(writer, "/pipe-1"));
    const auto pull = runtime_.pull(id, items, 0, reader);
    EXPECT_EQ(pull->wait().status, 0);
    EXPECT_EQ(pull->values, iota(items, 1));
    EXPECT_EQ(runtime_->close_pipe(writer, "/pipe-1").error().code, ENOENT);
    EXPECT_TRUE(runtime_->close_pipe(reader, "/pipe-1"));
    EXPECT_EQ(runtime_.pull(id, items, 0, reader)->wait().status, -ENOENT);
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_F(MoveTest, APipeOutlivesOneOfItsSessions) {
    const auto id = open_pipe("/pipe-1", writer);
    open_pipe("/pipe-1", reader);
    EXPECT_EQ(runtime_.push(id, iota(items, 7), YOKE_FLAG_END, 0, writer)->wait().status, 0);
    runtime_->disown(writer);
    runtime_->forget(writer);
    const auto pull = runtime_.pull(id, items, 0, reader);
    EXPECT_EQ(pull->wait().status, 0);
    EXPECT_EQ(pull->values, iota(items, 7));
    EXPECT_EQ(pull->wait().signal, YOKE_SIGNAL_BEGIN | YOKE_SIGNAL_END);
    EXPECT_EQ(runtime_.pull(id, items, 0, reader)->wait().status, -YOKE_ENODATA);
    runtime_->disown(reader);
    runtime_->forget(reader);
    EXPECT_TRUE(runtime_->inventory()["graphs"].empty());
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

// Who has opened a pipe has it until he closes it, whoever else comes and goes.
TEST_F(MoveTest, APipeIsOpenedAndClosedFromManyThreads) {
    constexpr int rounds = 300;
    std::atomic<int> opened{0};
    std::vector<std::thread> threads;
    for (const std::uint32_t session : {1U, 2U, 3U}) {
        threads.emplace_back([&, session] {
            for (int i = 0; i < rounds; ++i) {
                const auto pipe = runtime_->open_pipe(session, {"/pipe-1", {"i32", {items, 1, 1}, 0}, false, 4});
                if (!pipe) {
                    EXPECT_EQ(pipe.error().code, EAGAIN) << pipe.error().message;
                    continue;
                }
                ++opened;
                EXPECT_EQ(runtime_.pull_with(pipe->channel, items, YOKE_FLAG_NOWAIT, session)->wait().status,
                          -YOKE_ETIME);
                const auto closed = runtime_->close_pipe(session, "/pipe-1");
                EXPECT_TRUE(closed) << closed.error().message;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_GT(opened, 0);
    EXPECT_TRUE(runtime_->inventory()["graphs"].empty());
}

// A pipe that could not be opened takes nobody along who has opened it in the meantime, and its name is free again.
TEST_F(MoveTest, OpeningAPipeWronglyLeavesItToOthers) {
    constexpr int rounds = 200;
    std::atomic<bool> over{false};
    std::thread wrong([&] {
        while (!over) {
            EXPECT_FALSE(runtime_->open_pipe(9, {"/pipe-1", {"i32", {0, 1, 1}, 0}, false, 4}));
        }
    });
    for (int i = 0; i < rounds; ++i) {
        const auto pipe = runtime_->open_pipe(1, {"/pipe-1", {"i32", {items, 1, 1}, 0}, false, 4});
        if (!pipe) {
            EXPECT_EQ(pipe.error().code, EAGAIN) << pipe.error().message;
            continue;
        }
        EXPECT_EQ(runtime_.pull_with(pipe->channel, items, YOKE_FLAG_NOWAIT)->wait().status, -YOKE_ETIME);
        EXPECT_TRUE(runtime_->close_pipe(1, "/pipe-1"));
    }
    over = true;
    wrong.join();
    EXPECT_TRUE(runtime_->inventory()["graphs"].empty());
}

TEST_F(MoveTest, NamesOfPipesAndGraphsAreOne) {
    ASSERT_TRUE(runtime_->open_graph(writer, "/g"));
    EXPECT_EQ(runtime_->open_pipe(writer, {"/g", {"u8", {1, 1, 1}, 0}, false, 1}).error().code, EEXIST);
    open_pipe("/pipe-1", writer);
    EXPECT_EQ(runtime_->open_graph(writer, "/pipe-1").error().code, EEXIST);
    EXPECT_EQ(runtime_->run_graph(writer, "/pipe-1").error().code, EINVAL);
    EXPECT_EQ(runtime_->terminate_graph(writer, "/pipe-1").error().code, EINVAL);
    EXPECT_EQ(runtime_->open_channel(writer, {"/pipe-1/x", std::nullopt, "/pipe-1/p:in", 1}).error().code, EINVAL);
    EXPECT_EQ(runtime_->open_pipe(writer, {"pipe", {"u8", {1, 1, 1}, 0}, false, 1}).error().code, EINVAL);
    EXPECT_EQ(runtime_->open_pipe(writer, {"/pipe-2", {"u8", {1, 1, 1}, 0}, false, 0}).error().code, EINVAL);
    EXPECT_EQ(runtime_->open_pipe(writer, {"/pipe-2", {"u8", {0, 1, 1}, 0}, false, 1}).error().code, EINVAL);
    EXPECT_EQ(runtime_->inventory()["graphs"].size(), 2U) << "what failed is gone";
}

// push | graph a | pipe | graph b | pull, as two processes of a pipeline do it.
TEST_F(MoveTest, GraphsOfTwoSessionsPassDatablocksOnWithoutCopies) {
    for (const std::uint32_t capacity : {1U, 2U, 8U}) {
        const auto [a_in, a_out] = runtime_.open_chain("/a", 2, items, capacity, 1, writer);
        const auto [b_in, b_out] = runtime_.open_chain("/b", 2, items, capacity, 10, reader);
        const auto pipe = open_pipe("/pipe-1", writer, capacity);
        open_pipe("/pipe-1", reader, capacity);
        constexpr int rounds = 50;
        std::vector<std::shared_ptr<Flight>> moves;
        std::vector<std::shared_ptr<Flight>> pushes;
        std::vector<std::shared_ptr<Flight>> pulls;
        for (int r = 0; r < rounds; ++r) {
            pushes.push_back(runtime_.push(a_in, iota(items, r), r + 1 == rounds ? YOKE_FLAG_END : 0, 0, writer));
            moves.push_back(runtime_.move(a_out, pipe, writer));
            moves.push_back(runtime_.move(pipe, b_in, reader));
            pulls.push_back(runtime_.pull(b_out, items, 0, reader));
        }
        for (int r = 0; r < rounds; ++r) {
            const auto& pull = pulls[static_cast<std::size_t>(r)];
            ASSERT_EQ(pull->wait().status, 0) << r;
            ASSERT_EQ(pull->values, iota(items, r + 2 + 20)) << r;
        }
        for (std::size_t m = 0; m < moves.size(); ++m) {
            ASSERT_EQ(moves[m]->wait().status, 0);
            EXPECT_EQ(moves[m]->wait().sequence, m / 2);
            EXPECT_EQ(moves[m]->wait().out_length, items * 4);
        }
        EXPECT_NE(moves.back()->wait().signal & YOKE_SIGNAL_END, 0);
        EXPECT_EQ(runtime_.pull(b_out, items, 0, reader)->wait().status, -YOKE_ENODATA);
        EXPECT_EQ(runtime_.move(pipe, b_in, reader)->wait().status, -YOKE_EPIPE);
        for (const std::string channel : {"/pipe-1/records", "/a/out", "/b/in"}) {
            EXPECT_EQ(runtime_.find("channels", channel)["copies"].get<int>(), 0) << channel;
        }
        runtime_->forget(writer);
        runtime_->forget(reader);
        EXPECT_EQ(runtime_->datablocks(), 0U);
    }
}

TEST_F(MoveTest, WaitsForRoomAndForDatablocks) {
    const auto [in, out] = runtime_.open_chain("/a", 1, items, 1, 1);
    const auto pipe = open_pipe("/pipe-1", 1, 1);
    const auto first = runtime_.move(out, pipe);
    EXPECT_FALSE(first->over());
    const auto second = runtime_.move(out, pipe);
    EXPECT_EQ(runtime_.push(in, iota(items, 1))->wait().status, 0);
    EXPECT_EQ(first->wait().status, 0);
    EXPECT_EQ(runtime_.push(in, iota(items, 2))->wait().status, 0);
    EXPECT_FALSE(second->over()) << "the pipe is full";
    const auto pull = runtime_.pull(pipe, items);
    EXPECT_EQ(pull->wait().status, 0);
    EXPECT_EQ(pull->values, iota(items, 2));
    EXPECT_EQ(second->wait().status, 0);
}

TEST_F(MoveTest, WithoutWaitingEndsWhereItWouldWait) {
    const auto [in, out] = runtime_.open_chain("/a", 1, items, 1, 1);
    const auto pipe = open_pipe("/pipe-1", 1, 1);
    const auto now = [&, out = out] { return runtime_.move(out, pipe, 1, 0, 0, YOKE_FLAG_NOWAIT)->wait().status; };
    EXPECT_EQ(now(), -YOKE_ETIME) << "no datablock";
    const auto first = runtime_.move(out, pipe);
    EXPECT_EQ(now(), -YOKE_ETIME) << "others wait already";
    EXPECT_EQ(runtime_.push(in, iota(items, 1))->wait().status, 0);
    EXPECT_EQ(first->wait().status, 0);
    EXPECT_EQ(runtime_.push(in, iota(items, 2))->wait().status, 0);
    EXPECT_EQ(runtime_.pull_with(out, items, YOKE_FLAG_PEEK)->wait().status, 0);
    EXPECT_EQ(now(), -YOKE_ETIME) << "no room";
    EXPECT_EQ(runtime_.pull(pipe, items)->wait().status, 0);
    EXPECT_EQ(now(), 0);
    const auto last = runtime_.pull(pipe, items);
    EXPECT_EQ(last->wait().status, 0);
    EXPECT_EQ(last->values, iota(items, 3));
}

TEST_F(MoveTest, DeadlineCancelAndForget) {
    const auto [in, out] = runtime_.open_chain("/a", 1, items, 1, 1);
    const auto pipe = open_pipe("/pipe-1", 1, 1);
    EXPECT_EQ(runtime_.move(out, pipe, 1, now_ns() + 2'000'000)->wait().status, -YOKE_ETIME);
    const auto cancelled = runtime_.move(out, pipe, 1, 0, 77);
    const auto other = runtime_.move(out, pipe, 1, 0, 78);
    runtime_->cancel(1, 77);
    EXPECT_EQ(cancelled->wait().status, -YOKE_ECANCELED);
    EXPECT_EQ(runtime_.push(in, iota(items, 1))->wait().status, 0);
    EXPECT_EQ(other->wait().status, 0);
    const auto forgotten = runtime_.move(out, pipe, 1);
    runtime_->forget(1);
    EXPECT_EQ(forgotten->wait().status, -YOKE_ECANCELED);
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_F(MoveTest, MaliciousMoves) {
    const auto [in, out] = runtime_.open_chain("/a", 1, items, 1, 1);
    const auto [b_in, b_out] = runtime_.open_chain("/b", 1, items + 1, 1, 1);
    const auto pipe = open_pipe("/pipe-1", 1, 1);
    EXPECT_EQ(runtime_.move(99, pipe)->wait().status, -ENOENT);
    EXPECT_EQ(runtime_.move(out, 99)->wait().status, -ENOENT);
    EXPECT_EQ(runtime_.move(in, pipe)->wait().status, -YOKE_EINVAL) << "the wrong end";
    EXPECT_EQ(runtime_.move(pipe, out)->wait().status, -YOKE_EINVAL);
    EXPECT_EQ(runtime_.move(out, in)->wait().status, -YOKE_EINVAL) << "a graph into itself";
    EXPECT_EQ(runtime_.move(pipe, pipe)->wait().status, -YOKE_EINVAL);
    EXPECT_EQ(runtime_.push(in, iota(items, 1))->wait().status, 0);
    EXPECT_EQ(runtime_.move(out, b_in)->wait().status, -YOKE_EMSGSIZE) << "another template";
    EXPECT_EQ(runtime_.find("channels", "/a/out")["datablocks"].get<int>(), 1) << "what does not fit stays";
    EXPECT_EQ(runtime_.move(out, pipe, 9)->wait().status, -YOKE_EACCES) << "neither opened the pipe nor may push";
}

TEST_F(MoveTest, EndsWhenEitherGraphGoes) {
    for (const std::string victim : {"/a", "/b"}) {
        const auto [a_in, a_out] = runtime_.open_chain("/a", 1, items, 1, 1);
        const auto [b_in, b_out] = runtime_.open_chain("/b", 1, items, 1, 1);
        const auto waiting = runtime_.move(a_out, b_in);
        EXPECT_TRUE(runtime_->terminate_graph(1, victim));
        EXPECT_EQ(waiting->wait().status, -YOKE_ECANCELED);
        EXPECT_TRUE(runtime_->terminate_graph(1, victim == "/a" ? "/b" : "/a"));
        EXPECT_EQ(runtime_->datablocks(), 0U);
    }
}

TEST_F(MoveTest, WaitingForRoomItHearsOfTheEndOfItsSource) {
    for (const bool fails : {true, false}) {
        const auto [a_in, a_out] = runtime_.open_chain("/a", 1, items, 4, 1);
        const auto pipe = open_pipe("/pipe-1", 1, 1);
        EXPECT_EQ(runtime_.push(a_in, iota(items, 1))->wait().status, 0);
        EXPECT_EQ(runtime_.move(a_out, pipe)->wait().status, 0);
        const auto waiting = runtime_.move(a_out, pipe);
        EXPECT_FALSE(waiting->over()) << "the pipe is full";
        if (fails) {
            runtime_->fail_graph("/a", "the test says so");
            EXPECT_EQ(waiting->wait().status, -YOKE_EIO);
        }
        EXPECT_TRUE(runtime_->terminate_graph(1, "/a"));
        EXPECT_EQ(waiting->wait().status, fails ? -YOKE_EIO : -YOKE_ECANCELED);
        EXPECT_TRUE(runtime_->close_pipe(1, "/pipe-1"));
        EXPECT_EQ(runtime_->datablocks(), 0U);
    }
}

TEST_F(MoveTest, DatablocksOutliveTheGraphTheyComeFrom) {
    const auto [a_in, a_out] = runtime_.open_chain("/a", 3, items, 4, 1);
    const auto pipe = open_pipe("/pipe-1", 1, 4);
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(runtime_.push(a_in, iota(items, i))->wait().status, 0);
        EXPECT_EQ(runtime_.move(a_out, pipe)->wait().status, 0);
    }
    EXPECT_TRUE(runtime_->terminate_graph(1, "/a"));
    for (int i = 0; i < 4; ++i) {
        const auto pull = runtime_.pull(pipe, items);
        EXPECT_EQ(pull->wait().status, 0);
        EXPECT_EQ(pull->values, iota(items, i + 3));
    }
    EXPECT_TRUE(runtime_->close_pipe(1, "/pipe-1"));
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_F(MoveTest, BothDirectionsFromManyThreads) {
    const auto [a_in, a_out] = runtime_.open_chain("/a", 2, items, 2, 1);
    const auto [b_in, b_out] = runtime_.open_chain("/b", 2, items, 2, 1);
    constexpr int rounds = 200;
    std::vector<std::thread> threads;
    std::atomic<int> moved{0};
    for (const auto& [from, to] : {std::pair(a_out, b_in), std::pair(b_out, a_in)}) {
        threads.emplace_back([&, from = from, to = to] {
            for (int i = 0; i < rounds; ++i) {
                moved += runtime_.move(from, to)->wait().status == 0 ? 1 : 0;
            }
        });
    }
    EXPECT_EQ(runtime_.push(a_in, iota(items, 0))->wait().status, 0);
    EXPECT_EQ(runtime_.push(b_in, iota(items, 0))->wait().status, 0);
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(moved, 2 * rounds);
}

}  // namespace
}  // namespace yoke::graph
