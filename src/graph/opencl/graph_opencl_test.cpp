// The same flows on the OpenCL device, and what only it can refuse.
#include "device/cpu/test_device.hpp"
#include "graph/test_flow.hpp"

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
    const auto constant_for_buffer = runtime_->open_ptask("/g/a", "sum", 8, {"in", "=out"}, {1});
    ASSERT_FALSE(constant_for_buffer);
    EXPECT_EQ(constant_for_buffer.error().code, EINVAL);
    EXPECT_NE(constant_for_buffer.error().message.find("(int* out)"), std::string::npos)
        << constant_for_buffer.error().message;
    const auto port_for_constant = runtime_->open_ptask("/g/b", "add", 8, {"in", "=out", "n"});
    ASSERT_FALSE(port_for_constant);
    EXPECT_NE(port_for_constant.error().message.find("(int n)"), std::string::npos)
        << port_for_constant.error().message;
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

}  // namespace
}  // namespace yoke::graph
