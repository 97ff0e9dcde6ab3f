// For tests: endpoints with real files, FIFOs and sockets, before channels that keep what is pushed and give what is
// pulled, at the pace that the test says.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <deque>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "worker/endpoint/endpoints.hpp"

namespace yoke::worker {

using Kind = control::EndpointDefinition::Kind;

inline constexpr std::chrono::seconds far{60};  // a test that waits longer has failed

class TestChannels final : public Channels {
   public:
    void push(const graph::Transfer& transfer) noexcept override {
        const std::lock_guard lock(mutex_);
        pushes_.push_back(transfer);
        settle();
    }
    void pull(const graph::Transfer& transfer) noexcept override {
        const std::lock_guard lock(mutex_);
        pulls_.push_back(transfer);
        settle();
    }
    void cancel(std::uint64_t key) noexcept override {
        const std::lock_guard lock(mutex_);
        for (auto* waiting : {&pushes_, &pulls_}) {
            for (auto transfer = waiting->begin(); transfer != waiting->end(); ++transfer) {
                if (transfer->key == key) {
                    complete(*transfer, -YOKE_ECANCELED, 0);
                    waiting->erase(transfer);
                    return;
                }
            }
        }
    }
    void fail_graph(const std::string& graph, const std::string& why) noexcept override {
        const std::lock_guard lock(mutex_);
        failures_.push_back(graph + ": " + why);
        changed_.notify_all();
    }

    void break_stream(std::uint32_t channel, const std::string& why) noexcept override {
        const std::lock_guard lock(mutex_);
        failures_.push_back(fmt::format("{}: {}", channel, why));
        changed_.notify_all();
    }
    void finish_sink(std::uint32_t channel) noexcept override {
        const std::lock_guard lock(mutex_);
        finished_.push_back(channel);
        changed_.notify_all();
    }

    // Takes `count` more datablocks of those that are pushed.
    void accept(std::size_t count) {
        const std::lock_guard lock(mutex_);
        acceptable_ += count;
        settle();
    }
    void give(const std::string& bytes) {
        const std::lock_guard lock(mutex_);
        results_.push_back(bytes);
        settle();
    }
    void give_end(int status = YOKE_ENODATA) {
        const std::lock_guard lock(mutex_);
        end_status_ = status;
        settle();
    }
    [[nodiscard]] bool wait(const std::function<bool()>& holds) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, far, holds);
    }
    [[nodiscard]] bool wait_for_bytes(std::size_t bytes) {
        return wait([&] { return received_.size() >= bytes; });
    }
    [[nodiscard]] bool wait_for_end() {
        return wait([&] { return ends_ > 0; });
    }
    [[nodiscard]] bool wait_for_waiting_pushes(std::size_t count) {
        return wait([&] { return pushes_.size() >= count; });
    }
    [[nodiscard]] bool wait_until_finished(std::uint32_t channel) {
        return wait([&] { return std::find(finished_.begin(), finished_.end(), channel) != finished_.end(); });
    }
    bool finished() {
        const std::lock_guard lock(mutex_);
        return !finished_.empty();
    }
    [[nodiscard]] bool wait_for_failures(std::size_t count) {
        return wait([&] { return failures_.size() >= count; });
    }
    std::string failure(std::size_t number) {
        const std::lock_guard lock(mutex_);
        return failures_[number];
    }
    [[nodiscard]] std::string wait_for_failure() {
        return wait([&] { return !failures_.empty(); }) ? failures_[0] : "";
    }
    std::string received() {
        const std::lock_guard lock(mutex_);
        return received_;
    }
    std::size_t waiting_pushes() {
        const std::lock_guard lock(mutex_);
        return pushes_.size();
    }
    std::size_t waiting_pulls() {
        const std::lock_guard lock(mutex_);
        return pulls_.size();
    }

   private:
    static void complete(const graph::Transfer& transfer, int status, std::size_t length) {
        yoke_completion completion{};
        completion.status = status;
        completion.out_length = length;
        transfer.sink->complete(transfer, completion);
    }
    void settle() {
        while (!pushes_.empty() && (acceptable_ > 0 || (pushes_.front().flags & YOKE_FLAG_END) != 0)) {
            const graph::Transfer transfer = pushes_.front();
            pushes_.pop_front();
            if ((transfer.flags & YOKE_FLAG_END) != 0) {
                ++ends_;
                complete(transfer, 0, 0);
                continue;
            }
            --acceptable_;
            received_.append(reinterpret_cast<const char*>(transfer.data), transfer.length);
            complete(transfer, 0, 0);
        }
        while (!pulls_.empty() && (!results_.empty() || end_status_ != 0)) {
            const graph::Transfer transfer = pulls_.front();
            pulls_.pop_front();
            if (results_.empty()) {
                complete(transfer, -end_status_, 0);
                continue;
            }
            const std::string bytes = results_.front();
            results_.pop_front();
            ASSERT_LE(bytes.size(), transfer.length);
            bytes.copy(reinterpret_cast<char*>(transfer.data), bytes.size());
            complete(transfer, 0, bytes.size());
        }
        changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<graph::Transfer> pushes_;
    std::deque<graph::Transfer> pulls_;
    std::deque<std::string> results_;
    std::string received_;
    std::vector<std::string> failures_;
    std::size_t acceptable_ = 0;
    std::size_t ends_ = 0;
    std::vector<std::uint32_t> finished_;
    int end_status_ = 0;
};

class EndpointTest : public testing::Test {
   protected:
    static constexpr std::size_t datablock_bytes = 1000;

    void SetUp() override {
        ::signal(SIGPIPE, SIG_IGN);  // as the worker does
        std::string pattern = (std::filesystem::temp_directory_path() / "yoke-endpoint.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        auto made = Endpoints::create(channels_);
        ASSERT_TRUE(made) << made.error().message;
        endpoints_ = std::move(*made);
    }
    void TearDown() override {
        endpoints_.reset();
        EXPECT_EQ(channels_.waiting_pushes(), 0U);
        EXPECT_EQ(channels_.waiting_pulls(), 0U);
        std::filesystem::remove_all(directory_);
    }

    [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }
    std::string make_fifo(const std::string& name) const {
        EXPECT_EQ(::mkfifo(path(name).c_str(), 0600), 0);
        return path(name);
    }
    static Place place(Kind kind, const std::string& path, bool source) {
        Place made;
        made.graph = made.key = "/g";
        made.channel_name = source ? "/g/in" : "/g/out";
        made.channel = source ? 1 : 2;
        made.source = source;
        made.port = source ? "/g/p:in" : "/g/p:out";
        made.bytes = datablock_bytes;
        made.form = {"u8", {datablock_bytes, 1, 1}, 0};
        made.definition = {kind, path, false};
        return made;
    }
    Status start(const Place& place) {
        auto opened = Endpoints::open({place});
        return opened ? endpoints_->begin(place.key, std::move(*opened)) : tl::unexpected(opened.error());
    }
    static std::string text(std::size_t datablocks, char first = 'a') {
        std::string made;
        for (std::size_t i = 0; i < datablocks * datablock_bytes; ++i) {
            made += static_cast<char>(first + (i / datablock_bytes + i) % 26);
        }
        return made;
    }
    static void write_all(const Fd& fd, std::string_view bytes) {
        while (!bytes.empty()) {
            pollfd ready{fd.get(), POLLOUT, 0};
            ASSERT_EQ(::poll(&ready, 1, 60'000), 1);
            const ssize_t count = ::write(fd.get(), bytes.data(), std::min<std::size_t>(bytes.size(), 777));
            ASSERT_GT(count, 0) << std::strerror(errno);
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
    }
    // Reads `bytes`, or to the end where that comes first.
    static std::string read_up_to(const Fd& fd, std::size_t bytes) {
        std::string got;
        while (got.size() < bytes) {
            char buffer[512];
            pollfd ready{fd.get(), POLLIN, 0};
            EXPECT_EQ(::poll(&ready, 1, 60'000), 1);
            const ssize_t count = ::read(fd.get(), buffer, std::min(sizeof buffer, bytes - got.size()));
            if (count <= 0) {
                break;
            }
            got.append(buffer, static_cast<std::size_t>(count));
        }
        return got;
    }
    [[nodiscard]] std::string read_file(const std::string& name) const {
        std::ifstream stream(path(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    }
    std::string write_file(const std::string& name, const std::string& content) const {
        std::ofstream(path(name), std::ios::binary) << content;
        return path(name);
    }

    std::string directory_;
    TestChannels channels_;
    std::unique_ptr<Endpoints> endpoints_;
};

class Listener {
   public:
    explicit Listener(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(fd_.get(), 4), 0);
    }
    Fd accept() { return Fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

   private:
    Fd fd_;
};

}  // namespace yoke::worker
