// The program `yoke`: options to commands, failures to exit codes.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "cli/commands.hpp"
#include "cli/file.hpp"
#include "cli/interrupt.hpp"

namespace yoke::cli {
namespace {

constexpr const char* footer =
    R"(Examples:
  head -c 64 /dev/urandom > key; chmod 600 key
  yoke call aes-xts --key-file key --unit 512 --start 0 -i disk.img -o disk.enc
  yoke call aes-xts --key-file key --decrypt -i disk.enc | cmp - disk.img
  yoke call sha256 < disk.img                      one digest, as sha256sum prints it
  yoke call sha256 --message 4096 -i disk.img      one digest per 4 KiB
  yoke graph check examples/depth.toml
  yoke graph start examples/depth.toml --push depth=frames.raw --pull cloud=cloud.raw
  yoke graph start camera.toml --persist           runs until yoke graph stop /camera
  yoke graph dot camera.toml | dot -Tsvg > camera.svg
  yoke push /camera/frames frames.raw
  yoke doctor                                      what is missing, and what to do
  yoke ls graphs                                   what runs

Data goes to the standard output, everything else to the standard error.
Exit codes: 0 ok, 1 failed, 2 usage, 3 daemon not running, 4 no permission, 5 no such object, 130 interrupted.
Environment: YOKE_SOCKET (where yoked listens), YOKE_AUTOSTART=0 (start no daemon).)";

using Command = std::function<Done()>;

void add_view_options(CLI::App& app, ViewOptions& view, bool table) {
    app.add_flag("--json", view.json, "print JSON");
    if (table) {
        app.add_flag("-H", view.plain, "no header, one tab between columns, base units");
    }
}

void add_daemon_commands(CLI::App& app, ViewOptions& view, std::string& kind, Command& chosen) {
    CLI::App* status = app.add_subcommand("status", "what yoked is doing, one line per worker");
    add_view_options(*status, view, true);
    status->callback([&] { chosen = [&] { return show_status(view); }; });

    CLI::App* list = app.add_subcommand("ls", "list the objects of your account");
    std::string kinds;
    for (const auto& name : object_kinds()) {
        kinds += (kinds.empty() ? "" : ", ") + name;
    }
    list->add_option("KIND", kind, kinds + "; default: all");
    add_view_options(*list, view, true);
    list->callback([&] { chosen = [&] { return list_objects(view, kind); }; });

    CLI::App* shutdown = app.add_subcommand("shutdown", "end yoked and its workers (its owner or root only)");
    add_view_options(*shutdown, view, false);
    shutdown->callback([&] { chosen = [&] { return shut_down(view); }; });
}

void add_call_command(CLI::App& app, CallOptions& call, Command& chosen) {
    CLI::App* command = app.add_subcommand("call", "run a service over a stream, however long");
    command->add_option("SERVICE", call.service, Recipe::service_names())->required();
    command->add_option("-i,--input", call.input, "file to read; default: standard input");
    command->add_option("-o,--output", call.output,
                        "file to write, replaced only on success; default: standard output");
    command->add_option("--key-file", call.key_file,
                        "file with the key's raw bytes: 16 or 32, aes-xts 32 or 64; - with -i: standard input");
    command->add_flag("--decrypt", call.decrypt, "decrypt instead of encrypt");
    command->add_option("--unit", call.unit, "aes-xts: bytes of a data unit, default 512");
    command->add_option("--start", call.start,
                        "aes-xts: number of the first data unit, decimal or 0x, 128 bits; default 0");
    command->add_option("--iv", call.iv, "aes-cbc, aes-ctr: 16 bytes; aes-gcm: 1 to 128; in hexadecimal");
    command->add_option("--aad-file", call.aad_file, "aes-gcm: file with additional authenticated data");
    command->add_option("--tag-length", call.tag_length, "aes-gcm: bytes of the tag behind the ciphertext, default 16");
    command->add_option("--message", call.message,
                        "sha256: one digest per so many bytes; default: one of the whole input");
    command->add_flag("--binary", call.binary, "sha256: raw digests instead of hexadecimal lines");
    command->add_option("--place", call.place, "where to run: auto (what is faster), caller (this process), worker")
        ->check(CLI::IsMember({"auto", "caller", "worker"}));
    command->add_flag("--json", call.json, "print where it ran, why, and times as JSON to the standard error");
    command->callback([&] { chosen = [&] { return call_service(call); }; });
}

struct GraphOptions {
    GraphStartOptions start;
    ViewOptions view;
    WhyOptions why;
    CheckOptions check;
    std::string name;
    bool json = false;
    bool live = false;
};

void add_graph_changes(CLI::App& command, GraphOptions& graph, Command& chosen) {
    CLI::App* start = command.add_subcommand("start", "open a graph and run it until the end of its streams or Ctrl-C");
    start->add_option("FILE", graph.start.file, "graph file (TOML), or the name of a graph that is kept")->required();
    start->add_flag("--persist", graph.start.persist, "the graph outlives this command, its worker and yoked");
    start->add_option("--push", graph.start.push, "push a file into a channel; - is the standard input")
        ->type_name("CHANNEL=FILE")
        ->take_all();
    start->add_flag("--raw", graph.start.raw, "what is pushed is data, also where it begins like a stage's output");
    start->add_option("--pull", graph.start.pull, "pull datablocks into a file; - is the standard output")
        ->type_name("CHANNEL=FILE")
        ->take_all();
    start->add_flag("--json", graph.start.json, "print what was transferred as JSON to the standard error");
    start->callback([&] { chosen = [&] { return start_graph(graph.start); }; });

    for (const auto& [verb, help, forget] :
         {std::tuple{"stop", "end a graph; one that persists is kept and can be started by its name", false},
          std::tuple{"rm", "end a graph and forget it", true}}) {
        CLI::App* stop = command.add_subcommand(verb, help);
        stop->add_option("GRAPH", graph.name, "name of the graph, as `yoke graph ls` prints it, or its file")
            ->required();
        stop->add_flag("--json", graph.json, "print the outcome as JSON");
        stop->callback([&graph, &chosen, forget = forget] {
            chosen = [&graph, forget] { return stop_graph(graph.name, graph.start.socket, graph.json, forget); };
        });
    }
}

void add_graph_views(CLI::App& command, GraphOptions& graph, Command& chosen) {
    CLI::App* list = command.add_subcommand("ls", "list your graphs, also those that are stopped and kept");
    add_view_options(*list, graph.view, true);
    list->callback([&] {
        chosen = [&] {
            graph.view.socket = graph.start.socket;
            return list_graphs(graph.view);
        };
    });

    CLI::App* show = command.add_subcommand("show", "ptasks, ports and channels of a graph, with counts");
    show->add_option("GRAPH", graph.name, "name of the graph, or its file")->required();
    show->add_flag("--json", graph.json, "print JSON");
    show->callback([&] { chosen = [&] { return show_graph(graph.name, graph.start.socket, graph.json); }; });

    CLI::App* dot = command.add_subcommand("dot", "a picture of a graph for Graphviz");
    dot->add_option("GRAPH", graph.name, "name of the graph, or a graph file")->required();
    dot->add_flag("--live", graph.live, "with counts, every second, pictures separated by a form feed");
    dot->callback([&] { chosen = [&] { return draw_graph(graph.name, graph.start.socket, graph.live); }; });

    CLI::App* why = command.add_subcommand("why", "say why a graph does not move");
    why->add_option("GRAPH", graph.why.graph, "name of the graph, or its file")->required();
    why->add_flag("--all", graph.why.all, "also what only follows from the causes");
    why->add_flag("--json", graph.why.json, "print JSON, with all of it");
    why->callback([&] {
        chosen = [&] {
            graph.why.socket = graph.start.socket;
            return explain_graph(graph.why);
        };
    });
}

void add_graph_commands(CLI::App& app, GraphOptions& graph, Command& chosen) {
    CLI::App* command = app.add_subcommand("graph", "check, start, stop and look at graphs (docs/graph.md)");
    command->require_subcommand(1);

    CLI::App* check = command->add_subcommand("check", "check a graph file, without a daemon or with --build by one");
    check->add_option("FILE", graph.check.file, "graph file (TOML)")->required();
    check->add_flag("--build", graph.check.build, "have a worker compile the kernels, too; nothing runs");
    check->add_flag("--json", graph.check.json, "print the outcome as JSON");
    check->callback([&] {
        chosen = [&] {
            graph.check.socket = graph.start.socket;
            return check_graph(graph.check);
        };
    });
    add_graph_changes(*command, graph, chosen);
    add_graph_views(*command, graph, chosen);
}

void add_timeout(CLI::App& command, TransferOptions& transfer, const char* what) {
    constexpr double longest_s = 1e9;
    constexpr double shortest_s = 1e-3;
    command.add_option("--timeout", transfer.timeout_s, what)
        ->type_name("SECONDS")
        ->check(CLI::Range(shortest_s, longest_s));
}

void add_transfer_commands(CLI::App& app, TransferOptions& transfer, Command& chosen) {
    CLI::App* push = app.add_subcommand("push", "push a file of raw datablocks into a channel of a running graph");
    push->add_option("CHANNEL", transfer.channel, "/GRAPH/CHANNEL")->required();
    push->add_option("FILE", transfer.file, "file to read; default: standard input");
    push->add_flag_function(
        "--end,!--no-end", [&](std::int64_t count) { transfer.end = count > 0; },
        "end the stream behind the file, or not; default: unless the graph persists");
    push->add_flag("--raw", transfer.raw, "the file is data, also where it begins like a stage's output");
    add_timeout(*push, transfer, "give up when the channel has taken nothing for so long; default: never");
    push->add_flag("--json", transfer.json, "print what was pushed as JSON to the standard error");
    push->callback([&] { chosen = [&] { return push_file(transfer); }; });

    CLI::App* pull = app.add_subcommand("pull", "pull datablocks from a channel of a running graph into a file");
    pull->add_option("CHANNEL", transfer.channel, "/GRAPH/CHANNEL")->required();
    pull->add_option("FILE", transfer.file, "file to write, replaced only on success; default: standard output");
    pull->add_option("-n,--count", transfer.count, "so many datablocks; default: until the end of the stream")
        ->check([](const std::string& text) {
            const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
            return digits ? std::string() : text + " is no number of datablocks, 0 or more";
        });
    add_timeout(*pull, transfer, "give up when the channel has given nothing for so long; default: never");
    pull->add_flag("--json", transfer.json, "print what was pulled as JSON to the standard error");
    pull->callback([&] { chosen = [&] { return pull_file(transfer); }; });
}

void add_stage_command(CLI::App& app, StageOptions& stage, Command& chosen) {
    CLI::App* command = app.add_subcommand("stage", "make a kernel a stage of a shell pipeline (docs/stage.md)");
    command->add_option("FILE", stage.file, "OpenCL C file")->required();
    command->add_option("--kernel", stage.kernel, "name of the kernel function; default: the only one");
    command->add_option("--type", stage.type, "element type of the output; default: from the kernel's signature");
    command->add_option("--extent", stage.extent, "extents of the output, as 640x480; default: the input's");
    command->add_option("--options", stage.options, "options for the compiler");
    command->add_option("--set", stage.set, "NAME=VALUE: a parameter of the output and of the kernel")->take_all();
    command->callback([&] { chosen = [&] { return run_stage(stage); }; });
}

int report(const Failure& failure) {
    if (!failure.message.empty()) {
        say("yoke: {}", failure.message);
    }
    return failure.exit;
}

// What is wrong with the arguments, and where to look: the help of the innermost command that was understood.
std::string sentence_of(const CLI::ParseError& error, const CLI::App& app) {
    const CLI::App* command = &app;
    std::string name = app.get_name();
    while (!command->get_subcommands().empty()) {
        command = command->get_subcommands().front();
        name += " " + command->get_name();
    }
    const auto unknown = app.remaining(true);
    const bool group = !command->get_subcommands([](const CLI::App*) { return true; }).empty();
    if (group && !unknown.empty() && !unknown[0].starts_with('-')) {
        return fmt::format("there is no command {} {}; see {} --help", name, unknown[0], name);
    }
    if (group && unknown.empty()) {
        return fmt::format("{} needs a command; see {} --help", name, name);
    }
    return fmt::format("{}; see {} --help", error.what(), name);
}

int run(int argc, char** argv) {
    CLI::App app("yoke: GPU services and dataflow graphs for every program of this machine");
    app.name("yoke");
    app.require_subcommand(1);
    app.fallthrough();

    std::string socket;
    ViewOptions view;
    CallOptions call;
    GraphOptions graph;
    TransferOptions transfer;
    StageOptions stage;
    std::string kind;
    Command chosen;
    app.add_option("--socket", socket, "path of yoked's socket");
    add_daemon_commands(app, view, kind, chosen);
    add_call_command(app, call, chosen);
    add_graph_commands(app, graph, chosen);
    add_transfer_commands(app, transfer, chosen);
    add_stage_command(app, stage, chosen);
    CLI::App* doctor = app.add_subcommand("doctor", "what is installed, what is missing, what to do");
    add_view_options(*doctor, view, true);
    doctor->callback([&] { chosen = [&] { return diagnose(view); }; });
    CLI::App* version = app.add_subcommand("version", "version of the library and of the binary interface");
    add_view_options(*version, view, false);
    version->callback([&] { chosen = [&] { return show_version(view); }; });

    app.footer(footer);  // last: what is there already would be inherited by every command

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
            return app.exit(error);  // help
        }
        return report(Failure{exit_usage, sentence_of(error, app)});
    }
    view.socket = call.socket = transfer.socket = graph.start.socket = stage.socket = socket;
    occupy_standard_streams();
    catch_interrupts();
    const Done done = chosen();
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        return report(Failure{exit_failed, "cannot write to the standard output"});
    }
    return done ? exit_ok : report(done.error());
}

}  // namespace
}  // namespace yoke::cli

int main(int argc, char** argv) {
    try {
        return yoke::cli::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "yoke: unexpected failure: %s\n", error.what());
        return yoke::cli::exit_failed;
    }
}
