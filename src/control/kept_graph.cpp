// The folder is hostile to a yoked that is root: it is opened without following links, and little of it is looked at.
#include "control/kept_graph.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "base/fd.hpp"
#include "control/name.hpp"

namespace yoke::control {
namespace {

constexpr std::string_view suffix = ".json";

struct DirectoryCloser {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

}  // namespace

std::string kept_directory(const std::string& state_directory, KeptState state) {
    return state_directory + (state == KeptState::running ? "/running" : "/stopped");
}

std::string kept_path(const std::string& state_directory, KeptState state, const std::string& graph) {
    return kept_directory(state_directory, state) + graph + std::string(suffix);
}

std::vector<std::string> kept_graphs(const std::string& state_directory, KeptState state) {
    std::vector<std::string> graphs;
    if (state_directory.empty()) {
        return graphs;
    }
    Fd folder(::open(kept_directory(state_directory, state).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const std::unique_ptr<DIR, DirectoryCloser> entries(folder ? ::fdopendir(folder.get()) : nullptr);
    if (!entries) {
        return graphs;
    }
    static_cast<void>(folder.release());  // closed with the entries
    std::size_t looked_at = 0;
    while (const dirent* entry = ::readdir(entries.get())) {
        const std::string_view file = entry->d_name;
        if (++looked_at > 2 * kept_graphs_max || graphs.size() == kept_graphs_max) {
            break;
        }
        if (file.size() > suffix.size() && file.ends_with(suffix)) {
            const std::string_view part = file.substr(0, file.size() - suffix.size());
            if (is_name_part(part)) {
                graphs.push_back("/" + std::string(part));
            }
        }
    }
    std::sort(graphs.begin(), graphs.end());
    return graphs;
}

}  // namespace yoke::control
