// Writing is a fresh file, a sync and a rename; a change of state is a rename alone. Reading checks the owner first:
// the text of kernels that this account will run is in there.
#include "worker/persistence.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string_view>
#include <system_error>

#include "base/fd.hpp"
#include "base/file.hpp"
#include "control/name.hpp"
#include "control/schema.hpp"

namespace yoke::worker {

using control::Json;
using control::KeptState;

namespace {

constexpr mode_t own_folder = 0700;
constexpr mode_t listed_folder = 0755;  // yoked sees names in it; nobody else gets through the one around it
constexpr mode_t own_file = 0600;

Status write_all(const Fd& file, std::string_view text, const std::string& path) {
    while (!text.empty()) {
        const ssize_t count = ::write(file.get(), text.data(), text.size());
        if (count < 0 && errno != EINTR) {
            return fail_errno("definition {} cannot be written", path);
        }
        text.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
    }
    return {};
}

// A fresh file, synced, then rename: after a crash there is the old content or the new.
Status replace_file(const std::string& path, std::string_view text) {
    const std::string fresh = path + ".new";
    ::unlink(fresh.c_str());
    const Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, own_file));
    if (!file) {
        return fail_errno("definition {} cannot be written", fresh);
    }
    auto written = write_all(file, text, fresh);
    if (written && ::fsync(file.get()) != 0) {
        written = fail_errno("definition {} cannot be written", fresh);
    }
    if (written && std::rename(fresh.c_str(), path.c_str()) != 0) {
        written = fail_errno("definition {} cannot be put in place", path);
    }
    if (!written) {
        ::unlink(fresh.c_str());
    }
    return written;
}

// Whoever can write the file decides what this account's worker runs.
Status check_owner(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        return fail_errno("definition {} cannot be read", path);
    }
    if (!S_ISREG(info.st_mode) || (info.st_uid != ::geteuid() && info.st_uid != 0) || (info.st_mode & 022U) != 0) {
        return fail(EACCES, "definition {} must be a regular file of user {} that nobody else can write", path,
                    ::geteuid());
    }
    return {};
}

// One request, checked as if a client had sent it, of a kind that makes a graph.
Result<Json> read_request(std::string_view line, const std::string& graph, bool first) {
    auto request = control::parse(std::as_bytes(std::span(line)));
    if (!request) {
        return tl::unexpected(request.error());
    }
    const auto op = control::check_request(control::Peer::client_to_worker, *request);
    if (!op) {
        return tl::unexpected(op.error());
    }
    const bool makes =
        first ? *op == "open_graph"
              : *op == "open_port" || *op == "open_ptask" || *op == "open_channel" || *op == "set_priority";
    if (!makes || control::graph_of((*request)["name"].get_ref<const std::string&>()) != graph) {
        return fail(EBADMSG, "request {} does not make graph {}", *op, graph);
    }
    return request;
}

}  // namespace

Status Persistence::check() {
    if (directory_.empty()) {
        return fail(ENOTSUP,
                    "graphs cannot persist, because yoked has no folder for them; start it with $STATE_DIRECTORY (the "
                    "system's) or $HOME (a private one)");
    }
    const std::lock_guard lock(mutex_);
    if (lock_) {
        return {};
    }
    if (auto made = make_directories(); !made) {
        return made;
    }
    const std::string path = directory_ + "/lock";
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, own_file));
    if (!file) {
        return fail_errno("lock {} cannot be opened", path);
    }
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        return fail(EBUSY, "another worker of this user holds {} and runs the graphs that persist; use its yoked",
                    path);
    }
    lock_ = std::move(file);
    return {};
}

void Persistence::begin(const Json& request) {
    Json kept = request;
    kept.erase("id");
    const std::lock_guard lock(mutex_);
    recorded_[request["name"].get<std::string>()] = {std::move(kept)};
}

bool Persistence::records(const std::string& graph) const {
    const std::lock_guard lock(mutex_);
    return recorded_.contains(graph);
}

void Persistence::record(const std::string& graph, const Json& request) {
    Json kept = request;
    kept.erase("id");
    const std::lock_guard lock(mutex_);
    const auto found = recorded_.find(graph);
    if (found == recorded_.end()) {
        return;
    }
    if (kept["op"] == "set_priority") {
        // Only the last one counts; a client may set it as often as it likes.
        std::erase_if(found->second, [&](const Json& earlier) {
            return earlier["op"] == "set_priority" && earlier["name"] == kept["name"];
        });
    }
    found->second.push_back(std::move(kept));
}

Status Persistence::make_directories() const {
    std::error_code error;
    const std::filesystem::path path(directory_);
    std::filesystem::create_directories(path.parent_path(), error);
    if (::mkdir(directory_.c_str(), own_folder) != 0 && errno != EEXIST) {
        return fail_errno("folder {} for graphs that persist cannot be made", directory_);
    }
    for (const KeptState state : {KeptState::running, KeptState::stopped}) {
        const std::string folder = kept_directory(directory_, state);
        const bool made = ::mkdir(folder.c_str(), listed_folder) == 0;
        if ((made && ::chmod(folder.c_str(), listed_folder) != 0) || (!made && errno != EEXIST)) {
            return fail_errno("folder {} for graphs that persist cannot be made", folder);
        }
    }
    return {};
}

Status Persistence::keep(const std::string& graph) {
    std::string text;
    const std::lock_guard lock(mutex_);
    const auto found = recorded_.find(graph);
    if (found == recorded_.end()) {
        return {};
    }
    for (const Json& request : found->second) {
        text += request.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    if (text.size() > file_bytes_max) {
        return fail(EMSGSIZE, "graph {} has a definition of {} bytes; one that persists has at most {}", graph,
                    text.size(), file_bytes_max);
    }
    if (auto made = make_directories(); !made) {
        return made;
    }
    if (auto replaced = replace_file(kept_path(directory_, KeptState::running, graph), text); !replaced) {
        return replaced;
    }
    ::unlink(kept_path(directory_, KeptState::stopped, graph).c_str());
    return {};
}

Status Persistence::update(const std::string& graph) {
    const bool running =
        !directory_.empty() && ::access(kept_path(directory_, KeptState::running, graph).c_str(), F_OK) == 0;
    return running ? keep(graph) : Status();
}

Status Persistence::stop(const std::string& graph) {
    const std::lock_guard lock(mutex_);
    recorded_.erase(graph);
    if (directory_.empty() ||
        std::rename(kept_path(directory_, KeptState::running, graph).c_str(),
                    kept_path(directory_, KeptState::stopped, graph).c_str()) == 0 ||
        errno == ENOENT) {
        return {};
    }
    return fail_errno("graph {} is stopped, but its definition cannot be moved and will run again", graph);
}

Result<bool> Persistence::remove(const std::string& graph) {
    const std::lock_guard lock(mutex_);
    recorded_.erase(graph);
    bool there = false;
    for (const KeptState state : {KeptState::running, KeptState::stopped}) {
        const std::string path = kept_path(directory_, state, graph);
        if (!directory_.empty() && ::unlink(path.c_str()) == 0) {
            there = true;
        } else if (!directory_.empty() && errno != ENOENT) {
            return fail_errno("definition {} cannot be removed", path);
        }
    }
    return there;
}

void Persistence::forget(const std::string& graph) {
    const std::lock_guard lock(mutex_);
    recorded_.erase(graph);
}

bool Persistence::keeps(const std::string& graph) const {
    return !directory_.empty() && (::access(kept_path(directory_, KeptState::running, graph).c_str(), F_OK) == 0 ||
                                   ::access(kept_path(directory_, KeptState::stopped, graph).c_str(), F_OK) == 0);
}

Result<Persistence::Requests> Persistence::load(const std::string& graph) const {
    std::string path = kept_path(directory_, KeptState::running, graph);
    if (::access(path.c_str(), F_OK) != 0) {
        path = kept_path(directory_, KeptState::stopped, graph);
    }
    if (auto checked = check_owner(path); !checked) {
        return tl::unexpected(checked.error());
    }
    const auto text = read_file(path, file_bytes_max);
    if (!text) {
        return tl::unexpected(text.error());
    }
    Requests requests;
    std::string_view rest = *text;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        auto request = read_request(rest.substr(0, end), graph, requests.empty());
        if (!request) {
            return fail(request.error().code, "definition {}, line {}: {}; remove it with `yoke graph rm`", path,
                        requests.size() + 1, request.error().message);
        }
        requests.push_back(std::move(*request));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (requests.empty()) {
        return fail(EBADMSG, "definition {} is empty; remove it with `yoke graph rm`", path);
    }
    return requests;
}

}  // namespace yoke::worker
