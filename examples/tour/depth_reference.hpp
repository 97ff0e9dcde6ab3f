// What the depth graph computes, in plain C++ on one thread: written from the definition of the filter and the lens,
// not from the kernels, to compare with.
#pragma once

#include "tour/image.hpp"
#include "tour/picture.hpp"

namespace tour {

// Of the bilateral filter of examples/depth.toml.
struct FilterShape {
    int radius = 4;  // pixels
    float sigma_pixels = 2.5F;
    float sigma_metres = 0.006F;
};

// The frame as it is: every reading as a point.
Cloud project(const DepthFrame& frame, const Camera& camera);
// The frame filtered, then projected.
Cloud filter_and_project(const DepthFrame& frame, const Camera& camera, const FilterShape& shape);

// Largest distance of two points of one pixel, in metres; infinite when the clouds differ in size or in where readings
// are.
double largest_difference(const Cloud& a, const Cloud& b);

// Roughness in metres: mean distance of a pixel from the mean of its four neighbours on one surface.
double roughness(const Cloud& cloud);

}  // namespace tour
