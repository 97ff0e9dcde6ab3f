// The program `yoke-tour`: what yoke is for, on real data, checked against code that shares nothing with it. Progress
// goes to the standard error, the table of results to the standard output. Exit code 1 when any comparison fails.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>

#include "tour/crypto.hpp"
#include "tour/depth.hpp"

namespace tour {
namespace {

struct Options {
    std::string file;
    std::string json;
    std::vector<double> camera;
    DepthOptions depth;
};

int fail_with(const Failure& failure) {
    fmt::print(stderr, "yoke-tour: {}\n", failure.message);
    return 1;
}

int go(const Options& options) {
    Report report;
    report.set_subject("yoke", yoke_version());
    if (auto done = tour_crypto(options.file, report); !done) {
        return fail_with(done.error());
    }
    if (auto done = tour_depth(options.depth, report); !done) {
        return fail_with(done.error());
    }
    if (!options.json.empty()) {
        std::ofstream stream(options.json);
        stream << report.json();
        stream.close();
        if (!stream) {
            return fail_with({fmt::format("cannot write {}", options.json)});
        }
    }
    fmt::print("{}", report.table());
    return report.all_right() ? 0 : 1;
}

int run(int argc, char** argv) {
    CLI::App app(
        "yoke-tour: encrypts, decrypts and hashes FILE, sends depth frames through a graph, checks everything");
    app.name("yoke-tour");
    Options options;
    options.depth.out = "out";
    options.depth.examples = YOKE_EXAMPLES_DIR;
    app.add_option("FILE", options.file, "any file; it is only read")->required();
    app.add_option("--frames", options.depth.frames,
                   "folder with depth frames (16-bit grey PNG); default: rendered ones");
    app.add_option("--out", options.depth.out, "folder for pictures; default: out");
    app.add_option("--json", options.json, "file for the results as JSON");
    app.add_option("--camera", options.camera,
                   "focal length, centre x, centre y (pixels) and metres per unit of the frames")
        ->expected(4);
    app.add_option("--examples", options.depth.examples, "folder of depth.toml and kernels/");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
            return app.exit(error);  // help
        }
        fmt::print(stderr, "yoke-tour: {}; see yoke-tour --help\n", error.what());
        return 2;
    }
    if (options.camera.size() == 4) {
        options.depth.camera = {options.camera[0], options.camera[1], options.camera[2], options.camera[3]};
    }
    return go(options);
}

}  // namespace
}  // namespace tour

int main(int argc, char** argv) {
    try {
        return tour::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "yoke-tour: unexpected failure: %s\n", error.what());
        return 1;
    }
}
