// Endpoints: paths, their ends and who is at their other side; devices.
#include <array>

#include "worker/endpoint/test_endpoint.hpp"
#include "worker/endpoint/uinput_sink.hpp"

namespace yoke::worker {
namespace {

using testing::HasSubstr;

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
// Also by other names, and before anything is emptied.
TEST_F(EndpointTest, AFileIsNotReadAndWrittenByOneGraph) {
    const std::string file = write_file("file", text(2));
    ASSERT_EQ(::link(file.c_str(), path("hard").c_str()), 0);
    ASSERT_EQ(::symlink(file.c_str(), path("soft").c_str()), 0);
    const Place source = place(Kind::file, file, true);
    for (const std::string name : {"file", "hard", "soft"}) {
        const auto opened = Endpoints::open({place(Kind::file, path(name), false), source});
        ASSERT_FALSE(opened) << name;
        EXPECT_EQ(opened.error().code, EINVAL);
        EXPECT_THAT(opened.error().message,
                    HasSubstr("endpoint " + path(name) + " of channel /g/out is the same file as endpoint " + file +
                              " of channel /g/in"));
    }
    const std::string fifo = make_fifo("fifo");
    EXPECT_FALSE(Endpoints::open({place(Kind::fifo, fifo, true), place(Kind::fifo, fifo, false)}));
    const Place sink = place(Kind::file, path("new"), false);
    EXPECT_FALSE(Endpoints::open({sink, sink}));
    EXPECT_TRUE(Endpoints::open({source, source}));
    EXPECT_TRUE(Endpoints::open({place(Kind::file, "/dev/null", true), place(Kind::file, "/dev/null", false)}));
    EXPECT_EQ(read_file("file"), text(2));
}

// A graph that does not come to run has emptied nothing.
TEST_F(EndpointTest, FilesAreEmptiedWhenAllAreOpen) {
    write_file("results", "before");
    EXPECT_FALSE(Endpoints::open({place(Kind::file, path("results"), false), place(Kind::file, path("none"), true)}));
    EXPECT_EQ(read_file("results"), "before");
}

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
