// Descriptors are watched for edges: an event says that there may be something, and it is read until there is nothing
// or until every frame is in flight. So back-pressure needs no system call, and files, which cannot be watched, are the
// case that there is always something.
#include "worker/endpoint/byte_source.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace yoke::worker {

using Kind = control::EndpointDefinition::Kind;
using Cut = control::DatablockCutter::Cut;

Result<std::unique_ptr<Endpoint>> ByteSource::open(const Place& place) {
    auto fd = open_place(place);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    auto frames = Frames::allocate(depth, place.bytes);
    if (!frames) {
        return fail(frames.error().code, "{}: {}", place.text(), frames.error().message);
    }
    auto cutter = control::DatablockCutter::create(
        {place.text(), place.port, place.form, place.variable, place.definition.raw, "raw = true in its table"});
    if (!cutter) {
        return fail(cutter.error().code, "{}: {}", place.text(), cutter.error().message);
    }
    return std::unique_ptr<Endpoint>(new ByteSource(place, std::move(*fd), std::move(*frames), std::move(*cutter)));
}

Status ByteSource::begin(control::Loop& loop, Wire& wire) {
    loop_ = &loop;
    wire_ = &wire;
    auto timer = loop.on_timer([this] { retry(); });
    if (!timer) {
        return tl::unexpected(timer.error());
    }
    timer_ = std::move(*timer);
    return watch();
}

Status ByteSource::watch() {
    source_ = control::Source();
    auto source = loop_->on_io(fd_.get(), EPOLLIN | EPOLLET, [this](std::uint32_t) {
        ready_ = true;
        run();
    });
    if (source) {
        source_ = std::move(*source);
        return {};
    }
    if (source.error().code != EPERM) {
        return tl::unexpected(source.error());
    }
    ready_ = true;  // a file
    wire_->again();
    return {};
}

void ByteSource::run() {
    for (unsigned pieces = 0; pieces < pieces_per_turn; ++pieces) {
        if (!ready_ || ended_ || in_flight_[filling_] || !read_piece()) {
            return;
        }
    }
    wire_->again();
}

// False: nothing more for now.
bool ByteSource::read_piece() {
    const auto next = cutter_.next(frames_.at(filling_).first(place_.bytes));
    if (!next) {
        end(next.error().message);
        return false;
    }
    if (next->cut != Cut::read) {
        const bool over = next->cut == Cut::over;
        if (cutter_.length() != 0) {
            push_datablock();
        }
        if (over) {
            end("");
        }
        return !over;
    }
    const ssize_t count = ::read(fd_.get(), next->to.data(), std::min(next->to.size(), piece_bytes));
    if (count > 0) {
        cutter_.took(static_cast<std::size_t>(count));
        return true;
    }
    if (count == 0 || errno == ECONNRESET) {
        return on_end();
    }
    if (errno == EINTR) {
        return true;
    }
    if (errno == EAGAIN) {
        ready_ = false;
    } else {
        end(fmt::format("{} cannot be read from byte {} on: {}", place_.text(), cutter_.bytes_taken(),
                        std::strerror(errno)));
    }
    return false;
}

void ByteSource::push_datablock() {
    const unsigned transfer = filling_;
    in_flight_[transfer] = true;
    filling_ = (filling_ + 1) % depth;
    wire_->push(transfer, frames_.at(transfer).data(), cutter_.length());
}

// False: nothing more for now.
bool ByteSource::on_end() {
    const bool file = place_.definition.kind == Kind::file;
    if (!file && place_.persist) {
        wait_for_next();
        return ready_;
    }
    // A file without datablocks is not repeated, nor is one that ends in one.
    if (file && place_.definition.repeat && cutter_.at_boundary() && cutter_.datablocks() != 0 &&
        ::lseek(fd_.get(), 0, SEEK_SET) == 0) {
        cutter_.begin_again();
        return true;
    }
    cutter_.took(0);
    return true;
}

// Nothing more is read. What is in flight stays so: the end travels behind it.
void ByteSource::end(const std::string& why) {
    ended_ = true;
    timer_.disarm();
    source_ = control::Source();
    fd_.reset();
    wire_->end(end_transfer, why);
}

void ByteSource::wait_for_next() {
    ready_ = false;
    if (const std::size_t dropped = cutter_.begin_again(); dropped != 0) {
        log_warning(Topic::worker, "writer has left in the middle of a datablock, which is dropped",
                    {{"endpoint", place_.text()}, {"bytes", dropped}});
    }
    source_ = control::Source();
    if (place_.definition.kind == Kind::fifo) {
        // The next one is opened before this one is closed: what a writer writes in between stays in the pipe.
        auto next = open_place(place_);
        if (next) {
            fd_ = std::move(*next);
            if (auto watched = watch(); watched) {
                return;
            }
        }
    }
    fd_.reset();
    timer_.arm(now_ns() + retry_ns);
}

void ByteSource::retry() {
    if (ended_) {
        return;
    }
    auto next = open_place(place_);
    if (next) {
        fd_ = std::move(*next);
        if (auto watched = watch(); watched) {
            return;
        }
    }
    timer_.arm(now_ns() + retry_ns);
}

void ByteSource::completed(unsigned transfer, const yoke_completion& completion) {
    if (transfer < depth) {
        in_flight_[transfer] = false;
    }
    if (completion.status == 0) {
        run();
        return;
    }
    close();
    const int code = -completion.status;
    if (code == EIO) {
        log_info(Topic::worker, "endpoint ends with its graph", {{"endpoint", place_.text()}});
    } else if (code != ECANCELED && code != EPIPE && code != ENOENT) {
        wire_->fail(fmt::format("a datablock of {} cannot be pushed: {}", place_.text(), std::strerror(code)));
    }
}

void ByteSource::close() {
    ended_ = true;
    timer_.disarm();
    source_ = control::Source();
    fd_.reset();
}

}  // namespace yoke::worker
