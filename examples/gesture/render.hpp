// What a structured-light depth camera reads of a scene made of capsules.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "gesture/frame.hpp"

namespace gesture {

// Metres in the camera's frame: x to the right, y down, z forward.
struct Vector {
    double x = 0;
    double y = 0;
    double z = 0;
};

inline Vector operator+(const Vector& a, const Vector& b) {
    return {a.x + b.x, a.y + b.y, a.z + b.z};
}
inline Vector operator-(const Vector& a, const Vector& b) {
    return {a.x - b.x, a.y - b.y, a.z - b.z};
}
inline Vector operator*(const Vector& a, double s) {
    return {a.x * s, a.y * s, a.z * s};
}
inline double dot(const Vector& a, const Vector& b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

// All points within @radius of the line from @a to @b.
struct Capsule {
    Vector a;
    Vector b;
    double radius = 0;
};

// Uniform numbers from a seed, the same on every machine (Steele, Lea and Flood's splitmix64).
class Random {
   public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    double uniform(double least, double most);
    // Mean 0, variance 1; the sum of four uniform numbers.
    double normal();

   private:
    std::uint64_t state_;
};

// The scene as the camera reads it: rough edges, shadows where its projector does not reach, dropouts where a surface
// is seen at a flat angle, noise and quantisation that grow with the square of the distance.
void render(const std::vector<Capsule>& scene, const Camera& camera, Random& random, std::span<std::uint16_t> depth);

}  // namespace gesture
