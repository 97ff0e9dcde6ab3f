// Arguments of the gesture programs: wrong ones end a program with 2, as they end the command yoke.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

namespace gesture {

// The exit code where the program is over already: help was asked for (0), or the arguments are wrong (2).
inline std::optional<int> refused(CLI::App& app, int argc, char** argv) {
    constexpr int usage = 2;
    try {
        app.parse(argc, argv);
        return std::nullopt;
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : usage;
    }
}

}  // namespace gesture
