// What the headers of the example's streams say of the camera: parameters focal_x, focal_y, center_x, center_y in
// pixels, and unit, the metres of one step of a pixel's value. They are passed on from program to program.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include <yoke/stage.hpp>

#include "gesture/frame.hpp"

namespace gesture {

inline constexpr std::size_t pixels_max = std::size_t{1}
                                          << 21U;  // detect.cl keeps an index of a pixel in 21 bits at most

inline void set_camera(yoke::Stage& stage, const Camera& camera) {
    stage.set("unit", camera.metres_per_unit);
    stage.set("focal_x", camera.focal_x);
    stage.set("focal_y", camera.focal_y);
    stage.set("center_x", camera.centre_x);
    stage.set("center_y", camera.centre_y);
}

// The camera of the input, whose records must be pictures of @type, as @maker writes them.
inline Camera read_camera(yoke::Stage& stage, const std::string& type, const std::string& maker) {
    const yoke_template form = stage.input().template_;
    if (form.type != type || form.extent[2] != 1 || form.extent[0] > pixels_max ||
        form.extent[1] > pixels_max / form.extent[0]) {
        throw yoke::error(EPROTO, std::string("the input has records of ") + form.type + ", " +
                                      std::to_string(form.extent[0]) + " x " + std::to_string(form.extent[1]) + " x " +
                                      std::to_string(form.extent[2]) + "; give pictures of " + type +
                                      " with at most 2097152 pixels, as " + maker + " does");
    }
    Camera camera;
    camera.width = form.extent[0];
    camera.height = form.extent[1];
    camera.metres_per_unit = stage.number("unit");
    camera.focal_x = stage.number("focal_x");
    camera.focal_y = stage.number("focal_y");
    camera.centre_x = stage.number("center_x");
    camera.centre_y = stage.number("center_y");
    if (!(camera.metres_per_unit > 0 && camera.focal_x > 0 && camera.focal_y > 0)) {
        throw yoke::error(EPROTO, "unit, focal_x and focal_y of the input must be above 0; see what made the stream");
    }
    return camera;
}

// A stage that reads a file or FIFO instead of the standard input, and writes nothing.
class FileStage {
   public:
    explicit FileStage(const std::string& path)
        : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), stage_(open(fd_, path)) {}
    FileStage(const FileStage&) = delete;
    FileStage& operator=(const FileStage&) = delete;
    ~FileStage() { ::close(fd_); }
    yoke::Stage* operator->() { return &stage_; }
    yoke::Stage& operator*() { return stage_; }

   private:
    static yoke::Stage open(int fd, const std::string& path) {
        if (fd < 0) {
            throw yoke::error(errno, "cannot read " + path + ": " + std::strerror(errno));
        }
        yoke_stage_options options{};
        options.flags = YOKE_STAGE_SINK;
        options.input = fd;
        return yoke::Stage(options);
    }

    int fd_;
    yoke::Stage stage_;
};

// Lines for a file, each there as soon as it is written; none where no file is named.
class Lines {
   public:
    explicit Lines(const std::string& path) : path_(path) {
        if (!path_.empty()) {
            errno = 0;
            file_.open(path_);
            refuse_unless_good("name a file in a folder that may be written");
        }
    }
    template <typename... Words>
    void write(const Words&... words) {
        if (!path_.empty()) {
            errno = 0;
            (file_ << ... << words) << std::endl;
            refuse_unless_good("see the free space");
        }
    }

   private:
    void refuse_unless_good(const char* remedy) const {
        if (!file_) {
            const int code = errno != 0 ? errno : EIO;
            throw yoke::error(code, "cannot write " + path_ + ": " + std::strerror(code) + "; " + remedy);
        }
    }

    std::string path_;
    std::ofstream file_;
};

// Waits for the time of each frame and writes it down, for who measures how long an event takes.
class Beat {
   public:
    // @rate: frames a second, 0: without waiting. @times: file for CLOCK_MONOTONIC in ns, a line per frame; "": none.
    Beat(double rate, const std::string& times) : rate_(rate), times_(times) {}
    void wait(std::uint64_t number) {
        if (number == 0) {
            begin_ = std::chrono::steady_clock::now();
        } else if (rate_ > 0) {
            const double after = static_cast<double>(number) * 1e9 / rate_;
            std::this_thread::sleep_until(begin_ + std::chrono::nanoseconds(static_cast<std::int64_t>(after)));
        }
        times_.write(std::chrono::steady_clock::now().time_since_epoch().count());
    }

   private:
    double rate_;
    Lines times_;
    std::chrono::steady_clock::time_point begin_;
};

}  // namespace gesture
