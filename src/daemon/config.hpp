// The configuration of yoked: one table of options, read from TOML.
//
// Each option is one row of the table in config.cpp: where it is kept, its range and a sentence for people. Reading,
// checking and `--default-config` all walk that table, so that they cannot disagree. Unknown names are refused.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace yoke::daemon {

struct Config {
    // [log]
    std::string log_level = "info";
    std::map<std::string, std::string> log_topics;  // [log.topics] topic = level
    // [limits.account], enforced by the worker unless said otherwise
    std::uint64_t account_sessions = 1024;
    std::uint64_t account_arena_bytes = 16ULL << 30;
    std::uint64_t account_graphs = 256;
    std::uint64_t account_objects = 1024;
    std::uint64_t account_keys = 1024;
    std::uint64_t account_connections = 256;  // by yoked
    // [limits.total], by yoked
    std::uint64_t total_sessions = 8192;
    std::uint64_t total_arena_bytes = 64ULL << 30;
    std::uint64_t total_workers = 64;
    std::uint64_t total_connections = 2048;
    // [lifetime]
    std::uint64_t idle_exit_s = 10;
    std::uint64_t worker_linger_s = 10;
    std::uint64_t worker_alone_s = 30;
    std::uint64_t lease_ms = 2000;
    // [worker]
    std::uint64_t worker_spin_us = 50;
    // [supervision]
    std::uint64_t start_timeout_ms = 20'000;
    std::uint64_t report_timeout_ms = 500;
    std::uint64_t recover_timeout_ms = 2000;
    std::uint64_t backoff_first_ms = 100;
    std::uint64_t backoff_max_ms = 10'000;
    std::uint64_t suspects_max = 8;
    std::uint64_t suspects_window_s = 60;
    std::uint64_t bar_s = 30;
    // [kernel]
    std::uint64_t kernel_serve = 1;
};

// Reads TOML text over the defaults. EINVAL with file, line and column: syntax, unknown name, wrong type, out of range.
Result<Config> parse_config(std::string_view toml, const std::string& file);
// Reads a file; one that is not there gives the defaults unless it is `required` (ENOENT).
Result<Config> load_config(const std::string& path, bool required);
// TOML text with every option commented at its default.
std::string default_config();
// The log levels as configure_log() and $YOKE_LOG take them.
std::string log_spec(const Config& config);
// Where an instance looks for its file: /etc/yoke/yoke.toml, or for a private one $XDG_CONFIG_HOME/yoke/yoke.toml.
std::string config_path(bool private_instance);

}  // namespace yoke::daemon
