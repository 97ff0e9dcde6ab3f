// See stream.hpp. Pieces are filled, submitted and finished in rotation; three counters say how far each has come.
#include "cli/stream.hpp"

#include <algorithm>
#include <cstring>

#include "cli/interrupt.hpp"
#include "cli/number.hpp"

namespace yoke::cli {
namespace {

constexpr std::size_t in_flight_bytes = 8U << 20U;  // enough to keep every thread of a worker busy
constexpr std::size_t depth_max = 8;
constexpr std::size_t huge_bytes = 64U << 20U;    // longer pieces go one at a time, to bound memory
constexpr std::uint64_t look_up_ns = 50'000'000;  // how often a wait looks for Ctrl-C
// One call with a tag or a digest beside its input.
constexpr std::uint64_t whole_bytes_max = YOKE_CALL_BYTES_MAX - 64;

std::uint64_t aligned(std::uint64_t bytes) {
    return (std::max<std::uint64_t>(bytes, 1) + YOKE_DATA_ALIGN - 1) / YOKE_DATA_ALIGN * YOKE_DATA_ALIGN;
}

const char* member_name(std::uint64_t detail) {
    switch (detail) {
        case YOKE_MEMBER_INPUT:
            return "input";
        case YOKE_MEMBER_OUTPUT:
            return "output";
        case YOKE_MEMBER_AUX:
            return "IV and AAD";
        case YOKE_MEMBER_PARAMS:
            return "parameters";
        case YOKE_MEMBER_OBJECT:
            return "key";
        case YOKE_MEMBER_FLAGS:
            return "flags";
        default:
            return "call";
    }
}

tl::unexpected<Failure> fail_call(const yoke_result& result) {
    switch (-result.status) {
        case YOKE_EBADMSG:
            return fail(exit_failed,
                        "authentication failed: data, key, IV, AAD or tag length differ from those of the encryption");
        case YOKE_EIO:
            return fail(exit_failed, "the executor of the call died twice; see `yoke status` and the log of yoked");
        default:
            return fail(exit_of(-result.status), "the call was refused because of its {}: {}",
                        member_name(result.detail), std::strerror(-result.status));
    }
}

}  // namespace

Outcome<std::uint64_t> Stream::prepare() {
    room_bytes_ = recipe_.piece_bytes();
    depth_ = room_bytes_ > huge_bytes ? 1 : std::clamp<std::size_t>(in_flight_bytes / room_bytes_, 2, depth_max);
    if (recipe_.whole()) {
        depth_ = 1;
        const auto known = input_.bytes_left();
        if (known.value_or(0) > whole_bytes_max) {
            return fail(exit_failed, "{} has {} bytes; this service takes at most {} in one piece, so split it first",
                        input_.name(), *known, whole_bytes_max);
        }
        if (known) {
            room_bytes_ = *known;
        } else {
            input_spooled_ = true;
            constexpr std::size_t step = 1U << 20U;
            for (std::size_t filled = 0;;) {
                spooled_.resize(filled + std::max(step, filled));
                const auto count = input_.read_full(std::span(spooled_).subspan(filled));
                if (!count) {
                    return tl::unexpected<Failure>(count.error());
                }
                filled += *count;
                if (filled > whole_bytes_max) {
                    return fail(
                        exit_failed,
                        "{} has more than {} bytes, the most that this service takes in one piece; split it first",
                        input_.name(), whole_bytes_max);
                }
                if (filled < spooled_.size()) {
                    spooled_.resize(filled);
                    break;
                }
            }
            room_bytes_ = spooled_.size();
        }
    }
    return depth_ * (aligned(room_bytes_) + aligned(recipe_.out_bytes(room_bytes_))) + aligned(recipe_.aux().size());
}

Outcome<std::size_t> Stream::read_whole(std::span<std::byte> room) {
    if (input_spooled_) {
        std::copy(spooled_.begin(), spooled_.end(), room.begin());
        return spooled_.size();
    }
    auto count = input_.read_full(room);
    if (!count) {
        return count;
    }
    std::byte beyond{};
    auto more = input_.read_full(std::span(&beyond, 1));
    if (!more) {
        return more;
    }
    if (*more != 0) {
        return fail(exit_failed, "{} grew while it was read; try again when nobody writes to it", input_.name());
    }
    return count;
}

Done Stream::allocate_pieces(yoke_session* session) {
    pieces_.resize(depth_);
    for (Piece& piece : pieces_) {
        const auto in = allocate(session, room_bytes_);
        const auto out = allocate(session, recipe_.out_bytes(room_bytes_));
        if (!in || !out) {
            return tl::unexpected<Failure>(in ? out.error() : in.error());
        }
        piece.in_room = *in;
        piece.out_room = *out;
    }
    const auto aux = allocate(session, recipe_.aux().size());
    if (!aux) {
        return tl::unexpected<Failure>(aux.error());
    }
    aux_ = *aux;
    std::copy(recipe_.aux().begin(), recipe_.aux().end(), aux_.begin());
    return {};
}

Outcome<Summary> Stream::run(yoke_session* session, const yoke_key* key, std::uint8_t place) {
    session_ = session;
    key_ = key;
    place_ = place;
    if (auto done = allocate_pieces(session); !done) {
        return tl::unexpected<Failure>(done.error());
    }
    if (auto done = run_pieces(); !done) {
        return tl::unexpected<Failure>(done.error());
    }
    return summary_;
}

Done Stream::run_pieces() {
    std::uint64_t filled = 0;
    std::uint64_t submitted = 0;
    std::uint64_t finished = 0;
    const auto piece_at = [&](std::uint64_t number) -> Piece& { return pieces_[number % depth_]; };
    while (!at_end_ || finished < filled) {
        if (interrupted()) {
            return interrupted_failure();
        }
        if (!at_end_ && filled - finished < depth_) {
            Piece& piece = piece_at(filled);
            if (auto done = fill(piece); !done) {
                return done;
            }
            // A whole input is one call even when it is empty; a stream ends with its last byte.
            if (piece.in_bytes > 0 || recipe_.whole()) {
                ++filled;
            }
        }
        while (submitted < filled && (!recipe_.serial() || submitted == finished)) {
            if (auto done = submit(piece_at(submitted)); !done) {
                return done;
            }
            ++submitted;
        }
        // What has ended is written at once; waiting is for when nothing else can be done.
        const bool must_wait = at_end_ || filled - finished == depth_;
        while (finished < submitted) {
            const auto ended = finish(piece_at(finished), must_wait ? look_up_ns : 0);
            if (!ended) {
                return tl::unexpected<Failure>(ended.error());
            }
            if (!*ended) {
                break;
            }
            ++finished;
            if (must_wait) {
                break;
            }
        }
    }
    return {};
}

Done Stream::fill(Piece& piece) {
    const auto count = recipe_.whole() ? read_whole(piece.in_room) : input_.read_full(piece.in_room);
    if (!count) {
        return tl::unexpected<Failure>(count.error());
    }
    piece.in_bytes = *count;
    summary_.in_bytes += *count;
    at_end_ = recipe_.whole() || *count < piece.in_room.size();
    return at_end_ ? recipe_.check_last(*count, summary_.in_bytes) : Done{};
}

Done Stream::submit(Piece& piece) {
    const std::span<const std::byte> in = piece.in_room.first(piece.in_bytes);
    recipe_.next(in, piece.params);
    yoke_call call{};
    call.service = recipe_.service();
    call.flags = recipe_.flags();
    call.place = place_;
    call.key = key_;
    call.in = in.data();
    call.in_length = in.size();
    call.out = piece.out_room.data();
    call.out_length = recipe_.out_bytes(piece.in_bytes);
    call.aux = aux_.empty() ? nullptr : aux_.data();
    call.aux_length = aux_.size();
    call.params = recipe_.service() == YOKE_SERVICE_ECHO ? nullptr : piece.params.data();
    const int error = yoke_submit(session_, &call, nullptr, nullptr, &piece.ticket);
    return error == 0 ? Done{} : fail_library(session_, error);
}

Outcome<bool> Stream::finish(Piece& piece, std::uint64_t timeout_ns) {
    yoke_result result{};
    const int error = yoke_wait(session_, piece.ticket, timeout_ns, &result);
    if (error == -EAGAIN) {
        return false;
    }
    if (error != 0) {
        return fail_library(session_, error);
    }
    if (result.status != 0) {
        return fail_call(result);
    }
    const std::span<const std::byte> out =
        piece.out_room.first(std::min<std::size_t>(result.out_length, piece.out_room.size()));
    recipe_.done(out);
    count(result);
    if (auto done = write_result(out); !done) {
        return tl::unexpected<Failure>(done.error());
    }
    return true;
}

void Stream::count(const yoke_result& result) {
    ++summary_.calls;
    summary_.out_bytes += result.out_length;
    summary_.queued_ns += result.queued_ns;
    summary_.run_ns += result.run_ns;
    ++summary_.places[{result.where, result.why}];
}

Done Stream::write_result(std::span<const std::byte> bytes) {
    if (!hexadecimal_) {
        return output_.write(bytes);
    }
    constexpr std::size_t digest_bytes = 32;
    std::string text;
    for (; bytes.size() >= digest_bytes; bytes = bytes.subspan(digest_bytes)) {
        text += hex_of(bytes.first(digest_bytes)) + "\n";
    }
    return output_.write(text);
}

}  // namespace yoke::cli
