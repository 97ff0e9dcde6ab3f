// See render.hpp. Every capsule is drawn into a z-buffer within the rectangle that can show it, by intersecting each
// pixel's ray with it; a second z-buffer, as seen from the projector beside the camera, tells what is in shadow. This
// is exact and takes milliseconds a frame, where marching rays through a distance field would take most of a second.
#include "gesture/render.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gesture {
namespace {

constexpr Vector projector{-0.045, 0, 0};
constexpr double far_m = 1.5;           // beyond it the camera reads nothing
constexpr double near_m = 0.2;          // nearer than that neither
constexpr double shadow_m = 0.012;      // a surface shades itself only beyond this
constexpr double edge_pixels = 0.9;     // how far from its place a pixel looks, at most: rough edges
constexpr double noise_per_m = 0.0016;  // deviation at one metre
constexpr double step_per_m = 0.0012;   // least difference told apart at one metre
constexpr double dropout = 0.002;       // share of pixels without a reading for no reason
constexpr double flat = 0.22;           // cosine of the angle under which the pattern is lost

struct Hit {
    double distance = std::numeric_limits<double>::infinity();  // along z
    double facing = 0;                                          // cosine between ray and normal
};

// Where a ray from @origin in @direction (z = 1) enters @capsule.
Hit intersect(const Capsule& capsule, const Vector& origin, const Vector& direction) {
    const Vector axis = capsule.b - capsule.a;
    const Vector from = origin - capsule.a;
    const double axis2 = dot(axis, axis);
    const double along = dot(axis, direction);
    const double offset = dot(axis, from);
    const double direction2 = dot(direction, direction);
    const double radius2 = capsule.radius * capsule.radius;
    const auto entry = [&](double a, double half_b, double c) {
        const double discriminant = half_b * half_b - a * c;
        return discriminant < 0 ? -1.0 : (-half_b - std::sqrt(discriminant)) / a;
    };
    const auto hit = [&](double t, const Vector& middle) {
        const Vector normal = (origin + direction * t - middle) * (1 / capsule.radius);
        return Hit{t, std::abs(dot(normal, direction)) / std::sqrt(direction2)};
    };
    const double a = axis2 * direction2 - along * along;
    if (a > 1e-12) {
        const double t = entry(a, axis2 * dot(from, direction) - along * offset,
                               axis2 * dot(from, from) - offset * offset - radius2 * axis2);
        const double where = offset + t * along;
        if (t > 0 && where > 0 && where < axis2) {
            return hit(t, capsule.a + axis * (where / axis2));
        }
    }
    Hit best;
    for (const Vector& end : {capsule.a, capsule.b}) {
        const Vector to_end = origin - end;
        const double t = entry(direction2, dot(to_end, direction), dot(to_end, to_end) - radius2);
        if (t > 0 && t < best.distance) {
            best = hit(t, end);
        }
    }
    return best;
}

struct Span {
    std::size_t first = 0;
    std::size_t end = 0;
};

// Pixels along one axis that may show @capsule; @at of an end is its coordinate relative to the eye.
Span span_of(double at_a, double z_a, double at_b, double z_b, double radius, double focal, double centre,
             std::size_t size) {
    double least = std::numeric_limits<double>::infinity();
    double most = -least;
    const auto cover = [&](double at, double z) {
        const double front = std::max(z - radius, 0.05);
        for (const double edge : {at - 1.1 * radius, at + 1.1 * radius}) {
            least = std::min({least, edge / front, edge / z});
            most = std::max({most, edge / front, edge / z});
        }
    };
    cover(at_a, z_a);
    cover(at_b, z_b);
    const auto bounded = [&](double pixel) {
        return static_cast<std::size_t>(std::clamp(pixel, 0.0, static_cast<double>(size)));
    };
    return {bounded(least * focal + centre - 2), bounded(most * focal + centre + 3)};
}

// The nearest surface for every pixel; @jitter: where in (or beside) its place each pixel looks.
std::vector<Hit> draw(const std::vector<Capsule>& scene, const Camera& camera, const Vector& eye,
                      const std::vector<std::array<float, 2>>& jitter) {
    std::vector<Hit> seen(camera.width * camera.height);
    for (const Capsule& capsule : scene) {
        const Vector a = capsule.a - eye;
        const Vector b = capsule.b - eye;
        if (std::min(a.z, b.z) < 0.05) {
            continue;  // behind the camera
        }
        const Span columns = span_of(a.x, a.z, b.x, b.z, capsule.radius, camera.focal_x, camera.centre_x, camera.width);
        const Span rows = span_of(a.y, a.z, b.y, b.z, capsule.radius, camera.focal_y, camera.centre_y, camera.height);
        for (std::size_t y = rows.first; y < rows.end; ++y) {
            for (std::size_t x = columns.first; x < columns.end; ++x) {
                const std::size_t at = y * camera.width + x;
                const double dx = jitter.empty() ? 0 : static_cast<double>(jitter[at][0]);
                const double dy = jitter.empty() ? 0 : static_cast<double>(jitter[at][1]);
                const Vector ray{(static_cast<double>(x) + dx - camera.centre_x) / camera.focal_x,
                                 (static_cast<double>(y) + dy - camera.centre_y) / camera.focal_y, 1};
                const Hit hit = intersect(capsule, eye, ray);
                if (hit.distance < seen[at].distance) {
                    seen[at] = hit;
                }
            }
        }
    }
    return seen;
}

// Neighbouring pixels look into similar directions: edges are rough over some pixels, not pixel by pixel.
std::vector<std::array<float, 2>> rough(const Camera& camera, Random& random) {
    std::vector<std::array<float, 2>> jitter(camera.width * camera.height);
    constexpr std::size_t patch = 3;
    for (std::size_t y = 0; y < camera.height; y += patch) {
        for (std::size_t x = 0; x < camera.width; x += patch) {
            const std::array<float, 2> off{static_cast<float>(random.uniform(-edge_pixels, edge_pixels)),
                                           static_cast<float>(random.uniform(-edge_pixels, edge_pixels))};
            for (std::size_t v = y; v < std::min(y + patch, camera.height); ++v) {
                for (std::size_t u = x; u < std::min(x + patch, camera.width); ++u) {
                    jitter[v * camera.width + u] = off;
                }
            }
        }
    }
    return jitter;
}

bool lit(const Vector& point, const std::vector<Hit>& light, const Camera& camera) {
    const Vector from = point - projector;
    const auto column = static_cast<long>(std::lround(from.x / from.z * camera.focal_x + camera.centre_x));
    const auto row = static_cast<long>(std::lround(from.y / from.z * camera.focal_y + camera.centre_y));
    if (column < 0 || row < 0 || column >= static_cast<long>(camera.width) || row >= static_cast<long>(camera.height)) {
        return true;  // the projector's field is wider than the camera's
    }
    const std::size_t at = static_cast<std::size_t>(row) * camera.width + static_cast<std::size_t>(column);
    return light[at].distance > from.z - shadow_m;
}

}  // namespace

double Random::uniform(double least, double most) {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
    mixed ^= mixed >> 31U;
    return least + (most - least) * static_cast<double>(mixed >> 11U) * 0x1p-53;
}

double Random::normal() {
    const double scale = std::sqrt(3.0);
    return (uniform(-1, 1) + uniform(-1, 1) + uniform(-1, 1) + uniform(-1, 1)) * scale / 2;
}

void render(const std::vector<Capsule>& scene, const Camera& camera, Random& random, std::span<std::uint16_t> depth) {
    const auto jitter = rough(camera, random);
    const auto seen = draw(scene, camera, {}, jitter);
    const auto light = draw(scene, camera, projector, {});
    std::fill(depth.begin(), depth.end(), std::uint16_t{0});
    for (std::size_t at = 0; at < seen.size(); ++at) {
        const double z = seen[at].distance;
        if (z < near_m || z > far_m) {
            continue;
        }
        const double wobble = random.normal();
        const double luck = random.uniform(0, 1);
        const Vector point{(static_cast<double>(at % camera.width) - camera.centre_x) / camera.focal_x * z,
                           (static_cast<double>(at / camera.width) - camera.centre_y) / camera.focal_y * z, z};
        // The flatter the angle the likelier a pixel is lost.
        if (luck < dropout || luck > seen[at].facing / flat || !lit(point, light, camera)) {
            continue;
        }
        const double step = step_per_m * z * z;
        const double read = std::round((z + noise_per_m * z * z * wobble) / step) * step / camera.metres_per_unit;
        depth[at] = static_cast<std::uint16_t>(std::clamp(std::lround(read), 0L, 65535L));
    }
}

}  // namespace gesture
