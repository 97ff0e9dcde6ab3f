// JSON with a schema, although only yoked writes it: a file that somebody else has damaged is then an error with a name
// and not a process that is killed by mistake.
#include "daemon/roster.hpp"

#include <array>
#include <fstream>

#include "base/file.hpp"

#include "control/message.hpp"
#include "control/schema.hpp"
#include "daemon/state_file.hpp"

namespace yoke::daemon {
namespace {

using control::Kind;
using control::Member;

constexpr control::Range id_range{0, 0xffff'fffeU};
constexpr control::Range pid_range{1, 1U << 22U};  // the kernel's PID_MAX_LIMIT
constexpr control::Range workers_range{0, 4096};

constexpr std::array<Member, 4> entry_members{{
    {"account", Kind::unsigned_number, true, id_range},
    {"generation", Kind::unsigned_number},
    {"pid", Kind::unsigned_number, true, pid_range},
    {"start", Kind::unsigned_number},
}};
constexpr control::Schema entry_schema{entry_members};
constexpr std::array<Member, 2> roster_members{{
    {"boot", Kind::string, true, {0, 64}},
    {"workers", Kind::array, true, workers_range, &entry_schema},
}};
constexpr control::Schema roster_schema{roster_members};

std::string boot_id() {
    std::ifstream stream("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(stream, id);
    return id;
}

}  // namespace

Result<std::vector<RosterEntry>> parse_roster(std::string_view text, std::string_view boot) {
    const auto json = control::parse(std::as_bytes(std::span(text)));
    if (!json) {
        return tl::unexpected(json.error());
    }
    if (auto checked = control::check(*json, roster_schema); !checked) {
        return tl::unexpected(checked.error());
    }
    std::vector<RosterEntry> entries;
    if ((*json)["boot"] != boot) {
        return entries;
    }
    for (const control::Json& item : (*json)["workers"]) {
        entries.push_back({item["account"].get<uid_t>(),
                           item["generation"].get<std::uint64_t>(),
                           {item["pid"].get<pid_t>(), item["start"].get<std::uint64_t>()}});
    }
    return entries;
}

std::string roster_text(const std::vector<RosterEntry>& entries, std::string_view boot) {
    control::Json workers = control::Json::array();
    for (const RosterEntry& entry : entries) {
        workers.push_back({{"account", entry.account},
                           {"generation", entry.generation},
                           {"pid", entry.process.pid},
                           {"start", entry.process.start}});
    }
    return control::Json{{"boot", boot}, {"workers", std::move(workers)}}.dump();
}

Result<std::vector<RosterEntry>> load_roster(const std::string& path) {
    const auto text = read_file(path);
    if (!text && text.error().code == ENOENT) {
        return std::vector<RosterEntry>{};
    }
    return text ? parse_roster(*text, boot_id()) : tl::unexpected(text.error());
}

Status save_roster(const std::string& path, const std::vector<RosterEntry>& entries) {
    return write_state_file(path, roster_text(entries, boot_id()));
}

}  // namespace yoke::daemon
