// Predicates of channels as text: one word that says how, then the signals, "on begin|end". Text and value are each
// other's inverse, so a definition survives the way through a message, and a list shows what its author wrote.
#include <uapi/yoke.h>

#include <array>
#include <utility>

#include "base/text.hpp"
#include "control/graph_file.hpp"

namespace yoke::control {

namespace {

using Kind = Predicate::Kind;

constexpr std::array<std::pair<std::string_view, std::uint8_t>, 7> signal_names{{
    {"begin", YOKE_SIGNAL_BEGIN},
    {"end", YOKE_SIGNAL_END},
    {"iteration-begin", YOKE_SIGNAL_ITERATION_BEGIN},
    {"iteration-end", YOKE_SIGNAL_ITERATION_END},
    {"drop", YOKE_SIGNAL_DROP},
    {"user-1", YOKE_SIGNAL_USER_1},
    {"user-2", YOKE_SIGNAL_USER_2},
}};

constexpr std::array<std::pair<std::string_view, Kind>, 6> kind_names{{
    {"always", Kind::always},
    {"never", Kind::never},
    {"on", Kind::on},
    {"unless", Kind::unless},
    {"open-on", Kind::open_on},
    {"close-on", Kind::close_on},
}};

bool takes_signals(Kind kind) {
    return kind != Kind::always && kind != Kind::never;
}

Result<std::uint8_t> parse_signals(std::string_view text) {
    std::uint8_t signals = 0;
    for (bool last = false; !last;) {
        const std::size_t bar = text.find('|');
        const std::string_view name = text.substr(0, bar);
        std::uint8_t signal = 0;
        for (const auto& [known, bit] : signal_names) {
            signal = known == name ? bit : signal;
        }
        if (signal == 0) {
            return fail(EINVAL, "{} is no control signal; known are {}", in_quotes(name), signals_text(UINT8_MAX));
        }
        signals |= signal;
        last = bar == std::string_view::npos;
        text.remove_prefix(last ? text.size() : bar + 1);
    }
    return signals;
}

}  // namespace

Result<Predicate> parse_predicate(std::string_view text) {
    const std::size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    for (const auto& [name, kind] : kind_names) {
        if (name != word) {
            continue;
        }
        if (takes_signals(kind) == (space == std::string_view::npos)) {
            return fail(EINVAL, "predicate {} must have {} behind {}", in_quotes(text),
                        takes_signals(kind) ? "control signals" : "nothing", name);
        }
        Predicate predicate{kind, 0};
        if (takes_signals(kind)) {
            auto signals = parse_signals(text.substr(space + 1));
            if (!signals) {
                return tl::unexpected(signals.error());
            }
            predicate.signals = *signals;
        }
        return predicate;
    }
    return fail(EINVAL, "predicate {} is unknown; write always, never, or on, unless, open-on or close-on and signals",
                in_quotes(text));
}

std::string signals_text(std::uint8_t signals) {
    std::string text;
    for (const auto& [name, signal] : signal_names) {
        if ((signals & signal) != 0) {
            text += text.empty() ? "" : "|";
            text += name;
        }
    }
    return text;
}

std::string predicate_text(const Predicate& predicate) {
    for (const auto& [name, kind] : kind_names) {
        if (kind == predicate.kind) {
            return takes_signals(kind) ? fmt::format("{} {}", name, signals_text(predicate.signals))
                                       : std::string(name);
        }
    }
    return {};
}

}  // namespace yoke::control
