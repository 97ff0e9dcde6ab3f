// Calls that fail on the resident kernel of a real worker, one that never ends and one that writes where nothing is:
// the worker ends. Another client works meanwhile and notices nothing but a slow call: each of its calls ends with its
// result, no byte around an output or in the culprit's arena changes, and both go on at the next worker.
#include <poll.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "service/device/call.hpp"
#include "support/client.hpp"
#include "support/raw_session.hpp"

namespace yoke::test {
namespace {

constexpr std::byte canary{0xc3};

// A client that calls without pause. Outputs lie between bytes that nobody may write.
class Bystander {
   public:
    explicit Bystander(const Instance& instance) : session_(options_for(instance)) {
        std::fill(around_.bytes().begin(), around_.bytes().end(), canary);
        std::fill(beside_.bytes().begin(), beside_.bytes().end(), canary);
    }
    Bystander(const Bystander&) = delete;
    Bystander& operator=(const Bystander&) = delete;
    ~Bystander() { stop(); }

    void begin() {
        thread_ = std::thread([this] {
            try {
                while (!over_) {
                    call();
                }
            } catch (const error& failed) {
                problem_ = failed.what();
            }
            ended_ = true;
        });
    }
    // What went wrong; empty if nothing did.
    const std::string& stop() {
        over_ = true;
        if (thread_.joinable()) {
            thread_.join();
        }
        return problem_;
    }
    // The worker of the last call, and whether the resident kernel executed it.
    [[nodiscard]] pid_t worker() const { return worker_; }
    [[nodiscard]] bool on_kernel() const { return on_kernel_; }
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] std::uint64_t calls() const { return calls_; }

   private:
    static constexpr std::size_t length = 2048;
    static constexpr std::size_t at = 1024;

    void call() {
        fill(in_.bytes().first(64), calls_);
        const std::span<std::byte> out = around_.bytes().subspan(at, length);
        std::fill(out.begin(), out.end(), std::byte{0xa5});
        const yoke_result result = session_.call(Call(YOKE_SERVICE_ECHO, in_, out).place(YOKE_PLACE_WORKER));
        if (!std::ranges::equal(in_.bytes(), out)) {
            throw error(EIO, "a wrong answer");
        }
        const auto is_canary = [](std::byte b) { return b == canary; };
        if (!std::ranges::all_of(around_.bytes().first(at), is_canary) ||
            !std::ranges::all_of(around_.bytes().subspan(at + length), is_canary) ||
            !std::ranges::all_of(beside_.bytes(), is_canary)) {
            throw error(EIO, "memory beside an output was written");
        }
        worker_ = static_cast<pid_t>(session_.info().worker_pid);
        on_kernel_ = result.where == YOKE_WHERE_NSK;
        ++calls_;
    }

    Session session_;
    Buffer in_ = session_.alloc(length);
    Buffer around_ = session_.alloc(2 * at + length);
    Buffer beside_ = session_.alloc(4096);
    std::atomic<bool> over_{false};
    std::atomic<bool> ended_{false};
    std::atomic<pid_t> worker_{0};
    std::atomic<bool> on_kernel_{false};
    std::atomic<std::uint64_t> calls_{0};
    std::string problem_;
    std::thread thread_;
};

class GpuDeviceFault : public testing::Test {
   protected:
    void SetUp() override {
        ASSERT_TRUE(instance_.ready()) << instance_.error();
        Session session(options_for(instance_));
        control::Json devices;
        ASSERT_TRUE(eventually([&] {
            const auto now = instance_.ask({{"op", "list"}});
            devices = now ? now->body["devices"] : control::Json::array();
            return !devices.empty() && devices[0]["state"] != "opening";
        }));
        if (devices[0]["name"] != "cuda") {
            GTEST_SKIP() << "the worker has no CUDA device: " << devices.dump() << instance_.log();
        }
    }

    // Without a pause between calls, so that the ring stays hot. Nothing: no completion came before `done` was true.
    template <typename Done>
    static std::optional<yoke_completion> call(RawSession& session, const yoke_submission& s, const Done& done) {
        ring::Producer& ring = session.producer(YOKE_RING_EXPRESS);
        const std::int64_t position = ring.submit(s, nullptr);
        yoke_completion completion{};
        while (position >= 0 && !ring.take_completion(static_cast<std::uint64_t>(position), completion)) {
            if (done()) {
                return std::nullopt;
            }
            std::this_thread::yield();
        }
        return position < 0 ? std::nullopt : std::optional(completion);
    }
    static bool reaches_kernel(RawSession& session) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        const auto over = [&] { return std::chrono::steady_clock::now() > end; };
        while (!over()) {
            const auto done = call(session, echo_of(session), over);
            if (done && done->status == 0 && done->where == YOKE_WHERE_NSK) {
                return true;
            }
        }
        return false;
    }
    static bool has_ended(RawSession& session) {
        pollfd worker{session.connected().pidfd.get(), POLLIN, 0};
        return ::poll(&worker, 1, 0) == 1;
    }
    static yoke_submission echo_of(const RawSession& session) {
        yoke_submission s{};
        s.opcode = YOKE_OP_CALL;
        s.service = YOKE_SERVICE_ECHO;
        s.in_offset = session.layout().data;
        s.out_offset = session.layout().data + 4096;
        s.in_length = s.out_length = 64;
        return s;
    }

    void ends_its_worker_only(std::uint32_t fault) {
        Bystander bystander(instance_);
        bystander.begin();
        ASSERT_TRUE(eventually([&] { return bystander.on_kernel() || bystander.ended(); }));
        auto culprit = RawSession::open(instance_);
        ASSERT_TRUE(culprit) << culprit.error().message;
        std::ranges::fill((*culprit)->data(), canary);  // what is echoed, too
        const pid_t old = (*culprit)->connected().worker;
        yoke_submission s = echo_of(**culprit);
        s.service = service::device::fault_service;
        s.in_length = fault;
        // The host refuses the entry where the kernel has given the ring back before it.
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        const auto over = [&] { return has_ended(**culprit) || std::chrono::steady_clock::now() > end; };
        do {
            ASSERT_TRUE(reaches_kernel(**culprit)) << instance_.log();
            ASSERT_EQ(bystander.worker(), old);
        } while (call(**culprit, s, over));
        EXPECT_TRUE(has_ended(**culprit)) << "the worker goes on";
        // Its next calls: answered by another worker, then by that one's kernel.
        EXPECT_TRUE(eventually([&] {
            return bystander.ended() || (bystander.worker() != old && bystander.on_kernel());
        })) << instance_.log();
        const auto is_canary = [](std::byte b) { return b == canary; };
        EXPECT_TRUE(std::ranges::all_of((*culprit)->data(), is_canary)) << "a call that failed wrote something";
        // The culprit hands its arena to the next worker and is served.
        auto again = RawSession::open(instance_, 1U << 20U, &(*culprit)->arena_fd());
        ASSERT_TRUE(again) << again.error().message;
        EXPECT_NE((*again)->connected().worker, old);
        EXPECT_TRUE((*again)->echo(4096));
        EXPECT_TRUE(reaches_kernel(**again)) << instance_.log();
        const std::uint64_t calls = bystander.calls();
        EXPECT_TRUE(eventually([&] { return bystander.ended() || bystander.calls() > calls; }));
        EXPECT_EQ(bystander.stop(), "") << instance_.log();
        RecordProperty("calls_of_the_other", std::to_string(bystander.calls()));
    }

    Instance instance_{{.config = forgiving, .environment = {"YOKE_DEVICE_FAULTS=1"}}};
};

TEST_F(GpuDeviceFault, ACallThatNeverEndsEndsItsWorkerOnly) {
    ends_its_worker_only(service::device::fault_endless);
}

TEST_F(GpuDeviceFault, ACallThatWritesWhereNothingIsEndsItsWorkerOnly) {
    ends_its_worker_only(service::device::fault_stray);
}

}  // namespace
}  // namespace yoke::test
