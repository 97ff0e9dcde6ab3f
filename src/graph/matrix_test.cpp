// The matrix: each kind of port and channel, with each capacity, once, again after it was stopped in the middle, and as
// many graphs at once; each against a plain reference. One thread asks for everything and then gives everything, or
// each input is fed and each output read by a thread of its own, one datablock after the other.
#include <thread>

#include "graph/test_builder.hpp"

namespace yoke::graph {
namespace {

constexpr std::size_t items = 4;
constexpr int length = 12;  // of a stream

struct Sent {
    Values values;
    std::uint8_t signals = 0;
};

struct Ends {
    std::vector<std::uint32_t> in;
    std::vector<std::uint32_t> out;
};

// One kind: how to build it, what goes in and what must come out.
struct Shape {
    std::string name;
    std::function<Ends(Builder&, std::uint32_t capacity)> build;
    std::vector<std::vector<Sent>> inputs;
    std::vector<std::vector<Values>> outputs;
};

std::vector<Sent> numbers(const std::function<std::int32_t(int)>& value, std::size_t width = items) {
    std::vector<Sent> stream;
    for (int i = 0; i < length; ++i) {
        stream.push_back({Values(width, value(i)), 0});
    }
    return stream;
}

std::vector<Values> expected(const std::function<std::int32_t(int)>& value, int count = length) {
    std::vector<Values> stream;
    for (int i = 0; i < count; ++i) {
        stream.emplace_back(items, value(i));
    }
    return stream;
}

void unary(Builder& g, const std::string& name, const std::string& function, const Values& constants,
           const std::function<void(PortDefinition&)>& change = {}) {
    g.port(name + ":in", Direction::in, items, change);
    g.port(name + ":out", Direction::out, items, change);
    g.ptask(name, function, {"in", "out"}, constants);
}

void in_place(Builder& g, const std::string& name, std::int32_t constant) {
    g.port(name + ":x", Direction::in_out, items);
    g.ptask(name, "grow", {"x"}, {constant});
}

void iterations_port(Builder& g, const std::string& name) {
    g.port(name, Direction::in, 1, [](PortDefinition& port) { port.meta = control::Meta::iterations; });
}

Shape plain() {
    return {"plain",
            [](Builder& g, std::uint32_t capacity) {
                unary(g, "p", "add", {5});
                return Ends{{g.channel("in", "", "p:in", capacity)}, {g.channel("out", "p:out", "", capacity)}};
            },
            {numbers([](int i) { return i; })},
            {expected([](int i) { return i + 5; })}};
}

Shape shared_and_in_place() {
    return {"in-out-multicast",
            [](Builder& g, std::uint32_t capacity) {
                unary(g, "p", "add", {1});
                in_place(g, "a", 10);
                in_place(g, "b", 100);
                g.channel("to-a", "p:out", "a:x", capacity);
                g.channel("to-b", "p:out", "b:x", capacity);
                return Ends{{g.channel("in", "", "p:in", capacity)},
                            {g.channel("out-a", "a:x", "", capacity), g.channel("out-b", "b:x", "", capacity),
                             g.channel("raw", "p:out", "", capacity)}};
            },
            {numbers([](int i) { return i; })},
            {expected([](int i) { return i + 11; }), expected([](int i) { return i + 101; }),
             expected([](int i) { return i + 1; })}};
}

Shape sticky() {
    return {"sticky",
            [](Builder& g, std::uint32_t capacity) {
                g.port("p:a", Direction::in, items);
                g.port("p:k", Direction::in, items, [](PortDefinition& port) { port.sticky = true; });
                g.port("p:out", Direction::out, items);
                g.ptask("p", "sum", {"a", "k", "out"});
                return Ends{{g.channel("a", "", "p:a", capacity), g.channel("k", "", "p:k", capacity)},
                            {g.channel("out", "p:out", "", capacity)}};
            },
            {numbers([](int i) { return i; }), {{Values(items, 1000), 0}}},
            {expected([](int i) { return i + 1000; })}};
}

Shape state() {
    return {"init-back-edge",
            [](Builder& g, std::uint32_t capacity) {
                g.port("p:in", Direction::in, items);
                g.port("p:state", Direction::in, items, [](PortDefinition& port) { port.init = true; });
                g.port("p:out", Direction::out, items);
                g.ptask("p", "sum", {"in", "state", "out"});
                g.channel("again", "p:out", "p:state", capacity, back_edge);
                return Ends{{g.channel("in", "", "p:in", capacity)}, {g.channel("out", "p:out", "", capacity)}};
            },
            {numbers([](int i) { return i; })},
            {expected([](int i) { return i * (i + 1) / 2; })}};
}

Shape initial() {
    return {"init-fresh",
            [](Builder& g, std::uint32_t capacity) {
                g.port("p:in", Direction::in, items);
                g.port("p:k", Direction::in, items, [](PortDefinition& port) {
                    port.init = true;
                    port.initial = {9, 0, 0, 0};
                });
                g.port("p:out", Direction::out, items);
                g.ptask("p", "sum", {"in", "k", "out"});
                return Ends{{g.channel("in", "", "p:in", capacity)}, {g.channel("out", "p:out", "", capacity)}};
            },
            {numbers([](int i) { return i; })},
            {expected([](int i) { return i + 9; })}};
}

Shape repeated() {
    return {"iterations-of-one",
            [](Builder& g, std::uint32_t capacity) {
                iterations_port(g, "p:n");
                in_place(g, "p", 3);
                return Ends{{g.channel("in", "", "p:x", capacity), g.channel("n", "", "p:n", capacity)},
                            {g.channel("out", "p:x", "", capacity)}};
            },
            {numbers([](int i) { return i; }), numbers([](int i) { return i % 4; }, 1)},
            {expected([](int i) { return i + 3 * (i % 4); })}};
}

Shape loop_with_hold() {
    return {"iterations-of-a-subgraph",
            [](Builder& g, std::uint32_t capacity) {
                g.port("head:x", Direction::in_out, items);
                iterations_port(g, "head:n");
                g.ptask("head", "grow", {"x"}, {1});
                g.port("tail:x", Direction::in, items);
                g.port("tail:k", Direction::in, items, [](PortDefinition& port) { port.hold = true; });
                g.port("tail:out", Direction::out, items);
                g.ptask("tail", "sum", {"x", "k", "out"});
                g.channel("inner", "head:x", "tail:x", capacity);
                g.channel("again", "tail:out", "head:x", capacity, back_edge);
                return Ends{{g.channel("in", "", "head:x", capacity), g.channel("n", "", "head:n", capacity),
                             g.channel("k", "", "tail:k", capacity)},
                            {g.channel("out", "tail:out", "", capacity)}};
            },
            {numbers([](int i) { return i; }), numbers([](int i) { return 1 + i % 3; }, 1),
             numbers([](int i) { return 10 * i; })},
            {expected([](int i) { return i + (1 + i % 3) * (1 + 10 * i); })}};
}

Shape loop_with_zero() {
    return {"iterations-of-none",
            [](Builder& g, std::uint32_t capacity) {
                g.port("head:x", Direction::in_out, items);
                iterations_port(g, "head:n");
                g.ptask("head", "grow", {"x"}, {1});
                in_place(g, "tail", 10);
                g.channel("inner", "head:x", "tail:x", capacity);
                g.channel("again", "tail:x", "head:x", capacity, back_edge);
                return Ends{{g.channel("in", "", "head:x", capacity), g.channel("n", "", "head:n", capacity)},
                            {g.channel("out", "tail:x", "", capacity)}};
            },
            {numbers([](int i) { return i; }), numbers([](int i) { return i % 2; }, 1)},
            {expected([](int i) { return i + 11 * (i % 2); })}};
}

Shape varying() {
    std::vector<Sent> in;
    std::vector<Values> out;
    for (int i = 0; i < length; ++i) {
        in.push_back({iota(static_cast<std::size_t>(i) % (items + 1), i), 0});
        out.push_back(in.back().values);
    }
    return {"variable",
            [](Builder& g, std::uint32_t capacity) {
                const auto variable = [](PortDefinition& port) { port.variable = true; };
                g.port("p:in", Direction::in, items, variable);
                g.port("p:out", Direction::out, items, variable);
                g.ptask("p", "first", {"in", "out", "#in", "#out"});
                return Ends{{g.channel("in", "", "p:in", capacity)}, {g.channel("out", "p:out", "", capacity)}};
            },
            {in},
            {out}};
}

Shape sized() {
    std::vector<Values> out;
    for (int i = 0; i < length; ++i) {
        out.emplace_back(static_cast<std::size_t>(i) % (items + 1), i);
    }
    return {"meta-size",
            [](Builder& g, std::uint32_t capacity) {
                g.port("p:in", Direction::in, items);
                g.port("p:out", Direction::out, items, [](PortDefinition& port) { port.variable = true; });
                g.port("p:size", Direction::in, 1, [&](PortDefinition& port) {
                    port.meta = control::Meta::size;
                    port.of = g.full("p:out");
                });
                g.ptask("p", "first", {"in", "out", "#in", "#out"});
                return Ends{{g.channel("in", "", "p:in", capacity), g.channel("size", "", "p:size", capacity)},
                            {g.channel("out", "p:out", "", capacity)}};
            },
            {numbers([](int i) { return i; }), numbers([](int i) { return i % static_cast<int>(items + 1); }, 1)},
            {out}};
}

Shape switched() {
    std::vector<Sent> in = numbers([](int i) { return i; });
    for (int i = 0; i < length; ++i) {
        in[static_cast<std::size_t>(i)].signals = i % 3 == 0 ? YOKE_SIGNAL_USER_1 : 0;
    }
    return {"switch",
            [](Builder& g, std::uint32_t capacity) {
                using Kind = control::Predicate::Kind;
                unary(g, "p", "add", {0});
                unary(g, "q", "add", {100});
                g.channel("to-q", "p:out", "q:in", capacity,
                          [](auto& c) { c.source_when = when(Kind::on, YOKE_SIGNAL_USER_1); });
                return Ends{
                    {g.channel("in", "", "p:in", capacity)},
                    {g.channel("out-q", "q:out", "", capacity), g.channel("others", "p:out", "", capacity, [](auto& c) {
                         c.source_when = when(Kind::unless, YOKE_SIGNAL_USER_1);
                     })}};
            },
            {in},
            {expected([](int i) { return 3 * i + 100; }, length / 3),
             expected([](int i) { return i / 2 * 3 + 1 + i % 2; }, length / 3 * 2)}};
}

Shape triggered() {
    std::vector<Sent> in = numbers([](int i) { return i; });
    for (int i = 0; i < length; ++i) {
        in[static_cast<std::size_t>(i)].signals = i % 4 == 3 ? YOKE_SIGNAL_USER_2 : YOKE_SIGNAL_USER_1;
    }
    return {"trigger",
            [](Builder& g, std::uint32_t capacity) {
                unary(g, "p", "add", {1});
                return Ends{{g.channel("in", "", "p:in", capacity,
                                       [](auto& c) {
                                           c.destination_when = when(control::Predicate::Kind::on, YOKE_SIGNAL_USER_2);
                                       })},
                            {g.channel("out", "p:out", "", capacity)}};
            },
            {in},
            {expected([](int i) { return 4 * i + 4; }, length / 4)}};
}

std::vector<Shape> shapes() {
    return {plain(),          shared_and_in_place(), sticky(),  state(), initial(),  repeated(),
            loop_with_hold(), loop_with_zero(),      varying(), sized(), switched(), triggered()};
}

class MatrixTest : public testing::TestWithParam<std::tuple<std::size_t, std::uint32_t, bool>> {
   protected:
    MatrixTest() {
        add_test_functions(device_);
        add_port_functions(device_);
    }

    [[nodiscard]] static Shape shape() { return shapes()[std::get<0>(GetParam())]; }
    [[nodiscard]] static std::uint32_t capacity() { return std::get<1>(GetParam()); }
    [[nodiscard]] static bool several_threads() { return std::get<2>(GetParam()); }

    void feed(const std::vector<Sent>& stream, std::uint32_t channel, std::size_t count,
              std::vector<std::shared_ptr<Flight>>& flights) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint8_t flags = i + 1 == stream.size() ? YOKE_FLAG_END : 0;
            flights.push_back(runtime_.push_with(channel, stream[i].values, stream[i].signals, flags));
            if (several_threads()) {
                flights.back()->wait();
            }
        }
    }

    // As many as there are, and the end.
    void read(std::uint32_t channel, std::size_t count, std::vector<std::shared_ptr<Flight>>& flights) {
        for (std::size_t i = 0; i <= count; ++i) {
            flights.push_back(runtime_.pull(channel, items));
            if (several_threads()) {
                flights.back()->wait();
            }
        }
    }

    static void check(const std::vector<std::shared_ptr<Flight>>& pulls, const std::vector<Values>& stream) {
        for (std::size_t i = 0; i < stream.size(); ++i) {
            const yoke_completion& completion = pulls[i]->wait();
            ASSERT_EQ(completion.status, 0) << "datablock " << i;
            ASSERT_EQ(completion.out_length, stream[i].size() * sizeof(std::int32_t));
            pulls[i]->values.resize(stream[i].size());
            ASSERT_EQ(pulls[i]->values, stream[i]) << "datablock " << i;
        }
        EXPECT_EQ(pulls.back()->wait().status, -YOKE_ENODATA);
    }

    // Everything in, everything out.
    void stream_through(const std::string& graph) {
        const Shape what = shape();
        Builder g(runtime_, graph);
        const Ends ends = what.build(g, capacity());
        g.run();
        std::vector<std::thread> threads;
        const auto do_or_begin = [&](const std::function<void()>& job) {
            if (several_threads()) {
                threads.emplace_back(job);
            } else {
                job();
            }
        };
        std::vector<std::vector<std::shared_ptr<Flight>>> pulls(ends.out.size());
        for (std::size_t o = 0; o < ends.out.size(); ++o) {
            do_or_begin([&, o] { read(ends.out[o], what.outputs[o].size(), pulls[o]); });
        }
        std::vector<std::vector<std::shared_ptr<Flight>>> pushes(ends.in.size());
        for (std::size_t i = 0; i < ends.in.size(); ++i) {
            do_or_begin([&, i] { feed(what.inputs[i], ends.in[i], what.inputs[i].size(), pushes[i]); });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        for (std::size_t o = 0; o < ends.out.size(); ++o) {
            check(pulls[o], what.outputs[o]);
        }
        for (const auto& flights : pushes) {
            for (const auto& flight : flights) {
                EXPECT_EQ(flight->wait().status, 0);
            }
        }
        TestRuntime::must(runtime_->terminate_graph(1, graph));
    }

    // Half of everything in, and nobody waits for anything.
    void stop_in_the_middle(const std::string& graph) {
        const Shape what = shape();
        Builder g(runtime_, graph);
        const Ends ends = what.build(g, capacity());
        g.run();
        std::vector<std::shared_ptr<Flight>> flights;
        for (std::size_t i = 0; i < ends.in.size(); ++i) {
            for (std::size_t n = 0; n < what.inputs[i].size() / 2; ++n) {
                const Sent& sent = what.inputs[i][n];
                flights.push_back(runtime_.push_with(ends.in[i], sent.values, sent.signals));
            }
        }
        for (const std::uint32_t out : ends.out) {
            flights.push_back(runtime_.pull(out, items));
        }
        TestRuntime::must(runtime_->terminate_graph(1, graph));
        for (const auto& flight : flights) {
            const int status = flight->wait().status;
            EXPECT_TRUE(status == 0 || status == -YOKE_ECANCELED) << status;
        }
    }

    device::HostDevice device_;
    TestRuntime runtime_{device_};
};

TEST_P(MatrixTest, StreamsThrough) {
    stream_through("/g");
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_P(MatrixTest, BeginsAnewAfterAStopInTheMiddle) {
    for (int i = 0; i < 3; ++i) {
        stop_in_the_middle("/g");
        EXPECT_EQ(runtime_->datablocks(), 0U);
    }
    stream_through("/g");
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_P(MatrixTest, ManyAtOnce) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i) {
        threads.emplace_back([this, i] {
            const std::string graph = fmt::format("/g{}", i);
            if (i % 3 == 2) {
                stop_in_the_middle(graph);
            }
            stream_through(graph);
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, MatrixTest,
                         testing::Combine(testing::Range<std::size_t>(0, shapes().size()), testing::Values(1U, 2U, 8U),
                                          testing::Bool()),
                         [](const auto& shape) {
                             std::string name = shapes()[std::get<0>(shape.param)].name;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return fmt::format("{}_{}_{}", name, std::get<1>(shape.param),
                                                std::get<2>(shape.param) ? "several" : "one");
                         });

}  // namespace
}  // namespace yoke::graph
