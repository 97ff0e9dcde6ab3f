// Graph: why it does not move.
//
// MODEL. A ptask waits for a datablock, for room, or for a number that is on its way. Whoever follows who waits for
// whom finds the end of a chain: an outer channel that nobody pushes into or pulls from; or comes back to where he was:
// a circle that is full, or empty. Both are told of the ptask where they are seen.
#include <map>
#include <set>

#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

using control::Json;

Json reason(const std::string& object, const char* what, std::string sentence) {
    return {{"object", object}, {"reason", what}, {"sentence", std::move(sentence)}};
}

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

bool keeps(const Port& port) {
    return port.has_current && (port.definition.sticky || port.definition.hold);
}

std::vector<Wait> waits_of(const Ptask& ptask) {
    std::vector<Wait> waits;
    const bool looping = ptask.loop && !ptask.loop->repeats_itself() && ptask.loop->active;
    for (const Ptask::Binding& input : ptask.inputs) {
        const Port& port = *input.port;
        const Channel* const channel = looping ? port.back : port.in != nullptr ? port.in : port.back;
        const bool own = port.makes_own();
        const bool known = port.meta && port.meta->state() != MetaReading::State::empty;
        if (channel != nullptr && channel->datablocks.empty() && !keeps(port) && !own && !known) {
            waits.push_back({&ptask, channel, false});
        }
    }
    for (const auto* const bindings : {&ptask.inputs, &ptask.outputs, &ptask.descriptors}) {
        for (const Ptask::Binding& binding : *bindings) {
            for (const Channel* const channel : binding.port->out) {
                if (channel->full() && !channel->closed) {
                    waits.push_back({&ptask, channel, true});
                }
            }
        }
    }
    return waits;
}

std::string text_of(const Wait& wait) {
    const std::string& channel = wait.channel->definition.name;
    if (wait.room) {
        return fmt::format("channel {} is full ({} datablocks)", channel, wait.channel->definition.capacity);
    }
    return fmt::format("port {} has no datablock in channel {}", wait.channel->destination->definition.name, channel);
}

// The circle that `wait` is part of, as the names of its ptasks; empty if it is part of none.
std::string circle_of(const Wait& wait, const std::map<const Ptask*, std::vector<Wait>>& all) {
    std::vector<std::pair<const Ptask*, std::string>> open{{wait.other(), wait.ptask->definition.name}};
    std::set<const Ptask*> seen;
    while (!open.empty()) {
        auto [ptask, path] = open.back();
        open.pop_back();
        if (ptask == nullptr || !seen.insert(ptask).second) {
            continue;
        }
        path += " -> " + ptask->definition.name;
        if (ptask == wait.ptask) {
            return path;
        }
        if (const auto next = all.find(ptask); next != all.end()) {
            for (const Wait& further : next->second) {
                open.emplace_back(further.other(), path);
            }
        }
    }
    return {};
}

}  // namespace

control::Json Graph::why() const {
    const std::lock_guard lock(mutex_);
    Json reasons = Json::array();
    if (state_ == State::built) {
        const auto complete = complete_definition();
        reasons.push_back(
            reason(name(), "not running",
                   complete ? fmt::format("graph {} has not been started; run it", name()) : complete.error().message));
        return reasons;
    }
    if (const std::string error = error_text(); !error.empty()) {
        reasons.push_back(reason(name(), "failed", fmt::format("graph {} has failed: {}", name(), error)));
        return reasons;
    }
    if (state_ != State::running) {
        reasons.push_back(
            reason(name(), "ended", fmt::format("graph {} has {}: its stream is over", name(), state_text())));
        return reasons;
    }
    std::map<const Ptask*, std::vector<Wait>> all;
    for (const auto& [ptask_name, ptask] : ptasks_) {
        if (!ptask->ended) {
            all.emplace(ptask.get(), waits_of(*ptask));
        }
    }
    for (const auto& [ptask, waits] : all) {
        const std::string& ptask_name = ptask->definition.name;
        for (const Wait& wait : waits) {
            if (const std::string circle = circle_of(wait, all); !circle.empty()) {
                reasons.push_back(
                    reason(ptask_name, wait.room ? "full circle" : "empty circle",
                           fmt::format("ptask {} waits for itself ({}): {}", ptask_name, circle, text_of(wait))));
            } else if (wait.other() == nullptr) {
                reasons.push_back(reason(ptask_name, wait.room ? "nobody pulls" : "nobody pushes",
                                         fmt::format("ptask {} waits: {}; {}", ptask_name, text_of(wait),
                                                     wait.room ? "pull from it" : "push into it")));
            } else {
                reasons.push_back(reason(ptask_name, wait.room ? "no room" : "no datablock",
                                         fmt::format("ptask {} waits for ptask {}: {}", ptask_name,
                                                     wait.other()->definition.name, text_of(wait))));
            }
        }
        for (const Ptask::Binding& input : ptask->inputs) {
            if (input.port->meta && input.port->meta->state() == MetaReading::State::reading) {
                reasons.push_back(
                    reason(ptask_name, "number on its way",
                           fmt::format("ptask {} waits for the number in port {}, which the device is yet "
                                       "to compute",
                                       ptask_name, input.port->definition.name)));
            }
        }
        if (ptask->loop && ptask->loop->active && ptask->loop->left == 0) {
            reasons.push_back(reason(ptask_name, "iteration not over",
                                     fmt::format("ptask {} has begun its last iteration, which has not come out of its "
                                                 "loop",
                                                 ptask_name)));
        }
    }
    return reasons;
}

}  // namespace yoke::graph
