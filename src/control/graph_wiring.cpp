// Checks that every port has its channel, that templates agree and that no ptasks wait for each other in a circle; see
// graph_wiring.hpp. Circles are what is left when ptasks that wait for nobody are taken away; maps by name make all of
// it n log n, which is enough for a graph that is checked once.
#include "control/graph_wiring.hpp"

#include <map>
#include <set>

#include "base/text.hpp"
#include "control/name.hpp"

namespace yoke::control {

namespace {

using Kind = Miswiring::Kind;

class Wiring {
   public:
    explicit Wiring(const GraphDefinition& graph) : graph_(graph) {
        for (std::size_t i = 0; i < graph.ports.size(); ++i) {
            ports_.emplace(graph.ports[i].name, i);
        }
    }

    std::optional<Miswiring> check() {
        for (std::size_t i = 0; i < graph_.channels.size(); ++i) {
            if (auto wrong = check_channel(i)) {
                return wrong;
            }
        }
        for (std::size_t i = 0; i < graph_.ports.size(); ++i) {
            if (!channel_of_.contains(graph_.ports[i].name)) {
                return Miswiring{
                    Kind::port, i,
                    fmt::format("port {} has no channel; add a channel that {}", in_quotes(graph_.ports[i].name),
                                graph_.ports[i].out ? "begins there" : "ends there")};
            }
        }
        return check_circles();
    }

   private:
    std::optional<Miswiring> check_channel(std::size_t index) {
        const ChannelDefinition& channel = graph_.channels[index];
        if (!channel.source && !channel.destination) {
            return Miswiring{Kind::channel, index,
                             fmt::format("channel {} has neither source nor destination; name a port for one of them",
                                         in_quotes(channel.name))};
        }
        if (auto wrong = check_end(index, channel.source, true)) {
            return wrong;
        }
        if (auto wrong = check_end(index, channel.destination, false)) {
            return wrong;
        }
        if (!channel.source || !channel.destination) {
            return std::nullopt;
        }
        const PortDefinition& from = graph_.ports[ports_.at(*channel.source)];
        const PortDefinition& to = graph_.ports[ports_.at(*channel.destination)];
        if (!same_form(from.form, to.form)) {
            return Miswiring{Kind::channel, index,
                             fmt::format("channel {} joins ports with different templates: {} is {}, {} is {}",
                                         in_quotes(channel.name), from.name, template_text(from.form), to.name,
                                         template_text(to.form))};
        }
        return std::nullopt;
    }

    std::optional<Miswiring> check_end(std::size_t index, const std::optional<std::string>& end, bool source) {
        if (!end) {
            return std::nullopt;
        }
        const auto wrong = [&](std::string message) { return Miswiring{Kind::channel, index, std::move(message)}; };
        const char* const side = source ? "source" : "destination";
        const std::string& channel = graph_.channels[index].name;
        const auto port = ports_.find(*end);
        if (port == ports_.end()) {
            return wrong(
                fmt::format("{} {} of channel {} is no port of this graph", side, in_quotes(*end), in_quotes(channel)));
        }
        if (graph_.ports[port->second].out != source) {
            return wrong(fmt::format("{} {} of channel {} is an {} port; name an {} port", side, in_quotes(*end),
                                     in_quotes(channel), source ? "in" : "out", source ? "out" : "in"));
        }
        const auto [other, fresh] = channel_of_.emplace(*end, index);
        if (!fresh) {
            return wrong(fmt::format("port {} has channel {} already; give channel {} another port", in_quotes(*end),
                                     in_quotes(graph_.channels[other->second].name), in_quotes(channel)));
        }
        return std::nullopt;
    }

    // Takes away, again and again, the ptasks that wait for nobody (Kahn, "Topological sorting of large networks",
    // 1962). A channel between two that stay is part of a circle or leads out of one.
    std::optional<Miswiring> check_circles() {
        std::map<std::string, std::size_t> waits_for;   // ptask: its inner channels not yet fed
        std::multimap<std::string, std::string> feeds;  // ptask: ptasks behind its outputs
        for (const ChannelDefinition& channel : graph_.channels) {
            if (channel.source && channel.destination) {
                feeds.emplace(ptask_of(*channel.source), ptask_of(*channel.destination));
                ++waits_for[ptask_of(*channel.destination)];
            }
        }
        std::vector<std::string> free;
        for (const PtaskDefinition& ptask : graph_.ptasks) {
            if (!waits_for.contains(ptask.name)) {
                free.push_back(ptask.name);
            }
        }
        while (!free.empty()) {
            const std::string ptask = free.back();
            free.pop_back();
            const auto [begin, end] = feeds.equal_range(ptask);
            for (auto fed = begin; fed != end; ++fed) {
                if (--waits_for[fed->second] == 0) {
                    waits_for.erase(fed->second);
                    free.push_back(fed->second);
                }
            }
        }
        for (std::size_t i = 0; i < graph_.channels.size(); ++i) {
            const ChannelDefinition& channel = graph_.channels[i];
            if (channel.source && channel.destination && waits_for.contains(ptask_of(*channel.source)) &&
                waits_for.contains(ptask_of(*channel.destination))) {
                return Miswiring{Kind::channel, i,
                                 fmt::format("channel {} closes a circle of ptasks that wait for each other; break it",
                                             in_quotes(channel.name))};
            }
        }
        return std::nullopt;
    }

    const GraphDefinition& graph_;
    std::map<std::string, std::size_t> ports_;
    std::map<std::string, std::size_t> channel_of_;
};

}  // namespace

std::optional<Miswiring> find_miswiring(const GraphDefinition& graph) {
    return Wiring(graph).check();
}

}  // namespace yoke::control
