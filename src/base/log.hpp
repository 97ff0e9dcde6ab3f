// What happened, for the one who runs the machine: one line per event on stderr, with fields as key=value.
//
//     log_info(Topic::daemon, "worker started", {{"account", uid}, {"pid", pid}});
//     info daemon: worker started account=1000 pid=4711
//
// Levels are set per topic by a text such as "info,graph=debug". Under systemd (stderr is the journal) a line begins
// with its priority ("<6>") and has no time of its own; elsewhere it has the local time, and colours on a terminal.
// Foreign text in fields is escaped and cut, so that nobody can forge a line. Until configure_log() the level is
// warning, which fits a library in somebody else's program.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.hpp"

namespace yoke {

enum class Topic : std::uint8_t { control, daemon, worker, executive, graph, device, client };
enum class Level : std::uint8_t { debug, info, warning, error };

// One key=value. Holds views: used only as an argument of the functions below.
struct Field {
    using Value = std::variant<bool, std::int64_t, std::uint64_t, double, std::string_view>;

    Field(std::string_view name, bool v) : key(name), value(v) {}
    Field(std::string_view name, std::signed_integral auto v) : key(name), value(static_cast<std::int64_t>(v)) {}
    Field(std::string_view name, std::unsigned_integral auto v) : key(name), value(static_cast<std::uint64_t>(v)) {}
    Field(std::string_view name, double v) : key(name), value(v) {}
    Field(std::string_view name, std::string_view v) : key(name), value(v) {}
    Field(std::string_view name, const char* v) : key(name), value(std::string_view(v)) {}
    Field(std::string_view name, const std::string& v) : key(name), value(std::string_view(v)) {}

    std::string_view key;
    Value value;
};

// Sets levels from "LEVEL" and "TOPIC=LEVEL" items separated by commas; LEVEL is debug, info, warning, error or off.
// EINVAL names the item that is wrong and lists what there is; nothing is changed then.
Status configure_log(std::string_view spec);

[[nodiscard]] bool log_enabled(Topic topic, Level level);
// `event`: a few words, constant. Safe from several threads.
void log_event(Topic topic, Level level, std::string_view event, std::initializer_list<Field> fields = {});

inline void log_debug(Topic topic, std::string_view event, std::initializer_list<Field> fields = {}) {
    log_event(topic, Level::debug, event, fields);
}
inline void log_info(Topic topic, std::string_view event, std::initializer_list<Field> fields = {}) {
    log_event(topic, Level::info, event, fields);
}
inline void log_warning(Topic topic, std::string_view event, std::initializer_list<Field> fields = {}) {
    log_event(topic, Level::warning, event, fields);
}
inline void log_error(Topic topic, std::string_view event, std::initializer_list<Field> fields = {}) {
    log_event(topic, Level::error, event, fields);
}

// The text of a line behind its level and topic: "worker started pid=4711 name=\"a b\"".
[[nodiscard]] std::string log_text(std::string_view event, std::initializer_list<Field> fields);

}  // namespace yoke
