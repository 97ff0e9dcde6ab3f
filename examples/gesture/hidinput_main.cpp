// hidinput: events to a pointer, as an input device of the kernel (uinput) or as lines of text.
//
//     12 hand 306 215 0.553 m fingers 5 open-palm move 0.522 0.448
//
// number of the event, the palm's centre in pixels and its distance, stretched fingers, whether it is an open palm, and
// what the pointer does: move to a place (0 to 1 from the left and from the top), press, release. "12 nothing" is an
// event without a hand.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/uinput.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstring>

#include "gesture/arguments.hpp"
#include "gesture/pointer.hpp"
#include "gesture/stream.hpp"

namespace {

constexpr int steps = 65535;  // of the pointer's axes

class Mouse {
   public:
    explicit Mouse(const std::string& path) : fd_(::open(path.c_str(), O_WRONLY | O_CLOEXEC)) {
        must(fd_, "cannot open " + path + "; load the module uinput, ask for permission, or use --print");
        must(::ioctl(fd_, UI_SET_EVBIT, EV_KEY), path + " is no uinput device; name one, or use --print");
        must(::ioctl(fd_, UI_SET_KEYBIT, BTN_LEFT), path);
        must(::ioctl(fd_, UI_SET_EVBIT, EV_ABS), path);
        for (const int axis : {ABS_X, ABS_Y}) {
            uinput_abs_setup setup{};
            setup.code = static_cast<std::uint16_t>(axis);
            setup.absinfo.maximum = steps;
            must(::ioctl(fd_, UI_ABS_SETUP, &setup), path);
        }
        uinput_setup setup{};
        setup.id.bustype = BUS_VIRTUAL;
        std::strncpy(setup.name, "yoke gesture pointer", sizeof setup.name - 1);
        must(::ioctl(fd_, UI_DEV_SETUP, &setup), path);
        must(::ioctl(fd_, UI_DEV_CREATE), path);
    }
    Mouse(const Mouse&) = delete;
    Mouse& operator=(const Mouse&) = delete;
    ~Mouse() { ::close(fd_); }  // the device goes with it

    void tell(const gesture::Pointer& pointer, const gesture::Pointer::Change& change) const {
        if (change.moved) {
            send(EV_ABS, ABS_X, static_cast<int>(pointer.x() * steps));
            send(EV_ABS, ABS_Y, static_cast<int>(pointer.y() * steps));
        }
        if (change.pressed || change.released) {
            send(EV_KEY, BTN_LEFT, change.pressed ? 1 : 0);
        }
        send(EV_SYN, SYN_REPORT, 0);
    }

   private:
    static void must(int status, const std::string& what) {
        if (status < 0) {
            const int code = errno;
            throw yoke::error(code, what + ": " + std::strerror(code));
        }
    }
    void send(int type, int code, int value) const {
        input_event event{};
        event.type = static_cast<std::uint16_t>(type);
        event.code = static_cast<std::uint16_t>(code);
        event.value = value;
        must(static_cast<int>(::write(fd_, &event, sizeof event)), "cannot write to the input device");
    }

    int fd_;
};

void print(std::uint64_t number, const gesture::Event& event, const gesture::Pointer& pointer,
           const gesture::Pointer::Change& change) {
    if (event.radius <= 0) {
        fmt::print("{} nothing", number);
    } else {
        fmt::print("{} hand {:.0f} {:.0f} {:.3f} m fingers {:.0f} {}", number, event.pixel_x, event.pixel_y,
                   event.centre[3], event.fingers, event.open != 0 ? "open-palm" : "other");
    }
    if (change.moved) {
        fmt::print(" move {:.3f} {:.3f}", pointer.x(), pointer.y());
    }
    fmt::print("{}\n", change.pressed ? " press" : change.released ? " release" : "");
    if (std::fflush(stdout) != 0) {
        throw yoke::error(errno, std::string("cannot write to the standard output: ") + std::strerror(errno));
    }
}

// @device: path; nothing: lines of text.
void run(const std::optional<std::string>& device) {
    if (!device && ::fcntl(STDOUT_FILENO, F_GETFD) < 0) {  // another file would soon get its number, and the text
        throw yoke::error(EBADF, "the standard output is closed; connect it to a terminal, a pipe or a file");
    }
    yoke::Stage stage = yoke::Stage::sink();
    const auto mouse = device ? std::make_unique<Mouse>(*device) : nullptr;  // before anybody's kernel compiles
    const yoke_stream input = stage.input();
    const yoke_template& form = input.template_;
    gesture::Event event;
    if (input.variable != 0 || std::strcmp(form.type, "f32") != 0 || form.extent[0] * sizeof(float) != sizeof event ||
        form.extent[1] != 1) {
        throw yoke::error(EPROTO, "the input has no events; connect hidinput to detect");
    }
    const double width = stage.number("width");
    const double height = stage.number("height");
    if (!(width > 0 && height > 0)) {
        throw yoke::error(EPROTO, "width and height of the input must be above 0; connect hidinput to detect");
    }
    gesture::Pointer pointer(width, height);
    for (std::uint64_t number = 0; stage.read(std::as_writable_bytes(std::span(&event, 1))); ++number) {
        const auto change = pointer.take(event);
        if (mouse) {
            mouse->tell(pointer, change);
        } else {
            print(number, event, pointer, change);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("hidinput: events of detect to a pointer");
    std::string device = "/dev/uinput";
    bool text = false;
    app.add_flag("--print", text, "one line of text per event instead of an input device");
    app.add_option("--device", device, "default: /dev/uinput");
    if (const auto code = gesture::refused(app, "hidinput", argc, argv)) {
        return *code;
    }
    return yoke::stage_main("hidinput", [&] { run(text ? std::nullopt : std::optional(device)); });
}
