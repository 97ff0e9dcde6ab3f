// See depth_graph.hpp.
#include "tour/depth_graph.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace tour {
namespace {

// What examples/depth.toml is written for.
bool fits_file(const DepthShape& shape) {
    const DepthShape file{640, 480, {}, {}};
    return shape.width == file.width && shape.height == file.height && shape.camera.focal == file.camera.focal &&
           shape.camera.centre_x == file.camera.centre_x && shape.camera.centre_y == file.camera.centre_y &&
           shape.camera.metres_per_unit == file.camera.metres_per_unit && shape.filter.radius == file.filter.radius &&
           shape.filter.sigma_pixels == file.filter.sigma_pixels &&
           shape.filter.sigma_metres == file.filter.sigma_metres;
}

tl::unexpected<Failure> fail_yoke(const yoke_session* session) {
    return fail("{}", yoke_error(session));
}

Outcome<std::string> text_of(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    if (!stream || text.empty()) {
        return fail("cannot read kernel {}; name the folder with --examples", path);
    }
    return text;
}

struct Port {
    const char* name;
    int direction;
    const char* type;
};

Done open_ports(yoke_session* session, const DepthShape& shape) {
    constexpr std::array<Port, 4> ports{{{"/depth/filter:depth", YOKE_IN, "u16"},
                                         {"/depth/filter:smooth", YOKE_OUT, "f32"},
                                         {"/depth/project:smooth", YOKE_IN, "f32"},
                                         {"/depth/project:cloud", YOKE_OUT, "f32x4"}}};
    for (const Port& port : ports) {
        yoke_template form{};
        std::strncpy(form.type, port.type, sizeof form.type - 1);
        form.extent[0] = shape.width;
        form.extent[1] = shape.height;
        form.extent[2] = 1;
        if (yoke_open_port(session, port.name, port.direction, &form) != 0) {
            return fail_yoke(session);
        }
    }
    return {};
}

template <typename Value>
yoke_argument constant(const Value& value) {
    return {nullptr, &value, sizeof value};
}

yoke_argument port(const char* name) {
    return {name, nullptr, 0};
}

Done open_ptasks(yoke_session* session, const std::string& examples, const DepthShape& shape) {
    const auto bilateral = text_of(examples + "/kernels/bilateral.cl");
    const auto backproject = text_of(examples + "/kernels/backproject.cl");
    if (!bilateral || !backproject) {
        return tl::unexpected<Failure>(bilateral ? backproject.error() : bilateral.error());
    }
    const std::array<std::int32_t, 2> size{static_cast<std::int32_t>(shape.width),
                                           static_cast<std::int32_t>(shape.height)};
    const auto metres_per_unit = static_cast<float>(shape.camera.metres_per_unit);
    const std::int32_t radius = shape.filter.radius;
    const std::array<yoke_argument, 7> filter_arguments{port("depth"),
                                                        port("smooth"),
                                                        constant(size),
                                                        constant(metres_per_unit),
                                                        constant(radius),
                                                        constant(shape.filter.sigma_pixels),
                                                        constant(shape.filter.sigma_metres)};
    yoke_kernel kernel{};
    kernel.source = bilateral->c_str();
    kernel.source_name = "bilateral.cl";
    kernel.function = "bilateral";
    if (yoke_open_ptask(session, "/depth/filter", &kernel, filter_arguments.data(), filter_arguments.size()) != 0) {
        return fail_yoke(session);
    }
    const std::array<float, 4> lens{static_cast<float>(shape.camera.focal), static_cast<float>(shape.camera.focal),
                                    static_cast<float>(shape.camera.centre_x),
                                    static_cast<float>(shape.camera.centre_y)};
    const std::array<yoke_argument, 3> project_arguments{port("smooth"), port("cloud"), constant(lens)};
    kernel.source = backproject->c_str();
    kernel.source_name = "backproject.cl";
    kernel.function = "backproject";
    if (yoke_open_ptask(session, "/depth/project", &kernel, project_arguments.data(), project_arguments.size()) != 0) {
        return fail_yoke(session);
    }
    return {};
}

Done build(yoke_session* session, const std::string& examples, const DepthShape& shape) {
    if (yoke_open_graph(session, "/depth") != 0) {
        return fail_yoke(session);
    }
    if (auto done = open_ports(session, shape); !done) {
        return done;
    }
    return open_ptasks(session, examples, shape);
}

}  // namespace

Outcome<DepthGraph> open_depth_graph(yoke_session* session, const std::string& examples, const DepthShape& shape) {
    DepthGraph graph;
    graph.name = "/depth";
    if (fits_file(shape)) {
        graph.built_by = "examples/depth.toml";
        if (yoke_load_graph(session, (examples + "/depth.toml").c_str(), nullptr, 0) != 0) {
            return fail_yoke(session);
        }
    } else {
        graph.built_by = "API calls";
        if (auto done = build(session, examples, shape); !done) {
            return tl::unexpected<Failure>(done.error());
        }
    }
    // Opening what the file has opened gives its ids.
    std::uint32_t inner = 0;
    if (yoke_open_channel(session, "/depth/depth", nullptr, "/depth/filter:depth", 0, &graph.depth) != 0 ||
        yoke_open_channel(session, "/depth/smooth", "/depth/filter:smooth", "/depth/project:smooth", 0, &inner) != 0 ||
        yoke_open_channel(session, "/depth/cloud", "/depth/project:cloud", nullptr, 0, &graph.cloud) != 0 ||
        yoke_run_graph(session, graph.name.c_str()) != 0) {
        return fail_yoke(session);
    }
    return graph;
}

}  // namespace tour
