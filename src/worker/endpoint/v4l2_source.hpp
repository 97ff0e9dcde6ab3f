// A source that is a camera: V4L2 capture by streaming, one frame per datablock.
//
// The driver writes frames straight into the endpoint's memory (USERPTR); where it cannot, they are pushed from the
// driver's own memory, which is mapped (MMAP). Neither copies a frame on the host. A frame is in flight until the
// runtime has let go of it; when all are, the driver has nowhere to write and drops frames, as cameras do.
//
// Raw frames only. The format that is set stays when its frames have the size of a datablock; else the template says
// width and height, and of the formats whose frames then fit the first in this order is set: Z16, Y16, YUYV, UYVY,
// GREY, RGB24, BGR24. yoke does not convert.
#pragma once

#include <vector>

#include "worker/endpoint/endpoint.hpp"
#include "worker/endpoint/frames.hpp"

namespace yoke::worker {

class V4l2Source final : public Endpoint {
   public:
    static constexpr unsigned frames_wanted = 4;

    static Result<std::unique_ptr<Endpoint>> open(const Place& place);
    ~V4l2Source() override;
    V4l2Source(const V4l2Source&) = delete;
    V4l2Source& operator=(const V4l2Source&) = delete;
    Status begin(control::Loop& loop, Wire& wire) override;
    void run() override;
    void completed(unsigned transfer, const yoke_completion& completion) override;
    void close() override;

   private:
    struct Mapped {
        std::byte* data = nullptr;
        std::size_t bytes = 0;
    };

    V4l2Source(Place place, Fd fd) : place_(std::move(place)), fd_(std::move(fd)) {}
    Status set_up();
    Status check_capabilities();
    Status fit_format();
    Status request_frames();
    Status map_frames(unsigned count);
    Status queue(unsigned index);
    Result<bool> take();
    void lose(const std::string& why);

    Place place_;
    Fd fd_;
    Frames frames_;                // USERPTR
    std::vector<Mapped> mapped_;   // MMAP
    unsigned count_ = 0;           // frames there are
    std::size_t frame_bytes_ = 0;  // that the driver asks for, at least a datablock's
    Wire* wire_ = nullptr;
    control::Source source_;
    std::uint64_t damaged_ = 0;  // frames that the driver called bad, which are skipped
    bool streaming_ = false;
};

}  // namespace yoke::worker
