// See stage_inlet.hpp.
#include "client/stage_inlet.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/clock.hpp"
#include "base/fd.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace yoke::client {
namespace {

constexpr int patience_ms = 50;           // of who reads plain bytes, and has to look at other things now and then
constexpr std::size_t page_bytes = 4096;  // a pipe counts in pages, not all of them full

}  // namespace

Result<const control::StageHeader*> StageInlet::header(const std::string& socket) {
    const bool fresh = pipe_.known() == nullptr;
    auto header = pipe_.header();
    if (header && fresh) {
        claim({socket, fd_, StageEnd::reader, (*header)->stream, false});
    }
    return header;
}

void StageInlet::begin_raw(const control::StageHeader& header, const std::string& socket) {
    pipe_.begin_raw(header);
    claim({socket, fd_, StageEnd::reader, header.stream, true});
}

void StageInlet::hear() {
    while (const auto message = pact_->receive()) {
        if (message->word == PactWord::paused) {
            draining_ = message->attempt;
        } else if (message->attempt == draining_ && message->word == PactWord::resumed) {
            draining_ = 0;
        }
        if (!joined() || message->attempt != attempt_) {
            continue;
        }
        if (message->word == PactWord::resumed) {
            sent_ = 0;  // it has not come into the channel
        } else if (message->word == PactWord::left) {
            sent_ = message->count;
        }
    }
}

void StageInlet::settle() {
    if (joined() || !meet()) {
        return;
    }
    hear();
    if (draining_ == 0 || !pipe_.at_boundary() || bytes_in_pipe() != 0 || pipe_hung_up()) {
        return;
    }
    attempt_ = std::exchange(draining_, 0);
    if (hopeless_ || !attach(attempt_, false)) {
        pact_->send({PactWord::refused, attempt_, 0});
        return;
    }
    taken_ = 0;
    sent_.reset();
    strangers_said_ = false;
    pact_->send({PactWord::drained, attempt_, 0});
}

StageInlet::Verdict StageInlet::look() {
    if (!sent_ && !has_news(strangers_said_ ? 0 : POLLIN)) {
        return Verdict::goes_on;
    }
    // The order matters: who is gone has said before all that it will say, and has sent all that it will send.
    const bool alone = pact_->gone() || (pipe_hung_up() && bytes_in_pipe() == 0);
    hear();
    if (sent_ && taken_ >= *sent_) {
        return Verdict::exhausted;
    }
    if (alone) {
        return Verdict::abandoned;
    }
    if (!sent_ && !strangers_said_ && bytes_in_pipe() != 0) {
        strangers_said_ = true;
        pact_->send({PactWord::leave, attempt_, taken_});
    }
    return Verdict::goes_on;
}

void StageInlet::leave_channel() {
    pact_->send({PactWord::empty, attempt_, taken_});
    detach();
    if (pact_->gone()) {
        forget_pact();
    }
}

Status StageInlet::leave_empty_channel() {
    if (sent_ && taken_ < *sent_) {
        return tl::unexpected(lost());
    }
    if (auto there = confirm(); !there) {
        return there;
    }
    leave_channel();
    return {};
}

// A record is in room(), or why none is. False: none came in time.
Result<bool> StageInlet::received(int status, std::size_t length) {
    if (status == -ETIME || status == -ECANCELED) {
        return false;
    }
    if (status != 0) {
        return tl::unexpected(lost());
    }
    took();
    held_ = room().first(std::min(length, record_bytes_));
    holds_ = !raw_ || !held_.empty();  // of plain bytes, none are no sign of an end
    return true;
}

// The last records of a writer that is gone. False: there are none.
Result<bool> StageInlet::take_last() {
    std::size_t length = 0;
    const int status = pull(length);
    auto taken = received(status, length);
    if (taken && !*taken) {
        if (auto left = leave_empty_channel(); !left) {
            return tl::unexpected(left.error());
        }
    }
    return taken;
}

// Waits for a record out of the channel. False: it is over.
Result<bool> StageInlet::take(const StageJoint* others, const std::function<Status()>& idle) {
    yoke_ticket ticket = 0;
    if (yoke_submit_pull(session(), channel(), room().data(), room().size(), 0, nullptr, nullptr, &ticket) != 0) {
        return tl::unexpected(lost());
    }
    yoke_result result{};
    WaitSlice slice;
    Verdict verdict = Verdict::goes_on;
    bool cancelled = false;
    Status idled;
    const std::uint64_t patient_until_ns = now_ns() + std::uint64_t{patience_ms} * 1'000'000;
    bool impatient = false;
    while (yoke_wait(session(), ticket, slice.next_ns(), &result) == -EAGAIN) {
        verdict = look();
        impatient = raw_ && now_ns() >= patient_until_ns;
        if (others != nullptr && others->joined() && idled) {
            idled = idle();
        }
        if ((verdict != Verdict::goes_on || impatient || !idled) && !cancelled) {
            cancelled = true;
            yoke_cancel(session(), ticket);  // it may have ended by now; then it says so
        }
    }
    auto taken = received(result.status, result.out_length);
    if (!taken || *taken) {
        return taken;
    }
    if (!idled) {
        return tl::unexpected(idled.error());
    }
    if (verdict == Verdict::abandoned) {
        return take_last();
    }
    if (verdict == Verdict::exhausted) {
        leave_channel();
        return false;
    }
    return fail(EAGAIN, "nothing has come yet; read again");
}

std::size_t StageInlet::hand_over(std::span<std::byte> room_given) {
    const std::size_t length = std::min(held_.size(), room_given.size());
    std::copy_n(held_.begin(), length, room_given.begin());
    counts_.copied_bytes += length;
    held_ = held_.subspan(length);
    holds_ = !held_.empty();
    return length;
}

Result<std::optional<std::size_t>> StageInlet::read_pipe(std::span<std::byte> room_given) {
    auto length = raw_ ? pipe_.read_raw(room_given) : pipe_.read(room_given);
    counts_.piped += length && *length ? 1 : 0;
    return length;
}

Result<std::optional<std::size_t>> StageInlet::read(std::span<std::byte> room_given, const StageJoint* others,
                                                    const std::function<Status()>& idle) {
    for (;;) {
        if (holds_) {
            if (!raw_ && held_.size() > room_given.size()) {
                return fail(EMSGSIZE, "a record has {}, but there is room for {} only; give more",
                            counted(held_.size(), "byte"), room_given.size());
            }
            return hand_over(room_given);
        }
        settle();
        if (joined()) {
            if (auto taken = take(others, idle); !taken) {
                return tl::unexpected(taken.error());
            }
            continue;
        }
        if (!listening() && !raw_ && (others == nullptr || !others->joined())) {
            return read_pipe(room_given);
        }
        std::vector<pollfd> fds{{fd_, POLLIN, 0}};
        add_news(fds);
        if (others != nullptr && others->joined()) {
            others->add_news(fds);
        }
        if (::poll(fds.data(), fds.size(), raw_ ? patience_ms : -1) <= 0 && raw_) {
            return fail(EAGAIN, "nothing has come yet; read again");
        }
        if (others != nullptr && others->joined()) {
            if (auto done = idle(); !done) {
                return tl::unexpected(done.error());
            }
        }
        if (fds[0].revents != 0) {
            return read_pipe(room_given);
        }
    }
}

// Writes into the pipe that this end reads. False: it cannot hold as much.
bool StageInlet::write_back(std::span<const std::byte> bytes) {
    const Fd back(::open(("/proc/self/fd/" + std::to_string(fd_)).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (!back) {
        return false;
    }
    // A write that would block would block for ever, so the pipe must hold it; half of a record helps nobody.
    const std::size_t needed = bytes_in_pipe() + bytes.size() + page_bytes;
    const int holds = ::fcntl(back.get(), F_GETPIPE_SZ);
    if ((holds < 0 || needed > static_cast<std::size_t>(holds)) &&
        ::fcntl(back.get(), F_SETPIPE_SZ, static_cast<int>(std::min<std::size_t>(needed, INT32_MAX))) < 0) {
        return false;
    }
    return ::write(back.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
}

// The writer is gone, too: through a pipe the rest would still be there for its next reader.
void StageInlet::put_back() {
    const bool lengths = known()->stream.variable && !raw_;
    std::size_t length = 0;
    while ((!sent_ || taken_ < *sent_) && pull(length) == 0) {
        ++taken_;
        std::vector<std::byte> bytes;
        if (lengths) {
            const std::uint64_t written = length;
            const auto prefix = std::as_bytes(std::span(&written, 1));
            bytes.assign(prefix.begin(), prefix.end());
        }
        bytes.insert(bytes.end(), room().begin(), room().begin() + static_cast<std::ptrdiff_t>(length));
        if (!write_back(bytes)) {
            return;
        }
    }
}

void StageInlet::end() {
    if (!joined()) {
        return;
    }
    // What was not read of plain bytes; the writer puts the pieces after it behind it.
    if (raw_ && holds_ && !write_back(held_)) {
        log_warning(Topic::client, "bytes that a stage has not read are lost: the pipe cannot hold them",
                    {{"bytes", held_.size()}});
    }
    const bool alone = pact_->gone();
    hear();
    if (!pact_->send({PactWord::leaving, attempt_, taken_}) || alone) {
        put_back();
    }
    detach();
    forget_pact();
}

}  // namespace yoke::client
