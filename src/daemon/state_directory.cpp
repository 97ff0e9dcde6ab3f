// Folders of accounts belong to their users, so yoked makes them, and looks at names in them, but trusts none that is
// not its account's.
#include "daemon/state_directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/log.hpp"
#include "control/kept_graph.hpp"

namespace yoke::daemon {
namespace {

constexpr mode_t own_folder = 0710;

// A path that is not absolute is to be ignored (XDG base directory specification).
std::string absolute(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && value[0] == '/' ? std::string(value) : std::string();
}

}  // namespace

StateDirectory StateDirectory::find(bool private_instance) {
    StateDirectory found;
    found.private_instance_ = private_instance;
    if (!private_instance) {
        found.base_ = absolute("STATE_DIRECTORY");
        found.base_ = found.base_.substr(0, found.base_.find(':'));  // systemd.exec(5): several are separated so
        return found;
    }
    if (const std::string chosen = absolute("XDG_STATE_HOME"); !chosen.empty()) {
        found.base_ = chosen + "/yoke";
    } else if (const std::string home = absolute("HOME"); !home.empty()) {
        found.base_ = home + "/.local/state/yoke";
    }
    return found;
}

std::string StateDirectory::of(uid_t account) const {
    if (base_.empty() || private_instance_) {
        return base_;
    }
    return base_ + "/" + std::to_string(account);
}

void StateDirectory::prepare(uid_t account) const {
    if (base_.empty() || private_instance_) {
        return;
    }
    const std::string path = of(account);
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == account) {
        return;
    }
    // The group stays root's and may pass, so that a yoked without CAP_DAC_OVERRIDE can see which graphs are kept.
    if (::mkdir(path.c_str(), own_folder) != 0 || ::chmod(path.c_str(), own_folder) != 0 ||
        ::lchown(path.c_str(), account, static_cast<gid_t>(-1)) != 0) {
        log_warning(Topic::daemon, "state directory of an account cannot be made",
                    {{"path", path}, {"error", std::strerror(errno)}});
    }
}

std::vector<uid_t> StateDirectory::accounts() const {
    if (base_.empty()) {
        return {};
    }
    if (private_instance_) {
        return {::geteuid()};
    }
    std::vector<uid_t> found;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(base_, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        uid_t account = 0;
        const auto parsed = std::from_chars(name.data(), name.data() + name.size(), account);
        struct stat info {};
        // A folder that is not its account's would let somebody else decide what runs for it.
        if (parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size() &&
            ::lstat(entry->path().c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == account &&
            found.size() < accounts_max) {
            found.push_back(account);
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

bool StateDirectory::wants_worker(uid_t account) const {
    return !control::kept_graphs(of(account), control::KeptState::running).empty();
}

}  // namespace yoke::daemon
