// Arguments of the gesture programs: wrong ones end a program with 2, as they end the command yoke, and one sentence.
#pragma once

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "gesture/frame.hpp"

namespace gesture {

// The exit code where the program is over already: help was asked for (0), or the arguments are wrong (2).
inline std::optional<int> refused(CLI::App& app, const char* name, int argc, char** argv) {
    constexpr int usage = 2;
    app.name(name);
    try {
        app.parse(argc, argv);
        return std::nullopt;
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
            return app.exit(error);
        }
        std::fprintf(stderr, "%s: %s; see %s --help\n", name, error.what(), name);
        return usage;
    }
}

// For CLI::Option::check: the sentence of what is wrong, "" if nothing is.
inline std::string not_negative(const std::string& text) {
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    return end == text.c_str() || *end != '\0' || !(number >= 0) || std::isinf(number)
               ? text + " is no number that is 0 or more"
               : "";
}

// The option --camera.
inline void add_camera(CLI::App& app, Camera& camera) {
    app.add_option_function<std::vector<double>>(
           "--camera",
           [&camera](const std::vector<double>& lens) {
               for (const double number : lens) {
                   if (!std::isfinite(number)) {
                       throw CLI::ValidationError("--camera", "each of its numbers must be finite");
                   }
               }
               if (lens[0] <= 0 || lens[1] <= 0 || lens[4] <= 0) {
                   throw CLI::ValidationError("--camera", "focal_x, focal_y and unit must be above 0");
               }
               camera.focal_x = lens[0];
               camera.focal_y = lens[1];
               camera.centre_x = lens[2];
               camera.centre_y = lens[3];
               camera.metres_per_unit = lens[4];
           },
           "focal_x,focal_y,center_x,center_y in pixels, unit in metres; default: SR305")
        ->expected(5)
        ->delimiter(',');
}

// An option for a matrix, as frame.hpp has them, without its last row.
inline CLI::Option* add_pose(CLI::App& app, const char* name, std::vector<float>& rows, const std::string& what) {
    return app.add_option(name, rows, what + ": three rows of four numbers, in metres")->expected(12)->delimiter(',');
}

}  // namespace gesture
