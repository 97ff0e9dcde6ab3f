// Checks that every port has its channels, that templates agree and that ptasks wait for each other in a circle only
// over a channel marked back; see graph_wiring.hpp. Circles are found by circle.hpp; maps by name make all of it n log
// n, which is enough for a graph that is checked once.
#include "control/graph_wiring.hpp"

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "control/circle.hpp"
#include "control/definition.hpp"
#include "control/name.hpp"

namespace yoke::control {

namespace {

using Kind = Miswiring::Kind;

constexpr std::size_t no_circle = SIZE_MAX;

// Numbers for ptasks, from 0.
class Nodes {
   public:
    std::size_t at(const std::string& name) { return numbers_.emplace(name, numbers_.size()).first->second; }
    [[nodiscard]] std::size_t count() const { return numbers_.size(); }

   private:
    std::map<std::string, std::size_t> numbers_;
};

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
            if (auto wrong = check_port_channels(i)) {
                return wrong;
            }
            if (auto wrong = check_other_port(i)) {
                return wrong;
            }
        }
        for (std::size_t i = 0; i < graph_.ptasks.size(); ++i) {
            if (auto wrong = check_persist(i)) {
                return wrong;
            }
        }
        if (auto wrong = check_circles()) {
            return wrong;
        }
        for (std::size_t i = 0; i < graph_.ptasks.size(); ++i) {
            if (auto wrong = check_ways(i)) {
                return wrong;
            }
        }
        return std::nullopt;
    }

   private:
    // The channels of one port, as indices.
    struct Channels {
        std::optional<std::size_t> forward;  // that end there
        std::optional<std::size_t> back;
        bool leaving = false;
    };

    static Miswiring wrong_channel(std::size_t index, std::string message) {
        return {Kind::channel, index, std::move(message)};
    }
    static Miswiring wrong_port(std::size_t index, std::string message) {
        return {Kind::port, index, std::move(message)};
    }

    std::optional<Miswiring> check_channel(std::size_t index) {
        const ChannelDefinition& channel = graph_.channels[index];
        if (!channel.source && !channel.destination) {
            return wrong_channel(
                index, fmt::format("channel {} has neither source nor destination; name a port for one of them",
                                   in_quotes(channel.name)));
        }
        if (auto wrong = check_end(index, channel.source, true)) {
            return wrong;
        }
        if (auto wrong = check_end(index, channel.destination, false)) {
            return wrong;
        }
        if (auto checked = control::check_channel(channel); !checked) {
            return wrong_channel(index, checked.error().message);
        }
        if (graph_.persist && channel.endpoint && !channel.endpoint->path.starts_with('/')) {
            return wrong_channel(index,
                                 fmt::format("channel {} has the endpoint {}, but the graph persists; give a path "
                                             "that begins with /",
                                             in_quotes(channel.name), in_quotes(channel.endpoint->path)));
        }
        return channel.source && channel.destination ? check_templates(index) : std::nullopt;
    }

    std::optional<Miswiring> check_templates(std::size_t index) {
        const ChannelDefinition& channel = graph_.channels[index];
        const PortDefinition& from = graph_.ports[ports_.at(*channel.source)];
        const PortDefinition& to = graph_.ports[ports_.at(*channel.destination)];
        if (!same_form(from.form, to.form)) {
            return wrong_channel(index,
                                 fmt::format("channel {} joins ports with different templates: {} is {}, {} is {}",
                                             in_quotes(channel.name), from.name, template_text(from.form), to.name,
                                             template_text(to.form)));
        }
        if (from.variable && !to.variable) {
            return wrong_channel(index,
                                 fmt::format("channel {} joins ports with different templates: {} is variable, {} "
                                             "is not; make it variable too",
                                             in_quotes(channel.name), from.name, to.name));
        }
        return std::nullopt;
    }

    std::optional<Miswiring> check_end(std::size_t index, const std::optional<std::string>& end, bool source) {
        if (!end) {
            return std::nullopt;
        }
        const char* const side = source ? "source" : "destination";
        const ChannelDefinition& channel = graph_.channels[index];
        const auto found = ports_.find(*end);
        if (found == ports_.end()) {
            return wrong_channel(index, fmt::format("{} {} of channel {} is no port of this graph", side,
                                                    in_quotes(*end), in_quotes(channel.name)));
        }
        const PortDefinition& port = graph_.ports[found->second];
        if (source ? !port.gives() : !port.takes()) {
            return wrong_channel(
                index, fmt::format("{} {} of channel {} is an {} port; name an {} port", side, in_quotes(*end),
                                   in_quotes(channel.name), source ? "in" : "out", source ? "out" : "in"));
        }
        Channels& channels = channels_[*end];
        if (source) {
            channels.leaving = true;
            return std::nullopt;
        }
        std::optional<std::size_t>& place = channel.back ? channels.back : channels.forward;
        if (place) {
            return wrong_channel(
                index, fmt::format("port {} has channel {} already; give channel {} another port", in_quotes(*end),
                                   in_quotes(graph_.channels[*place].name), in_quotes(channel.name)));
        }
        place = index;
        return std::nullopt;
    }

    std::optional<Miswiring> check_port_channels(std::size_t index) {
        const PortDefinition& port = graph_.ports[index];
        if (auto checked = check_port(port); !checked) {
            return wrong_port(index, checked.error().message);
        }
        const Channels& channels = channels_[port.name];
        if (port.takes() && !channels.forward && !port.init) {
            return wrong_port(
                index,
                channels.back
                    ? fmt::format("port {} has only the channel {}, which is marked back; add a "
                                  "channel that ends there or set init",
                                  in_quotes(port.name), in_quotes(graph_.channels[*channels.back].name))
                    : fmt::format("port {} has no channel; add a channel that ends there", in_quotes(port.name)));
        }
        if (port.init && channels.forward) {
            return wrong_port(index,
                              fmt::format("port {} has init, so it makes its datablocks itself, and the channel {} "
                                          "brings some; mark that back or leave init out",
                                          in_quotes(port.name), in_quotes(graph_.channels[*channels.forward].name)));
        }
        if (port.gives() && !channels.leaving) {
            return wrong_port(
                index, fmt::format("port {} has no channel; add a channel that begins there", in_quotes(port.name)));
        }
        return std::nullopt;
    }

    // The port whose size a port tells, or that it describes.
    std::optional<Miswiring> check_other_port(std::size_t index) {
        const PortDefinition& port = graph_.ports[index];
        if (port.of.empty()) {
            return std::nullopt;
        }
        const auto found = ports_.find(port.of);
        const bool gives = port.meta == Meta::size;
        if (found != ports_.end() &&
            graph_.ports[found->second].direction == (gives ? Direction::out : Direction::in) &&
            (!gives || graph_.ports[found->second].variable)) {
            return std::nullopt;
        }
        return wrong_port(index, fmt::format("port {} is about {}, which is no {} port of this ptask; name one",
                                             in_quotes(port.name), in_quotes(port.of), gives ? "variable out" : "in"));
    }

    std::optional<Miswiring> check_persist(std::size_t index) {
        const PtaskDefinition& ptask = graph_.ptasks[index];
        if (graph_.persist && ptask.kernel.form == "client") {
            return Miswiring{Kind::ptask, index,
                             fmt::format("ptask {} is a function of its client's process, which a graph that persists "
                                         "cannot have; leave persist out or give it a kernel",
                                         in_quotes(ptask.name))};
        }
        const auto keyed = [](const KernelDefinition& kernel) { return kernel.key != 0; };
        if (graph_.persist && (keyed(ptask.kernel) || std::ranges::any_of(ptask.others, keyed))) {
            return Miswiring{Kind::ptask, index,
                             fmt::format("ptask {} has a key, which ends with its session, so that its graph cannot "
                                         "persist; leave persist out",
                                         in_quotes(ptask.name))};
        }
        return std::nullopt;
    }

    // Something must come in and something go out; a function of the client may be an end.
    [[nodiscard]] std::optional<Miswiring> check_ways(std::size_t index) const {
        const PtaskDefinition& ptask = graph_.ptasks[index];
        bool takes = false;
        bool gives = false;
        for (const ArgumentDefinition& argument : ptask.arguments) {
            if (!argument.port || argument.tells != ArgumentDefinition::Tells::datablock) {
                continue;
            }
            // Requests may leave the ptask's name out.
            const auto found =
                ports_.find(argument.port->starts_with('/') ? *argument.port : ptask.name + ":" + *argument.port);
            takes = takes || (found != ports_.end() && graph_.ports[found->second].takes());
            gives = gives || (found != ports_.end() && graph_.ports[found->second].gives());
        }
        const bool client = ptask.kernel.form == "client";
        if (client ? takes || gives : takes && gives) {
            return std::nullopt;
        }
        return Miswiring{Kind::ptask, index,
                         fmt::format("ptask {} has no {} port among its arguments; it needs at least one",
                                     in_quotes(ptask.name), takes ? "out" : "in")};
    }

    // Ptasks that reach each other, over all channels or only those that are not marked back, are in one circle.
    [[nodiscard]] std::vector<std::size_t> circles(bool with_back) const {
        Nodes nodes;
        std::vector<Arrow> arrows;
        for (const ChannelDefinition& channel : graph_.channels) {
            if (channel.source && channel.destination && (with_back || !channel.back)) {
                arrows.push_back({nodes.at(ptask_of(*channel.source)), nodes.at(ptask_of(*channel.destination))});
            }
        }
        const std::vector<std::size_t> circle = find_circles(nodes.count(), arrows);
        std::vector<std::size_t> of_channel(graph_.channels.size(), no_circle);
        std::size_t arrow = 0;
        for (std::size_t i = 0; i < graph_.channels.size(); ++i) {
            const ChannelDefinition& channel = graph_.channels[i];
            if (channel.source && channel.destination && (with_back || !channel.back)) {
                const auto [from, to] = arrows[arrow++];
                of_channel[i] = circle[from] == circle[to] ? circle[from] : no_circle;
            }
        }
        return of_channel;
    }

    [[nodiscard]] std::optional<Miswiring> check_circles() const {
        const std::vector<std::size_t> undeclared = circles(false);
        const std::vector<std::size_t> all = circles(true);
        for (std::size_t i = 0; i < graph_.channels.size(); ++i) {
            const ChannelDefinition& channel = graph_.channels[i];
            if (undeclared[i] != no_circle) {
                return wrong_channel(i,
                                     fmt::format("channel {} closes a circle of ptasks that wait for each other; mark "
                                                 "one of its channels back, or break it",
                                                 in_quotes(channel.name)));
            }
            if (channel.back && all[i] == no_circle) {
                return wrong_channel(i, fmt::format("channel {} is marked back but closes no circle; leave back out",
                                                    in_quotes(channel.name)));
            }
        }
        return std::nullopt;
    }

    const GraphDefinition& graph_;
    std::map<std::string, std::size_t> ports_;
    std::map<std::string, Channels> channels_;
};

}  // namespace

std::optional<Miswiring> find_miswiring(const GraphDefinition& graph) {
    return Wiring(graph).check();
}

}  // namespace yoke::control
