// The gesture interface as its user runs it: four programs in a pipeline of a shell, on recorded frames where they are
// there and on rendered ones with their ground truth; as one graph from gesture.toml, which must tell the same, byte
// for byte; and with two cameras.
#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <sstream>

#include <yoke/yoke.hpp>

#include "cli_program.hpp"
#include "gesture/graph.hpp"
#include "gesture/synthetic.hpp"
#include "support/instance.hpp"
#include "support/process_tree.hpp"
#include "tour/image.hpp"

namespace yoke::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

struct Sight {
    bool hand = false;
    double x = 0;
    double y = 0;
    double distance = 0;
    int fingers = 0;
    bool open = false;
};

// One line of hidinput --print.
Sight sight_of(const std::string& line) {
    Sight sight;
    std::istringstream words(line);
    std::string number;
    std::string what;
    std::string skip;
    std::string sign;
    words >> number >> what;
    if (what == "hand") {
        words >> sight.x >> sight.y >> sight.distance >> skip >> skip >> sight.fingers >> sign;
        sight.hand = true;
        sight.open = sign == "open-palm";
    }
    return sight;
}

template <typename Row>
auto rows_of(const std::string& text, Row row) {
    std::vector<decltype(row(text))> rows;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        rows.push_back(row(line));
    }
    return rows;
}

std::string header_line(const std::string& stream) {
    return stream.substr(0, stream.find('\n') + 1);
}
std::string records_of(const std::string& stream) {
    return stream.substr(stream.find('\n') + 1);
}

class GesturePipeline : public CliTest {
   protected:
    void SetUp() override {
        CliTest::SetUp();
        // Compiling the kernels takes half a minute and is tested elsewhere: one test here does it for the others.
        Instance::Options options;
        options.cache = YOKE_KERNEL_CACHE;
        instance.emplace(std::move(options));
        ASSERT_TRUE(instance->ready()) << instance->error();
        environment["YOKE_SOCKET"] = instance->socket();
        environment["PATH"] = std::string(YOKE_BIN_DIR) + ":" + std::getenv("PATH");
        environment["D"] = directory.string();
    }
    void TearDown() override {
        instance.reset();
        CliTest::TearDown();
    }
    Finished shell(const std::string& command, const std::string& input = "") const {
        Invocation invocation;
        invocation.arguments = {"/bin/bash", "-c", "set -o pipefail; " + command};
        invocation.environment = environment;
        invocation.input = input;
        return run(invocation);
    }
    // Its standard output.
    std::string well(const std::string& command, const std::string& input = "") const {
        Finished finished = shell(command, input);
        EXPECT_EQ(finished.exit, 0) << command << "\n" << finished.err;
        return finished.out;
    }
    // Pushes @frames into the outer channels of a graph file, in turn, and gives the events.
    std::string events_of(const std::string& file, const std::vector<std::pair<std::string, std::string>>& frames) {
        yoke_options options{};
        options.arena_bytes = 64U << 20U;
        options.socket = instance->socket().c_str();
        Session session(options);
        Graph graph = Graph::load(session, file);
        std::vector<std::uint32_t> in;
        for (const auto& [channel, bytes] : frames) {
            in.push_back(open_channel(session, graph, channel));
        }
        const std::uint32_t out = open_channel(session, graph, "events");
        graph.run();
        Buffer frame = session.alloc(frame_bytes);
        Buffer event = session.alloc(sizeof(gesture::Event));
        std::string events;
        for (std::size_t at = 0; at < frames[0].second.size(); at += frame_bytes) {
            for (std::size_t k = 0; k < in.size(); ++k) {
                std::memcpy(frame.data(), frames[k].second.data() + at, frame_bytes);
                graph.push(in[k], frame, 0, 60s);
            }
            EXPECT_TRUE(graph.pull(out, event, 60s));
            events.append(reinterpret_cast<const char*>(event.data()), event.size());
        }
        return events;
    }

    std::optional<Instance> instance;
    const std::string folder = YOKE_GESTURE_DIR;
    static constexpr std::size_t frame_bytes = std::size_t{640} * 480 * 2;

   private:
    // The id of an outer channel that the file has opened.
    static std::uint32_t open_channel(Session& session, const Graph& graph, const std::string& name) {
        std::uint32_t id = 0;
        const auto pipeline = name == "events" || graph.name() == "/gesture"
                                  ? gesture::gesture_pipeline(gesture::Camera{})
                                  : gesture::gesture_pipeline(gesture::Camera{}, gesture::beside);
        const std::string buffer = name == "events"             ? "event"
                                   : graph.name() == "/gesture" ? "frame"
                                   : name == "frames"           ? "frame-1"
                                                                : "frame-2";
        const std::string port = graph.name() + "/" + gesture::outer_port(pipeline, buffer);
        const char* in = name == "events" ? nullptr : port.c_str();
        const char* out = name == "events" ? port.c_str() : nullptr;
        EXPECT_EQ(yoke_open_channel(session.get(), (graph.name() + "/" + name).c_str(), out, in, 0, &id), 0)
            << yoke_error(session.get());
        return id;
    }
};

struct Score {
    std::size_t frames = 0;
    std::size_t centres = 0;   // within 10 pixels
    std::size_t gestures = 0;  // open palm or not
    std::size_t fingers = 0;
};

void judge(Score& score, const Sight& sight, const std::string& truth_line) {
    std::istringstream truth(truth_line);
    char comma = 0;
    int number = 0;
    int fingers = 0;
    int open = 0;
    double x = 0;
    double y = 0;
    double distance = 0;
    truth >> number >> comma >> x >> comma >> y >> comma >> distance >> comma >> fingers >> comma >> open;
    ++score.frames;
    score.centres += sight.hand && std::hypot(sight.x - x, sight.y - y) <= 10 ? 1 : 0;
    score.gestures += sight.open == (open == 1) ? 1 : 0;
    score.fingers += sight.fingers == fingers ? 1 : 0;
}

// Recorded frames lie beside the repository where they are at all; they are not the project's own. YOKE_DEPTH_HAND
// names another place.
fs::path recorded(const std::string& kind) {
    const char* place = std::getenv("YOKE_DEPTH_HAND");
    return (place != nullptr ? fs::path(place) : fs::path(YOKE_SOURCE_DIR).parent_path() / "shared/data/depth-hand") /
           kind;
}

TEST_F(GesturePipeline, FourProgramsTellOpenPalmsOfRecordedFrames) {
    if (!fs::exists(recorded("open-palm")) || !fs::exists(recorded("non-gesture"))) {
        GTEST_SKIP() << "there are no recorded frames below " << recorded("").string();
    }
    for (const char* kind : {"open-palm", "non-gesture"}) {
        const std::string out = well("catdepth '" + recorded(kind).string() + "' | xform | detect | hidinput --print");
        std::size_t files = 0;
        for (const auto& entry : fs::directory_iterator(recorded(kind))) {
            files += entry.path().extension() == ".png" ? 1 : 0;
        }
        const auto sights = rows_of(out, sight_of);
        ASSERT_EQ(sights.size(), files) << out;
        for (const Sight& sight : sights) {
            EXPECT_TRUE(sight.hand) << out;
            EXPECT_EQ(sight.open, std::string(kind) == "open-palm") << out;
        }
    }
}

TEST_F(GesturePipeline, TheCentreOfRecordedHandsIsOnThePalm) {
    if (!fs::exists(recorded("open-palm"))) {
        GTEST_SKIP() << "there are no recorded frames below " << recorded("").string();
    }
    const gesture::Camera camera;
    for (const auto& entry : fs::directory_iterator(recorded("open-palm"))) {
        const auto frame = tour::read_depth_png(entry.path().string());
        ASSERT_TRUE(frame) << frame.error().message;
        fs::create_directory(path("one"));
        fs::copy_file(entry.path(), path("one/frame.png"), fs::copy_options::overwrite_existing);
        const auto sights = rows_of(well("catdepth $D/one | xform | detect | hidinput --print"), sight_of);
        ASSERT_EQ(sights.size(), 1U);
        // A palm is flat and wide: within 2 cm around its centre nothing is farther off than 2.5 cm.
        const long reach = std::lround(0.02 / sights[0].distance * camera.focal_x);
        std::size_t readings = 0;
        std::size_t flat = 0;
        for (long v = -reach; v <= reach; ++v) {
            for (long u = -reach; u <= reach; ++u) {
                const auto at = static_cast<std::size_t>(std::lround(sights[0].y) + v) * camera.width +
                                static_cast<std::size_t>(std::lround(sights[0].x) + u);
                if (u * u + v * v <= reach * reach && frame->pixels[at] != 0) {
                    ++readings;
                    flat += std::abs(frame->pixels[at] * camera.metres_per_unit - sights[0].distance) < 0.025 ? 1 : 0;
                }
            }
        }
        EXPECT_GT(static_cast<double>(readings), 0.9 * 3.14 * static_cast<double>(reach * reach)) << entry.path();
        EXPECT_EQ(flat, readings) << entry.path();
    }
}

TEST_F(GesturePipeline, FourProgramsReadRenderedHands) {
    // Seeds that no threshold was chosen by.
    Score score;
    for (const char* seed : {"92001", "92002", "92003"}) {
        environment["SEED"] = seed;
        const std::string out =
            well("catdepth --synthetic $SEED --count 100 --truth $D/truth | xform | detect | hidinput --print");
        const auto sights = rows_of(out, sight_of);
        const auto truths = rows_of(read("truth"), [](const std::string& line) { return line; });
        ASSERT_EQ(sights.size(), 100U);
        ASSERT_EQ(truths.size(), 101U) << "a line with the names of the columns comes first";
        for (std::size_t i = 0; i < sights.size(); ++i) {
            judge(score, sights[i], truths[i + 1]);
        }
    }
    EXPECT_EQ(score.frames, 300U);
    EXPECT_GE(score.centres, 285U);
    EXPECT_GE(score.gestures, 285U);
    EXPECT_GE(score.fingers, 270U);
}

TEST_F(GesturePipeline, OneGraphTellsWhatFourProgramsTell) {
    const std::string frames = well("catdepth --synthetic 93001 --count 20");
    const std::string events = well("xform | detect", frames);
    EXPECT_EQ(header_line(events),
              "YOKESTREAM 1 f32 16 fixed unit=0.000125 focal_x=476.007 focal_y=476.007 center_x=313.683 "
              "center_y=242.755 width=640 height=480\n");
    ASSERT_EQ(records_of(events).size(), 20 * sizeof(gesture::Event));
    EXPECT_TRUE(events_of(folder + "/gesture.toml", {{"frames", records_of(frames)}}) == records_of(events));
}

TEST_F(GesturePipeline, AGraphBetweenTwoFifosNeedsNoProgram) {
    const std::string frames = well("catdepth --synthetic 93002 --count 6 | tee $D/frames");
    well("mkfifo $D/in $D/out; gesture-graph --name /alone --kernels " + folder +
         " --fifo $D/in,$D/out >$D/alone.toml");
    ASSERT_EQ(yoke({"graph", "start", path("alone.toml")}).exit, 0);
    const std::string alone = well("tail -n +2 $D/frames >$D/in & timeout 120 head -c 384 <$D/out");
    EXPECT_EQ(alone.size(), 6 * sizeof(gesture::Event));
    EXPECT_EQ(yoke({"graph", "rm", "/alone"}).exit, 0);
    EXPECT_TRUE(alone == records_of(well("xform | detect", frames)));
}

TEST_F(GesturePipeline, TwoCamerasSeeOneHand) {
    const auto view = gesture::beside;
    std::string numbers;
    for (std::size_t i = 0; i < 12; ++i) {
        numbers += (i == 0 ? "" : ",") + std::to_string(view[i]);
    }
    environment["VIEW"] = numbers;
    const std::string first = well("catdepth --synthetic 94001 --count 40 --truth $D/truth");
    const std::string second = well("catdepth --synthetic 94001 --count 40 --view=$VIEW");
    EXPECT_TRUE(first != second);
    const std::string events =
        events_of(folder + "/gesture2.toml", {{"frames", records_of(first)}, {"frames-2", records_of(second)}});
    const std::string lines = well("hidinput --print", "YOKESTREAM 1 f32 16 fixed width=640 height=480\n" + events);
    const auto sights = rows_of(lines, sight_of);
    const auto truths = rows_of(read("truth"), [](const std::string& line) { return line; });
    ASSERT_EQ(sights.size(), 40U);
    Score score;
    for (std::size_t i = 0; i < sights.size(); ++i) {
        judge(score, sights[i], truths[i + 1]);
    }
    EXPECT_GE(score.centres, 38U);
    EXPECT_GE(score.gestures, 38U);
}

TEST_F(GesturePipeline, TheGraphFilesAreWhatTheProgramWrites) {
    const auto text_of = [](const std::string& file) {
        std::ifstream stream(file, std::ios::binary);
        return std::string{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    };
    EXPECT_EQ(well("gesture-graph"), text_of(folder + "/gesture.toml"));
    EXPECT_EQ(well("gesture-graph --two --name /gesture2"), text_of(folder + "/gesture2.toml"));
    for (const char* file : {"/gesture.toml", "/gesture2.toml"}) {
        const Finished checked = yoke({"graph", "check", folder + file});
        EXPECT_EQ(checked.exit, 0) << checked.err;
    }
}

std::string event_stream(const std::vector<std::pair<float, float>>& fingers_and_open) {
    std::string stream = "YOKESTREAM 1 f32 16 fixed width=640 height=480\n";
    for (const auto& [fingers, open] : fingers_and_open) {
        gesture::Event event;
        event.radius = fingers < 0 ? 0 : 0.04F;
        event.centre = {0.1F, 0.2F, 0.5F, 0.5F};
        event.pixel_x = 160;
        event.pixel_y = 120;
        event.fingers = std::max(fingers, 0.0F);
        event.open = open;
        stream.append(reinterpret_cast<const char*>(&event), sizeof event);
    }
    return stream;
}

TEST_F(GesturePipeline, AFistPressesAnOpenPalmMovesAndReleases) {
    const std::string out =
        well("hidinput --print",
             event_stream({{5, 1}, {5, 1}, {0, 0}, {0, 0}, {0, 0}, {5, 1}, {5, 1}, {-1, 0}, {0, 0}, {0, 0}}));
    EXPECT_EQ(out,
              "0 hand 160 120 0.500 m fingers 5 open-palm move 0.750 0.250\n"
              "1 hand 160 120 0.500 m fingers 5 open-palm move 0.750 0.250\n"
              "2 hand 160 120 0.500 m fingers 0 other\n"
              "3 hand 160 120 0.500 m fingers 0 other press\n"
              "4 hand 160 120 0.500 m fingers 0 other\n"
              "5 hand 160 120 0.500 m fingers 5 open-palm move 0.750 0.250\n"
              "6 hand 160 120 0.500 m fingers 5 open-palm move 0.750 0.250 release\n"
              "7 nothing\n"
              "8 hand 160 120 0.500 m fingers 0 other\n"
              "9 hand 160 120 0.500 m fingers 0 other\n")
        << "a fist that comes from nowhere presses nothing";
}

// A grey PNG file; PNG_FORMAT_LINEAR_Y has 16 bits a pixel, PNG_FORMAT_GRAY 8.
void write_grey(const std::string& path, png_uint_32 width, png_uint_32 height, png_uint_32 format) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = width;
    image.height = height;
    image.format = format;
    const std::vector<std::uint16_t> pixels(std::size_t{width} * height, 4000);
    ASSERT_NE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr), 0) << image.message;
}

// What a source with frames without end has said of them when its reader was ended, some frames after they had joined.
class GestureSource : public GesturePipeline {
   protected:
    struct Counts {
        std::uint64_t to_channel = 0;
        std::uint64_t copied_bytes = 0;
    };
    Counts joined(const std::string& source) {
        Invocation pipeline;
        // A source that ignores SIGPIPE is told that nobody reads any more, and lives to say what it did.
        pipeline.arguments = {"/bin/bash", "-c",
                              "trap '' PIPE; YOKE_LOG=client=debug " + source +
                                  " --times $D/times 2>$D/said | stage-probe sink >/dev/null"};
        pipeline.environment = environment;
        pipeline.while_running = [&](pid_t) {
            nlohmann::json pipes;
            EXPECT_TRUE(eventually([&] {
                const auto answer = instance->ask({{"op", "list"}, {"kind", "pipes"}});
                pipes = answer ? answer->body["pipes"] : nlohmann::json::array();
                return pipes.size() == 1 && pipes[0].at("state") == "joined";
            })) << source
                << "\n"
                << pipes.dump(1);
            const std::size_t before = frames();
            EXPECT_TRUE(eventually([&] { return frames() >= before + 10; })) << source;
            if (pipes.size() == 1) {
                ::kill(std::stoi(pipes[0].at("reader_pid").get<std::string>()), SIGTERM);
            }
        };
        run(pipeline);
        const std::string said = read("said");
        return {count(said, "to_channel"), count(said, "copied_bytes")};
    }

   private:
    [[nodiscard]] std::size_t frames() const {
        const std::string times = read("times");
        return static_cast<std::size_t>(std::ranges::count(times, '\n'));
    }
    static std::uint64_t count(const std::string& said, const std::string& name) {
        const std::size_t at = said.find(" " + name + "=");
        EXPECT_NE(at, std::string::npos) << said;
        return at == std::string::npos ? UINT64_MAX : std::stoull(said.substr(at + name.size() + 2));
    }
};

TEST_F(GestureSource, FramesOfAJoinedSourceAreNotCopiedByTheHost) {
    fs::create_directory(path("frames"));
    write_grey(path("frames/0.png"), 640, 480, PNG_FORMAT_LINEAR_Y);
    for (int number = 1; number < 3000; ++number) {
        fs::create_hard_link(path("frames/0.png"), path(fmt::format("frames/{}.png", number)));
    }
    fs::create_directory(path("few"));
    fs::create_hard_link(path("frames/0.png"), path("few/0.png"));
    fs::create_hard_link(path("frames/0.png"), path("few/1.png"));
    for (const char* source :
         {"catdepth --synthetic 92004", "catdepth $D/frames --rate 50", "catdepth $D/few --loop"}) {
        fs::remove(path("times"));
        const Counts counts = joined(source);
        EXPECT_GE(counts.to_channel, 5U) << source;
        EXPECT_EQ(counts.copied_bytes, 0U) << source;
    }
}

TEST_F(GesturePipeline, FramesRepeatAndEndAsAsked) {
    if (!fs::exists(recorded("open-palm"))) {
        GTEST_SKIP() << "there are no recorded frames below " << recorded("").string();
    }
    const std::string once = records_of(well("catdepth '" + recorded("open-palm").string() + "'"));
    const std::string more = records_of(well("catdepth '" + recorded("open-palm").string() + "' --loop --count 6"));
    ASSERT_EQ(once.size(), 4 * frame_bytes);
    EXPECT_TRUE(more == once + once.substr(0, 2 * frame_bytes));
}

TEST_F(GesturePipeline, MistakesAreNamed) {
    const auto fails = [&](const std::string& command, const std::string& input, const std::string& sentence) {
        const Finished finished = shell(command, input);
        EXPECT_EQ(finished.exit, 1) << command;
        EXPECT_NE(finished.err.find(sentence), std::string::npos) << command << "\n" << finished.err;
    };
    fs::create_directory(path("empty"));
    fails("catdepth $D/empty", "", "no PNG file can be found below");
    write("empty/small.png", "no picture");
    fails("catdepth $D/empty", "", "small.png");
    fs::create_directory(path("mixed"));
    for (const char* name : {"1.png", "3.png"}) {
        write_grey(path("mixed") + "/" + name, 640, 480, PNG_FORMAT_LINEAR_Y);
    }
    const auto fails_after_one = [&](const std::string& sentence) {
        fails("catdepth $D/mixed", "", sentence);
        fails("catdepth $D/mixed --loop --count 5 | wc -c >&2", "", std::to_string(110 + 1 + frame_bytes) + "\n");
        fs::remove(path("mixed/2.png"));
    };
    write_grey(path("mixed/2.png"), 640, 480, PNG_FORMAT_GRAY);
    fails_after_one("mixed/2.png is no depth frame: it has 8 bits a channel and colour type 0; give 16-bit grey PNG");
    write_grey(path("mixed/2.png"), 320, 240, PNG_FORMAT_LINEAR_Y);
    fails_after_one("mixed/2.png has 320 x 240 pixels and the frames before it 640 x 480; give frames of one size");
    write("mixed/2.png", read("mixed/1.png").substr(0, 200));
    fails_after_one("mixed/2.png: ");
    fs::create_symlink(path("none.png"), path("mixed/2.png"));
    fails_after_one("mixed/2.png: No such file or directory; give files that may be read");
    ASSERT_EQ(::mkfifo(path("mixed/2.png").c_str(), 0600), 0);
    fails("catdepth $D/mixed", "", "mixed/2.png is no file; keep nothing but files in the folder");
    fails("catdepth --synthetic 1 --count 1 >/dev/full", "", "No space left on device; connect");
    fails("catdepth --synthetic 1 --count 1 >&-", "", "descriptor 1 is not open for writing records; connect");
    fails("xform </dev/null", "", "the input ended before its header; look at what the stage before this one says");
    fails("detect <&-", "", "descriptor 0 is not open for reading records; connect");
    fails("catdepth --synthetic 1 --count 1 | detect", "",
          "give pictures of f32x4 with at most 2097152 pixels, as xform");
    fails("catdepth --synthetic 1 --count 1 | hidinput --print", "", "connect hidinput to detect");
    fails("hidinput --print >&-", "", "the standard output is closed; connect it");
    fails("hidinput --device '' --print", "", "the input ended before its header");
    fails("hidinput --device ''", "", "cannot open ");
    fails("catdepth --device $D/camera", "", "cannot open camera");
    fails("catdepth --device /dev/null", "", "it is no camera");
    fails("xform", "YOKESTREAM 1 u8 640x480 fixed unit=1\n", "give pictures of u16");
    fails("xform", "YOKESTREAM 1 u16 2049x1024 fixed unit=1\n", "at most 2097152 pixels");
    fails("xform", "YOKESTREAM 1 u16 640x480 fixed unit=1\n", "the input has no parameter focal_x");
    fails("detect", "YOKESTREAM 1 f32x4 640x480 fixed unit=0 focal_x=1 focal_y=1 center_x=1 center_y=1\n", "above 0");
    fails("hidinput --print", "YOKESTREAM 1 f32 15 fixed width=640 height=480\n", "connect hidinput to detect");
    fails("hidinput --device $D/uinput", event_stream({}), "cannot open");
    fails("hidinput --device /dev/null", event_stream({}), "/dev/null is no uinput device");
    fails("hidinput --print", "YOKESTREAM 1 f32 16 fixed width=0 height=480\n", "width and height of the input");
    fails("hidinput --print", "YOKESTREAM 1 f32 16 variable width=640 height=480\n", "connect hidinput to detect");
    fails("xform", "YOKESTREAM 1 u16 640x480 fixed", "the input ends within its header");
    for (const char* option : {"--times", "--truth"}) {
        const std::string command = fmt::format("catdepth --synthetic 1 --count 1 {} $D/none/lines", option);
        fails(command, "", "none/lines: No such file or directory; name a file in a folder that may be written");
        EXPECT_EQ(shell(command).out, "") << "a source that cannot begin has no stream";
    }
}

TEST_F(GesturePipeline, WithoutAPointerNobodyWaitsForEvents) {
    Invocation invocation;
    invocation.arguments = {std::string(YOKE_BIN_DIR) + "/hidinput", "--device", path("uinput")};
    invocation.environment = environment;
    invocation.hold_input = true;
    const Finished finished = run(invocation);
    EXPECT_EQ(finished.exit, 1);
    EXPECT_NE(finished.err.find("uinput; load the module uinput, ask for permission, or use --print"),
              std::string::npos)
        << finished.err;
}

TEST_F(GesturePipeline, WrongArgumentsAreToldInTheNameOfTheProgram) {
    const auto refuses = [&](const std::string& command, const std::string& sentence) {
        const Finished finished = shell(command);
        EXPECT_EQ(finished.exit, 2) << command;
        EXPECT_EQ(finished.out, "") << command;
        const std::string program = command.substr(0, command.find(' '));
        EXPECT_EQ(finished.err.rfind(program + ": ", 0), 0U) << finished.err;
        EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
        EXPECT_NE(finished.err.find(sentence), std::string::npos) << command << "\n" << finished.err;
    };
    refuses("catdepth", "name a folder, --device or --synthetic; see catdepth --help");
    refuses("catdepth $D/none", "none' is no folder; name one with depth frames as 16-bit grey PNG files");
    refuses("catdepth /dev/null", "'/dev/null' is no folder");
    refuses("catdepth --wings", "--wings; see catdepth --help");
    refuses("catdepth --synthetic 1 --camera -1,0,0,0,0", "focal_x, focal_y and unit must be above 0");
    refuses("catdepth --synthetic 1 --camera nan,1,1,1,1", "must be finite");
    for (const char* seed : {"-1", "text", "1.5", "99999999999999999999999"}) {
        refuses(fmt::format("catdepth --synthetic {}", seed), fmt::format("'{}' is no whole number; give one", seed));
    }
    for (const char* rate : {"nan", "-1", "1e-300", "1e9", "fast"}) {
        refuses(fmt::format("catdepth --synthetic 1 --rate {}", rate),
                fmt::format("'{}' is no rate; give frames", rate));
    }
    refuses("catdepth --synthetic 1 --count -1", "'-1' is no whole number");
    refuses("xform --pose 1,2", "12 required but received 2");
    refuses("xform --pose 1,0,0,0,0,1,0,0,0,0,nan,0", "'nan' is no number; give three rows of four");
    refuses("detect --wings", "--wings; see detect --help");
    refuses("hidinput --wings", "--wings; see hidinput --help");
    refuses("gesture-graph --name a/b", "a/b is no name of a graph");
    refuses("gesture-graph --name -b", "-b is no name of a graph");
    refuses("gesture-graph --width 0", "a frame has 1 to 2097152 pixels");
    refuses("gesture-graph --width 2049 --height 1024", "not 2049 x 1024");
    refuses("gesture-graph --fifo in,out", "in is relative");
    refuses("gesture-graph --fifo /in", "--fifo has 1 paths");
    EXPECT_EQ(shell("gesture-graph --name hand | head -n 2").out.find("name = \"/hand\"") != std::string::npos, true);
}

}  // namespace
}  // namespace yoke::test
