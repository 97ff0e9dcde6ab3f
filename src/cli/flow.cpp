// See flow.hpp. One loop: ended transfers are taken in order per channel, free ones are filled and submitted again. An
// input that has nothing to say at the moment is only looked at, so that it does not hold up the other channels.
#include "cli/flow.hpp"

#include <time.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/graph_end.hpp"
#include "cli/interrupt.hpp"
#include "cli/number.hpp"
#include "cli/standstill.hpp"

namespace yoke::cli {
namespace {

constexpr std::size_t depth = 4;                       // transfers in flight per channel
constexpr std::uint64_t look_up_ns = 50'000'000;       // how often a wait looks for Ctrl-C
constexpr std::uint64_t look_at_input_ns = 2'000'000;  // how often a quiet input is looked at
constexpr int look_at_graph_ms = 10;                   // how often a graph is looked at that has not taken all
constexpr std::uint64_t patience_ns = 1'000'000'000;   // before a standstill is spoken of

std::uint64_t now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

std::string graph_of(const std::string& channel) {
    return channel.substr(0, channel.find('/', 1));
}

// @count: datablocks that had been transferred before.
tl::unexpected<Failure> fail_transfer(yoke_session* session, const Lane& lane, const yoke_result& result,
                                      std::uint64_t count) {
    const std::string why = yoke_error(session);
    switch (-result.status) {
        case YOKE_EIO:
            if (const std::string failure = failure_of_graph(session, graph_of(lane.name)); !failure.empty()) {
                return fail(exit_failed, "{}", failure);
            }
            return fail(exit_failed, "channel {}: {}", lane.name, why);
        case YOKE_ERESTART:
            return fail(exit_failed, "the graph of {} began anew, without {}; run the command again ({})", lane.name,
                        counted(result.detail, "datablock"), why);
        // Of a graph that is gone no channel is known any more.
        case YOKE_ECANCELED:
        case ENOENT:
            return fail(exit_failed, "the graph of {} was terminated (stopped or removed) when it had {} {}", lane.name,
                        lane.input ? "taken" : "given", counted(count, "datablock"));
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
    std::uint64_t taken = 0;   // push: datablocks that the channel has accepted
    bool input_ended = false;  // push: END was submitted
    bool quiet = false;        // push: the input has nothing at the moment
    bool done = false;
    bool refused = false;  // push: nobody takes more
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
    if (auto done = transfer_all(); !done) {
        return done;
    }
    return check_all_taken(socket);
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

// Of the channels that wait, the first one.
tl::unexpected<Failure> Flow::fail_standstill() const {
    const auto waits = std::ranges::find_if(states_, [](const auto& state) { return !state->done && !state->quiet; });
    const State& state = waits != states_.end() ? **waits : *states_.front();
    const Lane& lane = state.lane;
    const std::uint64_t count = lane.input ? state.taken : state.finished;
    return fail(exit_failed, "channel {} has {} nothing for {} s, behind {}; yoke graph why {} says what it waits for",
                lane.name, lane.input ? "taken" : "given", static_cast<double>(give_up_ns_) / 1e9,
                counted(count, "datablock"), graph_of(lane.name));
}

Done Flow::watch(std::uint64_t finished_before) {
    const std::uint64_t now = now_ns();
    if (finished() != finished_before || !waits_for_graph()) {
        moved_ns_ = now;
    } else if (say_standstill_ && now - moved_ns_ > patience_ns) {
        std::exchange(say_standstill_, nullptr)(session_);
    }
    return now - std::min(now, moved_ns_) > give_up_ns_ ? Done(fail_standstill()) : Done();
}

bool Flow::waited_enough() const {
    return cut_ && std::chrono::steady_clock::now() - cut_at_ > patience_with_sinks;
}

Done Flow::advance_all() {
    moved_ns_ = now_ns();
    while (!ended() && !waited_enough()) {
        if (interrupted()) {
            return interrupted_midway();
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
            if (auto done = watch(finished_before); !done) {
                return done;
            }
        }
    }
    return {};
}

Done Flow::transfer_all() {
    Done advanced = advance_all();
    if (cut_ && !interrupted()) {
        return tl::unexpected<Failure>(*cut_);
    }
    if (!advanced) {
        return advanced;
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

// What was pushed, for a graph that ends with this command, is either taken or named.
Done Flow::check_all_taken(const std::string& socket) {
    const std::vector<Pushed> pushed = all_pushed();
    if (pushed.empty()) {
        return {};
    }
    GraphPicture graph;
    const auto cause = await_taken(socket, pushed, graph);
    return cause ? check_taken(graph, pushed, *cause) : tl::unexpected<Failure>(cause.error());
}

// Waits until the graph has taken what it is the last to have, or cannot; gives the reason why it cannot.
Outcome<std::string> Flow::await_taken(const std::string& socket, const std::vector<Pushed>& pushed,
                                       GraphPicture& graph) {
    const std::string name = graph_of(pushed.front().channel);
    Stillness stillness(session_, name);
    for (; !interrupted(); static_cast<void>(wait_readable(-1, look_at_graph_ms))) {
        auto there = picture_of_running(socket, name);
        if (!there && there.error().exit == exit_no_daemon) {  // sessions go on without one
            say("yoke: yoked is gone, so that nobody can say whether {} has taken all", name);
            return std::string();
        }
        if (!there && there.error().exit == exit_no_object && ends_graph_) {
            return fail(exit_failed, "graph {} is gone, and with it what it had not taken yet", name);
        }
        if (!there) {
            // Somebody may have ended it behind the last push.
            return there.error().exit == exit_no_object ? Outcome<std::string>(std::string())
                                                        : tl::unexpected<Failure>(there.error());
        }
        graph = std::move(*there);
        if (graph.stale && !interrupted()) {  // its counts may be those of before the push
            return fail(exit_failed,
                        "the worker does not answer, so that nobody can say whether {} has taken all; see yoke status",
                        name);
        }
        if (graph.graph.value("state", "") == "failed") {
            const auto error = graph.graph.value("error", nlohmann::json());
            return fail(exit_failed, "graph {} has failed{}", name,
                        error.is_string() ? ": " + error.get<std::string>() : "");
        }
        if (!ends_graph_ || !waits_to_be_taken(graph, pushed)) {
            return std::string();
        }
        if (std::string cause = stillness.look(graph); !cause.empty()) {
            return cause;
        }
    }
    return tl::unexpected<Failure>(interrupted_midway().value());
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

// What has become of each input.
std::vector<Pushed> Flow::all_pushed() const {
    std::vector<Pushed> all;
    for (const auto& state : states_) {
        const Lane& lane = state->lane;
        if (!lane.input) {
            continue;
        }
        Pushed pushed;
        pushed.channel = lane.name;
        pushed.input = lane.input->name();
        pushed.datablocks = state->taken;
        if (state->refused) {
            for (const Transfer& transfer : state->transfers) {
                pushed.refused += transfer.filled != 0 ? 1 : 0;
                pushed.refused_bytes += transfer.filled;
            }
            const auto behind = state->input_ended ? std::optional<std::uint64_t>(0) : lane.input->bytes_left();
            pushed.more = !behind || (*behind != 0 && lane.shape.variable);
            if (behind && !pushed.more) {
                pushed.refused_bytes += *behind;
                pushed.refused += (*behind + lane.shape.bytes - 1) / lane.shape.bytes;
            }
        }
        all.push_back(std::move(pushed));
    }
    return all;
}

// An input that cannot be read any further. Of a graph that ends with this command its stream ends there, so that what
// came before goes through.
Done Flow::cut_off(State& state, const Failure& failure) {
    if (!ends_graph_) {
        return tl::unexpected<Failure>(failure);
    }
    if (cut_) {
        say("yoke: {}", failure.message);
    } else {
        cut_ = failure;
        cut_at_ = std::chrono::steady_clock::now();
    }
    state.input_ended = true;
    state.next().filled = 0;
    return submit(state, state.next(), true);
}

Done Flow::advance_push(State& state) {
    while (state.finished < state.submitted && state.oldest().ended) {
        const yoke_result& result = state.oldest().result;
        if (result.status == -YOKE_EPIPE) {
            state.done = true;
            state.refused = true;
            return {};
        }
        if (result.status != 0) {
            return fail_transfer(session_, state.lane, result, state.taken);
        }
        state.taken += state.oldest().filled != 0 ? 1 : 0;
        pushed_ += state.oldest().filled != 0 ? 1 : 0;
        state.oldest().filled = 0;
        ++state.finished;
    }
    state.quiet = false;
    while (!state.input_ended && state.submitted - state.finished < depth) {
        Transfer& transfer = state.next();
        const auto step = state.reader->fill(transfer.room, transfer.filled);
        if (!step) {
            if (auto done = cut_off(state, step.error()); !done) {
                return done;
            }
            break;
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
