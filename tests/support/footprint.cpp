// Reads /proc, until ten looks in a row agree where a settled footprint is asked for; see footprint.hpp. Resident
// memory need not agree: it moves without anything being open.
#include "support/footprint.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "support/process_tree.hpp"

namespace yoke::test {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

constexpr int calm_looks = 10;  // equal ones, 5 ms apart

bool is_memfd(const std::string& name) {
    return name.find("/memfd:") != std::string::npos;
}

std::optional<Footprint::Inside> look_inside(const std::filesystem::path& process) {
    std::error_code error;
    Footprint::Inside inside;
    for (auto entry = std::filesystem::directory_iterator(process / "fd", error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        ++inside.descriptors;
        std::error_code closed;  // meanwhile
        inside.memfds += is_memfd(std::filesystem::read_symlink(entry->path(), closed).string()) ? 1 : 0;
    }
    std::ifstream maps(process / "maps");
    if (error || !maps) {
        return std::nullopt;
    }
    for (std::string line; std::getline(maps, line);) {
        inside.memfds += is_memfd(line) ? 1 : 0;
    }
    return inside;
}

bool is_calm(const Footprint& a, const Footprint& b) {
    return a.inside == b.inside && a.threads == b.threads && a.zombies == b.zombies;
}

}  // namespace

std::optional<Footprint> footprint_of(pid_t pid) {
    const std::filesystem::path process = "/proc/" + std::to_string(pid);
    std::ifstream status(process / "status");
    if (!status) {
        return std::nullopt;
    }
    Footprint footprint;
    for (std::string line; std::getline(status, line);) {
        std::istringstream words(line);
        std::string name;
        words >> name;
        if (name == "VmRSS:") {
            words >> footprint.resident_kib;
        } else if (name == "Threads:") {
            words >> footprint.threads;
        }
    }
    footprint.inside = look_inside(process);
    footprint.zombies = zombies_of(pid);
    return footprint;
}

Footprint settled_footprint_of(pid_t pid) {
    Footprint last;
    int calm = 0;
    eventually([&] {
        const auto now = footprint_of(pid);
        calm = now && is_calm(*now, last) ? calm + 1 : 0;
        last = now.value_or(last);
        return calm >= calm_looks;
    });
    return last;
}

bool within(const Footprint& now, const Footprint& before, std::size_t slack_kib) {
    if (now.zombies > before.zombies || now.threads > before.threads ||
        now.inside.has_value() != before.inside.has_value()) {
        return false;
    }
    if (now.inside &&
        (now.inside->descriptors > before.inside->descriptors || now.inside->memfds > before.inside->memfds)) {
        return false;
    }
    return sanitized || now.resident_kib <= before.resident_kib + slack_kib;
}

std::ostream& operator<<(std::ostream& stream, const Footprint& footprint) {
    if (footprint.inside) {
        stream << footprint.inside->descriptors << " descriptors, " << footprint.inside->memfds << " memfds, ";
    }
    return stream << footprint.threads << " threads, " << footprint.zombies << " zombies, " << footprint.resident_kib
                  << " KiB resident";
}

}  // namespace yoke::test
