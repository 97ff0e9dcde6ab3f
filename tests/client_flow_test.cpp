// Through libyoke: what travels beside a datablock's bytes, looking and draining, moves and pipes, ptasks that are
// functions of this process, and what of all that outlives a worker or a session.
#include <numeric>

#include "support/client.hpp"

namespace yoke::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using ClientFlow = ClientTest;

constexpr const char* copy_source =
    "kernel void copy(global const uchar *in, global uchar *out) { out[get_global_id(0)] = in[get_global_id(0)]; }";

// A graph of one ptask that copies 64 bytes.
struct Copier {
    Copier(Session& session, const std::string& name, bool variable = false) : graph(session, name) {
        const Form form("u8", {64});
        Port source(YOKE_IN, form);
        Port sink(YOKE_OUT, form);
        if (variable) {
            source.variable();
            sink.variable();
        }
        graph.port("only:in", source);
        graph.port("only:out", sink);
        yoke_form kernel{};
        kernel.source = copy_source;
        kernel.function = "copy";
        const std::array<yoke_ptask_argument, 2> arguments{{{"in", nullptr, 0, 0, 0}, {"out", nullptr, 0, 0, 0}}};
        yoke_ptask ptask{};
        ptask.forms = &kernel;
        ptask.form_count = 1;
        ptask.arguments = arguments.data();
        ptask.argument_count = arguments.size();
        graph.ptask("only", ptask);
        in = graph.channel("in", Channel{.destination = "only:in"});
        out = graph.channel("out", Channel{.source = "only:out"});
        graph.run();
    }

    Graph graph;
    std::uint32_t in = 0;
    std::uint32_t out = 0;
};

TEST_F(ClientFlow, SignalsAndExtentsTravelWithDatablocks) {
    Session session(options_for(instance_));
    Copier copier(session, "/copier", true);
    Buffer data = session.alloc(64);
    Buffer back = session.alloc(64);
    fill(data, 1);
    copier.graph.push(copier.in, data, PushOptions{.signals = YOKE_SIGNAL_USER_1});
    copier.graph.push(copier.in, data.bytes().first(10),
                      PushOptions{.signals = YOKE_SIGNAL_USER_2, .extent = {10, 1, 1}});
    auto result = copier.graph.pull(copier.out, back, 60s);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->signal, YOKE_SIGNAL_BEGIN | YOKE_SIGNAL_USER_1) << "the first one begins the stream";
    EXPECT_EQ(result->extent[0], 64U);
    EXPECT_EQ(result->extent[1], 1U);
    result = copier.graph.pull(copier.out, back, 60s);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->signal, YOKE_SIGNAL_USER_2);
    const yoke_push_options end{.extent = {}, .timeout_ns = 0, .signals = YOKE_SIGNAL_END, .flags = 0};
    EXPECT_EQ(yoke_push_with(session.get(), copier.in, data.data(), 64, &end, nullptr), -EINVAL);
    EXPECT_THAT(yoke_error(session.get()), HasSubstr("cannot be pushed"));
    const yoke_push_options large{.extent = {65, 1, 1}, .timeout_ns = 0, .signals = 0, .flags = 0};
    EXPECT_EQ(yoke_push_with(session.get(), copier.in, data.data(), 64, &large, nullptr), -EINVAL);
    Copier whole(session, "/whole");
    EXPECT_EQ(yoke_push(session.get(), whole.in, data.data(), 63, 0, 0, nullptr), -EINVAL);
    EXPECT_THAT(yoke_error(session.get()), HasSubstr("a datablock of this channel has 64 bytes; push that much"));
}

TEST_F(ClientFlow, LookingLeavesADatablockAndDrainingTakesAll) {
    Session session(options_for(instance_));
    Copier copier(session, "/copier");
    Buffer data = session.alloc(64);
    Buffer back = session.alloc(64);
    for (std::uint64_t round = 0; round < 3; round++) {
        fill(data, round);
        copier.graph.push(copier.in, data);
    }
    fill(data, 0);
    for (int look = 0; look < 2; look++) {
        const auto seen = copier.graph.peek(copier.out, back, 60s);
        ASSERT_TRUE(seen);
        EXPECT_EQ(seen->sequence, 0U);
        EXPECT_TRUE(std::ranges::equal(data.bytes(), back.bytes()));
    }
    ASSERT_TRUE(copier.graph.pull(copier.out, back, 60s));
    std::uint64_t dropped = 0;
    while (dropped < 2) {
        dropped += copier.graph.drain(copier.out);
    }
    EXPECT_EQ(dropped, 2U);
    EXPECT_EQ(copier.graph.drain(copier.out), 0U);
    EXPECT_EQ(yoke_pull_with(session.get(), copier.out, back.data(), 64, YOKE_FLAG_PEEK | YOKE_FLAG_DRAIN, 0, nullptr),
              -EINVAL);
}

TEST_F(ClientFlow, MovesBetweenGraphsOverAPipe) {
    Session session(options_for(instance_));
    Copier first(session, "/first");
    Copier second(session, "/second");
    const Form form("u8", {64});
    std::uint32_t pipe = 0;
    ASSERT_EQ(yoke_open_pipe(session.get(), "/pipe", &form, 0, 0, &pipe), 0) << yoke_error(session.get());
    ASSERT_NE(pipe, 0U);
    Buffer data = session.alloc(64);
    Buffer back = session.alloc(64);
    for (std::uint64_t round = 0; round < 5; round++) {
        fill(data, round);
        first.graph.push(first.in, data);
        ASSERT_TRUE(first.graph.move(first.out, pipe, 60s));
        const auto moved = second.graph.move(pipe, second.in, 60s);
        ASSERT_TRUE(moved);
        EXPECT_EQ(moved->extent[0], 64U);
        ASSERT_TRUE(second.graph.pull(second.out, back, 60s));
        EXPECT_TRUE(std::ranges::equal(data.bytes(), back.bytes())) << round;
    }
    const Form other("u8", {65});
    EXPECT_EQ(yoke_open_pipe(session.get(), "/pipe", &other, 0, 0, &pipe), -EEXIST);
    EXPECT_EQ(yoke_move(session.get(), first.out, 4711, 0, nullptr), -ENOENT);
    first.graph.push(first.in, {}, YOKE_FLAG_END);
    EXPECT_FALSE(first.graph.move(first.out, second.in, 60s));
    EXPECT_FALSE(second.graph.pull(second.out, back, 60s)) << "the end of the stream goes on";
    EXPECT_EQ(yoke_close_pipe(session.get(), "/pipe"), 0) << yoke_error(session.get());
    EXPECT_EQ(yoke_push(session.get(), pipe, data.data(), 64, 0, 0, nullptr), -ENOENT);
}

TEST_F(ClientFlow, AServicesKeyIsOfTheSession) {
    Session session(options_for(instance_));
    Session other(options_for(instance_));
    const auto bytes = key_bytes();
    const Key key = other.key(YOKE_SERVICE_AES_CTR, std::span(bytes).first(32));
    Graph graph(session, "/cipher");
    graph.port("only:in", YOKE_IN, Form("u8", {64}));
    graph.port("only:out", YOKE_OUT, Form("u8", {64}));
    yoke_form form{};
    form.form = "service";
    form.function = "aes-ctr";
    form.key = key.get();
    const std::array<yoke_ptask_argument, 2> arguments{{{"in", nullptr, 0, 0, 0}, {"out", nullptr, 0, 0, 0}}};
    yoke_ptask ptask{};
    ptask.forms = &form;
    ptask.form_count = 1;
    ptask.arguments = arguments.data();
    ptask.argument_count = arguments.size();
    EXPECT_EQ(yoke_open_ptask_as(session.get(), "/cipher/only", &ptask), -EINVAL);
    EXPECT_THAT(yoke_error(session.get()), HasSubstr("was not made by this session"));
    const Key own = session.key(YOKE_SERVICE_AES_CTR, std::span(bytes).first(32));
    form.key = own.get();
    yoke_params_aes_iv params{};
    params.iv[15] = 7;
    form.params = &params;
    ASSERT_EQ(yoke_open_ptask_as(session.get(), "/cipher/only", &ptask), 0) << yoke_error(session.get());
    const auto in = graph.channel("in", "", "only:in");
    const auto out = graph.channel("out", "only:out", "");
    graph.run();
    Buffer text = session.alloc(64);
    Buffer called = session.alloc(64);
    Buffer pulled = session.alloc(64);
    fill(text, 3);
    session.call(Call(YOKE_SERVICE_AES_CTR, text, called).key(own).params(params));
    graph.push(in, text);
    ASSERT_TRUE(graph.pull(out, pulled, 60s));
    EXPECT_TRUE(std::ranges::equal(called.bytes(), pulled.bytes()));
}

TEST_F(ClientFlow, PrioritiesAndReasons) {
    Session session(options_for(instance_));
    Copier copier(session, "/copier");
    copier.graph.priority(9, "only");
    copier.graph.priority(0);
    EXPECT_EQ(yoke_set_ptask_prio(session.get(), "/copier", 11), -EINVAL);
    EXPECT_EQ(yoke_set_ptask_prio(session.get(), "/none", 1), -ENOENT);
    EXPECT_THAT(copier.graph.why(), testing::StartsWith("["));
    char* json = nullptr;
    EXPECT_EQ(yoke_graph_why(session.get(), "/none", &json), -ENOENT);
    EXPECT_EQ(json, nullptr);
}

// A graph whose middle is a function of this process: kernel, function, kernel.
struct Middle {
    explicit Middle(Session& session) : graph(session, "/middle") {
        const Form form("u8", {64});
        for (const char* const port : {"before:in", "function:in", "after:in"}) {
            graph.port(port, YOKE_IN, form);
        }
        for (const char* const port : {"before:out", "function:out", "after:out"}) {
            graph.port(port, YOKE_OUT, form);
        }
        yoke_kernel kernel{};
        kernel.source = copy_source;
        kernel.function = "copy";
        graph.ptask("before", kernel, {"in", "out"});
        graph.ptask("after", kernel, {"in", "out"});
        graph.client_ptask("function", {"in", "out"});
        in = graph.channel("in", "", "before:in");
        graph.channel("to", "before:out", "function:in");
        graph.channel("from", "function:out", "after:in");
        out = graph.channel("out", "after:out", "");
    }

    Graph graph;
    std::uint32_t in = 0;
    std::uint32_t out = 0;
};

struct Calls {
    int count = 0;
    std::uint32_t signals = 0;
    int status = 0;
};

int add_one(void* user, const yoke_datablock* inputs, std::size_t input_count, yoke_datablock* outputs,
            std::size_t output_count) {
    auto& calls = *static_cast<Calls*>(user);
    EXPECT_EQ(input_count, 1U);
    EXPECT_EQ(output_count, 1U);
    EXPECT_STREQ(inputs[0].port, "/middle/function:in");
    EXPECT_STREQ(outputs[0].port, "/middle/function:out");
    EXPECT_EQ(inputs[0].length, 64U);
    EXPECT_EQ(outputs[0].length, 64U);
    const auto* in = static_cast<const std::uint8_t*>(inputs[0].data);
    auto* out = static_cast<std::uint8_t*>(outputs[0].data);
    std::transform(in, in + 64, out, [](std::uint8_t byte) { return static_cast<std::uint8_t>(byte + 1); });
    calls.count++;
    calls.signals |= inputs[0].signals;
    return calls.status;
}

// Pulls with callbacks, so that the function runs meanwhile; nothing at the end of the stream.
std::optional<yoke_result> pull_served(Session& session, std::uint32_t channel, Buffer& buffer) {
    yoke_result result{};
    bool ended = false;
    struct Wait {
        yoke_result* result;
        bool* ended;
    } wait{&result, &ended};
    const auto done = [](void* user, yoke_ticket, const yoke_result* told) {
        *static_cast<Wait*>(user)->result = *told;
        *static_cast<Wait*>(user)->ended = true;
    };
    EXPECT_EQ(
        yoke_submit_pull(session.get(), channel, buffer.data(), buffer.size(), 60'000'000'000, done, &wait, nullptr), 0)
        << yoke_error(session.get());
    while (!ended) {
        session.dispatch(1s);
    }
    EXPECT_TRUE(result.status == 0 || result.status == -ENODATA) << result.status;
    return result.status == 0 ? std::optional(result) : std::nullopt;
}

TEST_F(ClientFlow, AFunctionOfThisProcessIsAPtask) {
    Session session(options_for(instance_));
    Middle middle(session);
    Calls calls;
    middle.graph.serve("function", add_one, &calls);
    middle.graph.run();
    EXPECT_EQ(yoke_serve_function(session.get(), "/middle/function", add_one, &calls), -EBUSY);
    Buffer data = session.alloc(64);
    Buffer back = session.alloc(64);
    for (std::uint8_t round = 0; round < 20; round++) {
        std::ranges::fill(data.as<std::uint8_t>(), round);
        middle.graph.push(middle.in, data, PushOptions{.signals = YOKE_SIGNAL_USER_2});
        const auto result = pull_served(session, middle.out, back);
        ASSERT_TRUE(result);
        EXPECT_EQ(result->signal & ~YOKE_SIGNAL_BEGIN, YOKE_SIGNAL_USER_2) << "signals go through the function";
        EXPECT_EQ(back.as<std::uint8_t>()[63], round + 1);
    }
    middle.graph.push(middle.in, data, PushOptions{.signals = YOKE_SIGNAL_DROP});
    const auto dropped = pull_served(session, middle.out, back);
    ASSERT_TRUE(dropped);
    EXPECT_NE(dropped->signal & YOKE_SIGNAL_DROP, 0);
    EXPECT_EQ(calls.count, 20) << "a drop passes without a call";
    middle.graph.push(middle.in, {}, YOKE_FLAG_END);
    EXPECT_FALSE(pull_served(session, middle.out, back)) << "the end passes too";
    EXPECT_EQ(calls.count, 20);
}

TEST_F(ClientFlow, AFunctionThatFailsEndsItsStream) {
    Session session(options_for(instance_));
    Middle middle(session);
    Calls calls;
    calls.status = -EDOM;
    middle.graph.serve("function", add_one, &calls);
    middle.graph.run();
    Buffer data = session.alloc(64);
    Buffer back = session.alloc(64);
    middle.graph.push(middle.in, data);
    int status = 0;
    while (status >= 0) {
        status = yoke_dispatch(session.get(), 1'000'000'000);
    }
    EXPECT_EQ(status, -EDOM);
    EXPECT_THAT(yoke_error(session.get()), HasSubstr("/middle/function"));
    EXPECT_EQ(yoke_pull(session.get(), middle.out, back.data(), 64, 60'000'000'000, nullptr), -ENODATA);
}

TEST_F(ClientFlow, AFunctionGoesOnAtTheNextWorker) {
    Session session(options_for(instance_));
    Middle middle(session);
    Calls calls;
    middle.graph.serve("function", add_one, &calls);
    middle.graph.run();
    Buffer data = session.alloc(64);
    Buffer back = session.alloc(64);
    std::ranges::fill(data.as<std::uint8_t>(), std::uint8_t{7});
    for (int round = 0; round < 2; round++) {
        middle.graph.push(middle.in, data);
        ASSERT_TRUE(pull_served(session, middle.out, back));
        EXPECT_EQ(back.as<std::uint8_t>()[0], 8);
        instance_.kill_worker(worker(session));
        ASSERT_EQ(yoke_push(session.get(), middle.in, data.data(), 64, 0, 0, nullptr), -ERESTART);
        middle.graph.push(middle.in, data);
        ASSERT_TRUE(pull_served(session, middle.out, back));
    }
    EXPECT_EQ(calls.count, 4);
}

// Two inputs, one of them changed in place, and an output that goes two ways.
int exchange(void*, const yoke_datablock* inputs, std::size_t input_count, yoke_datablock* outputs,
             std::size_t output_count) {
    EXPECT_EQ(input_count, 2U);
    EXPECT_EQ(output_count, 2U);
    EXPECT_EQ(outputs[0].data, inputs[0].data) << "an in-out port has one memory";
    const auto* other = static_cast<const std::uint8_t*>(inputs[1].data);
    auto* changed = static_cast<std::uint8_t*>(outputs[0].data);
    auto* copied = static_cast<std::uint8_t*>(outputs[1].data);
    // As many bytes as the second input has, of its first.
    outputs[1].length = inputs[1].length;
    std::copy_n(changed, inputs[1].length, copied);
    std::copy_n(other, inputs[1].length, changed);
    outputs[1].signals |= YOKE_SIGNAL_USER_1;
    return 0;
}

TEST_F(ClientFlow, AFunctionMayChangeInPlaceShortenAndGiveTwice) {
    Session session(options_for(instance_));
    Graph graph(session, "/exchange");
    const Form form("u8", {64});
    graph.port("f:both", Port(YOKE_IN_OUT, form));
    graph.port("f:other", Port(YOKE_IN, form).variable());
    graph.port("f:copy", Port(YOKE_OUT, form).variable());
    graph.client_ptask("f", {"both", "other", "copy"});
    const std::uint32_t both_in = graph.channel("both-in", "", "f:both");
    const std::uint32_t other_in = graph.channel("other-in", "", "f:other");
    const std::uint32_t both_out = graph.channel("both-out", "f:both", "");
    const std::uint32_t first = graph.channel("first", "f:copy", "");
    const std::uint32_t second = graph.channel("second", Channel{.source = "f:copy", .source_when = "on user-1"});
    graph.serve("f", exchange, nullptr);
    graph.run();
    Buffer a = session.alloc(64);
    Buffer b = session.alloc(64);
    Buffer back = session.alloc(64);
    for (std::uint64_t round = 0; round < 5; round++) {
        fill(a, round);
        fill(b, round + 100);
        const std::size_t length = 8 + round;
        const bool last = round == 4;
        graph.push(both_in, a, PushOptions{.flags = last ? static_cast<std::uint32_t>(YOKE_FLAG_END) : 0U});
        graph.push(other_in, b.bytes().first(length), PushOptions{});
        const auto changed = pull_served(session, both_out, back);
        ASSERT_TRUE(changed);
        EXPECT_EQ((changed->signal & YOKE_SIGNAL_END) != 0, last) << "the last datablock says so on its way through";
        EXPECT_TRUE(std::ranges::equal(back.bytes().first(length), b.bytes().first(length)));
        EXPECT_TRUE(std::ranges::equal(back.bytes().subspan(length), a.bytes().subspan(length)));
        for (const std::uint32_t channel : {first, second}) {
            const auto copied = pull_served(session, channel, back);
            ASSERT_TRUE(copied);
            EXPECT_EQ(copied->out_length, length);
            EXPECT_EQ(copied->extent[0], length);
            EXPECT_NE(copied->signal & YOKE_SIGNAL_USER_1, 0);
            EXPECT_TRUE(std::ranges::equal(back.bytes().first(length), a.bytes().first(length)));
        }
    }
    EXPECT_FALSE(pull_served(session, both_out, back));
    EXPECT_FALSE(pull_served(session, second, back));
}

TEST_F(ClientFlow, AFunctionGoesOnWithTheOutputsThatAreRead) {
    Session session(options_for(instance_));
    Graph graph(session, "/fork");
    const Form form("u8", {64});
    for (const char* const port : {"f:in", "both:one", "both:two"}) {
        graph.port(port, YOKE_IN, form);
    }
    for (const char* const port : {"f:one", "f:two", "both:out"}) {
        graph.port(port, YOKE_OUT, form);
    }
    graph.client_ptask("f", {"in", "one", "two"});
    yoke_kernel kernel{};
    kernel.source =
        "kernel void first(global const uchar *a, global const uchar *b, global uchar *out) {"
        "    out[get_global_id(0)] = a[get_global_id(0)] + b[get_global_id(0)]; }";
    kernel.function = "first";
    graph.ptask("both", kernel, {"one", "two", "out"});
    const std::uint32_t in = graph.channel("in", "", "f:in");
    const std::uint32_t ends = graph.channel("ends", "", "both:one");
    graph.channel("unread", "f:one", "both:two");
    const std::uint32_t out = graph.channel("out", "f:two", "");
    const std::uint32_t joined = graph.channel("joined", "both:out", "");
    const auto copy = [](void*, const yoke_datablock* inputs, std::size_t, yoke_datablock* outputs, std::size_t) {
        std::memcpy(outputs[0].data, inputs[0].data, 64);
        std::memcpy(outputs[1].data, inputs[0].data, 64);
        return 0;
    };
    graph.serve("f", copy, nullptr);
    graph.run();
    Buffer data = session.alloc(64);
    Buffer back = session.alloc(64);
    graph.push(ends, {}, YOKE_FLAG_END);
    EXPECT_FALSE(pull_served(session, joined, back)) << "what joins both has ended";
    for (std::uint64_t round = 0; round < 20; round++) {
        fill(data, round);
        graph.push(in, data);
        ASSERT_TRUE(pull_served(session, out, back)) << round;
        EXPECT_TRUE(std::ranges::equal(back.bytes(), data.bytes()));
    }
    graph.push(in, {}, YOKE_FLAG_END);
    EXPECT_FALSE(pull_served(session, out, back));
}

TEST_F(ClientFlow, WhatCannotBeServed) {
    Session session(options_for(instance_));
    Copier copier(session, "/copier");
    Calls calls;
    EXPECT_EQ(yoke_serve_function(session.get(), "/copier/only", add_one, &calls), -ENOENT);
    EXPECT_EQ(yoke_serve_function(session.get(), "/none/none", add_one, &calls), -ENOENT);
    Graph graph(session, "/open");
    graph.port("f:in", YOKE_IN, Form("u8", {64}));
    graph.client_ptask("f", {"in"});
    EXPECT_EQ(yoke_serve_function(session.get(), "/open/f", add_one, &calls), -EINVAL);
    EXPECT_THAT(yoke_error(session.get()), HasSubstr("needs one channel that ends there"));
    Graph kept(session, "/kept", true);
    kept.port("f:in", YOKE_IN, Form("u8", {64}));
    EXPECT_THROW(kept.client_ptask("f", {"in"}), error);
    EXPECT_EQ(yoke_terminate_graph(session.get(), "/kept"), 0);
}

TEST_F(ClientFlow, APersistentGraphOutlivesItsCreator) {
    {
        Session session(options_for(instance_));
        Graph graph(session, "/kept", true);
        graph.port("only:in", YOKE_IN, Form("u8", {64}));
        graph.port("only:out", YOKE_OUT, Form("u8", {64}));
        yoke_kernel kernel{};
        kernel.source = copy_source;
        kernel.function = "copy";
        graph.ptask("only", kernel, {"in", "out"});
        graph.channel("in", "", "only:in");
        graph.channel("out", "only:out", "");
        graph.run();
    }
    Session session(options_for(instance_));
    Graph graph(session, "/kept");
    const std::uint32_t in = graph.channel("in", "", "only:in");
    const std::uint32_t out = graph.channel("out", "only:out", "");
    Buffer data = session.alloc(64);
    Buffer back = session.alloc(64);
    fill(data, 3);
    graph.push(in, data);
    ASSERT_TRUE(graph.pull(out, back, 60s));
    EXPECT_TRUE(std::ranges::equal(data.bytes(), back.bytes()));
}

TEST_F(ClientFlow, PipesAreOpenedAgainAtTheNextWorker) {
    Session session(options_for(instance_));
    Session other(options_for(instance_));
    const Form form("u8", {64});
    std::uint32_t mine = 0;
    std::uint32_t theirs = 0;
    ASSERT_EQ(yoke_open_pipe(session.get(), "/pipe", &form, 1, 2, &mine), 0) << yoke_error(session.get());
    ASSERT_EQ(yoke_open_pipe(other.get(), "/pipe", &form, 1, 2, &theirs), 0) << yoke_error(other.get());
    Buffer data = session.alloc(64);
    Buffer back = other.alloc(64);
    fill(data, 5);
    ASSERT_EQ(yoke_push(session.get(), mine, data.data(), 64, 0, 0, nullptr), 0) << yoke_error(session.get());
    ASSERT_EQ(yoke_pull(other.get(), theirs, back.data(), 64, 60'000'000'000, nullptr), 0) << yoke_error(other.get());
    EXPECT_TRUE(std::ranges::equal(data.bytes(), back.bytes()));
    instance_.kill_worker(worker(session));
    yoke_result result{};
    EXPECT_EQ(yoke_push(session.get(), mine, data.data(), 64, 0, 0, &result), -ERESTART);
    ASSERT_EQ(yoke_push(session.get(), mine, data.data(), 32, 0, 0, nullptr), 0) << yoke_error(session.get());
    EXPECT_EQ(yoke_pull(other.get(), theirs, back.data(), 64, 0, &result), -ERESTART);
    ASSERT_EQ(yoke_pull(other.get(), theirs, back.data(), 64, 60'000'000'000, &result), 0) << yoke_error(other.get());
    EXPECT_EQ(result.out_length, 32U);
}

// A graph from a file: a loop that adds as often as a number says, and a service behind it.
TEST_F(ClientFlow, AFileWithALoopAndAServiceRuns) {
    const std::string folder = testing::TempDir() + "/flow-" + std::to_string(::getpid());
    std::filesystem::create_directory(folder);
    std::ofstream(folder + "/graph.toml") << R"(name = "/loop"
[ptask.step]
source = """kernel void add(global const int *in, global int *out, uint count)
{ if (get_global_id(0) < count) out[get_global_id(0)] = in[get_global_id(0)] + 1; }"""
function = "add"
arguments = ["in", "out", { count = "in" }]
priority = 7
deadline = 20000
port.in = { direction = "in", type = "i32", extent = [16] }
port.out = { direction = "out", type = "i32", extent = [16] }
port.times = { direction = "in", type = "u32", extent = [1], meta = "iterations" }
[ptask.hash]
service = "sha256"
port.in = { direction = "in", type = "i32", extent = [16] }
port.out = { direction = "out", type = "u8", extent = [32] }
[channel.numbers]
destination = "step:in"
[channel.times]
destination = "step:times"
[channel.again]
source = "step:out"
destination = "step:in"
back = true
[channel.sums]
source = "step:out"
[channel.hashed]
source = "step:out"
destination = "hash:in"
[channel.digest]
source = "hash:out"
)";
    Session session(options_for(instance_));
    Graph graph = Graph::load(session, folder + "/graph.toml");
    std::filesystem::remove_all(folder);
    const std::uint32_t numbers = graph.channel("numbers", "", "step:in");
    const std::uint32_t times = graph.channel("times", "", "step:times");
    const std::uint32_t sums = graph.channel("sums", "step:out", "");
    const std::uint32_t digest = graph.channel("digest", "hash:out", "");
    graph.run();
    Buffer data = session.alloc(64);
    Buffer count = session.alloc(4);
    Buffer back = session.alloc(64);
    Buffer hash = session.alloc(32);
    Buffer wanted = session.alloc(32);
    for (const std::uint32_t rounds : {3U, 0U, 1U, 100U}) {
        const auto values = data.as<std::int32_t>();
        std::iota(values.begin(), values.end(), static_cast<std::int32_t>(rounds));
        count.as<std::uint32_t>()[0] = rounds;
        graph.push(numbers, data);
        graph.push(times, count);
        ASSERT_TRUE(graph.pull(sums, back, 60s)) << graph.why();
        for (std::size_t k = 0; k < 16; k++) {
            ASSERT_EQ(back.as<std::int32_t>()[k], static_cast<std::int32_t>(2 * rounds + k));
        }
        ASSERT_TRUE(graph.pull(digest, hash, 60s));
        session.call(Call(YOKE_SERVICE_SHA256, back, wanted));
        EXPECT_TRUE(std::ranges::equal(hash.bytes(), wanted.bytes()));
    }
}

}  // namespace
}  // namespace yoke::test
