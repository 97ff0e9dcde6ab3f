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

inline constexpr std::size_t initial_bytes_max = 128;  // the largest element: an f64x16
inline constexpr std::size_t endpoint_path_bytes_max = 4095;
inline constexpr std::uint32_t iterations_max = 1U << 20U;  // of one datablock, in one meta datablock
inline constexpr std::uint8_t priority_max = 10;
inline constexpr std::uint8_t priority_default = 5;
inline constexpr std::uint32_t mode_default = 0700;
inline constexpr std::uint32_t mode_max = 0777;
inline constexpr std::size_t forms_max = 8;                                 // of one ptask, beside the first
inline constexpr std::uint64_t ptask_deadline_ns_max = 86'400'000'000'000;  // a day: more is none

enum class Direction : std::uint8_t { in, out, in_out };  // in_out: the kernel changes the datablock, which goes on

// What the runtime itself reads from the datablocks of an in port, which are then no argument of the kernel.
enum class Meta : std::uint8_t {
    none,
    size,        // first element: number of elements of the datablock that port `of`, an out port, makes
    iterations,  // first element: how often the ptask runs on what its other ports hold; see docs/graph.md
};

struct PortDefinition {
    std::string name;  // "/graph/ptask:port"
    Direction direction = Direction::in;
    TemplateDefinition form;
    bool sticky = false;    // in: keeps its last datablock until another one comes
    bool init = false;      // in, in_out: makes its first datablock (with a back edge) or all (without channel) itself
    bool hold = false;      // in: keeps its datablock until another input has brought an end of iteration
    bool variable = false;  // datablocks may be shorter than the template, by whole elements
    Meta meta = Meta::none;
    std::string of{};                     // meta size: the out port; descriptor: the in port. In full
    bool descriptor = false;              // out, no argument: tells bytes and extents of the datablocks of port `of`
    std::vector<std::uint8_t> initial{};  // init: the bytes of one element, repeated; empty: zeros

    [[nodiscard]] bool takes() const { return direction != Direction::out; }
    [[nodiscard]] bool gives() const { return direction != Direction::in; }
    bool operator==(const PortDefinition&) const = default;
};

struct ArgumentDefinition {
    // What the kernel is given of a port: its datablock, or what the runtime knows of that datablock.
    enum class Tells : std::uint8_t {
        datablock,
        count,   // number of elements, u32
        extent,  // u32x4: extents, then the number of elements
    };
    std::optional<std::string> port;     // name of the ptask's port
    std::vector<std::uint8_t> constant;  // else the bytes of a constant
    Tells tells = Tells::datablock;

    bool operator==(const ArgumentDefinition&) const = default;
};

// One form of a ptask's code.
struct KernelDefinition {
    std::string source;       // text of the program
    std::string source_name;  // for messages
    std::string function;     // service: its name
    std::string options;
    std::array<std::uint64_t, 3> geometry{};     // zeros: estimated, see geometry_from
    std::array<std::uint64_t, 3> local{};        // zeros: the runtime chooses
    std::string form = "opencl";                 // "opencl", "cuda", "ptx", "cubin", "service", "client"
    std::array<std::string, 3> geometry_from{};  // per dimension: "first-input", "largest-input", "first-output" or a
                                                 // port in full, whose extent in that dimension it is; "": first input
    std::vector<std::uint8_t> parameters{};      // service: struct yoke_params_*
    bool decrypt = false;                        // service: YOKE_FLAG_DECRYPT
    std::uint32_t key = 0;                       // service: key of the session that opens the ptask

    bool operator==(const KernelDefinition&) const = default;
};

struct PtaskDefinition {
    std::string name;  // "/graph/ptask"
    KernelDefinition kernel;
    std::vector<ArgumentDefinition> arguments;
    std::vector<KernelDefinition> others{};  // further forms; the device takes the first that it can run
    std::uint8_t priority = priority_default;
    std::uint64_t deadline_ns = 0;  // a run that takes longer fails the graph; 0: none

    bool operator==(const PtaskDefinition&) const = default;
};

// What a channel's end lets pass, by the control signals (YOKE_SIGNAL_*) that travel with a datablock.
struct Predicate {
    enum class Kind : std::uint8_t {
        always,
        never,
        on,        // those with one of the signals
        unless,    // those with none of the signals
        open_on,   // from the first with one of the signals on
        close_on,  // up to and without the first with one of the signals
    };
    Kind kind = Kind::always;
    std::uint8_t signals = 0;

    bool operator==(const Predicate&) const = default;
};

// The file, FIFO, socket or device at the outer end of a channel, served by the worker.
struct EndpointDefinition {
    enum class Kind : std::uint8_t { file, fifo, socket, v4l2, uinput };
    Kind kind = Kind::file;
    std::string path;
    bool repeat = false;  // file to read: from the beginning again at its end
    bool raw = false;     // bytes to read: what looks like the header of a stage's output is data

    bool operator==(const EndpointDefinition&) const = default;
};

struct ChannelDefinition {
    std::string name;                        // "/graph/channel"
    std::optional<std::string> source;       // port, or nothing: pushed from outside
    std::optional<std::string> destination;  // port, or nothing: pulled from outside
    std::uint32_t capacity = capacity_default;
    bool back = false;                             // back edge: may close a circle
    Predicate source_when{};                       // what does not pass does not enter the channel
    Predicate destination_when{};                  // what does not pass is dropped when its turn comes
    std::optional<EndpointDefinition> endpoint{};  // of the end that is no port

    bool operator==(const ChannelDefinition&) const = default;
};

struct GraphDefinition {
    std::string name;  // "/graph"
    std::vector<PortDefinition> ports;
    std::vector<PtaskDefinition> ptasks;
    std::vector<ChannelDefinition> channels;
    bool persist = false;               // outlives its creator
    std::uint32_t mode = mode_default;  // for other sessions of the account: 0400 pull and look, 0200 push and change,
                                        // 0100 run and terminate

    bool operator==(const GraphDefinition&) const = default;
};

// "always", "on begin|end", "unless iteration-end", ...: as graph files and messages have it. EINVAL.
Result<Predicate> parse_predicate(std::string_view text);
std::string predicate_text(const Predicate& predicate);
// Names of signals: begin, end, iteration-begin, iteration-end, drop, user-1, user-2.
std::string signals_text(std::uint8_t signals);

// Reads a graph from TOML text; `directory` is where kernel files are looked for ("" refuses kernel files: for
// fuzzing). EINVAL with file, line and column; ENOENT for a kernel file.
Result<GraphDefinition> parse_graph(std::string_view toml, const std::string& file, const std::string& directory);
Result<GraphDefinition> load_graph(const std::string& path);
// Gives the graph, and with it all its objects, another name ("/graph").
void rename_graph(GraphDefinition& graph, const std::string& name);

// From and to control messages (their schema must have been checked).
PortDefinition port_from(const Json& message);
PtaskDefinition ptask_from(const Json& message);
ChannelDefinition channel_from(const Json& message);
TemplateDefinition template_from(const Json& message);  // of the member "template"
Json message_of(const TemplateDefinition& form);
Json graph_message_of(const GraphDefinition& graph);  // open_graph
Json message_of(const PortDefinition& port);
Json message_of(const PtaskDefinition& ptask);
Json message_of(const ChannelDefinition& channel);

}  // namespace yoke::control
