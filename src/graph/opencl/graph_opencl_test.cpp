// The same flows on the OpenCL device, and what only it can refuse.
#include "device/cpu/test_device.hpp"
#include "graph/test_builder.hpp"

namespace yoke::graph {
namespace {

class OpenclGraphTest : public testing::Test {
   protected:
    void SetUp() override {
        device_ = device::open_test_device(device::test_cache());
        ASSERT_NE(device_, nullptr);
        runtime_ = std::make_unique<TestRuntime>(*device_);
    }

    std::unique_ptr<device::Device> device_;
    std::unique_ptr<TestRuntime> runtime_;
};

TEST_F(OpenclGraphTest, Chains) {
    for (const std::uint32_t capacity : {1U, 8U}) {
        expect_chain_works(*runtime_, 3, capacity);
    }
}

TEST_F(OpenclGraphTest, Diamonds) {
    expect_diamond_works(*runtime_, 2);
}

TEST_F(OpenclGraphTest, NamesPtaskFileAndLineOfAMistake) {
    ASSERT_TRUE((*runtime_)->open_graph(1, "/g"));
    ASSERT_TRUE(runtime_->open_port("/g/p:in", false, 4));
    ASSERT_TRUE(runtime_->open_port("/g/p:out", true, 4));
    const auto opened = (*runtime_)->open_ptask(
        1,
        {"/g/p",
         {"kernel void f(global const int* in, global int* out) {\n  out[0] = bar;\n}\n", "wrong.cl", "f", "", {}, {}},
         {{"in", {}}, {"out", {}}}});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ENOEXEC);
    EXPECT_NE(opened.error().message.find("/g/p"), std::string::npos) << opened.error().message;
    EXPECT_NE(opened.error().message.find("wrong.cl:2:12"), std::string::npos) << opened.error().message;
}

TEST_F(OpenclGraphTest, ChecksArgumentsAgainstTheKernel) {
    ASSERT_TRUE((*runtime_)->open_graph(1, "/g"));
    const auto constant_for_buffer = runtime_->open_ptask("/g/a", "split", 8, {"in", "=out"}, {1});
    ASSERT_FALSE(constant_for_buffer);
    EXPECT_EQ(constant_for_buffer.error().code, EINVAL);
    EXPECT_NE(constant_for_buffer.error().message.find("(int* b)"), std::string::npos)
        << constant_for_buffer.error().message;
    const auto port_for_constant = runtime_->open_ptask("/g/b", "add", 8, {"in", "=out", "n"});
    ASSERT_FALSE(port_for_constant);
    EXPECT_NE(port_for_constant.error().message.find("(int n)"), std::string::npos)
        << port_for_constant.error().message;
}

struct Signature {
    const char* parameters;  // of the kernel: in, out
    const char* in_type;
    std::array<std::uint64_t, 3> in_extent;
    const char* out_type;
    std::array<std::uint64_t, 3> out_extent;
    std::vector<std::string> refusal;  // parts of the sentence; none: it is taken
};

// One graph with one ptask, whose ports and kernel are what `given` says.
Result<Opened> open_signature(TestRuntime& runtime, const std::string& graph, const Signature& given) {
    EXPECT_TRUE(runtime->open_graph(1, graph));
    control::PortDefinition in;
    in.name = graph + "/p:in";
    in.form = {given.in_type, given.in_extent, 0};
    control::PortDefinition out = in;
    out.name = graph + "/p:out";
    out.direction = control::Direction::out;
    out.form = {given.out_type, given.out_extent, 0};
    EXPECT_TRUE(runtime->open_port(1, in));
    EXPECT_TRUE(runtime->open_port(1, out));
    const std::string source =
        fmt::format("typedef struct {{ float x; int y; }} pair;\ntypedef float number;\nkernel void f({}) {{ }}\n",
                    given.parameters);
    return runtime->open_ptask(1, {graph + "/p", {source, "f.cl", "f", "", {1, 1, 1}, {}}, {{"in", {}}, {"out", {}}}});
}

TEST_F(OpenclGraphTest, ComparesTypesAndConstOfPortsAndArguments) {
    const std::array<std::uint64_t, 3> four{4, 1, 1};
    const std::vector<Signature> all{
        {"global const float *i, global float4 *o", "u16", four, "f32", four, {"/p:in", "u16", "float* i", "f32"}},
        {"global const float *i, global const short *o", "f32", four, "i16", four, {"/p:out", "short* o", "const"}},
        {"constant half *i, constant float *o", "f16", four, "f32", four, {"/p:out", "float* o", "const"}},
        {"global const float *i, global float *o, int n", "f32", four, "f32", four, {"takes 3 arguments", "gives 2"}},
        {"global const float4 *i, global uchar *o", "f32", {4, 5, 1}, "f64", four, {}},
        {"global const number *i, global pair *o", "i64", four, "u16", four, {}}};
    for (std::size_t k = 0; k < all.size(); ++k) {
        const std::string graph = fmt::format("/g{}", k);
        const auto opened = open_signature(*runtime_, graph, all[k]);
        ASSERT_EQ(opened.has_value(), all[k].refusal.empty())
            << all[k].parameters << ": " << (opened ? "" : opened.error().message);
        for (const std::string& part : all[k].refusal) {
            EXPECT_EQ(opened.error().code, EINVAL);
            EXPECT_NE(opened.error().message.find(part), std::string::npos) << part << ": " << opened.error().message;
        }
    }
}

TEST_F(OpenclGraphTest, SeveralGraphsAtOnce) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ends;
    for (int g = 0; g < 4; ++g) {
        ends.push_back(runtime_->open_chain(fmt::format("/g{}", g), 2, 64, 4));
    }
    for (std::int32_t r = 0; r < 50; ++r) {
        std::vector<std::shared_ptr<Flight>> pulls;
        for (const auto& [in, out] : ends) {
            runtime_->push(in, iota(64, r))->wait();
            pulls.push_back(runtime_->pull(out, 64));
        }
        for (const auto& pull : pulls) {
            ASSERT_EQ(pull->wait().status, 0);
            ASSERT_EQ(pull->values, iota(64, r + 2));
        }
    }
    for (int g = 0; g < 4; ++g) {
        EXPECT_TRUE((*runtime_)->terminate_graph(1, fmt::format("/g{}", g)));
    }
    EXPECT_EQ((*runtime_)->datablocks(), 0U);
}

// a | pipe | b, each with its own queue, then back into a's pool: whoever uses a buffer next waits for who had it.
TEST_F(OpenclGraphTest, MovesDatablocksBetweenQueues) {
    constexpr std::size_t items = 64 * 1024;
    constexpr std::int32_t rounds = 60;
    const auto [a_in, a_out] = runtime_->open_chain("/a", 2, items, 2, 1);
    const auto [b_in, b_out] = runtime_->open_chain("/b", 2, items, 2, 10);
    const auto pipe = (*runtime_)->open_pipe(1, {"/pipe-1", {"i32", {items, 1, 1}, 0}, false, 2});
    ASSERT_TRUE(pipe);
    std::vector<std::shared_ptr<Flight>> flights;
    std::vector<std::shared_ptr<Flight>> pulls;
    for (std::int32_t r = 0; r < rounds; ++r) {
        flights.push_back(runtime_->push(a_in, iota(items, r)));
        flights.push_back(runtime_->move(a_out, pipe->channel));
        flights.push_back(runtime_->move(pipe->channel, b_in));
        pulls.push_back(runtime_->pull(b_out, items));
    }
    for (std::int32_t r = 0; r < rounds; ++r) {
        const auto& pull = pulls[static_cast<std::size_t>(r)];
        ASSERT_EQ(pull->wait().status, 0);
        ASSERT_EQ(pull->values, iota(items, r + 22)) << r;
    }
    for (const auto& flight : flights) {
        EXPECT_EQ(flight->wait().status, 0);
    }
    EXPECT_EQ(runtime_->find("channels", "/pipe-1/records")["copies"].get<int>(), 0);
    EXPECT_TRUE((*runtime_)->terminate_graph(1, "/a"));
    EXPECT_TRUE((*runtime_)->terminate_graph(1, "/b"));
    EXPECT_TRUE((*runtime_)->close_pipe(1, "/pipe-1"));
    EXPECT_EQ((*runtime_)->datablocks(), 0U);
}

TEST_F(OpenclGraphTest, IteratesSharesAndHashes) {
    constexpr std::size_t items = 16;
    Builder g(*runtime_, "/g");
    g.port("head:x", Direction::in_out, items);
    g.port("head:n", Direction::in, 1, [](PortDefinition& port) { port.meta = control::Meta::iterations; });
    g.ptask("head", "grow", {"x"}, {2});
    g.port("hash:in", Direction::in, items);
    g.port("hash:out", Direction::out, 8, [](PortDefinition& port) { port.form = {"u8", {32, 1, 1}, 0}; });
    control::PtaskDefinition hash = g.definition("hash", "sha256", {"in", "out"});
    hash.kernel.form = "service";
    const auto opened = (*runtime_)->open_ptask(1, hash);
    ASSERT_TRUE(opened) << opened.error().message;
    const auto in = g.channel("in", "", "head:x");
    const auto n = g.channel("n", "", "head:n");
    g.channel("again", "head:x", "head:x", 1, back_edge);
    const auto out = g.channel("out", "head:x", "");
    g.channel("to-hash", "head:x", "hash:in");
    const auto digest = g.channel("digest", "hash:out", "");
    g.run();
    for (const std::int32_t count : {3, 0, 1}) {
        // -2 * count + 2 * count: always sixteen zeros, of which the hash is known.
        EXPECT_EQ(runtime_->push(in, Values(items, -2 * count))->wait().status, 0);
        EXPECT_EQ(runtime_->push(n, {count})->wait().status, 0);
        const auto pull = runtime_->pull(out, items);
        ASSERT_EQ(pull->wait().status, 0);
        EXPECT_EQ(pull->values, Values(items, 0));
        const auto hashed = runtime_->pull(digest, 8);
        ASSERT_EQ(hashed->wait().status, 0);
        EXPECT_EQ(static_cast<std::uint32_t>(hashed->values[0]), 0x42fda5f5U);
    }
    g.terminate();
}

TEST_F(OpenclGraphTest, ShorterDatablocksRunOverLess) {
    constexpr std::size_t items = 1024;
    const auto variable = [](PortDefinition& port) { port.variable = true; };
    Builder g(*runtime_, "/g");
    g.port("p:in", Direction::in, items, variable);
    g.port("p:out", Direction::out, items, variable);
    g.ptask("p", "first", {"in", "out", "#in", "#out"});
    const auto in = g.channel("in", "", "p:in");
    const auto out = g.channel("out", "p:out", "");
    g.run();
    for (const std::size_t length : {std::size_t{1024}, std::size_t{1}, std::size_t{0}, std::size_t{777}}) {
        EXPECT_EQ(runtime_->push(in, iota(length, 3))->wait().status, 0);
        const auto pull = runtime_->pull(out, items);
        ASSERT_EQ(pull->wait().status, 0);
        ASSERT_EQ(pull->wait().out_length, length * 4);
        pull->values.resize(length);
        EXPECT_EQ(pull->values, iota(length, 3));
    }
    g.terminate();
}

}  // namespace
}  // namespace yoke::graph
