// Whom the ptasks of a graph wait for, and what their standstill follows from; see standstill.hpp. Ptasks that reach
// each other by waiting are one component (control/circle.hpp), of which one circle is told, once: the shortest through
// a channel that is empty because its predicate has dropped something, since no capacity helps against that, else the
// shortest of all. Order is that of the flow: a ptask stands behind all those whose datablocks it takes, back edges not
// counted.
#include "graph/standstill.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "control/circle.hpp"
#include "control/definition.hpp"
#include "graph/channel.hpp"
#include "graph/ptask.hpp"

namespace yoke::graph {

namespace {

using control::Json;

// For whom a ptask waits, over which channel.
struct Wait {
    const Ptask* ptask = nullptr;      // who waits
    const Channel* channel = nullptr;  // that has nothing, or is full
    bool room = false;                 // waits for room
    [[nodiscard]] const Ptask* other() const {
        const Port* const port = room ? channel->destination : channel->source;
        return port != nullptr ? port->ptask : nullptr;
    }
};

bool in_last_run(const Ptask& ptask) {
    return ptask.loop && ptask.loop->active && ptask.loop->left == 0;
}

// Empty channels of inputs that need a datablock. Sticky ones that have something need none, unless nothing is new.
std::vector<Wait> waits_for_datablocks(const Ptask& ptask) {
    std::vector<Wait> waits;
    std::vector<Wait> sticky;
    bool fresh = false;
    const bool looping = ptask.loop && !ptask.loop->repeats_itself() && ptask.loop->active;
    for (const Ptask::Binding& input : ptask.inputs) {
        const Port& port = *input.port;
        const Channel* const channel = looping ? port.back : port.in != nullptr ? port.in : port.back;
        const bool known = port.meta && port.meta->state() != MetaReading::State::empty;
        if (channel == nullptr || known || port.makes_own() || !channel->datablocks.empty()) {
            fresh = fresh || (channel != nullptr && !(port.has_current && port.definition.hold));
        } else if (!port.has_current || !(port.definition.sticky || port.definition.hold)) {
            waits.push_back({&ptask, channel, false});
        } else if (port.definition.sticky) {
            sticky.push_back({&ptask, channel, false});
        }
    }
    return waits.empty() && !fresh ? sticky : waits;
}

std::vector<Wait> waits_of(const Ptask& ptask) {
    std::vector<Wait> waits = in_last_run(ptask) ? std::vector<Wait>() : waits_for_datablocks(ptask);
    for (const auto* const bindings : {&ptask.inputs, &ptask.outputs, &ptask.descriptors}) {
        for (const Ptask::Binding& binding : *bindings) {
            for (const Channel* const channel : binding.port->out) {
                const Wait wait{&ptask, channel, true};
                // The next run takes from a channel to itself before it gives.
                if (channel->full() && !channel->closed && wait.other() != &ptask) {
                    waits.push_back(wait);
                }
            }
        }
    }
    return waits;
}

// What a channel lets pass, "" if that is everything.
std::string predicates_of(const Channel& channel) {
    using Kind = control::Predicate::Kind;
    std::string text;
    for (const control::Predicate& predicate : {channel.definition.source_when, channel.definition.destination_when}) {
        if (predicate.kind != Kind::always) {
            text += fmt::format("{}\"{}\"", text.empty() ? "" : " and ", control::predicate_text(predicate));
        }
    }
    return text;
}

// Whether something that the ptask waits for was there, and a predicate has dropped it.
bool dropped(const Wait& wait) {
    return !wait.room && wait.channel->counters.discarded > 0 && !predicates_of(*wait.channel).empty();
}

std::string text_of(const Wait& wait) {
    const std::string& channel = wait.channel->definition.name;
    if (wait.room) {
        const std::uint32_t capacity = wait.channel->definition.capacity;
        return fmt::format("channel {} is full ({})", channel, counted(capacity, "datablock"));
    }
    const std::uint64_t gone = wait.channel->counters.discarded;
    return fmt::format("port {} has no datablock in channel {}{}", wait.channel->destination->definition.name, channel,
                       dropped(wait) ? fmt::format(", whose predicate {} has dropped {}", predicates_of(*wait.channel),
                                                   counted(gone, "datablock"))
                                     : "");
}

// What stands at the outer end of the channel, and what that waits for.
std::string endpoint_text(const Channel& channel, bool room) {
    using Kind = control::EndpointDefinition::Kind;
    const control::EndpointDefinition& endpoint = *channel.definition.endpoint;
    const auto what = [&]() -> std::string {
        switch (endpoint.kind) {
            case Kind::file:
                return room ? "is being written and takes no more at the moment; see the free space"
                            : "is being read and has given no datablock yet";
            case Kind::fifo:
                return room ? "waits until somebody reads it"
                            : fmt::format("waits until somebody has written a datablock into it, {}",
                                          counted(channel.bytes, "byte"));
            case Kind::socket:
                return room ? "waits until the other side reads it"
                            : fmt::format("waits until the other side has sent a datablock, {}",
                                          counted(channel.bytes, "byte"));
            case Kind::v4l2:
                return "gives no frame; see whether the camera works and no other program has it";
            case Kind::uinput:
                break;
        }
        return "has not taken the last events yet";
    };
    return fmt::format("its endpoint, {} {}, {}", control::endpoint_text(endpoint.kind), endpoint.path, what());
}

// All ptasks of a graph that have not ended, who of them waits for whom, and what follows from what.
class Standstill {
   public:
    Standstill(const Ptasks& ptasks, const Channels& channels) {
        for (const auto& [name, ptask] : ptasks) {
            if (!ptask->ended) {
                ptasks_.push_back(ptask.get());
            }
        }
        sort_by_flow(channels);
        std::vector<control::Arrow> arrows;
        for (const Ptask* const ptask : ptasks_) {
            waits_.push_back(waits_of(*ptask));
            for (const Wait& wait : waits_.back()) {
                if (const auto to = places_.find(wait.other()); to != places_.end()) {
                    arrows.push_back({places_[ptask], to->second});
                    awaited_.insert(to->first);
                }
            }
        }
        circles_ = control::find_circles(ptasks_.size(), arrows);
    }

    Json reasons() {
        for (std::size_t i = 0; i < ptasks_.size(); ++i) {
            explain(i);
        }
        Json all = std::move(causes_);
        for (Json& reason : follows_) {
            all.push_back(std::move(reason));
        }
        return all;
    }

   private:
    // Before each ptask come those whose datablocks it takes; among equals the name decides.
    void sort_by_flow(const Channels& channels) {
        std::map<const Ptask*, std::vector<const Ptask*>> next;
        std::map<const Ptask*, std::size_t> before;
        for (const auto& [name, channel] : channels) {
            if (!channel->definition.back && channel->source != nullptr && channel->destination != nullptr) {
                next[channel->source->ptask].push_back(channel->destination->ptask);
                ++before[channel->destination->ptask];
            }
        }
        std::map<const Ptask*, std::size_t> level;
        std::vector<const Ptask*> open;
        for (const auto& [ptask, followers] : next) {
            if (!before.contains(ptask)) {
                open.push_back(ptask);
            }
        }
        while (!open.empty()) {
            const Ptask* const ptask = open.back();
            open.pop_back();
            for (const Ptask* const follower : next[ptask]) {
                level[follower] = std::max(level[follower], level[ptask] + 1);
                if (--before[follower] == 0) {
                    open.push_back(follower);
                }
            }
        }
        std::ranges::stable_sort(ptasks_, {}, [&](const Ptask* ptask) { return level[ptask]; });
        for (std::size_t i = 0; i < ptasks_.size(); ++i) {
            places_[ptasks_[i]] = i;
        }
    }

    // @channel: where it is seen; null: at none.
    static Json reason(const Ptask& ptask, const char* what, std::string sentence, bool follows,
                       const Channel* channel = nullptr) {
        return {{"object", ptask.definition.name},
                {"reason", what},
                {"sentence", std::move(sentence)},
                {"channel", channel != nullptr ? Json(channel->definition.name) : Json()},
                {"follows", follows}};
    }

    void explain(std::size_t place) {
        const Ptask& ptask = *ptasks_[place];
        const std::string& name = ptask.definition.name;
        for (const Wait& wait : waits_[place]) {
            explain(place, wait);
        }
        if (ptask.client() && waits_[place].empty() && awaited_.contains(&ptask)) {
            causes_.push_back(reason(
                ptask, "function does not run",
                fmt::format("ptask {} is a function of a program, has its datablocks, and has not given its result; "
                            "the program must call yoke_dispatch, or is still at work",
                            name),
                false));
        }
        for (const Ptask::Binding& input : ptask.inputs) {
            if (input.port->meta && input.port->meta->state() == MetaReading::State::reading) {
                causes_.push_back(
                    reason(ptask, "number on its way",
                           fmt::format("ptask {} waits for the number in port {}, which the device is yet to compute",
                                       name, input.port->definition.name),
                           false));
            }
        }
        if (in_last_run(ptask)) {
            follows_.push_back(reason(
                ptask, "iteration not over",
                fmt::format("ptask {} has begun its last iteration, which has not come out of its loop", name), true));
        }
    }

    void explain(std::size_t place, const Wait& wait) {
        const Ptask& ptask = *wait.ptask;
        if (const Ptask* const other = wait.other()) {
            const auto found = places_.find(other);
            if (found != places_.end() && circles_[found->second] == circles_[place] &&
                told_.insert(circles_[place]).second) {
                tell_circle(place);
            }
            follows_.push_back(reason(ptask, wait.room ? "no room" : "no datablock",
                                      fmt::format("ptask {} waits for ptask {}: {}", ptask.definition.name,
                                                  other->definition.name, text_of(wait)),
                                      true, wait.channel));
            return;
        }
        const bool served = wait.channel->definition.endpoint.has_value();
        const std::string remedy = served ? endpoint_text(*wait.channel, wait.room)
                                          : fmt::format("{} it (yoke {} {})", wait.room ? "pull from" : "push into",
                                                        wait.room ? "pull" : "push", wait.channel->definition.name);
        const char* const what = served ? (wait.room ? "endpoint takes nothing" : "endpoint gives nothing")
                                        : (wait.room ? "nobody pulls" : "nobody pushes");
        causes_.push_back(reason(ptask, what,
                                 fmt::format("ptask {} waits: {}; {}", ptask.definition.name, text_of(wait), remedy),
                                 false, wait.channel));
    }

    // The shortest circle that leads from the ptask back to it, over `first` if that is given.
    [[nodiscard]] std::vector<Wait> circle_from(std::size_t start, const Wait* first = nullptr) const {
        std::vector<std::vector<Wait>> paths{{}};
        std::vector<std::size_t> at{start};
        std::set<std::size_t> seen;
        for (std::size_t i = 0; i < paths.size(); ++i) {
            for (const Wait& wait : waits_[at[i]]) {
                const auto to = places_.find(wait.other());
                if (to == places_.end() || circles_[to->second] != circles_[start] ||
                    (i == 0 && first != nullptr && &wait != first) || !seen.insert(to->second).second) {
                    continue;
                }
                std::vector<Wait> path = paths[i];
                path.push_back(wait);
                if (to->second == start) {
                    return path;
                }
                paths.push_back(std::move(path));
                at.push_back(to->second);
            }
        }
        return {};
    }

    // The shortest of the component's circles that begin with a dropped datablock; none: nothing was dropped.
    [[nodiscard]] std::vector<Wait> circle_of_dropped(std::size_t component) const {
        std::vector<Wait> shortest;
        for (std::size_t i = 0; i < ptasks_.size(); ++i) {
            for (const Wait& wait : waits_[i]) {
                if (circles_[i] != component || !dropped(wait)) {
                    continue;
                }
                std::vector<Wait> circle = circle_from(i, &wait);
                if (!circle.empty() && (shortest.empty() || circle.size() < shortest.size())) {
                    shortest = std::move(circle);
                }
            }
        }
        return shortest;
    }

    void tell_circle(std::size_t place) {
        std::vector<Wait> circle = circle_of_dropped(circles_[place]);
        const bool lost = !circle.empty();
        if (!lost) {
            circle = circle_from(place);
        }
        const Ptask& begin = *circle.front().ptask;
        std::string names = begin.definition.name;
        for (const Wait& wait : circle) {
            names += " -> " + wait.other()->definition.name;
        }
        const auto full = std::ranges::find_if(circle, [](const Wait& wait) { return wait.room; });
        const auto back = std::ranges::find_if(circle, [](const Wait& wait) { return wait.channel->definition.back; });
        const bool room = full != circle.end();
        const Wait& shown = lost ? circle.front() : room ? *full : back != circle.end() ? *back : circle.front();
        const std::string remedy =
            lost && room ? fmt::format("meanwhile {}; give {} another predicate, or signals that pass", text_of(*full),
                                       shown.channel->definition.name)
            : lost       ? "nothing goes round any more; give that channel another predicate, or signals that pass"
            : room       ? "give that channel more capacity"
                         : "nothing goes round any more: see what the predicates of the circle drop";
        causes_.push_back(reason(
            begin,
            lost && room ? "dropped datablock"
            : room       ? "full circle"
                         : "empty circle",
            fmt::format("ptask {} waits for itself ({}): {}; {}", begin.definition.name, names, text_of(shown), remedy),
            false, shown.channel));
    }

    std::vector<const Ptask*> ptasks_;
    std::map<const Ptask*, std::size_t> places_;
    std::vector<std::vector<Wait>> waits_;  // of each
    std::set<const Ptask*> awaited_;
    std::vector<std::size_t> circles_;  // ptasks of one number wait for each other
    std::set<std::size_t> told_;
    Json causes_ = Json::array();
    Json follows_ = Json::array();
};

}  // namespace

control::Json reasons_of_sinks(const Channels& channels) {
    Json reasons = Json::array();
    for (const auto& [name, channel] : channels) {
        if (channel->has_sink() && !channel->finished) {
            reasons.push_back({{"object", name},
                               {"reason", "endpoint takes nothing"},
                               {"sentence", fmt::format("channel {} has ended, but not all that it brought is written; "
                                                        "{}",
                                                        name, endpoint_text(*channel, true))},
                               {"channel", name},
                               {"follows", false}});
        }
    }
    return reasons;
}

control::Json reasons_of(const Ptasks& ptasks, const Channels& channels) {
    return Standstill(ptasks, channels).reasons();
}

}  // namespace yoke::graph
