// `yoke doctor` and `yoke version`.
#include <algorithm>
#include <cstdio>

#include <yoke/yoke.h>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/doctor.hpp"

namespace yoke::cli {
namespace {

const char* word_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::ok:
            return "ok";
        case Verdict::missing:
            return "missing";
        default:
            return "optional";
    }
}

void print_checks(const std::vector<Check>& checks, bool plain) {
    for (const Check& check : checks) {
        if (plain) {
            fmt::print("{}\t{}\t{}\t{}\n", check.name, word_of(check.verdict), check.found, check.remedy);
        } else {
            fmt::print("{:<8}  {:<12}  {}\n", word_of(check.verdict), check.name, check.found);
            if (!check.remedy.empty()) {
                fmt::print("{:24}-> {}\n", "", check.remedy);
            }
        }
    }
}

}  // namespace

Done diagnose(const ViewOptions& options) {
    const auto checks = examine(options.socket);
    const auto missing =
        std::count_if(checks.begin(), checks.end(), [](const Check& c) { return c.verdict == Verdict::missing; });
    if (options.json) {
        nlohmann::ordered_json json;
        json["usable"] = missing == 0;
        json["checks"] = nlohmann::ordered_json::array();
        for (const Check& check : checks) {
            json["checks"].push_back(
                {{"name", check.name},
                 {"verdict", word_of(check.verdict)},
                 {"found", check.found},
                 {"remedy", check.remedy.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(check.remedy)}});
        }
        fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    } else {
        print_checks(checks, options.plain);
    }
    if (missing != 0) {
        return fail(exit_failed, "yoke is not usable as it should be: {} missing; do what the lines above say",
                    missing);
    }
    return {};
}

Done show_version(const ViewOptions& options) {
    if (options.json) {
        nlohmann::ordered_json json;
        json["version"] = yoke_version();
        json["abi"] = YOKE_ABI_VERSION;
        fmt::print("{}\n", json.dump(2));
    } else {
        fmt::print("yoke {} (ABI {})\n", yoke_version(), YOKE_ABI_VERSION);
    }
    return {};
}

}  // namespace yoke::cli
