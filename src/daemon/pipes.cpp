// See pipes.hpp.
#include "daemon/pipes.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace yoke::daemon {

std::string Pipes::obstacle(const Pipe& pipe) const {
    if (pipe.writers.size() > 1 || pipe.readers.size() > 1) {
        return fmt::format("{} stages {} it", std::max(pipe.writers.size(), pipe.readers.size()),
                           pipe.writers.size() > 1 ? "write" : "read");
    }
    if (pipe.writers.empty() || pipe.readers.empty()) {
        // A stage that has YOKE_STAGE=pipe claims nothing, so it is not told from a program that is no stage.
        return fmt::format("its {} is no stage, has not begun, or has YOKE_STAGE=pipe",
                           pipe.writers.empty() ? "writer" : "reader");
    }
    const std::string& written = claims_.at(pipe.writers.front()).form;
    const std::string& read = claims_.at(pipe.readers.front()).form;
    return written != read ? fmt::format("one writes {}, the other reads {}", written, read) : std::string();
}

// Makes the pipe's pair what its claims say.
std::vector<PairChange> Pipes::settle(Pipe& pipe) {
    std::vector<PairChange> changes;
    const bool possible = obstacle(pipe).empty();
    const bool same = possible && pipe.pair != 0 && pipe.paired_writer == pipe.writers.front() &&
                      pipe.paired_reader == pipe.readers.front();
    if (same) {
        return changes;
    }
    if (pipe.pair != 0) {
        changes.push_back({PairChange::What::ends, pipe.pair, pipe.paired_writer, pipe.paired_reader});
        pipe.pair = 0;
    }
    if (possible) {
        pipe.pair = next_pair_++;
        pipe.paired_writer = pipe.writers.front();
        pipe.paired_reader = pipe.readers.front();
        pipe.state = "pipe";
        pipe.why = "the stages have just met";
        changes.push_back({PairChange::What::begins, pipe.pair, pipe.paired_writer, pipe.paired_reader});
    }
    return changes;
}

std::vector<PairChange> Pipes::claim(ClaimId id, const Claim& claim) {
    if (!claims_.emplace(id, claim).second) {
        return {};
    }
    Pipe& pipe = pipes_[{claim.account, claim.inode}];
    (claim.end == PipeEnd::writer ? pipe.writers : pipe.readers).push_back(id);
    return settle(pipe);
}

std::vector<PairChange> Pipes::release(ClaimId id) {
    const auto found = claims_.find(id);
    if (found == claims_.end()) {
        return {};
    }
    const auto place = pipes_.find({found->second.account, found->second.inode});
    Pipe& pipe = place->second;
    std::erase(found->second.end == PipeEnd::writer ? pipe.writers : pipe.readers, id);
    std::vector<PairChange> changes = settle(pipe);
    claims_.erase(found);
    if (pipe.writers.empty() && pipe.readers.empty()) {
        pipes_.erase(place);
    }
    return changes;
}

bool Pipes::report(ClaimId id, std::uint64_t pair, const std::string& state, const std::string& why) {
    const auto found = claims_.find(id);
    if (found == claims_.end()) {
        return false;
    }
    Pipe& pipe = pipes_.at({found->second.account, found->second.inode});
    if (pair == 0 || pipe.pair != pair) {
        return false;
    }
    pipe.state = state;
    pipe.why = why;
    return true;
}

std::string Pipes::pids(const std::vector<ClaimId>& ids) const {
    std::string text;
    for (const ClaimId id : ids) {
        text += fmt::format("{}{}", text.empty() ? "" : ",", claims_.at(id).pid);
    }
    return text;
}

control::Json Pipes::list(uid_t account) const {
    control::Json array = control::Json::array();
    for (const auto& [key, pipe] : pipes_) {
        if (key.first != account) {
            continue;
        }
        const auto& ids = pipe.writers.empty() ? pipe.readers : pipe.writers;
        array.push_back({{"pipe", key.second},
                         {"state", pipe.pair != 0 ? pipe.state : "pipe"},
                         {"why", pipe.pair != 0 ? pipe.why : obstacle(pipe)},
                         {"writer_pid", pids(pipe.writers)},
                         {"reader_pid", pids(pipe.readers)},
                         {"records", claims_.at(ids.front()).form}});
    }
    return array;
}

}  // namespace yoke::daemon
