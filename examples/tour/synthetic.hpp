// Depth frames for machines without recorded ones: a hand over a desk, as a structured-light camera would see it, with
// holes, quantisation and noise.
#pragma once

#include <vector>

#include "tour/image.hpp"

namespace tour {

// @count frames of 640 x 480 in which the hand turns. The same frames every time.
std::vector<DepthFrame> render_synthetic(std::size_t count, const Camera& camera);

}  // namespace tour
