// Depth and point clouds as pictures that people can judge.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "tour/image.hpp"

namespace tour {

// A point per pixel, in metres; the fourth element is not used here. z = 0: no reading.
using Point = std::array<float, 4>;

struct Cloud {
    std::size_t width = 0;
    std::size_t height = 0;
    std::vector<Point> points;
};

// Nearest and farthest distance to be told apart, in metres.
struct Range {
    double near = 0;
    double far = 1;
};
// All but the most extreme hundredths of the distances.
Range range_of(const Cloud& cloud);

// As the camera sees it: colour is distance, brightness the slope of the surface, so that noise shows as grain. Holes
// are black.
Picture shaded_depth(const Cloud& cloud, const Range& range);

// Seen from aside and above, so that one sees that it is a body.
Picture rendered_cloud(const Cloud& cloud, const Range& range, const Camera& camera);

// Pictures of one height, next to each other.
Picture side_by_side(const Picture& left, const Picture& right);

}  // namespace tour
