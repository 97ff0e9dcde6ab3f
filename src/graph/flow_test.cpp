// Datablocks through graphs on the host device: order, ends, deadlines, cancellation, failure, and that nothing leaks.
#include <atomic>
#include <thread>

#include "graph/test_flow.hpp"

namespace yoke::graph {
namespace {

class FlowTest : public testing::Test {
   protected:
    FlowTest() {
        add_test_functions(device_);
        device_.add("stop", {{}, {}},
                    [this](std::span<const device::HostArgument> a, const device::Geometry& geometry) {
                        std::unique_lock lock(gate_mutex_);
                        ++arrived_;
                        gate_changed_.notify_all();
                        gate_changed_.wait(lock, [this] { return gate_open_; });
                        for (std::size_t i = 0; i < geometry.global[0]; ++i) {
                            ints(a[1])[i] = ints(a[0])[i];
                        }
                        return 0;
                    });
        device_.add("break", {{}, {}}, [](std::span<const device::HostArgument> a, const device::Geometry&) {
            return ints(a[0])[0] == 13 ? -EDOM : 0;
        });
    }
    ~FlowTest() override { open_gate(); }

    void open_gate() {
        const std::lock_guard lock(gate_mutex_);
        gate_open_ = true;
        gate_changed_.notify_all();
    }

    void wait_until_stopped() {
        std::unique_lock lock(gate_mutex_);
        gate_changed_.wait(lock, [this] { return arrived_ > 0; });
    }

    // Graph NAME of one ptask that runs `function` over one input and one output.
    std::pair<std::uint32_t, std::uint32_t> open_one(const std::string& name, const std::string& function,
                                                     std::uint32_t capacity = 8, std::uint32_t session = 1) {
        EXPECT_TRUE(runtime_->open_graph(session, name));
        runtime_.must(runtime_.open_ptask(name + "/p", function, items, {"in", "=out"}, {}, session));
        const auto in = runtime_.open_channel(name + "/in", std::nullopt, name + "/p:in", capacity, session);
        const auto out = runtime_.open_channel(name + "/out", name + "/p:out", std::nullopt, capacity, session);
        runtime_.must(runtime_->run_graph(session, name));
        return {*in, *out};
    }

    static constexpr std::size_t items = 16;
    std::mutex gate_mutex_;
    std::condition_variable gate_changed_;
    bool gate_open_ = false;
    int arrived_ = 0;
    device::HostDevice device_;
    TestRuntime runtime_{device_};
};

TEST_F(FlowTest, Chains) {
    for (const int length : {1, 2, 5}) {
        for (const std::uint32_t capacity : {1U, 2U, 8U}) {
            expect_chain_works(runtime_, length, capacity);
        }
    }
}

TEST_F(FlowTest, Diamonds) {
    for (const std::uint32_t capacity : {1U, 2U, 8U}) {
        expect_diamond_works(runtime_, capacity);
    }
}

TEST_F(FlowTest, PushedBeforeItRuns) {
    ASSERT_TRUE(runtime_->open_graph(1, "/g"));
    runtime_.must(runtime_.open_ptask("/g/p", "add", items, {"in", "=out"}, {1}));
    const auto in = runtime_.open_channel("/g/in", std::nullopt, "/g/p:in", 2);
    const auto out = runtime_.open_channel("/g/out", "/g/p:out", std::nullopt, 2);
    const auto pull = runtime_.pull(*out, items);
    const auto first = runtime_.push(*in, iota(items, 0));
    const auto second = runtime_.push(*in, iota(items, 1));
    const auto third = runtime_.push(*in, iota(items, 2));
    EXPECT_EQ(first->wait().status, 0);
    EXPECT_EQ(second->wait().status, 0);
    EXPECT_FALSE(third->over()) << "the channel takes two";
    EXPECT_FALSE(pull->over());
    runtime_.must(runtime_->run_graph(1, "/g"));
    EXPECT_EQ(third->wait().status, 0);
    EXPECT_EQ(pull->wait().status, 0);
    EXPECT_EQ(pull->values, iota(items, 1));
}

TEST_F(FlowTest, AFullGraphMakesPushesWait) {
    const auto [in, out] = runtime_.open_chain("/g", 1, items, 2);
    std::vector<std::shared_ptr<Flight>> pushes;
    for (int i = 0; i < 6; ++i) {
        pushes.push_back(runtime_.push(in, iota(items, i)));
    }
    for (std::size_t i = 0; i < 4; ++i) {  // two in each channel
        EXPECT_EQ(pushes[i]->wait().status, 0);
    }
    EXPECT_FALSE(pushes[4]->over());
    EXPECT_EQ(runtime_.find("channels", "/g/in")["waiting_pushes"], 2);
    EXPECT_EQ(runtime_.pull(out, items)->wait().status, 0);
    EXPECT_EQ(pushes[4]->wait().status, 0);
    EXPECT_FALSE(pushes[5]->over());
}

TEST_F(FlowTest, LengthsAreChecked) {
    const auto [in, out] = runtime_.open_chain("/g", 1, items);
    for (const std::size_t wrong : {std::size_t{0}, items - 1, items + 1}) {
        const auto push = runtime_.push(in, Values(wrong));
        EXPECT_EQ(push->wait().status, -YOKE_EINVAL);
        EXPECT_EQ(push->wait().detail, YOKE_MEMBER_INPUT);
        EXPECT_EQ(push->wait().out_length, items * 4);
    }
    const auto end = runtime_.push(in, Values(1), YOKE_FLAG_END);
    EXPECT_EQ(end->wait().status, -YOKE_EINVAL) << "an end of stream is empty or whole";
    const auto pull = runtime_.pull(out, items - 1);
    EXPECT_EQ(pull->wait().status, -YOKE_EMSGSIZE);
    EXPECT_EQ(pull->wait().out_length, items * 4);
    EXPECT_EQ(runtime_.push(in, iota(items, 0))->wait().status, 0);
    const auto larger = runtime_.pull(out, items + 5);
    EXPECT_EQ(larger->wait().status, 0);
    EXPECT_EQ(larger->wait().out_length, items * 4);
}

TEST_F(FlowTest, MaliciousChannelIds) {
    const auto [in, out] = runtime_.open_chain("/g", 2, items);
    for (const std::uint32_t id : {0U, out + 1, 0xffffffffU}) {
        EXPECT_EQ(runtime_.push(id, Values(items))->wait().status, -ENOENT);
        EXPECT_EQ(runtime_.pull(id, items)->wait().status, -ENOENT);
        EXPECT_EQ(runtime_.pull(id, items)->wait().detail, YOKE_MEMBER_OBJECT);
    }
    EXPECT_EQ(runtime_.push(out, Values(items))->wait().status, -YOKE_EINVAL);
    EXPECT_EQ(runtime_.pull(in, items)->wait().status, -YOKE_EINVAL);
    EXPECT_EQ(runtime_.push(in, Values(items), 0xff)->wait().status, -YOKE_EINVAL);
    EXPECT_TRUE(runtime_->terminate_graph(1, "/g"));
    EXPECT_EQ(runtime_.push(in, Values(items))->wait().status, -ENOENT);
}

TEST_F(FlowTest, EndOfStream) {
    const auto [in, out] = runtime_.open_chain("/g", 3, items);
    const auto early = runtime_.pull(out, items);
    EXPECT_EQ(runtime_.push(in, iota(items, 5))->wait().status, 0);
    EXPECT_EQ(early->wait().signal, YOKE_SIGNAL_BEGIN);
    const auto waiting = runtime_.pull(out, items);
    EXPECT_EQ(runtime_.push(in, {}, YOKE_FLAG_END)->wait().status, 0);
    EXPECT_EQ(waiting->wait().status, -YOKE_ENODATA);
    EXPECT_EQ(runtime_.pull(out, items)->wait().status, -YOKE_ENODATA);
    EXPECT_EQ(runtime_.push(in, iota(items, 5))->wait().status, -YOKE_EPIPE);
    EXPECT_EQ(runtime_.push(in, {}, YOKE_FLAG_END)->wait().status, -YOKE_EPIPE);
    const auto again = runtime_->run_graph(1, "/g");
    ASSERT_FALSE(again);
    EXPECT_NE(again.error().message.find("ended"), std::string::npos) << again.error().message;
}

TEST_F(FlowTest, AnEndWaitsItsTurn) {
    const auto [in, out] = runtime_.open_chain("/g", 1, items, 1);
    std::vector<std::shared_ptr<Flight>> pushes;
    for (int i = 0; i < 4; ++i) {
        pushes.push_back(runtime_.push(in, iota(items, i)));
    }
    const auto end = runtime_.push(in, {}, YOKE_FLAG_END);
    const auto behind = runtime_.push(in, iota(items, 9));
    EXPECT_FALSE(end->over());
    for (int i = 0; i < 4; ++i) {
        const auto pull = runtime_.pull(out, items);
        ASSERT_EQ(pull->wait().status, 0);
        EXPECT_EQ(pull->values, iota(items, i + 1));
        EXPECT_EQ(pull->wait().signal, i == 0 ? YOKE_SIGNAL_BEGIN : i == 3 ? YOKE_SIGNAL_END : 0);
    }
    EXPECT_EQ(end->wait().status, 0);
    EXPECT_EQ(behind->wait().status, -YOKE_EPIPE);
}

TEST_F(FlowTest, AStreamIsAsLongAsItsShortestInput) {
    ASSERT_TRUE(runtime_->open_graph(1, "/g"));
    runtime_.must(runtime_.open_ptask("/g/p", "sum", items, {"a", "b", "=out"}));
    const auto a = runtime_.open_channel("/g/a", std::nullopt, "/g/p:a", 4);
    const auto b = runtime_.open_channel("/g/b", std::nullopt, "/g/p:b", 4);
    const auto out = runtime_.open_channel("/g/out", "/g/p:out", std::nullopt, 4);
    runtime_.must(runtime_->run_graph(1, "/g"));
    std::vector<std::shared_ptr<Flight>> pushes;
    for (int i = 0; i < 6; ++i) {
        pushes.push_back(runtime_.push(*b, iota(items, i)));
    }
    EXPECT_EQ(runtime_.push(*a, iota(items, 100), YOKE_FLAG_END)->wait().status, 0);
    const auto pull = runtime_.pull(*out, items);
    EXPECT_EQ(pull->wait().status, 0);
    EXPECT_EQ(pull->wait().signal, YOKE_SIGNAL_BEGIN | YOKE_SIGNAL_END);
    EXPECT_EQ(pull->values[2], 102 + 2);
    for (const std::size_t waited : {4U, 5U}) {
        EXPECT_EQ(pushes[waited]->wait().status, -YOKE_EPIPE) << "it waited, and nobody will read it";
    }
    EXPECT_EQ(runtime_.push(*b, iota(items, 0))->wait().status, -YOKE_EPIPE);
    const auto channel = runtime_.find("channels", "/g/b");
    EXPECT_EQ(channel["pushed"].get<int>(), 4);
    EXPECT_EQ(channel["discarded"].get<int>(), 3);
    EXPECT_EQ(channel["untaken"].get<int>(), 3);
    EXPECT_EQ(runtime_.find("channels", "/g/a")["untaken"].get<int>(), 0);
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_F(FlowTest, TheEndOfAReaderEndsItsWriter) {
    ASSERT_TRUE(runtime_->open_graph(1, "/g"));
    runtime_.must(runtime_.open_ptask("/g/up", "add", items, {"in", "=out"}, {1}));
    runtime_.must(runtime_.open_ptask("/g/p", "sum", items, {"a", "b", "=out"}));
    const auto up = runtime_.open_channel("/g/up-in", std::nullopt, "/g/up:in", 1);
    ASSERT_TRUE(runtime_.open_channel("/g/inner", "/g/up:out", "/g/p:a", 1));
    const auto b = runtime_.open_channel("/g/b", std::nullopt, "/g/p:b", 1);
    const auto out = runtime_.open_channel("/g/out", "/g/p:out", std::nullopt, 1);
    runtime_.must(runtime_->run_graph(1, "/g"));
    EXPECT_EQ(runtime_.push(*b, {}, YOKE_FLAG_END)->wait().status, 0);
    EXPECT_EQ(runtime_.pull(*out, items)->wait().status, -YOKE_ENODATA);
    EXPECT_EQ(runtime_.push(*up, iota(items, 0))->wait().status, -YOKE_EPIPE);
    EXPECT_EQ(runtime_.find("graphs", "/g")["state"], "ended");
}

TEST_F(FlowTest, Deadlines) {
    const auto [in, out] = runtime_.open_chain("/g", 1, items, 1);
    const auto late = runtime_.pull(out, items, now_ns() - 1);
    EXPECT_EQ(late->wait().status, -YOKE_ETIME);
    const auto never = runtime_.pull(out, items, now_ns() + 1000 * far_ns);
    const auto soon = runtime_.pull(out, items, now_ns() + 30'000'000);
    const auto sooner = runtime_.pull(out, items, now_ns() + 10'000'000);
    EXPECT_EQ(soon->wait().status, -YOKE_ETIME);
    EXPECT_EQ(sooner->wait().status, -YOKE_ETIME);
    EXPECT_FALSE(never->over());
    EXPECT_EQ(runtime_.push(in, iota(items, 0))->wait().status, 0);
    EXPECT_EQ(never->wait().status, 0);
    // A push that times out lets those behind it through: the end of the stream needs no room.
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(runtime_.push(in, iota(items, i))->wait().status, 0);
    }
    const auto stuck = runtime_.push(in, iota(items, 7), 0, now_ns() + 20'000'000);
    const auto end = runtime_.push(in, {}, YOKE_FLAG_END);
    const bool through = end->over();
    EXPECT_TRUE(!through || stuck->over()) << "the end of the stream overtook a push";
    EXPECT_EQ(stuck->wait().status, -YOKE_ETIME);
    EXPECT_EQ(end->wait().status, 0);
    EXPECT_EQ(runtime_.pull(out, items)->wait().status, 0);
    EXPECT_EQ(runtime_.pull(out, items)->wait().status, 0);
    EXPECT_EQ(runtime_.pull(out, items)->wait().status, -YOKE_ENODATA);
}

TEST_F(FlowTest, Cancel) {
    const auto [in, out] = runtime_.open_chain("/g", 1, items);
    const auto first = runtime_.pull(out, items, 0, 1, 10);
    const auto second = runtime_.pull(out, items, 0, 1, 11);
    const auto other = runtime_.pull(out, items, 0, 2, 10);
    runtime_->cancel(1, 10);
    EXPECT_EQ(first->wait().status, -YOKE_ECANCELED);
    runtime_->cancel(1, 999);
    EXPECT_FALSE(second->over());
    EXPECT_FALSE(other->over());
    runtime_.push(in, iota(items, 0))->wait();
    EXPECT_EQ(second->wait().status, 0);
}

TEST_F(FlowTest, ForgetWaitsForTheDevice) {
    const auto [in, out] = open_one("/g", "stop", 8, 7);
    const auto push = runtime_.push(in, iota(items, 1), 0, 0, 1);
    const auto pull = runtime_.pull(out, items, 0, 1);  // the device has its memory
    const auto waiting = runtime_.pull(out, items, 0, 1);
    const auto foreign = runtime_.pull(out, items, 0, 7);
    wait_until_stopped();
    std::atomic<bool> forgotten{false};
    std::thread forgetter([&] {
        runtime_->forget(1);
        forgotten = true;
    });
    EXPECT_EQ(waiting->wait().status, -YOKE_ECANCELED);
    EXPECT_FALSE(forgotten) << "the device may still write";
    open_gate();
    forgetter.join();
    EXPECT_EQ(pull->wait().status, 0);
    EXPECT_FALSE(foreign->over()) << "another session's graph and pull stay";
    EXPECT_EQ(runtime_.push(in, iota(items, 2), 0, 0, 7)->wait().status, 0);
    EXPECT_EQ(foreign->wait().status, 0);
    runtime_->forget(7);
    EXPECT_EQ(runtime_->inventory()["graphs"].size(), 0U) << "a graph goes with its creator";
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_F(FlowTest, ADisownedGraphIsFoundByNobodyAndGoesOnUntilItIsForgotten) {
    const auto [in, out] = open_one("/g", "stop", 2);
    const auto pull = runtime_.pull(out, items, 0, 7);
    const auto push = runtime_.push(in, iota(items, 1), 0, 0, 7);
    wait_until_stopped();
    runtime_->disown(1);  // does not wait for the device
    EXPECT_EQ(runtime_->run_graph(7, "/g").error().code, ENOENT);
    EXPECT_EQ(runtime_.push(in, iota(items, 2), 0, 0, 7)->wait().status, -ENOENT);
    EXPECT_EQ(runtime_->open_graph(1, "/h").error().code, ECANCELED) << "nobody would terminate it";
    const auto again = runtime_->open_graph(7, "/g");
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(again->created);
    EXPECT_EQ(runtime_->inventory()["graphs"].size(), 2U);
    open_gate();
    EXPECT_EQ(pull->wait().status, 0);
    EXPECT_EQ(push->wait().status, 0);
    runtime_->forget(1);
    EXPECT_EQ(runtime_->inventory()["graphs"].size(), 1U);
    EXPECT_FALSE(runtime_->open_graph(8, "/g")->created) << "the new one stays";
    runtime_->forget(7);
    EXPECT_EQ(runtime_->inventory()["graphs"].size(), 0U);
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_F(FlowTest, DisownedGraphsCount) {
    TestRuntime two(device_, Limits{.graphs = 2});
    ASSERT_TRUE(two->open_graph(1, "/a"));
    ASSERT_TRUE(two->open_graph(1, "/b"));
    two->disown(1);
    EXPECT_EQ(two->open_graph(2, "/a").error().code, ENOBUFS);
    two->forget(1);
    EXPECT_TRUE(two->open_graph(2, "/a"));
}

TEST_F(FlowTest, TerminateWhileDataFlows) {
    const auto [in, out] = open_one("/g", "stop", 2);
    std::vector<std::shared_ptr<Flight>> flights;
    for (int i = 0; i < 10; ++i) {
        flights.push_back(runtime_.push(in, iota(items, i)));
    }
    flights.push_back(runtime_.pull(out, items));
    wait_until_stopped();
    std::thread terminator([&] { EXPECT_TRUE(runtime_->terminate_graph(1, "/g")); });
    EXPECT_EQ(flights[9]->wait().status, -YOKE_ECANCELED);
    open_gate();
    terminator.join();
    for (const auto& flight : flights) {
        const int status = flight->wait().status;
        EXPECT_TRUE(status == 0 || status == -YOKE_ECANCELED) << status;
    }
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_F(FlowTest, RestartsFromItsInitialState) {
    for (int round = 0; round < 5; ++round) {
        const auto [in, out] = runtime_.open_chain("/g", 2, items, 2, round);
        EXPECT_EQ(runtime_.push(in, iota(items, 1))->wait().status, 0);
        EXPECT_EQ(runtime_.push(in, iota(items, 2), YOKE_FLAG_END)->wait().status, 0);
        const auto pull = runtime_.pull(out, items);
        EXPECT_EQ(pull->wait().status, 0);
        EXPECT_EQ(pull->wait().sequence, 0U);
        EXPECT_EQ(pull->values, iota(items, 1 + 2 * round));
        EXPECT_TRUE(runtime_->terminate_graph(1, "/g"));
    }
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_F(FlowTest, AFailingKernelEndsItsGraphOnly) {
    const auto [good_in, good_out] = runtime_.open_chain("/good", 1, items);
    const auto [in, out] = open_one("/bad", "break");
    EXPECT_EQ(runtime_.push(in, iota(items, 1))->wait().status, 0);
    EXPECT_EQ(runtime_.pull(out, items)->wait().status, 0);
    const auto push = runtime_.push(in, iota(items, 13));
    const auto pull = runtime_.pull(out, items);
    const auto waiting = runtime_.pull(out, items);
    EXPECT_EQ(pull->wait().status, -YOKE_EIO);
    EXPECT_EQ(pull->wait().out_length, 0U);
    EXPECT_EQ(waiting->wait().status, -YOKE_EIO);
    EXPECT_EQ(runtime_.push(in, iota(items, 1))->wait().status, -YOKE_EIO);
    const auto graph = runtime_.find("graphs", "/bad");
    EXPECT_EQ(graph["state"], "failed");
    EXPECT_NE(graph["error"].get<std::string>().find("/bad/p"), std::string::npos) << graph["error"];
    EXPECT_FALSE(runtime_->run_graph(1, "/bad"));
    EXPECT_EQ(runtime_.push(good_in, iota(items, 1))->wait().status, 0);
    EXPECT_EQ(runtime_.pull(good_out, items)->wait().status, 0);
    EXPECT_TRUE(runtime_->terminate_graph(1, "/bad"));
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_F(FlowTest, ManyGraphsAtOnce) {
    constexpr int graphs = 8;
    constexpr int rounds = 100;
    std::vector<std::thread> threads;
    for (int g = 0; g < graphs; ++g) {
        threads.emplace_back([this, g] {
            const std::string name = fmt::format("/g{}", g);
            const auto session = static_cast<std::uint32_t>(g + 1);
            const auto [in, out] = runtime_.open_chain(name, 1 + g % 3, items, 4, 1, session);
            std::deque<std::shared_ptr<Flight>> pulls;
            for (int r = 0; r < rounds; ++r) {
                runtime_.push(in, iota(items, r), 0, now_ns() + far_ns, session);
                pulls.push_back(runtime_.pull(out, items, now_ns() + far_ns, session));
                if (pulls.size() == 8) {
                    EXPECT_EQ(pulls.front()->wait().status, 0);
                    EXPECT_EQ(pulls.front()->values[0], r - 7 + 1 + g % 3);
                    pulls.pop_front();
                }
            }
            if (g % 2 == 0) {
                runtime_->forget(session);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(runtime_->inventory()["graphs"].size(), 4U);
}

TEST_F(FlowTest, PushAndPullFromSeveralThreads) {
    const auto [in, out] = runtime_.open_chain("/g", 2, items, 3);
    constexpr int each = 100;
    std::atomic<std::int64_t> total{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([this, t, channel = in] {
            for (int i = 0; i < each; ++i) {
                EXPECT_EQ(runtime_.push(channel, Values(items, t * each + i))->wait().status, 0);
            }
        });
        threads.emplace_back([this, &total, channel = out] {
            for (int i = 0; i < each; ++i) {
                const auto pull = runtime_.pull(channel, items);
                EXPECT_EQ(pull->wait().status, 0);
                total += pull->values[items - 1];
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(total, 300 * 299 / 2 + 300 * 2);
}

TEST_F(FlowTest, InnerChannelsCopyNothing) {
    const auto [in, out] = runtime_.open_chain("/g", 4, items);
    for (int i = 0; i < 20; ++i) {
        runtime_.push(in, iota(items, i));
        EXPECT_EQ(runtime_.pull(out, items)->wait().status, 0);
    }
    for (const char* inner : {"/g/c1", "/g/c2", "/g/c3"}) {
        const auto channel = runtime_.find("channels", inner);
        EXPECT_EQ(channel["pushed"].get<int>(), 20);
        EXPECT_EQ(channel["pulled"].get<int>(), 20);
        EXPECT_EQ(channel["copies"].get<int>(), 0);
    }
    EXPECT_EQ(runtime_.find("channels", "/g/in")["copies"].get<int>(), 20);
    const auto graph = runtime_.find("graphs", "/g");
    EXPECT_EQ(graph["copied_in_bytes"].get<std::size_t>(), 20 * items * 4);
    EXPECT_EQ(graph["copied_out_bytes"].get<std::size_t>(), 20 * items * 4);
    EXPECT_LE(graph["buffers"].get<int>(), 2) << "buffers are used again";
    EXPECT_EQ(runtime_.find("ptasks", "/g/p2")["runs"].get<int>(), 20);
}

}  // namespace
}  // namespace yoke::graph
