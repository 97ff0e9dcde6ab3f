// A sink that is a pointer of the machine: datablocks are arrays of input events, given to the kernel through uinput.
//
// An event is a struct input_event less its time, which the kernel sets: 8 bytes, little-endian, { u16 type; u16 code;
// i32 value; }. A kernel makes them as u16x4 or i32x2. All zeros is the event SYN_REPORT, which ends what happens at
// one time; further ones do nothing, so a datablock need not be full. The device is a pointer: BTN_LEFT to BTN_TASK,
// REL_X, REL_Y, REL_WHEEL and REL_HWHEEL, ABS_X and ABS_Y from 0 to 65535. Any other event fails the graph: it would be
// lost in the kernel without a word.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include <linux/input.h>

#include "worker/endpoint/endpoint.hpp"
#include "worker/endpoint/frames.hpp"

namespace yoke::worker {

struct PointerEvent {
    std::uint16_t type = 0;
    std::uint16_t code = 0;
    std::int32_t value = 0;
};
static_assert(sizeof(PointerEvent) == 8);

inline constexpr std::int32_t pointer_absolute_max = 65535;

// EINVAL names the first event that the device does not have.
Result<std::vector<input_event>> input_events(std::span<const std::byte> datablock);

class UinputSink final : public Endpoint {
   public:
    static constexpr unsigned depth = 2;

    static Result<std::unique_ptr<Endpoint>> open(const Place& place);
    Status begin(control::Loop& loop, Wire& wire) override;
    void run() override {}
    void completed(unsigned transfer, const yoke_completion& completion) override;
    void close() override { fd_.reset(); }  // destroys the device

   private:
    UinputSink(Place place, Fd fd, Frames frames)
        : place_(std::move(place)), fd_(std::move(fd)), frames_(std::move(frames)) {}
    struct Pull {
        bool over = false;
        int status = 0;
        std::size_t length = 0;
    };

    Status create_device();
    void pull(unsigned transfer);
    Status inject(std::span<const std::byte> datablock);

    Place place_;
    Fd fd_;
    Frames frames_;
    Wire* wire_ = nullptr;
    std::array<Pull, depth> pulls_{};
    unsigned next_ = 0;  // pull whose turn it is
};

}  // namespace yoke::worker
