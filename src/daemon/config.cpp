// The table of options and the walk along it. A member pointer per row is what lets reading, checking and printing
// share it.
#include "daemon/config.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <variant>

#include <fmt/ranges.h>
#include <toml++/toml.h>

#include "base/file.hpp"
#include "control/limits.hpp"

namespace yoke::daemon {
namespace {

using Number = std::uint64_t Config::*;
using Text = std::string Config::*;

struct Option {
    std::string_view table;
    std::string_view name;
    std::variant<Number, Text> member;
    std::uint64_t min;
    std::uint64_t max;
    std::string_view help;
};

constexpr std::uint64_t count_max = 1'000'000;
constexpr std::uint64_t bytes_max = 1ULL << 50;
constexpr std::uint64_t day_s = 86'400;

const std::array options{
    Option{"log", "level", &Config::log_level, 0, 0,
           "Least severe messages that are logged: debug, info, warning, error, off."},
    Option{"limits.account", "sessions", &Config::account_sessions, 1, control::account_sessions_max,
           "Sessions that an account may have open."},
    Option{"limits.account", "arena_bytes", &Config::account_arena_bytes, 1 << 20, bytes_max,
           "Bytes of all arenas of an account."},
    Option{"limits.account", "graphs", &Config::account_graphs, 1, control::account_graphs_max,
           "Graphs of an account."},
    Option{"limits.account", "objects", &Config::account_objects, 1, control::account_objects_max,
           "Ptasks, ports and channels of one graph."},
    Option{"limits.account", "keys", &Config::account_keys, 1, control::session_keys_max, "Keys of one session."},
    Option{"limits.account", "connections", &Config::account_connections, 1, count_max,
           "Connections of one user to yoked itself."},
    Option{"limits.total", "sessions", &Config::total_sessions, 1, count_max, "Sessions of all accounts."},
    Option{"limits.total", "arena_bytes", &Config::total_arena_bytes, 1 << 20, bytes_max,
           "Bytes of the arenas of all accounts."},
    Option{"limits.total", "workers", &Config::total_workers, 1, 4096, "Workers, that is accounts served at a time."},
    Option{"limits.total", "connections", &Config::total_connections, 1, count_max, "Connections to yoked itself."},
    Option{"lifetime", "idle_exit_s", &Config::idle_exit_s, 0, day_s,
           "Seconds without clients and workers after which a private instance ends; 0: at once."},
    Option{"lifetime", "worker_linger_s", &Config::worker_linger_s, 0, day_s,
           "Seconds that a worker without sessions and graphs is kept."},
    Option{"lifetime", "worker_alone_s", &Config::worker_alone_s, 1, day_s,
           "Seconds that a worker serves its sessions after yoked died and before the next one takes it."},
    Option{"lifetime", "lease_ms", &Config::lease_ms, 100, 60'000,
           "Milliseconds that a gate stays open when yoked does not renew it."},
    Option{
        "worker", "spin_us", &Config::worker_spin_us, 1, 1'000'000,
        "Microseconds that a worker polls for a small call after the last one, before clients must ring it by a system "
        "call; for workers started after a reload. Longer: it is found awake more often, and keeps a processor busy."},
    Option{"supervision", "start_timeout_ms", &Config::start_timeout_ms, 100, 600'000,
           "Milliseconds in which a new worker must have registered; then it is killed."},
    Option{"supervision", "report_timeout_ms", &Config::report_timeout_ms, 10, 60'000,
           "Milliseconds that `list` waits for workers; those that are late are answered from their last report."},
    Option{"supervision", "recover_timeout_ms", &Config::recover_timeout_ms, 10, 60'000,
           "Milliseconds in which the workers of a yoked that died must have registered with the next; then they are "
           "killed."},
    Option{"supervision", "backoff_first_ms", &Config::backoff_first_ms, 1, 600'000,
           "Pause after the second death of a worker in a row; the first is restarted at once, each further death "
           "doubles the pause."},
    Option{"supervision", "backoff_max_ms", &Config::backoff_max_ms, 1, 3'600'000, "Longest such pause."},
    Option{"supervision", "suspects_max", &Config::suspects_max, 1, count_max,
           "Calls of an account that may have been executing when its worker died, within the window below, before "
           "the account is barred."},
    Option{"supervision", "suspects_window_s", &Config::suspects_window_s, 1, day_s, "That window, in seconds."},
    Option{"supervision", "bar_s", &Config::bar_s, 1, day_s, "Seconds that an account stays barred."},
    Option{
        "kernel", "serve", &Config::kernel_serve, 0, 1,
        "1: a system instance starts a worker for the kernel wherever the module yoke is loaded; 0: it does not, and "
        "ends the one that runs, so that the module can be removed."},
};

// As base/log.hpp knows them, less the client's: libyoke speaks in other processes and listens to $YOKE_LOG there.
constexpr std::array<std::string_view, 5> levels{"debug", "info", "warning", "error", "off"};
constexpr std::array<std::string_view, 6> topics{"control", "daemon", "worker", "executive", "graph", "device"};

template <typename List>
bool is_one_of(const List& list, std::string_view text) {
    return std::find(list.begin(), list.end(), text) != list.end();
}

// Where in a file something stands, for messages.
struct Place {
    const std::string& file;
    const toml::source_region& region;
};

tl::unexpected<Error> refuse(const Place& place, const std::string& what) {
    return fail(EINVAL, "{}:{}:{}: {}", place.file, place.region.begin.line, place.region.begin.column, what);
}

Status set_level(std::string& level, const toml::node& node, const std::string& name, const std::string& file) {
    const auto value = node.value_exact<std::string>();
    if (!value || !is_one_of(levels, *value)) {
        return refuse({file, node.source()}, fmt::format("{} must be one of {}", name, fmt::join(levels, ", ")));
    }
    level = *value;
    return {};
}

Status set_option(Config& config, const Option& option, const toml::node& node, const std::string& file) {
    const std::string name = fmt::format("{}.{}", option.table, option.name);
    if (const Text* text = std::get_if<Text>(&option.member)) {
        return set_level(config.*(*text), node, name, file);
    }
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < 0 || static_cast<std::uint64_t>(*value) < option.min ||
        static_cast<std::uint64_t>(*value) > option.max) {
        return refuse({file, node.source()},
                      fmt::format("{} must be a whole number from {} to {}", name, option.min, option.max));
    }
    config.*std::get<Number>(option.member) = static_cast<std::uint64_t>(*value);
    return {};
}

Status set_topics(Config& config, const toml::table& table, const std::string& file) {
    for (const auto& [key, node] : table) {
        if (!is_one_of(topics, key.str())) {
            return refuse({file, key.source()},
                          fmt::format("there is no log topic {}; topics are {}", key.str(), fmt::join(topics, ", ")));
        }
        if (auto set = set_level(config.log_topics[std::string(key.str())], node,
                                 fmt::format("log.topics.{}", key.str()), file);
            !set) {
            return set;
        }
    }
    return {};
}

const Option* find_option(std::string_view table, std::string_view name) {
    for (const Option& option : options) {
        if (option.table == table && option.name == name) {
            return &option;
        }
    }
    return nullptr;
}

bool is_table(std::string_view name) {
    for (const Option& option : options) {
        if (option.table == name || option.table.starts_with(fmt::format("{}.", name))) {
            return true;
        }
    }
    return false;
}

Status read_table(Config& config, const toml::table& table, const std::string& prefix, const std::string& file) {
    for (const auto& [key, node] : table) {
        const std::string path = prefix.empty() ? std::string(key.str()) : fmt::format("{}.{}", prefix, key.str());
        Status read;
        if (path == "log.topics" && node.is_table()) {
            read = set_topics(config, *node.as_table(), file);
        } else if (const Option* option = find_option(prefix, key.str())) {
            read = set_option(config, *option, node, file);
        } else if (is_table(path) && node.is_table()) {
            read = read_table(config, *node.as_table(), path, file);
        } else {
            read = refuse({file, key.source()},
                          fmt::format("there is no option {}; yoked --default-config lists them", path));
        }
        if (!read) {
            return read;
        }
    }
    return {};
}

std::string value_text(const Config& config, const Option& option) {
    if (const Text* text = std::get_if<Text>(&option.member)) {
        return fmt::format("\"{}\"", config.*(*text));
    }
    return std::to_string(config.*std::get<Number>(option.member));
}

}  // namespace

Result<Config> parse_config(std::string_view toml, const std::string& file) {
    Config config;
    toml::table root;
    try {
        root = toml::parse(toml, file);
    } catch (const toml::parse_error& error) {
        return refuse({file, error.source()}, std::string(error.description()));
    }
    if (auto read = read_table(config, root, "", file); !read) {
        return tl::unexpected(read.error());
    }
    return config;
}

Result<Config> load_config(const std::string& path, bool required) {
    const auto text = read_file(path);
    if (!text && text.error().code == ENOENT && !required) {
        return Config{};
    }
    return text ? parse_config(*text, path) : tl::unexpected(text.error());
}

std::string default_config() {
    const Config config;
    std::string text =
        "# Configuration of yoked. Every option is shown with its default; remove the # in front of it to change it.\n"
        "# System instance: /etc/yoke/yoke.toml; private instances: $XDG_CONFIG_HOME/yoke/yoke.toml.\n"
        "# Check with: yoked --check. Apply with: systemctl reload yoked, or SIGHUP.\n";
    std::string_view table;
    for (const Option& option : options) {
        if (option.table != table) {
            table = option.table;
            text += fmt::format("\n[{}]\n", table);
        }
        text += fmt::format("# {}\n#{} = {}\n", option.help, option.name, value_text(config, option));
        if (option.member == std::variant<Number, Text>(&Config::log_level)) {
            text += "\n[log.topics]\n# The same for one topic.\n";
            for (const std::string_view topic : topics) {
                text += fmt::format("#{} = \"{}\"\n", topic, config.log_level);
            }
        }
    }
    return text;
}

std::string log_spec(const Config& config) {
    std::string spec = config.log_level;
    for (const auto& [topic, level] : config.log_topics) {
        spec += fmt::format(",{}={}", topic, level);
    }
    return spec;
}

std::string config_path(bool private_instance) {
    if (!private_instance) {
        return "/etc/yoke/yoke.toml";
    }
    const char* base = std::getenv("XDG_CONFIG_HOME");
    if (base != nullptr && base[0] == '/') {
        return fmt::format("{}/yoke/yoke.toml", base);
    }
    const char* home = std::getenv("HOME");
    return fmt::format("{}/.config/yoke/yoke.toml", home == nullptr ? "" : home);
}

}  // namespace yoke::daemon
