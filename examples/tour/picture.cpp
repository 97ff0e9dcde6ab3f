// See picture.hpp. Surfaces are shaded by normals from neighbouring pixels; the rotated view draws every point as a
// small disc into a z-buffer of twice the size, which is then averaged down.
#include "tour/picture.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tour {
namespace {

struct Shade {
    double red = 0;
    double green = 0;
    double blue = 0;
};

// From near to far; light and warm in front, dark and cool behind.
constexpr std::array<Shade, 6> ramp{{{1.00, 0.93, 0.62},
                                     {0.99, 0.70, 0.33},
                                     {0.90, 0.38, 0.36},
                                     {0.62, 0.22, 0.51},
                                     {0.33, 0.21, 0.56},
                                     {0.14, 0.20, 0.42}}};

constexpr double jump_m = 0.02;  // neighbours farther apart than this belong to different bodies

Shade colour_of(double distance, const Range& range) {
    const double span = std::max(range.far - range.near, 1e-6);
    const double at = std::clamp((distance - range.near) / span, 0.0, 1.0) * static_cast<double>(ramp.size() - 1);
    const auto first = std::min(static_cast<std::size_t>(at), ramp.size() - 2);
    const double share = at - static_cast<double>(first);
    const auto mix = [&](double a, double b) { return a + (b - a) * share; };
    return {mix(ramp[first].red, ramp[first + 1].red), mix(ramp[first].green, ramp[first + 1].green),
            mix(ramp[first].blue, ramp[first + 1].blue)};
}

std::uint8_t level(double value) {
    return static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0, 1.0) * 255));
}

struct Normal {
    double x = 0;
    double y = 0;
    double z = -1;
};

// Difference of two neighbours along one axis of the image; nothing across the edge of a body.
bool slope(const Cloud& cloud, std::size_t before, std::size_t after, std::array<double, 3>& difference) {
    const Point& a = cloud.points[before];
    const Point& b = cloud.points[after];
    if (a[2] <= 0 || b[2] <= 0 || std::abs(static_cast<double>(a[2] - b[2])) > jump_m) {
        return false;
    }
    for (std::size_t i = 0; i < 3; ++i) {
        difference[i] = static_cast<double>(b[i]) - static_cast<double>(a[i]);
    }
    return true;
}

Normal normal_at(const Cloud& cloud, std::size_t x, std::size_t y) {
    const std::size_t row = y * cloud.width;
    const std::size_t left = x > 0 ? x - 1 : x;
    const std::size_t right = x + 1 < cloud.width ? x + 1 : x;
    const std::size_t up = y > 0 ? row - cloud.width : row;
    const std::size_t down = y + 1 < cloud.height ? row + cloud.width : row;
    std::array<double, 3> u{};
    std::array<double, 3> v{};
    if (!slope(cloud, row + left, row + right, u) || !slope(cloud, up + x, down + x, v)) {
        return {};
    }
    Normal normal{u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
    const double length = std::sqrt(normal.x * normal.x + normal.y * normal.y + normal.z * normal.z);
    if (length <= 0) {
        return {};
    }
    const double sign = normal.z > 0 ? -1 / length : 1 / length;  // towards the camera
    return {normal.x * sign, normal.y * sign, normal.z * sign};
}

double brightness(const Normal& normal) {
    constexpr Normal light{-0.45, -0.60, -0.66};
    const double facing = normal.x * light.x + normal.y * light.y + normal.z * light.z;
    return 0.30 + 0.80 * std::max(facing, 0.0);
}

// View of an observer beside the camera: turned about the middle of what is in range.
class View {
   public:
    // @width, @height: of the canvas; @focal: pixels on that canvas.
    View(const Cloud& cloud, const Range& range, std::size_t width, std::size_t height, double focal)
        : pivot_(middle_of(cloud, range)),
          centre_x_(static_cast<double>(width) / 2),
          centre_y_(static_cast<double>(height) / 2),
          focal_(focal) {}

    struct Seen {
        double x = 0;
        double y = 0;
        double distance = 0;
        double pixels_per_metre = 0;
    };
    // Moves and scales the picture so that nearly all of the cloud fills it.
    void fit(const Cloud& cloud, const Range& range) {
        constexpr double filled = 0.92;  // share of the canvas
        std::vector<double> across;
        std::vector<double> down;
        for (std::size_t at = 0; at < cloud.points.size(); at += 7) {
            if (cloud.points[at][2] > 0 && static_cast<double>(cloud.points[at][2]) <= range.far) {
                const Seen seen = see(cloud.points[at]);
                across.push_back(seen.x - centre_x_);
                down.push_back(seen.y - centre_y_);
            }
        }
        if (across.size() < 100) {
            return;
        }
        const auto [left, right] = extent_of(across);
        const auto [top, bottom] = extent_of(down);
        const double scale = filled * std::min(2 * centre_x_ / (right - left), 2 * centre_y_ / (bottom - top));
        focal_ *= scale;
        centre_x_ -= (left + right) / 2 * scale;
        centre_y_ -= (top + bottom) / 2 * scale;
    }

    [[nodiscard]] Seen see(const Point& point) const {
        const double x = static_cast<double>(point[0]) - pivot_[0];
        const double y = static_cast<double>(point[1]) - pivot_[1];
        const double z = static_cast<double>(point[2]) - pivot_[2];
        const double turned_x = cos_yaw_ * x + sin_yaw_ * z;
        const double turned_z = cos_yaw_ * z - sin_yaw_ * x;
        const double tilted_y = cos_pitch_ * y + sin_pitch_ * turned_z;
        const double tilted_z = cos_pitch_ * turned_z - sin_pitch_ * y;
        const double distance = tilted_z + pivot_[2] * step_back;
        const double scale = focal_ / distance;
        return {centre_x_ + turned_x * scale, centre_y_ + tilted_y * scale, distance, scale};
    }

   private:
    static constexpr double step_back = 1.12;
    static constexpr double yaw = 0.45;  // radians
    static constexpr double pitch = 0.30;
    // Without the outermost hundredth on either side.
    static std::pair<double, double> extent_of(std::vector<double>& values) {
        std::sort(values.begin(), values.end());
        const std::size_t margin = values.size() / 100;
        return {values[margin], std::max(values[values.size() - 1 - margin], values[margin] + 1)};
    }

    static std::array<double, 3> middle_of(const Cloud& cloud, const Range& range) {
        std::array<double, 3> sum{};
        double count = 0;
        for (const Point& point : cloud.points) {
            if (point[2] > 0 && static_cast<double>(point[2]) <= range.far) {
                for (std::size_t i = 0; i < sum.size(); ++i) {
                    sum[i] += static_cast<double>(point[i]);
                }
                count += 1;
            }
        }
        if (count == 0) {
            return {0, 0, 1};
        }
        return {sum[0] / count, sum[1] / count, sum[2] / count};
    }

    std::array<double, 3> pivot_;
    double centre_x_;
    double centre_y_;
    double focal_;
    double cos_yaw_ = std::cos(yaw);
    double sin_yaw_ = std::sin(yaw);
    double cos_pitch_ = std::cos(pitch);
    double sin_pitch_ = std::sin(pitch);
};

constexpr Shade background{0.06, 0.07, 0.09};

struct Canvas {
    std::size_t width;
    std::size_t height;
    std::vector<Shade> shades;
    std::vector<double> depth;
    Canvas(std::size_t w, std::size_t h)
        : width(w), height(h), shades(w * h, background), depth(w * h, std::numeric_limits<double>::infinity()) {}

    void disc(const View::Seen& seen, double radius, const Shade& shade) {
        const auto first_x = std::max(0L, std::lround(seen.x - radius));
        const auto first_y = std::max(0L, std::lround(seen.y - radius));
        const auto last_x = std::min(static_cast<long>(width) - 1, std::lround(seen.x + radius));
        const auto last_y = std::min(static_cast<long>(height) - 1, std::lround(seen.y + radius));
        for (long y = first_y; y <= last_y; ++y) {
            for (long x = first_x; x <= last_x; ++x) {
                const std::size_t at = static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x);
                if (seen.distance < depth[at]) {
                    depth[at] = seen.distance;
                    shades[at] = shade;
                }
            }
        }
    }
};

Picture averaged_down(const Canvas& canvas) {
    Picture picture{canvas.width / 2, canvas.height / 2, {}};
    picture.pixels.resize(picture.width * picture.height);
    for (std::size_t y = 0; y < picture.height; ++y) {
        for (std::size_t x = 0; x < picture.width; ++x) {
            Shade sum;
            for (const std::size_t at : {2 * y * canvas.width + 2 * x, 2 * y * canvas.width + 2 * x + 1,
                                         (2 * y + 1) * canvas.width + 2 * x, (2 * y + 1) * canvas.width + 2 * x + 1}) {
                sum.red += canvas.shades[at].red / 4;
                sum.green += canvas.shades[at].green / 4;
                sum.blue += canvas.shades[at].blue / 4;
            }
            picture.pixels[y * picture.width + x] = {level(sum.red), level(sum.green), level(sum.blue)};
        }
    }
    return picture;
}

}  // namespace

Range range_of(const Cloud& cloud) {
    std::vector<float> distances;
    for (const Point& point : cloud.points) {
        if (point[2] > 0) {
            distances.push_back(point[2]);
        }
    }
    if (distances.empty()) {
        return {};
    }
    const auto quantile = [&](std::size_t hundredths) {
        const std::size_t at = std::min(distances.size() - 1, distances.size() * hundredths / 100);
        std::nth_element(distances.begin(), distances.begin() + static_cast<std::ptrdiff_t>(at), distances.end());
        return static_cast<double>(distances[at]);
    };
    return {quantile(1), quantile(97)};
}

Picture shaded_depth(const Cloud& cloud, const Range& range) {
    Picture picture{cloud.width, cloud.height, std::vector<Colour>(cloud.points.size())};
    for (std::size_t y = 0; y < cloud.height; ++y) {
        for (std::size_t x = 0; x < cloud.width; ++x) {
            const Point& point = cloud.points[y * cloud.width + x];
            if (point[2] > 0) {
                const Shade shade = colour_of(static_cast<double>(point[2]), range);
                const double light = brightness(normal_at(cloud, x, y));
                picture.pixels[y * cloud.width + x] = {level(shade.red * light), level(shade.green * light),
                                                       level(shade.blue * light)};
            }
        }
    }
    return picture;
}

Picture rendered_cloud(const Cloud& cloud, const Range& range, const Camera& camera) {
    Canvas canvas(cloud.width * 2, cloud.height * 2);
    View view(cloud, range, canvas.width, canvas.height, 2 * camera.focal);
    view.fit(cloud, range);
    for (std::size_t y = 0; y < cloud.height; ++y) {
        for (std::size_t x = 0; x < cloud.width; ++x) {
            const Point& point = cloud.points[y * cloud.width + x];
            if (point[2] <= 0 || static_cast<double>(point[2]) > range.far * 1.5) {
                continue;
            }
            const View::Seen seen = view.see(point);
            if (seen.distance <= 0.05) {
                continue;
            }
            // A point covers the pixel it came from: its pitch grows with the distance from the camera.
            const double pitch = static_cast<double>(point[2]) / camera.focal;
            const double radius = std::clamp(0.75 * pitch * seen.pixels_per_metre, 0.5, 6.0);
            const Shade shade = colour_of(static_cast<double>(point[2]), range);
            const double light = brightness(normal_at(cloud, x, y));
            canvas.disc(seen, radius, {shade.red * light, shade.green * light, shade.blue * light});
        }
    }
    return averaged_down(canvas);
}

Picture side_by_side(const Picture& left, const Picture& right) {
    constexpr std::size_t gap = 8;
    Picture picture{left.width + gap + right.width, std::max(left.height, right.height), {}};
    picture.pixels.assign(picture.width * picture.height, Colour{255, 255, 255});
    const auto paste = [&](const Picture& part, std::size_t at) {
        for (std::size_t y = 0; y < part.height; ++y) {
            std::copy_n(part.pixels.begin() + static_cast<std::ptrdiff_t>(y * part.width), part.width,
                        picture.pixels.begin() + static_cast<std::ptrdiff_t>(y * picture.width + at));
        }
    };
    paste(left, 0);
    paste(right, left.width + gap);
    return picture;
}

}  // namespace tour
