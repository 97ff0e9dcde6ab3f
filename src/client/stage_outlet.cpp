// See stage_outlet.hpp.
#include "client/stage_outlet.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "base/clock.hpp"

namespace yoke::client {
namespace {

constexpr std::uint64_t progress_ns = 100'000'000;  // DESIGN: as long the reader may leave the pipe as it is
constexpr std::uint64_t backoff_first_ns = 20'000'000;
constexpr std::uint64_t backoff_max_ns = 2'000'000'000;
constexpr int look_ms = 2;               // how often the level of the pipe is looked at
constexpr std::size_t length_bytes = 8;  // before a variable record

}  // namespace

Status StageOutlet::begin(const control::StageHeader& header, const std::string& socket) {
    if (auto done = pipe_.begin(header); !done) {
        return done;
    }
    socket_ = socket;
    return {};
}

Status StageOutlet::announce() {
    if (pipe_.announced()) {
        return {};
    }
    if (auto done = pipe_.announce(); !done) {
        return done;
    }
    claim({socket_, fd_, StageEnd::writer, header()->stream, false});
    return {};
}

void StageOutlet::begin_raw(const control::StageHeader& header, const std::string& socket) {
    pipe_.begin_raw(header);
    claim({socket, fd_, StageEnd::writer, header.stream, true});
}

void StageOutlet::postpone(const std::string& why) {
    backoff_ns_ = std::clamp(backoff_ns_ * 2, backoff_first_ns, backoff_max_ns);
    next_attempt_ns_ = now_ns() + backoff_ns_;
    tell("pipe", why);
}

Status StageOutlet::write_plain(std::span<const std::byte> record) {
    ++counts_.piped;
    return raw_ ? pipe_.write_raw(record) : pipe_.write(record);
}

// Paused: waits for the reader to have emptied the pipe, as long as it is getting on with that.
bool StageOutlet::await_drained() {
    std::size_t level = bytes_in_pipe();
    std::uint64_t deadline_ns = now_ns() + progress_ns;
    for (;;) {
        while (const auto message = pact_->receive()) {
            if (message->attempt != attempt_) {
                continue;
            }
            if (message->word == PactWord::drained) {
                return true;
            }
            if (message->word == PactWord::refused) {
                hopeless_ = true;
                tell("pipe", "the reader cannot open a channel");
                return false;
            }
        }
        const std::size_t now_level = bytes_in_pipe();
        const std::uint64_t now = now_ns();
        if (now_level < level) {
            level = now_level;
            deadline_ns = now + progress_ns;
        }
        if (now >= deadline_ns || pipe_hung_up() || pact_->gone()) {
            postpone("the reader did not empty the pipe within 100 ms");
            return false;
        }
        pact_->wait(look_ms);
    }
}

void StageOutlet::try_to_join() {
    ++attempt_;
    pact_->send({PactWord::paused, attempt_, 0});
    bool ready = await_drained();
    if (ready) {
        if (auto done = attach(attempt_, true); !done) {
            hopeless_ = true;
            ready = false;
            tell("pipe", done.error().message);
        }
    }
    pact_->send({ready ? PactWord::joined : PactWord::resumed, attempt_, 0});
    if (ready) {
        sent_ = 0;
        sent_bytes_ = 0;
        taken_.reset();
        emptied_ = false;
        said_left_ = false;
        leave_ = Leave::no;
        tell("joined", "");
    }
}

void StageOutlet::hear() {
    while (const auto message = pact_->receive()) {
        if (message->attempt != attempt_) {
            continue;
        }
        if (message->word == PactWord::leave) {
            leave_ = std::max(leave_, Leave::stranger);
        } else if (message->word == PactWord::leaving) {
            taken_ = message->count;
            leave_ = Leave::reader;
        } else if (message->word == PactWord::empty) {
            // Unasked, it is the word of a reader that took this end for gone: what it has not taken goes through the
            // pipe.
            emptied_ = said_left_ && message->count >= sent_;
            if (!emptied_) {
                taken_ = message->count;
                leave_ = Leave::reader;
            }
        }
    }
}

StageOutlet::Leave StageOutlet::reason_to_leave() {
    hear();
    if (pact_->gone() || pipe_hung_up()) {
        leave_ = Leave::reader;
    }
    return leave_;
}

bool StageOutlet::reader_goes() {
    return joined() && (leave_ == Leave::reader || (has_news(0) && reason_to_leave() == Leave::reader));
}

bool StageOutlet::must_leave() {
    if (!joined()) {
        return false;
    }
    const bool strangers = bytes_in_pipe() != 0;
    if (!strangers && leave_ == Leave::no && !has_news(0)) {
        return false;
    }
    static_cast<void>(meet());
    if (parted() || strangers) {
        leave_ = std::max(leave_, Leave::stranger);
    }
    return reason_to_leave() != Leave::no;
}

Status StageOutlet::attend() {
    if (!joined() || (leave_ == Leave::no && !has_news(0))) {
        return {};
    }
    const Leave reason = reason_to_leave();
    return reason != Leave::no ? leave(reason) : Status();
}

Status StageOutlet::leave_if_must() {
    return must_leave() ? attend() : Status();
}

Status StageOutlet::settle() {
    if (!joined() && meet() && !hopeless_ && now_ns() >= next_attempt_ns_) {
        try_to_join();
    }
    return leave_if_must();
}

Status StageOutlet::change_session(yoke_session* session) {
    if (joined() && this->session() != session) {
        if (auto done = attend(); !done) {
            return done;
        }
    }
    if (joined() && this->session() != session) {
        go_back("the stage goes on in another session");
    }
    use(session);
    return {};
}

// The reader still takes what is in the channel, and then what is in the pipe.
void StageOutlet::go_back(const std::string& why) {
    pact_->send({PactWord::left, attempt_, sent_});
    detach();
    postpone(why);
}

Status StageOutlet::leave(Leave reason) {
    if (reason == Leave::stranger) {
        go_back("somebody else writes into the pipe, or a third stage has claimed it");
        return {};
    }
    auto done = take_back();
    detach();
    forget_pact();
    return done;
}

// The reader has gone: what it has not taken goes back into the pipe, for whoever reads it next.
Status StageOutlet::take_back() {
    std::vector<std::vector<std::byte>> records;
    std::size_t bytes = 0;
    while (!taken_ || sent_ > *taken_ + records.size()) {
        std::size_t length = 0;
        const int status = pull(length);
        if (status == -ETIME && !taken_ && confirm()) {
            break;
        }
        if (status != 0) {
            return tl::unexpected(lost());
        }
        records.emplace_back(room().begin(), room().begin() + static_cast<std::ptrdiff_t>(length));
        bytes += length + (header()->stream.variable && !raw_ ? length_bytes : 0);
    }
    // Without any reader, a pipe would have held as much, and its writer would not have known either.
    if (pipe_hung_up() && bytes <= static_cast<std::size_t>(std::max(0, ::fcntl(fd_, F_GETPIPE_SZ)))) {
        return {};
    }
    for (const auto& record : records) {
        if (auto done = write_plain(record); !done) {
            return done;
        }
    }
    return {};
}

// Not taken: the reader has gone.
Status StageOutlet::push(std::span<const std::byte> record, bool& taken) {
    const void* data = record.data();
    if (!in_arena(record)) {
        std::memcpy(room().data(), record.data(), record.size());
        counts_.copied_bytes += record.size();
        data = room().data();
    }
    yoke_ticket ticket = 0;
    if (yoke_submit_push(session(), channel(), data, record.size(), 0, 0, nullptr, nullptr, &ticket) != 0) {
        return tl::unexpected(lost());
    }
    yoke_result result{};
    WaitSlice slice;
    bool cancelled = false;
    while (yoke_wait(session(), ticket, slice.next_ns(), &result) == -EAGAIN) {
        if (!cancelled && reader_goes()) {
            cancelled = true;
            yoke_cancel(session(), ticket);  // it may have ended by now; then it says so
        }
    }
    taken = result.status == 0;
    sent_ += taken ? 1 : 0;
    counts_.joined += taken ? 1 : 0;
    sent_bytes_ += taken ? record.size() : 0;
    return taken || result.status == -ECANCELED ? Status() : tl::unexpected(lost());
}

Result<std::span<std::byte>> StageOutlet::room_for(std::size_t bytes) {
    want_spare();
    if (auto done = raw_ ? Status() : pipe_.check(bytes); !done) {
        return tl::unexpected(done.error());
    }
    if (auto done = announce(); !done) {
        return tl::unexpected(done.error());
    }
    if (auto done = settle(); !done) {
        return tl::unexpected(done.error());
    }
    if (const auto place = joined() ? spare() : std::span<std::byte>(); !place.empty() && bytes <= place.size()) {
        return place.first(bytes);
    }
    outside_.resize(std::max<std::size_t>(bytes, 1));
    return std::span(outside_).first(bytes);
}

Status StageOutlet::write(std::span<const std::byte> record) {
    if (raw_ && record.empty()) {
        return {};  // as write() to a pipe
    }
    if (auto done = raw_ ? Status() : pipe_.check(record.size()); !done) {
        return done;
    }
    if (auto done = announce(); !done) {
        return done;
    }
    // What was made outside goes through the pipe once more; the next record's room is in the arena.
    const bool outside = !record.empty() && record.data() == outside_.data();
    if (auto done = outside ? leave_if_must() : settle(); !done) {
        return done;
    }
    while (joined()) {
        const auto piece = record.first(raw_ ? std::min(record.size(), record_bytes_) : record.size());
        bool taken = false;
        if (auto done = push(piece, taken); !done) {
            return done;
        }
        if (taken) {
            record = record.subspan(piece.size());
            if (record.empty()) {
                return {};
            }
        }
        if (auto done = settle(); !done) {
            return done;
        }
    }
    return write_plain(record);
}

Status StageOutlet::end() {
    if (auto done = announce(); !done) {
        return done;
    }
    if (!joined()) {
        return {};
    }
    if (reason_to_leave() != Leave::reader) {
        said_left_ = true;
        pact_->send({PactWord::left, attempt_, sent_});
        // What a pipe would have held, the reader may take later.
        const bool patient = sent_bytes_ > static_cast<std::uint64_t>(std::max(0, ::fcntl(fd_, F_GETPIPE_SZ)));
        const std::uint64_t deadline_ns = now_ns() + progress_ns;
        while (reason_to_leave() != Leave::reader && !emptied_ && (patient || now_ns() < deadline_ns)) {
            pact_->wait(static_cast<int>(progress_ns / 4'000'000));
        }
        // A reader that leaves from here on finds out that it is alone. One that has left just now has said so.
        pact_->close();
        hear();
    }
    Status done;
    if (leave_ == Leave::reader && !emptied_) {
        done = take_back();
    }
    detach();
    forget_pact();
    return done;
}

}  // namespace yoke::client
