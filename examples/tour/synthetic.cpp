// See synthetic.hpp. The scene is a signed distance function, rendered by sphere tracing from the camera; a second ray
// towards the projector, a few centimetres to the side, finds the shadow in which a structured-light camera sees
// nothing.
#include "tour/synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>
#include <thread>

namespace tour {
namespace {

struct Vector {
    double x = 0;
    double y = 0;
    double z = 0;
};

Vector operator+(Vector a, Vector b) {
    return {a.x + b.x, a.y + b.y, a.z + b.z};
}
Vector operator-(Vector a, Vector b) {
    return {a.x - b.x, a.y - b.y, a.z - b.z};
}
Vector operator*(Vector a, double s) {
    return {a.x * s, a.y * s, a.z * s};
}
double dot(Vector a, Vector b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}
double length(Vector a) {
    return std::sqrt(dot(a, a));
}

// Metres; x to the right, y down, z away from the camera.
constexpr double far_m = 1.5;
constexpr Vector projector{-0.05, 0, 0};

double capsule(Vector p, Vector a, Vector b, double radius) {
    const Vector along = b - a;
    const double t = std::clamp(dot(p - a, along) / dot(along, along), 0.0, 1.0);
    return length(p - (a + along * t)) - radius;
}

// Joins two bodies with a rounded seam, as between fingers and palm.
double smooth_union(double a, double b, double width) {
    const double h = std::max(width - std::abs(a - b), 0.0) / width;
    return std::min(a, b) - h * h * width * 0.25;
}

class Scene {
   public:
    explicit Scene(double turn) : cosine_(std::cos(turn)), sine_(std::sin(turn)) {}

    [[nodiscard]] double distance(Vector p) const {
        const double wall = (1.05 + 0.12 * p.x - p.z) / 1.01;
        const double desk = (0.34 - p.y - 0.25 * (p.z - 0.9)) / 1.04;
        const double ball = length(p - Vector{-0.30, 0.10, 0.86}) - 0.11;
        return std::min({wall, desk, ball, hand(p)});
    }

   private:
    [[nodiscard]] double hand(Vector p) const {
        const Vector centre{0.07, 0.02, 0.52};
        const Vector q = p - centre;
        if (length(q) > 0.45) {
            return length(q) - 0.40;  // far away: a bound is enough
        }
        const Vector r{cosine_ * q.x + sine_ * q.y, cosine_ * q.y - sine_ * q.x, q.z};
        // A palm is a flat ellipsoid; the bound by its smallest radius keeps the distance honest.
        const Vector scaled{r.x / 0.045, (r.y - 0.01) / 0.052, r.z / 0.018};
        double body = (length(scaled) - 1) * 0.018;
        struct Finger {
            Vector root;
            Vector tip;
            double radius;
        };
        static constexpr Finger fingers[] = {{{-0.034, 0.025, 0.0}, {-0.090, -0.025, -0.010}, 0.0110},
                                             {{-0.030, -0.030, 0.0}, {-0.048, -0.115, -0.006}, 0.0095},
                                             {{-0.008, -0.036, 0.0}, {-0.010, -0.130, -0.010}, 0.0098},
                                             {{0.014, -0.034, 0.0}, {0.028, -0.118, -0.006}, 0.0092},
                                             {{0.034, -0.022, 0.0}, {0.064, -0.088, -0.002}, 0.0082}};
        for (const Finger& finger : fingers) {
            body = smooth_union(body, capsule(r, finger.root, finger.tip, finger.radius), 0.016);
        }
        return smooth_union(body, capsule(r, {0.0, 0.05, 0.004}, {0.03, 0.30, 0.10}, 0.030), 0.03);
    }

    double cosine_;
    double sine_;
};

// Distance along @direction (of length 1) from @from to the scene, or far_m * 2.
double trace(const Scene& scene, Vector from, Vector direction, double at, double limit) {
    for (int step = 0; step < 160 && at < limit; ++step) {
        const double distance = scene.distance(from + direction * at);
        if (distance < 0.0002) {
            return at;
        }
        at += distance;
    }
    return far_m * 2;
}

// What the camera reads in one pixel, in metres; 0: nothing.
double reading(const Scene& scene, const Camera& camera, std::size_t x, std::size_t y, std::mt19937& random) {
    const Vector ray{(static_cast<double>(x) - camera.centre_x) / camera.focal,
                     (static_cast<double>(y) - camera.centre_y) / camera.focal, 1};
    const double slant = length(ray);
    const double hit = trace(scene, {}, ray * (1 / slant), 0.2, far_m * slant);
    std::normal_distribution<double> noise(0, 1);
    std::uniform_real_distribution<double> chance(0, 1);
    const double wobble = noise(random);
    const double luck = chance(random);
    if (hit >= far_m * slant) {
        return 0;
    }
    const Vector point = ray * (hit / slant);
    const Vector to_light = projector - point;
    const double light_distance = length(to_light);
    const Vector light = to_light * (1 / light_distance);
    if (trace(scene, point, light, 0.004, light_distance - 0.1) < light_distance - 0.1 || luck < 0.004) {
        return 0;
    }
    // Triangulation: the error grows with the square of the distance.
    return std::max(0.0, point.z + 0.0028 * point.z * point.z * wobble);
}

void paint(DepthFrame& frame, const Camera& camera, std::size_t number, std::size_t count) {
    constexpr double step = 0.0005;  // metres: the camera resolves less than its unit tells
    frame.width = 640;
    frame.height = 480;
    frame.name = fmt::format("synthetic-{}", number);
    frame.pixels.resize(frame.width * frame.height);
    const double phase = static_cast<double>(number) / static_cast<double>(count);
    const Scene scene(0.35 * std::sin(2 * std::numbers::pi * phase));
    std::mt19937 random(static_cast<unsigned>(number + 1));
    for (std::size_t y = 0; y < frame.height; ++y) {
        for (std::size_t x = 0; x < frame.width; ++x) {
            const double quantised = std::round(reading(scene, camera, x, y, random) / step) * step;
            frame.pixels[y * frame.width + x] =
                static_cast<std::uint16_t>(std::lround(quantised / camera.metres_per_unit));
        }
    }
}

}  // namespace

std::vector<DepthFrame> render_synthetic(std::size_t count, const Camera& camera) {
    std::vector<DepthFrame> frames(count);
    std::vector<std::thread> painters;  // a frame takes the better part of a second
    for (std::size_t number = 0; number < count; ++number) {
        painters.emplace_back(
            [&frame = frames[number], &camera, number, count] { paint(frame, camera, number, count); });
    }
    for (std::thread& painter : painters) {
        painter.join();
    }
    return frames;
}

}  // namespace tour
