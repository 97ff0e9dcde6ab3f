// What a hand's events do to a pointer: an open palm moves it, closing the hand to a fist presses its button, opening
// it again releases. A sign counts when it has been seen twice in a row, for a single frame may be misread.
#pragma once

#include "gesture/pipeline.hpp"

namespace gesture {

class Pointer {
   public:
    // Size of the picture in pixels.
    Pointer(double width, double height) : width_(width), height_(height) {}

    struct Change {
        bool moved = false;
        bool pressed = false;
        bool released = false;
    };
    Change take(const Event& event) {
        Change change;
        const Sign sign = event.radius <= 0    ? Sign::None
                          : event.open != 0    ? Sign::Open
                          : event.fingers <= 1 ? Sign::Fist
                                               : Sign::Other;
        const bool sure = sign == before_;
        before_ = sign;
        if (sign == Sign::Open) {
            x_ = 1 - static_cast<double>(event.pixel_x) / width_;  // the user faces the camera: their right is its left
            y_ = static_cast<double>(event.pixel_y) / height_;
            change.moved = true;
        }
        if (sure && sign == Sign::Fist && armed_ && !down_) {
            down_ = change.pressed = true;
        } else if (sure && sign != Sign::Fist && down_) {
            down_ = false;
            change.released = true;
        }
        armed_ = armed_ ? sign != Sign::None : sure && sign == Sign::Open;  // a fist from nowhere presses nothing
        return change;
    }
    // Place of the pointer, 0 to 1 from the left and from the top.
    [[nodiscard]] double x() const { return x_; }
    [[nodiscard]] double y() const { return y_; }

   private:
    enum class Sign { None, Open, Fist, Other };

    double width_;
    double height_;
    double x_ = 0.5;
    double y_ = 0.5;
    Sign before_ = Sign::None;
    bool armed_ = false;
    bool down_ = false;
};

}  // namespace gesture
