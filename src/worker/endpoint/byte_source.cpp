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

Result<std::unique_ptr<Endpoint>> ByteSource::open(const Place& place) {
    auto fd = open_place(place);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    auto frames = Frames::allocate(depth, place.bytes);
    if (!frames) {
        return fail(frames.error().code, "{}: {}", place.text(), frames.error().message);
    }
    return std::unique_ptr<Endpoint>(new ByteSource(place, std::move(*fd), std::move(*frames)));
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
    std::byte* to = frames_.at(filling_).data() + filled_;
    const ssize_t count = ::read(fd_.get(), to, std::min<std::size_t>(place_.bytes - filled_, piece_bytes));
    if (count < 0) {
        if (errno == EINTR) {
            return true;
        }
        if (errno == EAGAIN) {
            ready_ = false;
        } else if (errno == ECONNRESET) {
            on_end();
        } else {
            const std::string why = std::strerror(errno);
            close();
            wire_->fail(fmt::format("{} cannot be read: {}", place_.text(), why));
        }
        return false;
    }
    if (count == 0) {
        on_end();
        return ready_ && !ended_;
    }
    filled_ += static_cast<std::size_t>(count);
    if (filled_ == place_.bytes) {
        push_filled();
    }
    return true;
}

void ByteSource::push_filled() {
    const unsigned transfer = filling_;
    const std::size_t length = std::exchange(filled_, 0);
    in_flight_[transfer] = true;
    last_ = transfer;
    filling_ = (filling_ + 1) % depth;
    wire_->push(transfer, frames_.at(transfer).data(), length, 0);
}

void ByteSource::on_end() {
    ready_ = false;
    if (place_.definition.kind == Kind::file) {
        const bool empty = ::lseek(fd_.get(), 0, SEEK_CUR) == 0;
        if (place_.definition.repeat && filled_ == 0 && !empty && ::lseek(fd_.get(), 0, SEEK_SET) == 0) {
            ready_ = true;
            return;
        }
    } else if (place_.persist) {
        wait_for_next();
        return;
    }
    ended_ = true;
    source_ = control::Source();
    fd_.reset();
    if (filled_ != 0) {
        end_partial_ = true;
        end_owed_ = true;  // END would overtake nothing, but what the runtime says of the rest comes first
        push_filled();
    } else {
        push_end();
    }
}

void ByteSource::push_end() {
    end_owed_ = false;
    wire_->push(end_transfer, nullptr, 0, YOKE_FLAG_END);
}

void ByteSource::wait_for_next() {
    if (filled_ != 0) {
        log_warning(Topic::worker, "writer has left in the middle of a datablock, which is dropped",
                    {{"endpoint", place_.text()}, {"bytes", std::exchange(filled_, 0)}});
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
    const bool last_partial = end_partial_ && transfer == last_ && end_owed_;
    if (transfer < depth) {
        in_flight_[transfer] = false;
    }
    if (completion.status == 0) {
        if (last_partial) {
            push_end();
        } else {
            run();
        }
        return;
    }
    close();
    const int code = -completion.status;
    if (last_partial && (code == EINVAL || code == EMSGSIZE || code == EBADMSG)) {
        wire_->fail(
            fmt::format("{} ends in the middle of a datablock of {} bytes; datablocks of its port have one size",
                        place_.text(), place_.bytes));
    } else if (code != ECANCELED && code != EPIPE && code != ENOENT) {
        log_info(Topic::worker, "endpoint ends with its graph",
                 {{"endpoint", place_.text()}, {"why", std::strerror(code)}});
    }
}

void ByteSource::close() {
    ended_ = true;
    end_owed_ = false;
    timer_.disarm();
    source_ = control::Source();
    fd_.reset();
}

}  // namespace yoke::worker
