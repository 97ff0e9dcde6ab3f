// See surplus.hpp. The counts are the worker's; which ptask has ended, and with which stream, follows from the channels
// around it.
#include "cli/surplus.hpp"

#include <algorithm>
#include <set>

#include "cli/number.hpp"
#include "cli/record.hpp"

namespace yoke::cli {
namespace {

using nlohmann::json;

std::uint64_t number_in(const json& object, const char* member) {
    return object.value(member, std::uint64_t{0});
}

std::string ptask_of(const std::string& port) {
    return port.substr(0, port.find(':'));
}

bool has_ended(const GraphPicture& graph, const std::string& ptask) {
    return std::ranges::any_of(graph.ptasks, [&](const json& record) {
        return text_in(record, "name") == ptask && record.value("ended", false);
    });
}

// Why a ptask has ended: with the stream of one of its inputs, or with those that take its outputs.
std::string end_of(const GraphPicture& graph, const std::string& ptask, std::set<std::string>& seen) {
    for (const json& channel : graph.channels) {
        if (ptask_of(text_in(channel, "destination")) == ptask && !channel.value("back", false) &&
            channel.value("ended", false) && number_in(channel, "untaken") == 0) {
            return fmt::format("ptask {} ended with the stream of channel {}, which had {}", ptask,
                               text_in(channel, "name"), counted(number_in(channel, "pushed"), "datablock"));
        }
    }
    for (const json& channel : graph.channels) {
        const std::string next = ptask_of(text_in(channel, "destination"));
        if (ptask_of(text_in(channel, "source")) == ptask && !next.empty() && has_ended(graph, next) &&
            seen.insert(next).second) {
            return end_of(graph, next, seen);
        }
    }
    return fmt::format("ptask {} has ended", ptask);
}

// The channels that datablocks of @pushed come to, themselves included; back edges lead nowhere new.
std::set<std::string> reached_from(const GraphPicture& graph, const std::string& pushed) {
    std::set<std::string> names{pushed};
    for (bool grown = true; grown;) {
        grown = false;
        std::set<std::string> ptasks;
        for (const json& channel : graph.channels) {
            if (names.contains(text_in(channel, "name"))) {
                ptasks.insert(ptask_of(text_in(channel, "destination")));
            }
        }
        ptasks.erase("");
        for (const json& channel : graph.channels) {
            if (ptasks.contains(ptask_of(text_in(channel, "source"))) && !channel.value("back", false)) {
                grown = names.insert(text_in(channel, "name")).second || grown;
            }
        }
    }
    return names;
}

// Whether somebody of the graph is to take what is in the channel, rather than whoever pulls.
bool leads_on(const json& channel) {
    return !text_in(channel, "destination").empty() || !text_in(channel, "endpoint").empty();
}

class Surplus {
   public:
    Surplus(const GraphPicture& graph, const std::vector<Pushed>& pushed, const std::string& cause)
        : graph_(graph), cause_(cause) {
        for (const Pushed& one : pushed) {
            look_at(one);
        }
        for (const Pushed& one : pushed) {
            look_behind(one);
        }
    }
    [[nodiscard]] const std::vector<std::string>& sentences() const { return sentences_; }

   private:
    // Datablocks in the channel that nobody took, of at most @most.
    [[nodiscard]] std::uint64_t left_in(const json& channel, std::uint64_t most) const {
        const std::uint64_t waiting = cause_.empty() || !leads_on(channel) ? 0 : number_in(channel, "datablocks");
        return std::min(number_in(channel, "untaken") + waiting, most);
    }

    [[nodiscard]] std::string why(const json& channel, bool refused) const {
        const std::string name = text_in(channel, "name");
        if (refused && channel.value("ended", false)) {
            return fmt::format("the stream of channel {} has ended; start the graph again for another stream", name);
        }
        const std::string ptask = ptask_of(text_in(channel, "destination"));
        if (has_ended(graph_, ptask)) {
            std::set<std::string> seen{ptask};
            return end_of(graph_, ptask, seen);
        }
        return cause_.empty() ? "nobody takes any more" : cause_;
    }

    void look_at(const Pushed& one) {
        for (const json& channel : graph_.channels) {
            if (text_in(channel, "name") != one.channel) {
                continue;
            }
            told_.insert(one.channel);
            if (number_in(channel, "pushed") < one.datablocks) {
                sentences_.push_back(
                    fmt::format("the graph of {} began anew behind the push, without some of its {}; run "
                                "the command again",
                                one.channel, counted(one.datablocks, "datablock")));
                return;
            }
            const std::uint64_t dropped = left_in(channel, one.datablocks);
            const std::uint64_t left = dropped + one.refused;
            if (left == 0) {
                return;
            }
            // Of datablocks that may be shorter than others, nobody has counted the bytes.
            const bool sized = dropped == 0 || !channel.value("variable", false);
            tell(one, left, dropped, sized ? dropped * number_in(channel, "datablock_bytes") : UINT64_MAX,
                 why(channel, one.refused != 0));
        }
        if (one.refused != 0 && !told_.contains(one.channel)) {
            tell(one, one.refused, 0, 0, "its graph is gone");
        }
    }

    // @dropped_bytes: of the datablocks that the channel has dropped; UINT64_MAX: unknown.
    void tell(const Pushed& one, std::uint64_t left, std::uint64_t dropped, std::uint64_t dropped_bytes,
              const std::string& reason) {
        const std::string bytes = dropped_bytes == UINT64_MAX
                                      ? std::string()
                                      : fmt::format(" ({})", counted(one.refused_bytes + dropped_bytes, "byte"));
        sentences_.push_back(fmt::format("channel {} left {}{}{} of {} untaken, behind the first {}: {}", one.channel,
                                         one.more ? "at least " : "", counted(left, "datablock"), bytes, one.input,
                                         one.datablocks - dropped, reason));
    }

    void look_behind(const Pushed& one) {
        const std::set<std::string> reached = reached_from(graph_, one.channel);
        for (const json& channel : graph_.channels) {
            const std::string name = text_in(channel, "name");
            const std::uint64_t left = left_in(channel, UINT64_MAX);
            if (left != 0 && reached.contains(name) && told_.insert(name).second) {
                sentences_.push_back(fmt::format("channel {} left {} untaken, made of what channel {} took: {}", name,
                                                 counted(left, "datablock"), one.channel, why(channel, false)));
            }
        }
    }

    const GraphPicture& graph_;
    const std::string& cause_;
    std::set<std::string> told_;
    std::vector<std::string> sentences_;
};

}  // namespace

bool waits_to_be_taken(const GraphPicture& graph, const std::vector<Pushed>& pushed) {
    const bool fed = std::ranges::any_of(graph.channels, [](const json& channel) {
        return !text_in(channel, "endpoint").empty() && text_in(channel, "source").empty();
    });
    return std::ranges::any_of(pushed, [&](const Pushed& one) {
        // Where an endpoint gives as well, there may always be something on its way.
        const std::set<std::string> reached =
            fed ? std::set<std::string>{one.channel} : reached_from(graph, one.channel);
        return std::ranges::any_of(graph.channels, [&](const json& channel) {
            return number_in(channel, "datablocks") != 0 && leads_on(channel) &&
                   reached.contains(text_in(channel, "name"));
        });
    });
}

Done check_taken(const GraphPicture& graph, const std::vector<Pushed>& pushed, const std::string& cause) {
    const Surplus surplus(graph, pushed, cause);
    const auto& sentences = surplus.sentences();
    if (sentences.empty()) {
        return {};
    }
    for (std::size_t i = 0; i + 1 < sentences.size(); ++i) {
        say("yoke: {}", sentences[i]);
    }
    return fail(exit_failed, "{}", sentences.back());
}

}  // namespace yoke::cli
