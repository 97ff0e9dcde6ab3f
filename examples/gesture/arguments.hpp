// Arguments of the gesture programs: wrong ones end a program with 2, as they end the command yoke, and one sentence.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
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
inline std::string whole_number(const std::string& text) {
    std::uint64_t number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    return code != std::errc() || end != text.data() + text.size()
               ? "'" + text + "' is no whole number; give one from 0 to 18446744073709551615"
               : "";
}

// Frames a second; with less than one in a quarter of an hour nobody would wait for the next.
inline std::string frame_rate(const std::string& text) {
    double number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool fits = number == 0 || (number >= 0.001 && number <= 1e6);
    return code != std::errc() || end != text.data() + text.size() || !fits
               ? "'" + text + "' is no rate; give frames a second from 0.001 to 1000000, or 0 for as fast as they come"
               : "";
}

inline std::string folder_of_frames(const std::string& path) {
    std::error_code unknown;
    return std::filesystem::is_directory(path, unknown)
               ? ""
               : "'" + path + "' is no folder; name one with depth frames as 16-bit grey PNG files";
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
    const auto finite = [](const std::string& text) {
        double number = 0;
        const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
        return code != std::errc() || end != text.data() + text.size() || !std::isfinite(number)
                   ? "'" + text + "' is no number; give three rows of four"
                   : "";
    };
    return app.add_option(name, rows, what + ": three rows of four numbers, in metres")
        ->expected(12)
        ->delimiter(',')
        ->check(finite);
}

}  // namespace gesture
