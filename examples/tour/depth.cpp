// See depth.hpp. All frames are pushed in turn, several in flight, round after round until the rate is worth telling. A
// few are looked at closely: compared with plain C++ the first time, with their first cloud every other time, and
// drawn.
#include "tour/depth.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "tour/depth_graph.hpp"
#include "tour/picture.hpp"
#include "tour/session.hpp"
#include "tour/synthetic.hpp"

namespace tour {
namespace {

constexpr std::size_t in_flight = 6;    // datablocks pushed and not yet pulled
constexpr std::size_t frames_max = 64;  // kept in memory
constexpr std::size_t synthetic_frames = 4;
constexpr std::size_t datablocks_least = 48;            // enough for a rate
constexpr std::size_t close_looks = 3;                  // frames that are compared and drawn
constexpr double tolerance_m = 20e-6;                   // single precision against double: a few micrometres at a metre
constexpr std::uint64_t patience_ns = 120'000'000'000;  // no datablock takes so long

using Clock = std::chrono::steady_clock;

Outcome<std::vector<DepthFrame>> read_frames(const std::string& folder) {
    std::vector<std::string> paths;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator at(folder, error), end; !error && at != end;
         at.increment(error)) {
        if (at->is_regular_file(error) && at->path().extension() == ".png") {
            paths.push_back(at->path().string());
        }
    }
    if (error) {
        return fail("cannot read the folder {}: {}", folder, error.message());
    }
    if (paths.empty()) {
        return fail("there is no PNG file below {}; name a folder with depth frames, or none", folder);
    }
    std::sort(paths.begin(), paths.end());
    paths.resize(std::min(paths.size(), frames_max));
    std::vector<DepthFrame> frames;
    for (const auto& path : paths) {
        auto frame = read_depth_png(path);
        if (!frame) {
            return tl::unexpected<Failure>(frame.error());
        }
        frame->name = std::filesystem::relative(path, folder, error).replace_extension().string();
        std::replace(frame->name.begin(), frame->name.end(), '/', '-');
        if (!frames.empty() && (frame->width != frames[0].width || frame->height != frames[0].height)) {
            return fail("{} has {} x {} pixels and {} has {} x {}; give frames of one size", path, frame->width,
                        frame->height, paths[0], frames[0].width, frames[0].height);
        }
        frames.push_back(std::move(*frame));
    }
    return frames;
}

// One frame in three, so to speak: the first, the last and what lies in the middle.
std::set<std::size_t> close_looks_of(std::size_t frames) {
    std::set<std::size_t> chosen;
    for (std::size_t i = 0; i < close_looks; ++i) {
        chosen.insert(i * (frames - 1) / (close_looks - 1));
    }
    return chosen;
}

class DepthFlow {
   public:
    DepthFlow(const std::vector<DepthFrame>& frames, const DepthShape& shape)
        : frames_(frames), shape_(shape), chosen_(close_looks_of(frames.size())) {
        const std::size_t rounds = (datablocks_least + frames.size() - 1) / frames.size();
        datablocks_ = rounds * frames.size();
    }

    Done prepare(const std::string& examples);
    Done run();
    [[nodiscard]] const std::map<std::size_t, Cloud>& clouds() const { return clouds_; }
    [[nodiscard]] const DepthGraph& graph() const { return graph_; }
    [[nodiscard]] std::size_t datablocks() const { return datablocks_; }
    [[nodiscard]] double seconds() const { return seconds_; }
    [[nodiscard]] bool repeatable() const { return repeatable_; }
    [[nodiscard]] std::uint64_t bytes() const { return datablocks_ * (frame_bytes() + cloud_bytes()); }
    [[nodiscard]] std::string where() const { return where_; }

   private:
    [[nodiscard]] std::size_t frame_bytes() const { return shape_.width * shape_.height * sizeof(std::uint16_t); }
    [[nodiscard]] std::size_t cloud_bytes() const { return shape_.width * shape_.height * sizeof(Point); }
    Done push(std::size_t number);
    Done push_end();
    Done pull(std::size_t number);
    Outcome<yoke_result> wait_for(yoke_ticket ticket, const char* what);
    Done take(std::size_t number);
    void look_at(std::size_t number, std::span<const std::byte> bytes);

    const std::vector<DepthFrame>& frames_;
    DepthShape shape_;
    std::set<std::size_t> chosen_;
    std::size_t datablocks_ = 0;
    Session session_;
    DepthGraph graph_;
    std::vector<std::span<std::byte>> frame_rooms_;
    std::vector<std::span<std::byte>> cloud_rooms_;
    std::deque<yoke_ticket> pushes_;
    std::deque<yoke_ticket> pulls_;
    std::map<std::size_t, Cloud> clouds_;
    bool repeatable_ = true;
    double seconds_ = 0;
    std::string where_;
};

Done DepthFlow::prepare(const std::string& examples) {
    auto session = open_session(in_flight * (frame_bytes() + cloud_bytes() + 2 * std::size_t{YOKE_DATA_ALIGN}));
    if (!session) {
        return tl::unexpected<Failure>(session.error());
    }
    session_ = std::move(*session);
    auto graph = open_depth_graph(session_.get(), examples, shape_);
    if (!graph) {
        return tl::unexpected<Failure>(graph.error());
    }
    graph_ = std::move(*graph);
    for (std::size_t i = 0; i < in_flight; ++i) {
        const auto frame = allocate(session_.get(), frame_bytes());
        const auto cloud = allocate(session_.get(), cloud_bytes());
        if (!frame || !cloud) {
            return tl::unexpected<Failure>(frame ? cloud.error() : frame.error());
        }
        frame_rooms_.push_back(*frame);
        cloud_rooms_.push_back(*cloud);
    }
    return {};
}

Done DepthFlow::push(std::size_t number) {
    const auto room = frame_rooms_[number % in_flight];
    std::memcpy(room.data(), frames_[number % frames_.size()].pixels.data(), room.size());
    yoke_ticket ticket = 0;
    if (yoke_submit_push(session_.get(), graph_.depth, room.data(), room.size(), 0, patience_ns, nullptr, nullptr,
                         &ticket) != 0) {
        return fail("{}", yoke_error(session_.get()));
    }
    pushes_.push_back(ticket);
    return {};
}

Done DepthFlow::push_end() {
    yoke_result result{};
    if (yoke_push(session_.get(), graph_.depth, frame_rooms_[0].data(), 0, YOKE_FLAG_END, patience_ns, &result) != 0) {
        return fail("the end of the stream was not taken: {}", yoke_error(session_.get()));
    }
    const int status =
        yoke_pull(session_.get(), graph_.cloud, cloud_rooms_[0].data(), cloud_bytes(), patience_ns, &result);
    return status == -YOKE_ENODATA
               ? Done{}
               : fail("after the end of the stream came {} instead of its end", std::strerror(-status));
}

Done DepthFlow::pull(std::size_t number) {
    const auto room = cloud_rooms_[number % in_flight];
    std::fill_n(room.begin(), YOKE_DATA_ALIGN, std::byte{0xff});  // no cloud begins so: what is not written shows
    yoke_ticket ticket = 0;
    if (yoke_submit_pull(session_.get(), graph_.cloud, room.data(), room.size(), patience_ns, nullptr, nullptr,
                         &ticket) != 0) {
        return fail("{}", yoke_error(session_.get()));
    }
    pulls_.push_back(ticket);
    return {};
}

Outcome<yoke_result> DepthFlow::wait_for(yoke_ticket ticket, const char* what) {
    yoke_result result{};
    if (yoke_wait(session_.get(), ticket, UINT64_MAX, &result) != 0) {
        return fail("{}: {}", what, yoke_error(session_.get()));
    }
    if (result.status != 0) {
        return fail("{} ended with: {}", what, std::strerror(-result.status));
    }
    return result;
}

void DepthFlow::look_at(std::size_t number, std::span<const std::byte> bytes) {
    const std::size_t frame = number % frames_.size();
    if (!chosen_.contains(frame)) {
        return;
    }
    auto& cloud = clouds_[frame];
    if (cloud.points.empty()) {
        cloud = {shape_.width, shape_.height, std::vector<Point>(shape_.width * shape_.height)};
        std::memcpy(cloud.points.data(), bytes.data(), bytes.size());
    } else {
        repeatable_ = repeatable_ && std::memcmp(cloud.points.data(), bytes.data(), bytes.size()) == 0;
    }
}

Done DepthFlow::take(std::size_t number) {
    const auto pushed = wait_for(pushes_.front(), "a push");
    if (!pushed) {
        return tl::unexpected<Failure>(pushed.error());
    }
    pushes_.pop_front();
    const auto pulled = wait_for(pulls_.front(), "a pull");
    if (!pulled) {
        return tl::unexpected<Failure>(pulled.error());
    }
    pulls_.pop_front();
    if (pulled->out_length != cloud_bytes() || pulled->sequence != number) {
        return fail("cloud {} has {} bytes and number {}; {} bytes were expected", number, pulled->out_length,
                    pulled->sequence, cloud_bytes());
    }
    where_ = place_of(*pulled);
    look_at(number, cloud_rooms_[number % in_flight]);
    return {};
}

Done DepthFlow::run() {
    Progress progress(fmt::format("Depth graph: {} datablocks of {} x {} pixels through two ptasks", datablocks_,
                                  shape_.width, shape_.height));
    const auto begin = Clock::now();
    std::size_t submitted = 0;
    for (std::size_t taken = 0; taken < datablocks_; ++taken) {
        for (; submitted < datablocks_ && submitted < taken + in_flight; ++submitted) {
            if (auto done = push(submitted); !done) {
                return done;
            }
            if (auto done = pull(submitted); !done) {
                return done;
            }
        }
        if (auto done = take(taken); !done) {
            return done;
        }
        progress.at(taken, datablocks_);
    }
    seconds_ = std::chrono::duration<double>(Clock::now() - begin).count();
    return push_end();
}

// Copies between host and device in the inner channel, as yoked lists them; nothing when that cannot be learnt.
std::optional<std::uint64_t> inner_copies(const std::string& channel) {
    char* text = nullptr;
    const int error = yoke_ask_daemon(nullptr, 0, R"({"op": "list", "kind": "channels"})", &text);
    const std::unique_ptr<char, decltype(&::free)> owner(text, &::free);
    if (error != 0) {
        return std::nullopt;
    }
    const auto answer = nlohmann::json::parse(text, nullptr, false);
    if (!answer.is_object() || !answer.contains("channels")) {
        return std::nullopt;
    }
    for (const auto& object : answer["channels"]) {
        if (object.value("name", "") == channel && object.value("account", 0U) == ::getuid()) {
            return object.value("copies", std::uint64_t{0});
        }
    }
    return std::nullopt;
}

struct Comparison {
    double difference_m = 0;
    double roughness_before_m = 0;
    double roughness_after_m = 0;
    double seconds = 0;
};

Comparison compare(const std::vector<DepthFrame>& frames, const DepthShape& shape,
                   const std::map<std::size_t, Cloud>& clouds) {
    const Progress progress(fmt::format("Depth reference: {} frames in plain C++", clouds.size()));
    Comparison comparison;
    const auto count = static_cast<double>(clouds.size());
    for (const auto& [number, cloud] : clouds) {
        const auto begin = Clock::now();
        const Cloud wanted = filter_and_project(frames[number], shape.camera, shape.filter);
        comparison.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
        comparison.difference_m = std::max(comparison.difference_m, largest_difference(cloud, wanted));
        comparison.roughness_before_m += roughness(project(frames[number], shape.camera)) / count;
        comparison.roughness_after_m += roughness(cloud) / count;
    }
    return comparison;
}

Done draw(const DepthOptions& options, const std::vector<DepthFrame>& frames,
          const std::map<std::size_t, Cloud>& clouds, Report& report) {
    std::error_code error;
    std::filesystem::create_directories(options.out, error);
    if (error) {
        return fail("cannot make the folder {}: {}", options.out, error.message());
    }
    const Progress progress("Pictures");
    for (const auto& [number, cloud] : clouds) {
        const Cloud before = project(frames[number], options.camera);
        const Range range = range_of(before);
        const std::array<std::pair<const char*, Picture>, 3> pictures{
            {{"1-before", shaded_depth(before, range)},
             {"2-after", shaded_depth(cloud, range)},
             {"3-cloud", rendered_cloud(cloud, range, options.camera)}}};
        for (const auto& [kind, picture] : pictures) {
            const std::string path = fmt::format("{}/{}-{}.png", options.out, frames[number].name, kind);
            if (auto done = write_png(path, picture); !done) {
                return done;
            }
            report.add_picture(path);
        }
    }
    return {};
}

void report_flow(const DepthFlow& flow, const Comparison& comparison, Report& report) {
    const double rate = static_cast<double>(flow.datablocks()) / flow.seconds();
    const std::size_t looked = flow.clouds().size();
    const std::uint64_t bytes_each = flow.bytes() / flow.datablocks();
    report.add({"depth frames, plain C++", looked * bytes_each, comparison.seconds, "this process", "", true,
                fmt::format("reference, {:.0f} frames/s", static_cast<double>(looked) / comparison.seconds)});
    report.add({"depth frames, graph", flow.bytes(), flow.seconds(), flow.where(), "= plain C++",
                comparison.difference_m <= tolerance_m,
                fmt::format("{:.0f} frames/s, largest difference {:.2f} um", rate, comparison.difference_m * 1e6)});
    report.add({"depth frames, repeated", flow.bytes(), 0, flow.where(), "= first time", flow.repeatable(),
                fmt::format("roughness {:.2f} -> {:.2f} mm", comparison.roughness_before_m * 1e3,
                            comparison.roughness_after_m * 1e3)});
    if (const auto copies = inner_copies(flow.graph().name + "/smooth")) {
        report.add({"inner channel", 0, 0, flow.where(), "= 0 copies", *copies == 0,
                    fmt::format("{} copies to or from the host", *copies)});
    }
}

}  // namespace

Done tour_depth(const DepthOptions& options, Report& report) {
    std::vector<DepthFrame> frames;
    if (options.frames.empty()) {
        const Progress progress("Depth frames: none given, rendering some");
        frames = render_synthetic(synthetic_frames, options.camera);
    } else {
        auto read = read_frames(options.frames);
        if (!read) {
            return tl::unexpected<Failure>(read.error());
        }
        frames = std::move(*read);
    }
    const DepthShape shape{frames[0].width, frames[0].height, options.camera, {}};
    DepthFlow flow(frames, shape);
    if (auto done = flow.prepare(options.examples); !done) {
        return done;
    }
    report.set_subject(
        "frames", fmt::format("{} of {} x {} pixels, {}; graph from {}", frames.size(), shape.width, shape.height,
                              options.frames.empty() ? "rendered" : "below " + options.frames, flow.graph().built_by));
    if (auto done = flow.run(); !done) {
        return done;
    }
    report_flow(flow, compare(frames, shape, flow.clouds()), report);
    return draw(options, frames, flow.clouds(), report);
}

}  // namespace tour
