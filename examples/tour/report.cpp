// See report.hpp.
#include "tour/report.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace tour {
namespace {

const char* where_name(std::uint8_t where) {
    switch (where) {
        case YOKE_WHERE_CALLER:
            return "caller";
        case YOKE_WHERE_CPU:
            return "worker's cpu";
        case YOKE_WHERE_CUDA:
            return "cuda";
        case YOKE_WHERE_NSK:
            return "nsk";
        default:
            return "nowhere";
    }
}

const char* why_name(std::uint8_t why) {
    switch (why) {
        case YOKE_WHY_ASKED:
            return "asked";
        case YOKE_WHY_COST:
            return "faster";
        case YOKE_WHY_ONLY:
            return "only place";
        case YOKE_WHY_LOST:
            return "worker lost";
        case YOKE_WHY_BARRED:
            return "no worker";
        default:
            return "no reason";
    }
}

double rate_of(const Row& row) {
    return row.seconds > 0 ? static_cast<double>(row.bytes) / row.seconds / 1e9 : 0;
}

}  // namespace

std::string place_of(const yoke_result& result) {
    return fmt::format("{} ({})", where_name(result.where), why_name(result.why));
}

bool Report::all_right() const {
    return std::all_of(rows_.begin(), rows_.end(), [](const Row& row) { return row.right; });
}

std::string Report::table() const {
    std::string text = "\n";
    for (const auto& [name, value] : subjects_) {
        text += fmt::format("{:<8} {}\n", name, value);
    }
    text += fmt::format("\n{:<28} {:>9} {:>8}  {:<26} {}\n", "PATH", "MB", "GB/s", "WHERE (WHY)", "RESULT");
    for (const Row& row : rows_) {
        const std::string rate = row.seconds > 0 ? fmt::format("{:.2f}", rate_of(row)) : "-";
        std::string verdict =
            row.compared.empty() ? "" : fmt::format("{} {}", row.right ? "right:" : "WRONG:", row.compared);
        if (!row.note.empty()) {
            verdict += (verdict.empty() ? "" : "; ") + row.note;
        }
        text += fmt::format("{:<28} {:>9.1f} {:>8}  {:<26} {}\n", row.what, static_cast<double>(row.bytes) / 1e6, rate,
                            row.where, verdict);
    }
    if (!pictures_.empty()) {
        text += "\npictures\n";
        for (const auto& path : pictures_) {
            text += "  " + path + "\n";
        }
    }
    return text +
           (all_right() ? "\nEverything compared was equal.\n" : "\nSOMETHING WAS WRONG: see the lines above.\n");
}

std::string Report::json() const {
    nlohmann::ordered_json json;
    json["right"] = all_right();
    for (const auto& [name, value] : subjects_) {
        json["subjects"][name] = value;
    }
    json["rows"] = nlohmann::ordered_json::array();
    for (const Row& row : rows_) {
        nlohmann::ordered_json entry;
        entry["what"] = row.what;
        entry["bytes"] = row.bytes;
        entry["seconds"] = row.seconds > 0 ? nlohmann::ordered_json(row.seconds) : nlohmann::ordered_json();
        entry["where"] = row.where;
        entry["compared"] = row.compared.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(row.compared);
        entry["right"] = row.right;
        entry["note"] = row.note;
        json["rows"].push_back(std::move(entry));
    }
    json["pictures"] = pictures_;
    return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Progress::Progress(std::string what) : what_(std::move(what)), terminal_(::isatty(STDERR_FILENO) == 1) {
    if (!terminal_) {
        fmt::print(stderr, "{}\n", what_);
    }
}

Progress::~Progress() {
    if (terminal_) {
        fmt::print(stderr, "\r\033[K{}\n", what_);
    }
}

void Progress::at(std::uint64_t done, std::uint64_t total) {
    const auto percent = static_cast<unsigned>(total == 0 ? 100 : done * 100 / total);
    if (terminal_ && percent != shown_percent_) {
        shown_percent_ = percent;
        fmt::print(stderr, "\r\033[K{}: {} %", what_, percent);
        std::fflush(stderr);
    }
}

}  // namespace tour
