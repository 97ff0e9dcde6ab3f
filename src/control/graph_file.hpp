// Definition of a graph: what the nine calls build, as a value. Read from TOML (docs/graph.md) or from control
// messages.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "control/message.hpp"
#include "control/template.hpp"

namespace yoke::control {

inline constexpr std::uint32_t capacity_default = 8;
inline constexpr std::uint32_t capacity_max = 4096;  // datablocks that wait in one channel
inline constexpr std::size_t kernel_bytes_max =
    std::size_t{1024} * 1024;                          // of a program's text: fits a message, escaped
inline constexpr std::size_t constant_bytes_max = 64;  // an f32x16
inline constexpr std::size_t arguments_max = 64;       // of one kernel function
inline constexpr std::size_t source_name_bytes_max = 255;
inline constexpr std::size_t function_bytes_max = 255;
inline constexpr std::size_t options_bytes_max = 4096;
inline constexpr std::uint64_t work_items_max = UINT32_MAX;  // of one dimension
inline constexpr std::size_t graph_file_bytes_max = std::size_t{4} * 1024 * 1024;

struct PortDefinition {
    std::string name;  // "/graph/ptask:port"
    bool out = false;
    TemplateDefinition form;

    bool operator==(const PortDefinition&) const = default;
};

struct ArgumentDefinition {
    std::optional<std::string> port;     // name of the ptask's port
    std::vector<std::uint8_t> constant;  // else the bytes of a constant

    bool operator==(const ArgumentDefinition&) const = default;
};

struct KernelDefinition {
    std::string source;       // text of the program
    std::string source_name;  // for messages
    std::string function;
    std::string options;
    std::array<std::uint64_t, 3> geometry{};  // zeros: from the first input
    std::array<std::uint64_t, 3> local{};     // zeros: the runtime chooses

    bool operator==(const KernelDefinition&) const = default;
};

struct PtaskDefinition {
    std::string name;  // "/graph/ptask"
    KernelDefinition kernel;
    std::vector<ArgumentDefinition> arguments;

    bool operator==(const PtaskDefinition&) const = default;
};

struct ChannelDefinition {
    std::string name;                        // "/graph/channel"
    std::optional<std::string> source;       // port, or nothing: pushed from outside
    std::optional<std::string> destination;  // port, or nothing: pulled from outside
    std::uint32_t capacity = capacity_default;

    bool operator==(const ChannelDefinition&) const = default;
};

struct GraphDefinition {
    std::string name;  // "/graph"
    std::vector<PortDefinition> ports;
    std::vector<PtaskDefinition> ptasks;
    std::vector<ChannelDefinition> channels;

    bool operator==(const GraphDefinition&) const = default;
};

// Reads a graph from TOML text; `directory` is where kernel files are looked for ("" refuses kernel files: for
// fuzzing). EINVAL with file, line and column; ENOENT for a kernel file.
Result<GraphDefinition> parse_graph(std::string_view toml, const std::string& file, const std::string& directory);
Result<GraphDefinition> load_graph(const std::string& path);

// From and to control messages (their schema must have been checked).
PortDefinition port_from(const Json& message);
PtaskDefinition ptask_from(const Json& message);
ChannelDefinition channel_from(const Json& message);
Json message_of(const PortDefinition& port);
Json message_of(const PtaskDefinition& ptask);
Json message_of(const ChannelDefinition& channel);

}  // namespace yoke::control
