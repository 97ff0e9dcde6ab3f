// Watched for edges, as ByteSource is: an event says that there may be room, and is used until there is none.
#include "worker/endpoint/byte_sink.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace yoke::worker {

using Kind = control::EndpointDefinition::Kind;

namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20U;  // of one write: a slow disk must not hold up the loop
constexpr unsigned pieces_per_turn = 4;

}  // namespace

Result<std::unique_ptr<Endpoint>> ByteSink::open(const Place& place) {
    auto fd = open_place(place);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    auto frames = Frames::allocate(depth, place.bytes);
    if (!frames) {
        return fail(frames.error().code, "{}: {}", place.text(), frames.error().message);
    }
    return std::unique_ptr<Endpoint>(new ByteSink(place, std::move(*fd), std::move(*frames)));
}

Status ByteSink::begin(control::Loop& loop, Wire& wire) {
    loop_ = &loop;
    wire_ = &wire;
    auto timer = loop.on_timer([this] { look_for_reader(); });
    if (!timer) {
        return tl::unexpected(timer.error());
    }
    timer_ = std::move(*timer);
    if (auto emptied = empty_place(place_, fd_); !emptied) {
        return emptied;
    }
    if (!fd_) {
        timer_.arm(now_ns() + retry_ns);
    } else if (auto watched = watch(); !watched) {
        return watched;
    }
    for (unsigned transfer = 0; transfer < depth; ++transfer) {
        pull(transfer);
    }
    return {};
}

Status ByteSink::watch() {
    source_ = control::Source();
    auto source = loop_->on_io(fd_.get(), EPOLLOUT | EPOLLRDHUP | EPOLLET, [this](std::uint32_t events) {
        if ((events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0) {
            on_reader_gone(EPIPE);
            return;
        }
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
    return {};
}

void ByteSink::pull(unsigned transfer) {
    datablocks_[transfer] = {State::pulling, 0};
    wire_->pull(transfer, frames_.at(transfer).data(), place_.bytes);
}

void ByteSink::run() {
    for (unsigned pieces = 0; pieces < pieces_per_turn; ++pieces) {
        const Datablock& next = datablocks_[writing_];
        if (closed_) {
            return;
        }
        if (next.state == State::end) {
            if (fd_ || failed_ || place_.persist) {
                finish();
            }
            return;
        }
        if (next.state != State::filled || !ready_ || !fd_ || !write_piece()) {
            return;
        }
    }
    wire_->again();
}

// False: no room for now.
bool ByteSink::write_piece() {
    const Datablock& datablock = datablocks_[writing_];
    const std::byte* from = frames_.at(writing_).data() + written_;
    const std::size_t length = std::min(datablock.length - written_, piece_bytes);
    const bool socket = place_.definition.kind == Kind::socket;
    const ssize_t count = length == 0 ? 0
                          : socket    ? ::send(fd_.get(), from, length, MSG_NOSIGNAL)
                                      : ::write(fd_.get(), from, length);
    if (count < 0) {
        if (errno == EAGAIN) {
            ready_ = false;
            return false;
        }
        if (errno == EINTR) {
            return true;
        }
        on_reader_gone(errno);
        return false;
    }
    written_ += static_cast<std::size_t>(count);
    if (written_ == datablock.length) {
        advance();
    }
    return true;
}

void ByteSink::advance() {
    const unsigned transfer = writing_;
    written_ = 0;
    writing_ = (writing_ + 1) % depth;
    pull(transfer);
}

// Everything is written: the reader sees the end of file. Some file systems say only now that they could not.
void ByteSink::finish() {
    source_ = control::Source();
    const int fd = fd_.release();
    const int code = fd >= 0 && ::close(fd) != 0 ? errno : 0;
    close();
    if (code != 0 && code != EINTR) {
        wire_->fail(fmt::format("{} cannot be written: {}", place_.text(), std::strerror(code)));
    } else {
        wire_->finish();
    }
}

void ByteSink::on_reader_gone(int code) {
    if (closed_) {
        return;
    }
    source_ = control::Source();
    ready_ = false;
    const bool gone = code == EPIPE || code == ECONNRESET;
    if (!gone || !place_.persist) {
        close();
        wire_->fail(gone ? fmt::format("{} has lost its reader before the end of the stream", place_.text())
                         : fmt::format("{} cannot be written: {}", place_.text(), std::strerror(code)));
        return;
    }
    if (written_ != 0) {
        log_warning(Topic::worker, "reader has left in the middle of a datablock, which is dropped",
                    {{"endpoint", place_.text()}, {"bytes", written_}});
        advance();
    }
    // An empty FIFO stays open: whoever opens it now must not see the end of a file. What is left in one is dropped
    // with it, because it may begin in the middle of a datablock.
    int left = 0;
    if (place_.definition.kind != Kind::fifo || ::ioctl(fd_.get(), FIONREAD, &left) != 0 || left != 0) {
        fd_.reset();
    }
    timer_.arm(now_ns() + retry_ns);
}

// Who opens a FIFO to read wakes nobody who waits to write, so it is looked at.
bool ByteSink::has_reader() const {
    pollfd look{fd_.get(), POLLOUT, 0};
    return ::poll(&look, 1, 0) >= 0 && (look.revents & POLLERR) == 0;
}

void ByteSink::look_for_reader() {
    if (closed_) {
        return;
    }
    if (!fd_) {
        auto opened = open_place(place_);
        if (!opened && !place_.persist) {
            const std::string why = opened.error().message;
            close();
            wire_->fail(why);
            return;
        }
        fd_ = opened ? std::move(*opened) : Fd();
    }
    if (fd_ && has_reader()) {
        if (auto watched = watch(); watched) {
            run();  // the stream may have ended meanwhile
            return;
        }
        fd_.reset();
    }
    timer_.arm(now_ns() + retry_ns);
}

void ByteSink::completed(unsigned transfer, const yoke_completion& completion) {
    if (closed_) {
        return;
    }
    if (completion.status == 0) {
        datablocks_[transfer] = {State::filled, std::min<std::size_t>(completion.out_length, place_.bytes)};
        run();
        return;
    }
    if (completion.status == -YOKE_ENODATA || completion.status == -YOKE_EIO) {
        failed_ = failed_ || completion.status == -YOKE_EIO;
        datablocks_[transfer].state = State::end;
        run();
        return;
    }
    if (completion.status != -ECANCELED && completion.status != -ENOENT) {
        log_info(Topic::worker, "endpoint ends with its graph",
                 {{"endpoint", place_.text()}, {"why", std::strerror(-completion.status)}});
    }
    close();
}

void ByteSink::close() {
    closed_ = true;
    timer_.disarm();
    source_ = control::Source();
    fd_.reset();
}

}  // namespace yoke::worker
