// See depth_reference.hpp.
#include "tour/depth_reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tour {
namespace {

Cloud project_metres(const std::vector<double>& metres, std::size_t width, std::size_t height, const Camera& camera) {
    Cloud cloud{width, height, std::vector<Point>(width * height)};
    for (std::size_t y = 0; y < height; ++y) {
        for (std::size_t x = 0; x < width; ++x) {
            const double z = metres[y * width + x];
            if (z > 0) {
                cloud.points[y * width + x] = {
                    static_cast<float>((static_cast<double>(x) - camera.centre_x) * z / camera.focal),
                    static_cast<float>((static_cast<double>(y) - camera.centre_y) * z / camera.focal),
                    static_cast<float>(z), 1.0F};
            }
        }
    }
    return cloud;
}

double filtered(const std::vector<double>& metres, long width, long height, long x, long y, const FilterShape& shape) {
    const double centre = metres[static_cast<std::size_t>(y * width + x)];
    if (centre <= 0) {
        return 0;
    }
    const double pixel_variance =
        2.0 * static_cast<double>(shape.sigma_pixels) * static_cast<double>(shape.sigma_pixels);
    const double metre_variance =
        2.0 * static_cast<double>(shape.sigma_metres) * static_cast<double>(shape.sigma_metres);
    double sum = 0;
    double weights = 0;
    for (long dy = -shape.radius; dy <= shape.radius; ++dy) {
        for (long dx = -shape.radius; dx <= shape.radius; ++dx) {
            if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) {
                continue;
            }
            const double value = metres[static_cast<std::size_t>((y + dy) * width + x + dx)];
            if (value > 0) {
                const double apart = value - centre;
                const double weight = std::exp(-static_cast<double>(dx * dx + dy * dy) / pixel_variance) *
                                      std::exp(-apart * apart / metre_variance);
                sum += weight * value;
                weights += weight;
            }
        }
    }
    return sum / weights;
}

std::vector<double> metres_of(const DepthFrame& frame, const Camera& camera) {
    std::vector<double> metres(frame.pixels.size());
    std::transform(frame.pixels.begin(), frame.pixels.end(), metres.begin(),
                   [&](std::uint16_t pixel) { return pixel * camera.metres_per_unit; });
    return metres;
}

}  // namespace

Cloud project(const DepthFrame& frame, const Camera& camera) {
    return project_metres(metres_of(frame, camera), frame.width, frame.height, camera);
}

Cloud filter_and_project(const DepthFrame& frame, const Camera& camera, const FilterShape& shape) {
    const std::vector<double> metres = metres_of(frame, camera);
    std::vector<double> smooth(metres.size());
    const auto width = static_cast<long>(frame.width);
    const auto height = static_cast<long>(frame.height);
    for (long y = 0; y < height; ++y) {
        for (long x = 0; x < width; ++x) {
            smooth[static_cast<std::size_t>(y * width + x)] = filtered(metres, width, height, x, y, shape);
        }
    }
    return project_metres(smooth, frame.width, frame.height, camera);
}

double largest_difference(const Cloud& a, const Cloud& b) {
    constexpr double infinite = std::numeric_limits<double>::infinity();
    if (a.width != b.width || a.height != b.height || a.points.size() != b.points.size()) {
        return infinite;
    }
    double largest = 0;
    for (std::size_t i = 0; i < a.points.size(); ++i) {
        const Point& p = a.points[i];
        const Point& q = b.points[i];
        if (p[3] != q[3] || (p[2] > 0) != (q[2] > 0)) {
            return infinite;
        }
        for (std::size_t axis = 0; axis < 3; ++axis) {
            const double difference = std::abs(static_cast<double>(p[axis]) - static_cast<double>(q[axis]));
            // NaN would pass for equal in a maximum.
            largest = difference <= largest ? largest : std::isnan(difference) ? infinite : difference;
        }
    }
    return largest;
}

double roughness(const Cloud& cloud) {
    constexpr double edge = 0.01;  // metres: steps over this are edges, no roughness
    double sum = 0;
    double count = 0;
    for (std::size_t y = 1; y + 1 < cloud.height; ++y) {
        for (std::size_t x = 1; x + 1 < cloud.width; ++x) {
            const auto z = [&](std::size_t at) { return static_cast<double>(cloud.points[at][2]); };
            const std::size_t at = y * cloud.width + x;
            const std::array<double, 4> around{z(at - 1), z(at + 1), z(at - cloud.width), z(at + cloud.width)};
            const auto [least, most] = std::minmax_element(around.begin(), around.end());
            if (z(at) <= 0 || *least <= 0 || *most - *least > edge || std::abs(z(at) - *least) > edge) {
                continue;
            }
            sum += std::abs(z(at) - (around[0] + around[1] + around[2] + around[3]) / 4);
            count += 1;
        }
    }
    return count > 0 ? sum / count : 0;
}

}  // namespace tour
