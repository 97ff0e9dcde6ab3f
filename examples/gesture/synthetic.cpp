// See synthetic.hpp. The hand is a skeleton of capsules in proportions of an adult's: each finger has three phalanges
// that bend towards the palm. Where it is follows slow sines with phases from the seed; every 20 frames it makes
// another sign. The middle of the palm is the origin of the hand: x to the thumb, y to the fingers, z out of the palm.
#include "gesture/synthetic.hpp"

#include <array>
#include <cmath>
#include <numbers>

namespace gesture {
namespace {

constexpr double degree = std::numbers::pi / 180;
constexpr std::uint64_t frames_per_sign = 20;

// How a finger is held.
enum class Hold { Stretched, Curled, Bent };
using Sign = std::array<Hold, 5>;  // from the thumb

constexpr Hold S = Hold::Stretched;
constexpr Hold C = Hold::Curled;
constexpr Hold B = Hold::Bent;
constexpr std::array<Sign, 10> signs{{{S, S, S, S, S},
                                      {C, C, C, C, C},
                                      {C, S, C, C, C},
                                      {C, S, S, C, C},
                                      {C, S, S, S, C},
                                      {C, S, S, S, S},
                                      {C, B, S, S, S},
                                      {C, B, B, S, S},
                                      {S, S, C, C, C},
                                      {S, C, C, C, S}}};

struct Finger {
    Vector root;                    // metacarpal joint
    double spread;                  // degrees from y towards x
    std::array<double, 3> lengths;  // of the phalanges
    double radius;
};

constexpr std::array<Finger, 4> fingers{{{{0.029, 0.043, 0}, 12, {0.042, 0.025, 0.020}, 0.0092},
                                         {{0.009, 0.047, 0}, 2, {0.046, 0.029, 0.021}, 0.0094},
                                         {{-0.011, 0.044, 0}, -8, {0.042, 0.027, 0.021}, 0.0089},
                                         {{-0.029, 0.035, 0}, -20, {0.034, 0.020, 0.018}, 0.0080}}};

Vector cross(const Vector& a, const Vector& b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

// @v turned about the unit vector @axis.
Vector turned(const Vector& v, const Vector& axis, double angle) {
    return v * std::cos(angle) + cross(axis, v) * std::sin(angle) + axis * (dot(axis, v) * (1 - std::cos(angle)));
}

std::array<double, 3> bends(Hold hold, Random& random) {
    switch (hold) {
        case Hold::Stretched:
            return {random.uniform(-3, 8), random.uniform(0, 6), random.uniform(0, 5)};
        case Hold::Bent:
            return {random.uniform(20, 40), random.uniform(65, 90), random.uniform(30, 50)};
        case Hold::Curled:
            break;
    }
    return {random.uniform(70, 85), random.uniform(90, 105), random.uniform(50, 70)};
}

// A chain of phalanges from @root, along @direction, that bend about @hinge.
void chain(std::vector<Capsule>& hand, Vector root, Vector direction, const Vector& hinge,
           const std::array<double, 3>& lengths, const std::array<double, 3>& degrees, double radius) {
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        direction = turned(direction, hinge, degrees[i] * degree);
        const Vector tip = root + direction * lengths[i];
        hand.push_back({root, tip, radius * (1 - 0.06 * static_cast<double>(i))});
        root = tip;
    }
}

void thumb(std::vector<Capsule>& hand, Hold hold, double width, Random& random) {
    const Vector saddle{0.020, -0.030, 0.002};
    if (hold == Hold::Stretched) {
        const double angle = random.uniform(44, 56) * degree;
        const Vector knuckle = saddle + Vector{std::sin(angle), std::cos(angle), 0.05} * 0.042;
        hand.push_back({saddle, knuckle, 0.0145 * width});
        chain(hand, knuckle, {std::sin(angle * 0.85), std::cos(angle * 0.85), 0.05}, {0, 0, 1}, {0.034, 0.027, 0},
              {0, random.uniform(-8, 8), 0}, 0.0108 * width);
        return;
    }
    // Folded over the palm.
    const Vector knuckle = saddle + Vector{0.019, 0.027, 0.014};
    hand.push_back({saddle, knuckle, 0.0145 * width});
    chain(hand, knuckle, {-0.50, 0.62, 0.60}, {0, 0, 1}, {0.030, 0.024, 0},
          {0, hold == Hold::Bent ? 10.0 : random.uniform(30, 50), 0}, 0.0108 * width);
}

// In the hand's frame.
std::vector<Capsule> hand_of(const Sign& sign, double width, Random& random) {
    std::vector<Capsule> hand;
    Vector before{};
    for (std::size_t i = 0; i < fingers.size(); ++i) {
        const Finger& finger = fingers[i];
        const Vector heel{finger.root.x * 0.62 + 0.002, -0.042, 0};
        hand.push_back({heel, finger.root, 0.0135});
        hand.push_back({heel + Vector{-0.006, 0, 0}, finger.root + Vector{-0.009, -0.006, 0}, 0.0125});
        if (i > 0) {
            hand.push_back({before, finger.root, 0.0115});  // the web
        }
        before = finger.root;
        const double spread = (finger.spread + random.uniform(-2, 2)) * degree;
        const Vector direction{std::sin(spread), std::cos(spread), 0};
        const Vector hinge{std::cos(spread), -std::sin(spread), 0};
        chain(hand, finger.root, direction, hinge, finger.lengths, bends(sign[i + 1], random), finger.radius * width);
    }
    hand.push_back({{0.016, -0.036, 0.002}, {0.034, 0.010, 0.002}, 0.0155});  // the ball of the thumb
    thumb(hand, sign[0], width, random);
    return hand;
}

// The hand's axes and origin in the camera's frame.
struct Placement {
    std::array<Vector, 3> axes;
    Vector origin;
    double size = 1;
    double side = 1;

    [[nodiscard]] Vector operator()(const Vector& p) const {
        return origin + (axes[0] * (p.x * side) + axes[1] * p.y + axes[2] * p.z) * size;
    }
};

void person(std::vector<Capsule>& scene, const Vector& elbow, const Vector& wrist, double side, double behind) {
    const Vector chest{side > 0 ? elbow.x + 0.22 : elbow.x - 0.22, 0.05, behind};
    const double out = side > 0 ? -1 : 1;
    scene.push_back({wrist, elbow, 0.025});
    scene.push_back({wrist + (elbow - wrist) * 0.45, elbow, 0.029});
    const Vector shoulder = chest + Vector{0.19 * out, -0.10, 0.03};
    scene.push_back({elbow, shoulder, 0.035});
    scene.push_back({elbow + (shoulder - elbow) * 0.4, shoulder, 0.044});
    scene.push_back({shoulder, chest + Vector{-0.19 * out, -0.10, 0.03}, 0.07});
    for (const double x : {-0.10, 0.0, 0.10}) {
        scene.push_back({chest + Vector{x, -0.06, 0.03}, chest + Vector{x * 0.9, 0.5, 0.05}, 0.11});
    }
    scene.push_back({chest + Vector{0, -0.30, 0.05}, chest + Vector{0, -0.24, 0.05}, 0.085});  // head
    scene.push_back({chest + Vector{0, -0.20, 0.06}, chest + Vector{0, -0.05, 0.06}, 0.055});  // neck
    scene.push_back({chest + Vector{-0.19 * out, -0.10, 0.05}, chest + Vector{-0.26 * out, 0.25, 0.0}, 0.05});
}

Vector seen_from(const Pose& view, const Vector& p) {
    const auto row = [&](std::size_t i) {
        return static_cast<double>(view[4 * i]) * p.x + static_cast<double>(view[4 * i + 1]) * p.y +
               static_cast<double>(view[4 * i + 2]) * p.z + static_cast<double>(view[4 * i + 3]);
    };
    return {row(0), row(1), row(2)};
}

}  // namespace

Synthetic::Synthetic(std::uint64_t seed, const Camera& camera, const Pose& view)
    : seed_(seed), camera_(camera), view_(view) {
    Random random(seed);
    build_.size = random.uniform(0.88, 1.10);
    build_.side = random.uniform(0, 1) < 0.5 ? 1 : -1;
    build_.width = random.uniform(0.92, 1.10);
    for (double& phase : phase_) {
        phase = random.uniform(0, 2 * std::numbers::pi);
    }
}

Depth Synthetic::frame(std::uint64_t number, Truth& truth) const {
    Depth depth(camera_.width * camera_.height);
    frame(number, truth, depth);
    return depth;
}

void Synthetic::frame(std::uint64_t number, Truth& truth, std::span<std::uint16_t> depth) const {
    const auto time = static_cast<double>(number);
    const auto wave = [&](std::size_t which, double period) {
        return std::sin(2 * std::numbers::pi * time / period + phase_[which]);
    };
    // A quarter of the signs are open palms.
    Random choice(seed_ * 1000003 + number / frames_per_sign);
    const auto drawn = static_cast<std::size_t>(choice.uniform(0, static_cast<double>(signs.size()) + 2.9));
    const Sign& sign = signs.at(drawn < signs.size() ? drawn : 0);

    Placement place;
    const double z = 0.60 + 0.10 * wave(0, 170);
    place.origin = {(320 + 110 * wave(1, 130) - camera_.centre_x) / camera_.focal_x * z,
                    (235 + 45 * wave(2, 90) - camera_.centre_y) / camera_.focal_y * z, z};
    place.size = build_.size;
    place.side = build_.side;
    const double roll = 50 * degree * wave(3, 110);
    const double pitch = 9 * degree * wave(4, 70);
    const double yaw = 10 * degree * wave(5, 100);
    const auto oriented = [&](Vector v) {
        v = turned(v, {0, 1, 0}, yaw);
        v = turned(v, {1, 0, 0}, pitch);
        return turned(v, {0, 0, 1}, roll);
    };
    place.axes = {oriented({1, 0, 0}), oriented({0, -1, 0}), oriented({0, 0, -1})};

    Random random(seed_ * 7919 + number);
    std::vector<Capsule> scene;
    for (const Capsule& part : hand_of(sign, build_.width, choice)) {
        scene.push_back({place(part.a), place(part.b), part.radius * place.size});
    }
    const Vector wrist = place({0.002, -0.060, -0.002});
    const Vector hanging{0, 0.5, 0.35};
    const Vector elbow = wrist + (place.axes[1] * -0.7 + hanging) * (0.23 / (1.2));
    person(scene, elbow, wrist, place.side, z + 0.36);
    const Vector middle = place({0.003, 0.0, 0.013});
    truth.x = middle.x / middle.z * camera_.focal_x + camera_.centre_x;
    truth.y = middle.y / middle.z * camera_.focal_y + camera_.centre_y;
    truth.distance = middle.z;
    truth.fingers = 0;
    for (const Hold hold : sign) {
        truth.fingers += hold == Hold::Stretched ? 1 : 0;
    }
    truth.open = truth.fingers == 5;
    if (view_ == same_place) {
        render(scene, camera_, random, depth);
        return;
    }
    for (Capsule& part : scene) {
        part.a = seen_from(view_, part.a);
        part.b = seen_from(view_, part.b);
    }
    Random other(seed_ * 7919 + number + (std::uint64_t{1} << 40U));  // another camera has another noise
    render(scene, camera_, other, depth);
}

}  // namespace gesture
