// See pipeline.hpp.
#include "gesture/pipeline.hpp"

#include <algorithm>

namespace gesture {
namespace {

constexpr std::size_t tile = 8;  // TILE and GROUP of detect.cl
constexpr std::size_t group = 256;
constexpr std::int32_t circle_pixels = 127;        // larger circles are not told apart
constexpr std::int32_t finger_pixels = 48;         // nor wider fingers
constexpr std::size_t indexed_pixels = 1U << 20U;  // with the INDEX_BITS of detect.cl; a bit more for larger pictures

Argument in(const char* buffer) {
    return {Access::In, buffer, {}, {}};
}
Argument out(const char* buffer) {
    return {Access::Out, buffer, {}, {}};
}
Argument inout(const char* buffer) {
    return {Access::InOut, buffer, {}, {}};
}
template <typename Scalar, std::size_t count>
Argument constant(const std::array<Scalar, count>& values) {
    static_assert(std::is_same_v<Scalar, float> || std::is_same_v<Scalar, std::int32_t>);
    Argument argument{
        Access::Constant, {}, std::vector<std::byte>(sizeof values), std::is_same_v<Scalar, float> ? "f32" : "i32"};
    std::memcpy(argument.bytes.data(), values.data(), sizeof values);
    return argument;
}
template <typename Scalar>
Argument constant(Scalar value) {
    return constant(std::array<Scalar, 1>{value});
}

std::size_t bytes_of(const std::string& type) {
    static const std::map<std::string, std::size_t> sizes{{"u8", 1},  {"u16", 2}, {"i32", 4},
                                                          {"u32", 4}, {"f32", 4}, {"f32x4", 16}};
    return sizes.at(type);
}

// The same pipeline with @suffix behind the names of its steps and buffers.
Pipeline renamed(Pipeline pipeline, const std::string& suffix) {
    std::map<std::string, Shape> buffers;
    for (const auto& [name, shape] : pipeline.buffers) {
        buffers[name + suffix] = shape;
    }
    pipeline.buffers = std::move(buffers);
    for (Step& step : pipeline.steps) {
        step.name += suffix;
        for (Argument& argument : step.arguments) {
            argument.buffer += argument.access == Access::Constant ? "" : suffix;
        }
    }
    return pipeline;
}

// One pipeline behind the other.
Pipeline operator+(Pipeline first, const Pipeline& second) {
    first.buffers.insert(second.buffers.begin(), second.buffers.end());
    first.steps.insert(first.steps.end(), second.steps.begin(), second.steps.end());
    return first;
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](char c) { return static_cast<char>(c - 'a' + 'A'); });
    return text;
}

std::array<float, 4> lens_of(const Camera& camera) {
    return {static_cast<float>(camera.focal_x), static_cast<float>(camera.focal_y), static_cast<float>(camera.centre_x),
            static_cast<float>(camera.centre_y)};
}

}  // namespace

std::size_t Shape::bytes() const {
    return bytes_of(type) * extent[0] * extent[1];
}

Pipeline transform_pipeline(const Camera& camera, const Pose& pose) {
    const std::array<std::size_t, 2> pixels{camera.width, camera.height};
    const std::array<std::int32_t, 2> size{static_cast<std::int32_t>(camera.width),
                                           static_cast<std::int32_t>(camera.height)};
    Pipeline pipeline;
    pipeline.buffers = {{"frame", {"u16", pixels}}, {"smooth", {"f32", pixels}}, {"cloud", {"f32x4", pixels}}};
    pipeline.steps = {
        {"smooth",
         "../kernels/bilateral.cl",
         "bilateral",
         pixels,
         0,
         {in("frame"), out("smooth"), constant(size), constant(static_cast<float>(camera.metres_per_unit)),
          constant(std::int32_t{2}), constant(1.5F), constant(0.006F)},
         {}},
        {"transform",
         "transform.cl",
         "transform",
         pixels,
         0,
         {in("smooth"), out("cloud"), constant(lens_of(camera)), constant(pose)},
         {}}};
    return pipeline;
}

Pipeline fuse_pipeline(const Camera& camera, const Pose& rigid, const Pose& pose) {
    const std::array<std::size_t, 2> pixels{camera.width, camera.height};
    const Argument lens = constant(lens_of(camera));
    Pipeline pipeline;
    pipeline.buffers = {{"cloud-1", {"f32x4", pixels}},
                        {"cloud-2", {"f32x4", pixels}},
                        {"nearest", {"u32", pixels}},
                        {"cloud", {"f32x4", pixels}}};
    pipeline.steps = {
        {"blank", "fuse.cl", "blank", pixels, 0, {inout("cloud-2"), out("nearest")}, {}},
        {"project",
         "fuse.cl",
         "project",
         pixels,
         0,
         {in("cloud-2"), inout("nearest"), lens, constant(after(inverse(pose), rigid))},
         {}},
        {"fuse", "fuse.cl", "fuse", pixels, 0, {in("cloud-1"), in("nearest"), out("cloud"), lens, constant(pose)}, {}}};
    return pipeline;
}

Pipeline detect_pipeline(const Camera& camera) {
    const std::array<std::size_t, 2> pixels{camera.width, camera.height};
    const std::array<std::size_t, 2> tiles{(camera.width + tile - 1) / tile, (camera.height + tile - 1) / tile};
    const std::array<std::size_t, 2> one{group, 1};
    const Argument size = constant(
        std::array<std::int32_t, 2>{static_cast<std::int32_t>(camera.width), static_cast<std::int32_t>(camera.height)});
    const Argument focal = constant(static_cast<float>(camera.focal_x));
    Pipeline pipeline;
    pipeline.buffers = {{"cloud", {"f32x4", pixels}}, {"occupied", {"u8", tiles}}, {"summit", {"i32", tiles}},
                        {"length", {"f32", tiles}},   {"chosen", {"u32", {2, 1}}}, {"hand", {"f32", {12, 1}}},
                        {"event", {"f32", {16, 1}}}};
    for (const char* name : {"seen", "plain", "depth", "circle", "plain-circle", "reach"}) {
        pipeline.buffers[name] = {"f32", pixels};
    }
    for (const char* name : {"rim", "plain-rim", "row", "plain-row", "thick", "thick-row"}) {
        pipeline.buffers[name] = {"u8", pixels};
    }
    for (const char* name : {"label", "finger"}) {
        pipeline.buffers[name] = {"i32", pixels};
    }
    for (const char* name : {"pixels", "area", "base", "pass", "second-pass", "last-pass"}) {
        pipeline.buffers[name] = {"u32", pixels};
    }
    const std::string wide = camera.width * camera.height > indexed_pixels ? " -D INDEX_BITS=21" : "";
    const auto add = [&](const char* name, const char* function, const std::array<std::size_t, 2>& geometry,
                         std::vector<Argument> arguments) {
        pipeline.steps.push_back({name, "detect.cl", function, geometry, geometry == one ? group : 0,
                                  std::move(arguments), "-D ONLY=" + upper(function) + wide});
    };
    const Argument circle_limit = constant(circle_pixels);
    const Argument finger_limit = constant(finger_pixels);
    add("gather", "gather", tiles, {inout("cloud"), out("seen"), out("occupied"), size});
    add("close", "close", pixels, {in("seen"), in("occupied"), out("plain"), out("depth"), focal});
    add("outline", "outline", pixels, {in("depth"), out("rim")});
    add("across", "across", pixels, {in("rim"), out("row"), circle_limit});
    add("inscribe", "inscribe", pixels, {in("row"), out("circle")});
    add("plain-outline", "outline", pixels, {in("plain"), out("plain-rim")});
    add("plain-across", "across", pixels, {in("plain-rim"), out("plain-row"), finger_limit});
    add("plain-inscribe", "inscribe", pixels, {in("plain-row"), out("plain-circle")});
    add("begin", "begin", pixels, {in("depth"), out("label"), out("pixels"), out("chosen")});
    add("join", "join", pixels, {in("depth"), inout("label")});
    add("survey", "survey", pixels,
        {in("depth"), in("circle"), inout("label"), inout("pixels"), inout("chosen"), focal});
    add("tile", "tile", tiles,
        {in("cloud"), in("depth"), in("circle"), in("rim"), in("label"), in("pixels"), out("summit"), out("length"),
         size, focal});
    add("palm", "palm", tiles,
        {in("depth"), in("circle"), in("label"), in("summit"), in("length"), inout("chosen"), size, focal});
    add("plane", "plane", one, {in("cloud"), in("circle"), in("label"), in("chosen"), out("hand"), size, focal});
    add("core", "core", pixels, {in("depth"), in("plain-circle"), in("label"), in("hand"), out("thick"), focal});
    add("thick-across", "across", pixels, {in("thick"), out("thick-row"), finger_limit});
    add("trim", "trim", pixels,
        {in("cloud"), in("label"), in("thick-row"), in("hand"), out("reach"), out("pass"), out("area"), out("base"),
         focal});
    add("climb", "climb", pixels, {in("depth"), in("reach"), out("finger")});
    add("settle", "settle", pixels, {inout("finger")});
    add("meet", "meet", pixels, {in("depth"), in("reach"), in("finger"), inout("pass")});
    add("merge", "merge", pixels, {in("hand"), in("reach"), in("pass"), inout("finger"), out("second-pass")});
    add("settle-again", "settle", pixels, {inout("finger")});
    add("meet-again", "meet", pixels, {in("depth"), in("reach"), in("finger"), inout("second-pass")});
    add("merge-again", "merge", pixels,
        {in("hand"), in("reach"), in("second-pass"), inout("finger"), out("last-pass")});
    add("measure", "measure", pixels, {in("depth"), in("reach"), inout("finger"), inout("area"), inout("base"), focal});
    add("meet-last", "meet", pixels, {in("depth"), in("reach"), in("finger"), inout("last-pass")});
    add("conclude", "conclude", one,
        {in("cloud"), in("hand"), in("reach"), in("area"), in("base"), in("last-pass"), out("event"), size});
    return pipeline;
}

Pipeline gesture_pipeline(const Camera& camera) {
    return transform_pipeline(camera) + detect_pipeline(camera);
}

Pipeline gesture_pipeline(const Camera& camera, const Pose& view) {
    const Pose rigid = after(facing, after(inverse(view), inverse(facing)));
    return renamed(transform_pipeline(camera), "-1") + renamed(transform_pipeline(camera), "-2") +
           fuse_pipeline(camera, rigid) + detect_pipeline(camera);
}

}  // namespace gesture
