// See flow.hpp. One loop: ended transfers are taken in order per channel, free ones are filled and submitted again. An
// input that has nothing to say at the moment is only looked at, so that it does not hold up the other channels.
#include "cli/flow.hpp"

#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/interrupt.hpp"

namespace yoke::cli {
namespace {

constexpr std::size_t depth = 4;                       // transfers in flight per channel
constexpr std::uint64_t look_up_ns = 50'000'000;       // how often a wait looks for Ctrl-C
constexpr std::uint64_t look_at_input_ns = 2'000'000;  // how often a quiet input is looked at
constexpr std::uint64_t patience_ns = 1'000'000'000;   // before a standstill is spoken of

std::uint64_t now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// Why the graph of a channel has failed; "": it has not, or nobody knows.
std::string failure_of_graph(yoke_session* session, const std::string& channel) {
    const std::string graph = channel.substr(0, channel.find('/', 1));
    char* text = nullptr;
    const int error = yoke_graph_why(session, graph.c_str(), &text);
    const std::unique_ptr<char, decltype(&::free)> owner(text, &::free);
    const auto reasons = error == 0 ? nlohmann::json::parse(text, nullptr, false) : nlohmann::json();
    for (const auto& reason : reasons.is_array() ? reasons : nlohmann::json::array()) {
        if (reason.is_object() && reason.value("reason", "") == "failed") {
            return reason.value("sentence", "");
        }
    }
    return {};
}

// @count: datablocks that had been transferred before.
tl::unexpected<Failure> fail_transfer(yoke_session* session, const Lane& lane, const yoke_result& result,
                                      std::uint64_t count) {
    const std::string why = yoke_error(session);
    switch (-result.status) {
        case YOKE_EIO:
            if (const std::string failure = failure_of_graph(session, lane.name); !failure.empty()) {
                return fail(exit_failed, "{}", failure);
            }
            return fail(exit_failed, "channel {}: {}", lane.name, why);
        case YOKE_ERESTART:
            return fail(exit_failed, "the graph of {} began anew, without {} datablocks; run the command again ({})",
                        lane.name, result.detail, why);
        // Of a graph that is gone no channel is known any more.
        case YOKE_ECANCELED:
        case ENOENT:
            return fail(exit_failed,
                        "the graph of {} was terminated (stopped or removed) when it had {} {} datablock{}", lane.name,
                        lane.input ? "taken" : "given", count, count == 1 ? "" : "s");
        default:
            return fail(exit_of(-result.status), "channel {}: {}", lane.name, why);
    }
}

}  // namespace

struct Flow::Transfer {
    std::span<std::byte> room;
    std::size_t filled = 0;  // push: bytes read so far
    yoke_ticket ticket = 0;
    bool ended = false;  // its result is there
    yoke_result result{};
};

struct Flow::State {
    explicit State(Lane given) : lane(std::move(given)) {
        if (lane.input) {
            reader.emplace(*lane.input, lane.shape, lane.raw);
        }
    }
    Lane lane;
    std::optional<DatablockReader> reader;  // of the input
    std::vector<Transfer> transfers{depth};
    std::uint64_t submitted = 0;
    std::uint64_t finished = 0;
    bool input_ended = false;  // push: END was submitted
    bool quiet = false;        // push: the input has nothing at the moment
    bool done = false;
    Transfer& next() { return transfers[submitted % depth]; }
    Transfer& oldest() { return transfers[finished % depth]; }
};

Flow::Flow(std::vector<Lane> lanes) {
    for (Lane& lane : lanes) {
        states_.push_back(std::make_unique<State>(std::move(lane)));
    }
}

Flow::~Flow() = default;

// Bytes of arena that the transfers take.
std::uint64_t Flow::data_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& state : states_) {
        bytes += depth * (state->lane.shape.bytes + YOKE_DATA_ALIGN);
    }
    return bytes;
}

// Makes the channels known to the session.
Done Flow::open_channels() {
    for (const auto& state : states_) {
        Lane& lane = state->lane;
        yoke_channel channel{};
        (lane.input ? channel.destination : channel.source) = lane.shape.port.c_str();
        channel.source_when = lane.source_when.empty() ? nullptr : lane.source_when.c_str();
        channel.destination_when = lane.destination_when.empty() ? nullptr : lane.destination_when.c_str();
        channel.capacity = lane.capacity;
        channel.flags = lane.back ? YOKE_CHANNEL_BACK : 0;
        const int error = yoke_open_channel_as(session_, lane.name.c_str(), &channel, &lane.channel);
        if (error != 0) {
            return fail_library(session_, error);
        }
    }
    return {};
}

Done Flow::allocate_all() {
    for (const auto& state : states_) {
        for (Transfer& transfer : state->transfers) {
            const auto room = allocate(session_, state->lane.shape.bytes);
            if (!room) {
                return tl::unexpected<Failure>(room.error());
            }
            transfer.room = *room;
        }
    }
    return {};
}

bool Flow::ended() const {
    return std::all_of(states_.begin(), states_.end(), [](const auto& state) { return state->done; });
}

Done Flow::run(const std::string& socket) {
    SessionNeeds needs;
    needs.socket = socket;
    needs.data_bytes = data_bytes();
    const auto session = open_session(needs);
    if (!session) {
        return tl::unexpected<Failure>(session.error());
    }
    session_ = session->get();
    if (auto done = open_channels(); !done) {
        return done;
    }
    if (auto done = allocate_all(); !done) {
        return done;
    }
    return transfer_all();
}

std::uint64_t Flow::finished() const {
    std::uint64_t sum = 0;
    for (const auto& state : states_) {
        sum += state->finished;
    }
    return sum;
}

// Whether it is the graph that must do something: take what is pushed, or give without being fed from here.
bool Flow::waits_for_graph() const {
    const bool pushes =
        std::any_of(states_.begin(), states_.end(), [](const auto& s) { return s->lane.input.has_value(); });
    return !pushes || std::any_of(states_.begin(), states_.end(), [](const auto& state) {
        return state->lane.input && !state->done && !state->quiet && state->finished < state->submitted;
    });
}

void Flow::watch(std::uint64_t finished_before) {
    const std::uint64_t now = now_ns();
    if (finished() != finished_before || !waits_for_graph()) {
        moved_ns_ = now;
    } else if (say_standstill_ && now - moved_ns_ > patience_ns) {
        std::exchange(say_standstill_, nullptr)(session_);
    }
}

Done Flow::transfer_all() {
    moved_ns_ = now_ns();
    while (!ended()) {
        if (interrupted()) {
            return interrupted_failure();
        }
        const std::uint64_t finished_before = finished();
        bool quiet = false;
        for (const auto& state : states_) {
            if (state->done) {
                continue;
            }
            if (auto done = state->lane.input ? advance_push(*state) : advance_pull(*state); !done) {
                return done;
            }
            quiet = quiet || state->quiet;
        }
        if (!ended()) {
            if (const int error = yoke_dispatch(session_, quiet ? look_at_input_ns : look_up_ns); error < 0) {
                return fail_library(session_, error);
            }
            watch(finished_before);
        }
    }
    for (const auto& state : states_) {
        if (state->lane.output) {
            if (auto done = state->lane.output->finish(); !done) {
                return done;
            }
        }
    }
    return {};
}

Done Flow::submit(State& state, Transfer& transfer, bool end) {
    transfer.ended = false;
    const auto on_end = [](void* user, yoke_ticket /*ticket*/, const yoke_result* result) {
        auto* owner = static_cast<Transfer*>(user);
        owner->result = *result;
        owner->ended = true;
    };
    const int error = state.lane.input
                          ? yoke_submit_push(session_, state.lane.channel, transfer.room.data(), transfer.filled,
                                             end ? YOKE_FLAG_END : 0, 0, on_end, &transfer, &transfer.ticket)
                          : yoke_submit_pull(session_, state.lane.channel, transfer.room.data(), transfer.room.size(),
                                             0, on_end, &transfer, &transfer.ticket);
    if (error != 0) {
        return fail_library(session_, error);
    }
    ++state.submitted;
    return {};
}

// Nobody takes more. Where others push as well, the stream is as long as the shortest input of the graph, as with
// pipes, but a pipe's writer would notice.
Done Flow::told_of_end(State& state) const {
    if (state.oldest().filled == 0) {
        return {};  // it was the end itself that came too late
    }
    const std::string sentence =
        fmt::format("the stream of channel {} has ended; what {} holds behind the first {} datablocks was not pushed",
                    state.lane.name, state.lane.input->name(), state.finished);
    if (state.lane.all) {
        return fail(exit_failed, "{}; start the graph again for another stream", sentence);
    }
    say("yoke: {}", sentence);
    return {};
}

Done Flow::advance_push(State& state) {
    while (state.finished < state.submitted && state.oldest().ended) {
        const yoke_result& result = state.oldest().result;
        if (result.status == -YOKE_EPIPE) {
            state.done = true;
            return told_of_end(state);
        }
        if (result.status != 0) {
            return fail_transfer(session_, state.lane, result, state.finished);
        }
        pushed_ += state.oldest().filled != 0 ? 1 : 0;
        state.oldest().filled = 0;
        ++state.finished;
    }
    state.quiet = false;
    while (!state.input_ended && state.submitted - state.finished < depth) {
        Transfer& transfer = state.next();
        const auto step = state.reader->fill(transfer.room, transfer.filled);
        if (!step) {
            return tl::unexpected<Failure>(step.error());
        }
        if (*step == DatablockReader::Step::quiet) {
            state.quiet = true;
            break;
        }
        state.input_ended = *step == DatablockReader::Step::ended;
        const bool end = state.input_ended && state.lane.ends;
        if (transfer.filled != 0 || end) {
            if (auto done = submit(state, transfer, end); !done) {
                return done;
            }
        }
    }
    state.done = state.input_ended && state.finished == state.submitted;
    return {};
}

Done Flow::advance_pull(State& state) {
    while (state.finished < state.submitted && state.oldest().ended) {
        Transfer& transfer = state.oldest();
        const yoke_result& result = transfer.result;
        if (result.status == -YOKE_ENODATA) {
            state.done = true;
            return {};
        }
        if (result.status != 0) {
            return fail_transfer(session_, state.lane, result, state.finished);
        }
        const std::size_t bytes = std::min<std::size_t>(result.out_length, transfer.room.size());
        if (auto done = state.lane.output->write(std::span<const std::byte>(transfer.room.first(bytes))); !done) {
            return done;
        }
        ++pulled_;
        ++state.finished;
    }
    const std::uint64_t most = state.lane.datablocks_max.value_or(UINT64_MAX);
    while (state.submitted - state.finished < depth && state.submitted < most) {
        if (auto done = submit(state, state.next(), false); !done) {
            return done;
        }
    }
    state.done = state.finished == most;
    return {};
}

}  // namespace yoke::cli
