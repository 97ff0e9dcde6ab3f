// The calls of V4L2's streaming interface (kernel documentation, "Streaming I/O"): the driver is lent each frame by
// QBUF and gives it back by DQBUF; from there it is the transfer's until that completes, and then lent again.
#include "worker/endpoint/v4l2_source.hpp"

#include <linux/videodev2.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>

#include "base/log.hpp"

namespace yoke::worker {
namespace {

constexpr std::array<std::uint32_t, 7> formats{V4L2_PIX_FMT_Z16,  V4L2_PIX_FMT_Y16,  V4L2_PIX_FMT_YUYV,
                                               V4L2_PIX_FMT_UYVY, V4L2_PIX_FMT_GREY, V4L2_PIX_FMT_RGB24,
                                               V4L2_PIX_FMT_BGR24};

int control_device(int fd, unsigned long request, void* argument) {
    int result = 0;
    do {
        result = ::ioctl(fd, request, argument);
    } while (result != 0 && errno == EINTR);
    return result;
}

std::string text_of(std::uint32_t fourcc) {
    std::string text;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        const char letter = static_cast<char>(fourcc >> shift & 0x7fU);
        text += letter >= ' ' && letter < 0x7f ? letter : '?';
    }
    return text;
}

}  // namespace

Result<std::unique_ptr<Endpoint>> V4l2Source::open(const Place& place) {
    if (!place.source) {
        return fail(EINVAL, "{} is a camera, which takes nothing; bind it to a channel that is pushed into",
                    place.text());
    }
    auto fd = open_place(place);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    std::unique_ptr<V4l2Source> made(new V4l2Source(place, std::move(*fd)));
    if (auto set = made->set_up(); !set) {
        return tl::unexpected(set.error());
    }
    return made;
}

V4l2Source::~V4l2Source() {
    V4l2Source::close();
    for (const Mapped& frame : mapped_) {
        ::munmap(frame.data, frame.bytes);
    }
}

Status V4l2Source::set_up() {
    if (auto checked = check_capabilities(); !checked) {
        return checked;
    }
    if (auto fitted = fit_format(); !fitted) {
        return fitted;
    }
    return request_frames();
}

Status V4l2Source::check_capabilities() {
    v4l2_capability capability{};
    if (control_device(fd_.get(), VIDIOC_QUERYCAP, &capability) != 0) {
        return fail_errno("{} is no V4L2 device", place_.text());
    }
    const std::uint32_t has =
        (capability.capabilities & V4L2_CAP_DEVICE_CAPS) != 0 ? capability.device_caps : capability.capabilities;
    if ((has & V4L2_CAP_VIDEO_CAPTURE) == 0 || (has & V4L2_CAP_STREAMING) == 0) {
        return fail(EINVAL, "{} captures no frames by streaming; `v4l2-ctl --list-devices` shows which device does",
                    place_.text());
    }
    return {};
}

Status V4l2Source::fit_format() {
    v4l2_format current{};
    current.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (control_device(fd_.get(), VIDIOC_G_FMT, &current) != 0) {
        return fail_errno("{} does not say what its frames are", place_.text());
    }
    frame_bytes_ = current.fmt.pix.sizeimage;
    if (frame_bytes_ == place_.bytes) {
        return {};
    }
    const std::uint64_t height = place_.form.extent[1];
    for (const std::uint32_t fourcc : formats) {
        // A type of one byte, three or four per pixel spreads a row over more elements than pixels.
        for (const std::uint64_t width :
             {place_.form.extent[0], place_.form.extent[0] / 2, place_.form.extent[0] / 3}) {
            v4l2_format wanted = current;
            wanted.fmt.pix.width = static_cast<std::uint32_t>(width);
            wanted.fmt.pix.height = static_cast<std::uint32_t>(height);
            wanted.fmt.pix.pixelformat = fourcc;
            wanted.fmt.pix.field = V4L2_FIELD_ANY;
            wanted.fmt.pix.bytesperline = 0;
            wanted.fmt.pix.sizeimage = 0;
            if (control_device(fd_.get(), VIDIOC_TRY_FMT, &wanted) == 0 && wanted.fmt.pix.pixelformat == fourcc &&
                wanted.fmt.pix.width == width && wanted.fmt.pix.height == height &&
                wanted.fmt.pix.sizeimage == place_.bytes && control_device(fd_.get(), VIDIOC_S_FMT, &wanted) == 0) {
                frame_bytes_ = wanted.fmt.pix.sizeimage;
                return {};
            }
        }
    }
    return fail(
        EINVAL,
        "{} gives frames of {} x {} {} ({} bytes) and none of the raw formats in {} bytes that the channel's port "
        "takes; set another one with v4l2-ctl, or change the port's template",
        place_.text(), current.fmt.pix.width, current.fmt.pix.height, text_of(current.fmt.pix.pixelformat),
        current.fmt.pix.sizeimage, place_.bytes);
}

Status V4l2Source::request_frames() {
    v4l2_requestbuffers request{};
    request.count = frames_wanted;
    request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    request.memory = V4L2_MEMORY_USERPTR;
    if (control_device(fd_.get(), VIDIOC_REQBUFS, &request) == 0 && request.count > 0) {
        count_ = std::min(request.count, Wire::transfers_max - 1);  // and one for the end
        auto frames = Frames::allocate(count_, frame_bytes_);
        if (!frames) {
            return fail(frames.error().code, "{}: {}", place_.text(), frames.error().message);
        }
        frames_ = std::move(*frames);
        return {};
    }
    log_info(Topic::worker, "camera cannot write into the worker's memory; its own is mapped",
             {{"endpoint", place_.text()}});
    request = {};
    request.count = frames_wanted;
    request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    request.memory = V4L2_MEMORY_MMAP;
    if (control_device(fd_.get(), VIDIOC_REQBUFS, &request) != 0 || request.count == 0) {
        return fail_errno("{} has no memory for frames; is another program using it?", place_.text());
    }
    return map_frames(std::min(request.count, Wire::transfers_max - 1));
}

Status V4l2Source::map_frames(unsigned count) {
    for (unsigned index = 0; index < count; ++index) {
        v4l2_buffer buffer{};
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        buffer.memory = V4L2_MEMORY_MMAP;
        buffer.index = index;
        if (control_device(fd_.get(), VIDIOC_QUERYBUF, &buffer) != 0) {
            return fail_errno("{} does not say where its frames are", place_.text());
        }
        void* data = ::mmap(nullptr, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), buffer.m.offset);
        if (data == MAP_FAILED) {
            return fail_errno("frames of {} cannot be mapped", place_.text());
        }
        mapped_.push_back({static_cast<std::byte*>(data), buffer.length});
        if (buffer.length < place_.bytes) {
            return fail(EINVAL, "{} has frames of {} bytes, fewer than a datablock's {}", place_.text(), buffer.length,
                        place_.bytes);
        }
    }
    count_ = count;
    return {};
}

Status V4l2Source::begin(control::Loop& loop, Wire& wire) {
    wire_ = &wire;
    for (unsigned index = 0; index < count_; ++index) {
        if (auto queued = queue(index); !queued) {
            return queued;
        }
    }
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (control_device(fd_.get(), VIDIOC_STREAMON, &type) != 0) {
        return fail_errno("{} cannot start to stream", place_.text());
    }
    streaming_ = true;
    auto source = loop.on_io(fd_.get(), EPOLLIN | EPOLLET, [this](std::uint32_t) { run(); });
    if (!source) {
        return tl::unexpected(source.error());
    }
    source_ = std::move(*source);
    return {};
}

Status V4l2Source::queue(unsigned index) {
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.index = index;
    if (mapped_.empty()) {
        const auto frame = frames_.at(index);
        buffer.memory = V4L2_MEMORY_USERPTR;
        buffer.m.userptr = reinterpret_cast<unsigned long>(frame.data());
        buffer.length = static_cast<std::uint32_t>(frame.size());
    } else {
        buffer.memory = V4L2_MEMORY_MMAP;
    }
    if (control_device(fd_.get(), VIDIOC_QBUF, &buffer) != 0) {
        return fail_errno("{} does not take memory for a frame", place_.text());
    }
    return {};
}

// Takes one frame and pushes it; false: there is none for now.
Result<bool> V4l2Source::take() {
    v4l2_buffer buffer{};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = mapped_.empty() ? V4L2_MEMORY_USERPTR : V4L2_MEMORY_MMAP;
    if (control_device(fd_.get(), VIDIOC_DQBUF, &buffer) != 0) {
        if (errno == EAGAIN) {
            return false;
        }
        return fail_errno("{} has disappeared or fails", place_.text());
    }
    if (buffer.index >= count_) {
        return fail(EIO, "{} speaks of a frame {} that it was not given", place_.text(), buffer.index);
    }
    if ((buffer.flags & V4L2_BUF_FLAG_ERROR) != 0 || buffer.bytesused < place_.bytes) {
        if (damaged_++ == 0) {
            log_warning(Topic::worker, "camera gives damaged frames, which are skipped", {{"endpoint", place_.text()}});
        }
        if (auto queued = queue(buffer.index); !queued) {
            return tl::unexpected(queued.error());
        }
        return true;
    }
    std::byte* data = mapped_.empty() ? frames_.at(buffer.index).data() : mapped_[buffer.index].data;
    wire_->push(buffer.index, data, place_.bytes);
    return true;
}

void V4l2Source::run() {
    while (streaming_) {
        const auto taken = take();
        if (!taken) {
            lose(taken.error().message);
            return;
        }
        if (!*taken) {
            return;
        }
    }
}

void V4l2Source::lose(const std::string& why) {
    close();
    wire_->end(count_, why);
}

void V4l2Source::completed(unsigned transfer, const yoke_completion& completion) {
    if (!streaming_) {
        return;
    }
    if (completion.status != 0) {
        close();  // the graph has ended
        return;
    }
    if (auto queued = queue(transfer); !queued) {
        lose(queued.error().message);
        return;
    }
    run();
}

// The descriptor stays open while frames are in flight, because their memory may be the driver's.
void V4l2Source::close() {
    source_ = control::Source();
    if (std::exchange(streaming_, false)) {
        int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        if (control_device(fd_.get(), VIDIOC_STREAMOFF, &type) != 0) {
            log_debug(Topic::worker, "camera does not stop", {{"endpoint", place_.text()}});
        }
    }
}

}  // namespace yoke::worker
