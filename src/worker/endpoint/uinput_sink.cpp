// The device is made when the endpoint is opened, so that its permissions are an error of run_graph, and goes with its
// descriptor. Writing to it never blocks.
#include "worker/endpoint/uinput_sink.hpp"

#include <linux/uinput.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/log.hpp"

namespace yoke::worker {
namespace {

struct Ability {
    std::uint16_t type;
    std::uint16_t first;
    std::uint16_t last;
    unsigned long request;
};

constexpr std::array<Ability, 5> abilities{{
    {EV_KEY, BTN_LEFT, BTN_TASK, UI_SET_KEYBIT},
    {EV_REL, REL_X, REL_Y, UI_SET_RELBIT},
    {EV_REL, REL_HWHEEL, REL_HWHEEL, UI_SET_RELBIT},
    {EV_REL, REL_WHEEL, REL_WHEEL, UI_SET_RELBIT},
    {EV_ABS, ABS_X, ABS_Y, UI_SET_ABSBIT},
}};

bool can(const PointerEvent& event) {
    return (event.type == EV_SYN && event.code == SYN_REPORT) ||
           std::any_of(abilities.begin(), abilities.end(), [&](const Ability& ability) {
               return event.type == ability.type && event.code >= ability.first && event.code <= ability.last;
           });
}

}  // namespace

Result<std::vector<input_event>> input_events(std::span<const std::byte> datablock) {
    std::vector<input_event> events;
    events.reserve(datablock.size() / sizeof(PointerEvent));
    for (std::size_t at = 0; at + sizeof(PointerEvent) <= datablock.size(); at += sizeof(PointerEvent)) {
        PointerEvent event;
        std::memcpy(&event, datablock.data() + at, sizeof event);
        if (!can(event)) {
            return fail(EINVAL, "event {} has type {} and code {}, which the pointer does not have",
                        at / sizeof(PointerEvent), event.type, event.code);
        }
        input_event made{};
        made.type = event.type;
        made.code = event.code;
        made.value = event.value;
        events.push_back(made);
    }
    return events;
}

Result<std::unique_ptr<Endpoint>> UinputSink::open(const Place& place) {
    if (place.source) {
        return fail(EINVAL, "{} is uinput, which gives nothing; bind it to a channel that is pulled from",
                    place.text());
    }
    if (place.bytes % sizeof(PointerEvent) != 0) {
        return fail(EINVAL, "{} takes datablocks of whole events of 8 bytes, not of {} bytes", place.text(),
                    place.bytes);
    }
    auto fd = open_place(place);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    auto frames = Frames::allocate(depth, place.bytes);
    if (!frames) {
        return fail(frames.error().code, "{}: {}", place.text(), frames.error().message);
    }
    std::unique_ptr<UinputSink> made(new UinputSink(place, std::move(*fd), std::move(*frames)));
    if (auto created = made->create_device(); !created) {
        return tl::unexpected(created.error());
    }
    return made;
}

Status UinputSink::create_device() {
    const int fd = fd_.get();
    bool good = true;
    for (const Ability& ability : abilities) {
        good = good && ::ioctl(fd, UI_SET_EVBIT, static_cast<int>(ability.type)) == 0;
        for (int code = ability.first; code <= ability.last; ++code) {
            good = good && ::ioctl(fd, ability.request, code) == 0;
        }
    }
    for (const int axis : {ABS_X, ABS_Y}) {
        uinput_abs_setup setup{};
        setup.code = static_cast<std::uint16_t>(axis);
        setup.absinfo.maximum = pointer_absolute_max;
        good = good && ::ioctl(fd, UI_ABS_SETUP, &setup) == 0;
    }
    uinput_setup setup{};
    setup.id.bustype = BUS_VIRTUAL;
    const std::string name = fmt::format("yoke {}", place_.channel_name);
    name.copy(setup.name, sizeof setup.name - 1);
    good = good && ::ioctl(fd, UI_DEV_SETUP, &setup) == 0 && ::ioctl(fd, UI_DEV_CREATE) == 0;
    if (!good) {
        return fail_errno("{} makes no pointer", place_.text());
    }
    return {};
}

Status UinputSink::begin(control::Loop& /*loop*/, Wire& wire) {
    wire_ = &wire;
    for (unsigned transfer = 0; transfer < depth; ++transfer) {
        pull(transfer);
    }
    return {};
}

void UinputSink::pull(unsigned transfer) {
    wire_->pull(transfer, frames_.at(transfer).data(), place_.bytes);
}

Status UinputSink::inject(std::span<const std::byte> datablock) {
    const auto events = input_events(datablock);
    if (!events) {
        return fail(events.error().code, "{}: {}", place_.text(), events.error().message);
    }
    const std::size_t bytes = events->size() * sizeof(input_event);
    if (bytes != 0 && ::write(fd_.get(), events->data(), bytes) != static_cast<ssize_t>(bytes)) {
        return fail_errno("{} does not take events any more", place_.text());
    }
    return {};
}

// What copies nothing, like the end of the stream, may be told before what was asked for earlier.
void UinputSink::completed(unsigned transfer, const yoke_completion& completion) {
    pulls_[transfer] = {true, completion.status, std::min<std::size_t>(completion.out_length, place_.bytes)};
    while (fd_ && pulls_[next_].over) {
        const Pull done = std::exchange(pulls_[next_], {});
        if (done.status != 0) {
            close();  // the end of the stream, or of the graph
            if (done.status == -YOKE_ENODATA || done.status == -YOKE_EIO) {
                wire_->finish();
            }
            return;
        }
        if (auto injected = inject(frames_.at(next_).first(done.length)); !injected) {
            close();
            wire_->fail(injected.error().message);
            return;
        }
        const unsigned taken = next_;
        next_ = (next_ + 1) % depth;
        pull(taken);
    }
}

}  // namespace yoke::worker
