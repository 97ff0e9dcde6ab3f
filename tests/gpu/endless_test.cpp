// A user's kernel that never ends, on a CUDA device: whether its deadline or its graph's end finds it, its worker ends
// and nothing else: other graphs hear that they began anew, and calls and graphs go on at the next worker.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "support/client.hpp"

namespace yoke::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t words = 1024;
constexpr std::size_t bytes = words * sizeof(std::int32_t);

constexpr const char* source =
    "kernel void add(global const int *in, global int *out) {\n"
    "    size_t i = get_global_id(0); out[i] = in[i] + 1; }\n"
    "kernel void endless(volatile global const int *in, global int *out) {\n"
    "    size_t i = get_global_id(0); while (in[i] != -1) { } out[i] = 1; }\n";

// One ptask.
class Single {
   public:
    Single(Session& session, const std::string& name, const char* function, std::uint64_t deadline_ns)
        : graph_(session, name), in_memory_(session.alloc(bytes)), out_memory_(session.alloc(bytes)) {
        yoke_form form{};
        form.source = source;
        form.function = function;
        const std::array<yoke_ptask_argument, 2> arguments{
            {{"in", nullptr, 0, YOKE_TELLS_DATABLOCK, 0}, {"out", nullptr, 0, YOKE_TELLS_DATABLOCK, 0}}};
        yoke_ptask ptask{};
        ptask.forms = &form;
        ptask.form_count = 1;
        ptask.arguments = arguments.data();
        ptask.argument_count = arguments.size();
        ptask.deadline_ns = deadline_ns;
        graph_.port("p:in", YOKE_IN, Form("i32", {words}));
        graph_.port("p:out", YOKE_OUT, Form("i32", {words}));
        graph_.ptask("p", ptask);
        in_ = graph_.channel("in", "", "p:in", 4);
        out_ = graph_.channel("out", "p:out", "", 4);
        graph_.run();
    }
    // -errno of a push and a pull, or 0.
    int pass(Session& session, std::int32_t value, std::chrono::nanoseconds timeout) {
        const auto ns = static_cast<std::int64_t>(timeout.count());
        auto* const in = in_memory_.as<std::int32_t>().data();
        std::fill(in, in + words, value);
        const int pushed = yoke_push(session.get(), in_, in, bytes, 0, ns, nullptr);
        return pushed < 0 ? pushed : yoke_pull(session.get(), out_, out_memory_.data(), bytes, ns, nullptr);
    }
    [[nodiscard]] std::int32_t last() { return out_memory_.as<std::int32_t>()[words - 1]; }

   private:
    Graph graph_;
    Buffer in_memory_;
    Buffer out_memory_;
    std::uint32_t in_ = 0;
    std::uint32_t out_ = 0;
};

class GpuEndless : public ClientTest {
   protected:
    void SetUp() override {
        ClientTest::SetUp();
        Session session(options_for(instance_));
        if (!await_device()) {
            GTEST_SKIP() << "the worker has no CUDA device: " << instance_.log();
        }
    }

    // Whether the worker has opened a CUDA device.
    bool await_device() {
        control::Json devices;
        EXPECT_TRUE(eventually([&] {
            const auto now = instance_.ask({{"op", "list"}});
            devices = now ? now->body["devices"] : control::Json::array();
            return !devices.empty() && devices[0]["state"] != "opening";
        }));
        return !devices.empty() && devices[0]["name"] == "cuda";
    }

    // After the kernel's worker has ended: the other graph is told so once, then goes on.
    void goes_on(Session& session, Single& other, pid_t old) {
        int status = 0;
        EXPECT_TRUE(eventually([&] {
            status = other.pass(session, 5, 20s);
            return status != 0;
        }));
        EXPECT_EQ(status, -ERESTART) << yoke_error(session.get()) << instance_.log();
        EXPECT_EQ(other.pass(session, 41, 30s), 0) << yoke_error(session.get());
        EXPECT_EQ(other.last(), 42);
        EXPECT_NE(worker(session), old);
        Buffer in = session.alloc(4096);
        Buffer out = session.alloc(4096);
        fill(in, 1);
        session.call(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER));
        EXPECT_TRUE(std::ranges::equal(in.bytes(), out.bytes()));
        EXPECT_THAT(instance_.log(), testing::HasSubstr("a kernel does not end"));
    }
};

TEST_F(GpuEndless, ADeadlineEndsItsWorkerAndOtherGraphsBeginAnew) {
    Session session(options_for(instance_));
    Single other(session, "/other", "add", 0);
    ASSERT_EQ(other.pass(session, 1, 30s), 0) << yoke_error(session.get());
    const pid_t old = worker(session);
    {
        Session culprit(options_for(instance_));
        Single endless(culprit, "/endless", "endless", 200'000'000);
        const int status = endless.pass(culprit, 0, 60s);
        EXPECT_TRUE(status == -EIO || status == -ERESTART) << status << " " << yoke_error(culprit.get());
        goes_on(session, other, old);
    }
    EXPECT_THAT(instance_.log(), testing::HasSubstr("longer than its deadline of 200 ms"));
}

TEST_F(GpuEndless, TerminatingItsGraphEndsItsWorkerAndOtherGraphsBeginAnew) {
    Session session(options_for(instance_));
    Single other(session, "/other", "add", 0);
    ASSERT_EQ(other.pass(session, 1, 30s), 0) << yoke_error(session.get());
    const pid_t old = worker(session);
    {
        Session culprit(options_for(instance_));
        Single endless(culprit, "/endless", "endless", 0);
        EXPECT_EQ(endless.pass(culprit, 0, 500ms), -ETIME) << "without a deadline it may go on";
        EXPECT_EQ(worker(culprit), old);
        yoke_terminate_graph(culprit.get(), "/endless");
        goes_on(session, other, old);
    }
    EXPECT_THAT(instance_.log(), testing::HasSubstr("graph /endless is terminated"));
}

}  // namespace
}  // namespace yoke::test
