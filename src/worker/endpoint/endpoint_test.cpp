// Endpoints with real files, FIFOs and sockets, before channels that keep what is pushed and give what is pulled, at
// the pace that the test says.
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
#include "worker/endpoint/uinput_sink.hpp"

namespace yoke::worker {
namespace {

using Kind = control::EndpointDefinition::Kind;
using testing::HasSubstr;

constexpr std::chrono::seconds far{60};  // a test that waits longer has failed

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
    void give_end() {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        settle();
    }
    // What completes pushes of less than this, as the runtime does where a port takes one size only.
    void refuse_below(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        bytes_min_ = bytes;
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
            if (transfer.length < bytes_min_) {
                complete(transfer, -YOKE_EINVAL, bytes_min_);
                continue;
            }
            received_.append(reinterpret_cast<const char*>(transfer.data), transfer.length);
            complete(transfer, 0, 0);
        }
        while (!pulls_.empty() && (!results_.empty() || ending_)) {
            const graph::Transfer transfer = pulls_.front();
            pulls_.pop_front();
            if (results_.empty()) {
                complete(transfer, -YOKE_ENODATA, 0);
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
    std::size_t bytes_min_ = 0;
    std::size_t ends_ = 0;
    bool ending_ = false;
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

TEST_F(EndpointTest, FileIsPushedInDatablocksAndThenEnds) {
    ASSERT_TRUE(start(place(Kind::file, write_file("frames", text(9)), true)));
    channels_.accept(100);
    ASSERT_TRUE(channels_.wait_for_end());
    EXPECT_EQ(channels_.received(), text(9));
}

TEST_F(EndpointTest, EmptyFileIsAnEmptyStream) {
    Place empty = place(Kind::file, write_file("frames", ""), true);
    empty.definition.repeat = true;
    ASSERT_TRUE(start(empty));
    ASSERT_TRUE(channels_.wait_for_end());
    EXPECT_EQ(channels_.received(), "");
}

TEST_F(EndpointTest, RepeatedFileBeginsAgain) {
    Place repeated = place(Kind::file, write_file("frames", text(2)), true);
    repeated.definition.repeat = true;
    ASSERT_TRUE(start(repeated));
    channels_.accept(5);
    ASSERT_TRUE(channels_.wait_for_bytes(5 * datablock_bytes));
    EXPECT_EQ(channels_.received(), text(2) + text(2) + text(1));
}

TEST_F(EndpointTest, FileThatEndsInADatablockFailsTheGraph) {
    channels_.refuse_below(datablock_bytes);
    ASSERT_TRUE(start(place(Kind::file, write_file("frames", text(2) + "rest"), true)));
    channels_.accept(100);
    const std::string failure = channels_.wait_for_failure();
    EXPECT_THAT(failure, HasSubstr("/g: "));
    EXPECT_THAT(failure, HasSubstr("/g/in"));
    EXPECT_THAT(failure, HasSubstr(path("frames")));
    EXPECT_EQ(channels_.received(), text(2));
}

TEST_F(EndpointTest, ShortLastDatablockReachesAVariablePort) {
    ASSERT_TRUE(start(place(Kind::file, write_file("frames", text(1) + "rest"), true)));
    channels_.accept(100);
    ASSERT_TRUE(channels_.wait_for_end());
    EXPECT_EQ(channels_.received(), text(1) + "rest");
}

TEST_F(EndpointTest, NothingIsReadWhileTransfersDoNotComplete) {
    const std::string fifo = make_fifo("frames");
    ASSERT_TRUE(start(place(Kind::fifo, fifo, true)));
    const Fd writer(::open(fifo.c_str(), O_WRONLY | O_NONBLOCK));
    ASSERT_TRUE(writer);
    // Fills the pipe to the brim: what was read is bounded, so this ends.
    std::string sent;
    const std::string all = text(5000);
    while (sent.size() < all.size()) {
        const ssize_t count = ::write(writer.get(), all.data() + sent.size(), 500);
        if (count < 0) {
            ASSERT_EQ(errno, EAGAIN);
            if (channels_.waiting_pushes() == 4) {
                break;
            }
            ASSERT_TRUE(channels_.wait_for_waiting_pushes(4));
            continue;
        }
        sent.append(all, sent.size(), static_cast<std::size_t>(count));
    }
    EXPECT_LT(sent.size(), all.size());
    EXPECT_EQ(channels_.waiting_pushes(), 4U);
    channels_.accept(100'000);
    write_all(writer, std::string_view(all).substr(sent.size()));
    ASSERT_TRUE(channels_.wait_for_bytes(all.size()));
    EXPECT_EQ(channels_.received(), all);
}

TEST_F(EndpointTest, LastWriterOfAFifoEndsTheStream) {
    const std::string fifo = make_fifo("frames");
    ASSERT_TRUE(start(place(Kind::fifo, fifo, true)));
    channels_.accept(100);
    write_all(Fd(::open(fifo.c_str(), O_WRONLY)), text(3));
    ASSERT_TRUE(channels_.wait_for_end());
    EXPECT_EQ(channels_.received(), text(3));
}

TEST_F(EndpointTest, PersistentGraphWaitsForTheNextWriter) {
    const std::string fifo = make_fifo("frames");
    Place lasting = place(Kind::fifo, fifo, true);
    lasting.persist = true;
    ASSERT_TRUE(start(lasting));
    channels_.accept(100);
    for (const char first : {'a', 'k', 'r'}) {
        write_all(Fd(::open(fifo.c_str(), O_WRONLY)), text(3, first));
    }
    const std::string all = text(3, 'a') + text(3, 'k') + text(3, 'r');
    ASSERT_TRUE(channels_.wait_for_bytes(all.size()));
    EXPECT_EQ(channels_.received(), all);
}

TEST_F(EndpointTest, FileIsWrittenInOrder) {
    write_file("results", "what was there before");
    ASSERT_TRUE(start(place(Kind::file, path("results"), false)));
    for (std::size_t i = 0; i < 20; ++i) {
        channels_.give(text(20).substr(i * datablock_bytes, datablock_bytes));
    }
    channels_.give("short");
    channels_.give_end();
    endpoints_->stop("/g");
    const std::string written = read_file("results");
    // What had been pulled when the graph stopped is written or not, but never in pieces or out of order.
    EXPECT_EQ(written, (text(20) + "short").substr(0, written.size()));
}

TEST_F(EndpointTest, SinkClosesItsFifoAtTheEnd) {
    const std::string fifo = make_fifo("results");
    // Nobody reads yet; the graph starts all the same.
    ASSERT_TRUE(start(place(Kind::fifo, fifo, false)));
    for (std::size_t i = 0; i < 300; ++i) {
        channels_.give(text(300).substr(i * datablock_bytes, datablock_bytes));
    }
    channels_.give_end();
    const Fd reader(::open(fifo.c_str(), O_RDONLY));
    ASSERT_TRUE(reader);
    EXPECT_EQ(read_up_to(reader, SIZE_MAX), text(300));
}

TEST_F(EndpointTest, ReaderThatGoesFailsTheGraph) {
    const std::string fifo = make_fifo("results");
    ASSERT_TRUE(start(place(Kind::fifo, fifo, false)));
    {
        const Fd reader(::open(fifo.c_str(), O_RDONLY));
        channels_.give(text(1));
        EXPECT_EQ(read_up_to(reader, datablock_bytes), text(1));
    }
    const std::string failure = channels_.wait_for_failure();
    EXPECT_THAT(failure, HasSubstr(fifo));
    EXPECT_THAT(failure, HasSubstr("/g/out"));
    EXPECT_THAT(failure, HasSubstr("reader"));
}

TEST_F(EndpointTest, PersistentGraphWaitsForTheNextReader) {
    const std::string fifo = make_fifo("results");
    Place lasting = place(Kind::fifo, fifo, false);
    lasting.persist = true;
    ASSERT_TRUE(start(lasting));
    for (const char first : {'a', 'k', 'r'}) {
        const Fd reader(::open(fifo.c_str(), O_RDONLY));
        channels_.give(text(1, first));
        EXPECT_EQ(read_up_to(reader, datablock_bytes), text(1, first));
    }
}

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

TEST_F(EndpointTest, SocketIsReadUntilItHangsUp) {
    Listener listener(path("socket"));
    ASSERT_TRUE(start(place(Kind::socket, path("socket"), true)));
    channels_.accept(1000);
    write_all(listener.accept(), text(200));
    ASSERT_TRUE(channels_.wait_for_end());
    EXPECT_EQ(channels_.received(), text(200));
}

TEST_F(EndpointTest, PersistentGraphConnectsAgain) {
    Listener listener(path("socket"));
    Place lasting = place(Kind::socket, path("socket"), true);
    lasting.persist = true;
    ASSERT_TRUE(start(lasting));
    channels_.accept(1000);
    write_all(listener.accept(), text(2) + "left over");
    write_all(listener.accept(), text(2, 'k'));
    ASSERT_TRUE(channels_.wait_for_bytes(4 * datablock_bytes));
    EXPECT_EQ(channels_.received(), text(2) + text(2, 'k'));
}

TEST_F(EndpointTest, SocketIsWrittenAndItsEndFailsTheGraph) {
    Listener listener(path("socket"));
    ASSERT_TRUE(start(place(Kind::socket, path("socket"), false)));
    {
        const Fd reader = listener.accept();
        channels_.give(text(1));
        EXPECT_EQ(read_up_to(reader, datablock_bytes), text(1));
    }
    EXPECT_THAT(channels_.wait_for_failure(), HasSubstr("reader"));
}

TEST_F(EndpointTest, StopClosesWhatWaits) {
    const std::string fifo = make_fifo("frames");
    ASSERT_TRUE(start(place(Kind::fifo, fifo, true)));
    ASSERT_TRUE(start(place(Kind::fifo, make_fifo("results"), false)));
    const Fd writer(::open(fifo.c_str(), O_WRONLY));
    write_all(writer, text(3));
    ASSERT_TRUE(channels_.wait_for_waiting_pushes(3));
    EXPECT_THAT(endpoints_->keys(), testing::ElementsAre("/g"));
    endpoints_->stop("/g");
    EXPECT_TRUE(endpoints_->keys().empty());
    EXPECT_EQ(::write(writer.get(), "x", 1), -1);  // nobody reads any more
    EXPECT_EQ(errno, EPIPE);
}

TEST_F(EndpointTest, OpeningNamesEndpointAndRemedy) {
    const auto refused = [&](const Place& place, int code, const std::string& what) {
        const auto opened = Endpoints::open({place});
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().code, code) << opened.error().message;
        EXPECT_THAT(opened.error().message, HasSubstr(place.definition.path));
        EXPECT_THAT(opened.error().message, HasSubstr(place.channel_name));
        EXPECT_THAT(opened.error().message, HasSubstr(what));
    };
    const std::string file = write_file("file", "x");
    refused(place(Kind::fifo, path("none"), true), ENOENT, "mkfifo");
    refused(place(Kind::fifo, file, true), EINVAL, "is a file and not a FIFO");
    refused(place(Kind::file, make_fifo("fifo"), true), EINVAL, "is a FIFO and not a file");
    refused(place(Kind::file, path("none"), true), ENOENT, "");
    refused(place(Kind::file, "relative", true), EINVAL, "begins with /");
    refused(place(Kind::file, directory_, true), EINVAL, "a directory");
    refused(place(Kind::file, path("no/such/folder"), false), ENOENT, "");
    refused(place(Kind::socket, path("none"), true), ENOENT, "socket");
    refused(place(Kind::socket, file, true), EINVAL, "is a file");
    refused(place(Kind::v4l2, file, true), EINVAL, "is a file");
    refused(place(Kind::v4l2, "/dev/null", true), ENOTTY, "no V4L2 device");
    refused(place(Kind::v4l2, "/dev/null", false), EINVAL, "takes nothing");
    refused(place(Kind::uinput, "/dev/null", false), ENOTTY, "no pointer");
    refused(place(Kind::uinput, "/dev/null", true), EINVAL, "gives nothing");
    EXPECT_FALSE(std::filesystem::exists(path("none")));
}

// All or none: what was opened before the one that cannot be opened is closed again.
TEST_F(EndpointTest, OneThatCannotBeOpenedClosesTheOthers) {
    const std::string fifo = make_fifo("frames");
    EXPECT_FALSE(Endpoints::open({place(Kind::fifo, fifo, true), place(Kind::file, path("none"), true)}));
    EXPECT_EQ(::open(fifo.c_str(), O_WRONLY | O_NONBLOCK), -1);
    EXPECT_EQ(errno, ENXIO);
}

TEST(InputEvents, ArePointerEventsWithoutTime) {
    const std::array<PointerEvent, 4> pointer{
        {{EV_ABS, ABS_X, 1000}, {EV_KEY, BTN_LEFT, 1}, {EV_REL, REL_WHEEL, -1}, {EV_SYN, SYN_REPORT, 0}}};
    const auto events = input_events(std::as_bytes(std::span(pointer)));
    ASSERT_TRUE(events) << events.error().message;
    ASSERT_EQ(events->size(), 4U);
    EXPECT_EQ((*events)[0].type, EV_ABS);
    EXPECT_EQ((*events)[0].value, 1000);
    EXPECT_EQ((*events)[2].code, REL_WHEEL);
    EXPECT_EQ((*events)[2].value, -1);
}

TEST(MaliciousInputEvents, OthersThanAPointersAreRefused) {
    for (const PointerEvent event : {PointerEvent{EV_KEY, KEY_A, 1}, PointerEvent{EV_REL, REL_DIAL, 1},
                                     PointerEvent{EV_ABS, ABS_Z, 1}, PointerEvent{0xffff, 0xffff, -1},
                                     PointerEvent{EV_SYN, SYN_DROPPED, 0}, PointerEvent{EV_KEY, BTN_TASK + 1, 1}}) {
        const std::array<PointerEvent, 2> pointer{{{EV_SYN, SYN_REPORT, 0}, event}};
        const auto events = input_events(std::as_bytes(std::span(pointer)));
        ASSERT_FALSE(events);
        EXPECT_THAT(events.error().message, HasSubstr("event 1"));
    }
}

class DeviceTest : public EndpointTest {};

TEST_F(DeviceTest, CameraGivesFrames) {
    const char* camera = "/dev/video0";
    if (::access(camera, R_OK | W_OK) != 0) {
        GTEST_SKIP() << camera << " is not there or not ours; modprobe vivid makes one";
    }
    Place frames = place(Kind::v4l2, camera, true);
    frames.form = {"u8", {640 * 2, 480, 1}, 0};  // YUYV
    frames.bytes = 640UL * 480 * 2;
    const Status started = start(frames);
    ASSERT_TRUE(started) << started.error().message;
    channels_.accept(10);
    ASSERT_TRUE(channels_.wait_for_bytes(10 * frames.bytes));
    // A fifth frame waits nowhere: four are in flight and the camera drops what comes.
    EXPECT_LE(channels_.waiting_pushes(), 4U);
}

TEST_F(DeviceTest, PointerMoves) {
    const char* device = "/dev/uinput";
    if (::access(device, W_OK) != 0) {
        GTEST_SKIP() << device << " is not there or not ours; modprobe uinput makes it";
    }
    ASSERT_TRUE(start(place(Kind::uinput, device, false)));
    std::filesystem::path events;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/class/input")) {
        std::ifstream stream(entry.path() / "device" / "name");
        std::string name;
        std::getline(stream, name);
        if (name == "yoke /g/out" && entry.path().filename().string().starts_with("event")) {
            events = std::filesystem::path("/dev/input") / entry.path().filename();
        }
    }
    ASSERT_FALSE(events.empty());
    const Fd reader(::open(events.c_str(), O_RDONLY));
    ASSERT_TRUE(reader) << events << ": " << std::strerror(errno);
    const std::array<PointerEvent, 3> pointer{{{EV_ABS, ABS_X, 1234}, {EV_KEY, BTN_LEFT, 1}, {}}};
    channels_.give(std::string(reinterpret_cast<const char*>(pointer.data()), sizeof pointer));
    const std::string got = read_up_to(reader, 3 * sizeof(input_event));
    ASSERT_EQ(got.size(), 3 * sizeof(input_event));
    input_event first{};
    std::memcpy(&first, got.data(), sizeof first);
    EXPECT_EQ(first.code, ABS_X);
    EXPECT_EQ(first.value, 1234);
}

}  // namespace
}  // namespace yoke::worker
