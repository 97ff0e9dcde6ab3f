// Where an endpoint stands: at the outer end of which channel, what is there, and how its path is opened.
//
// A path is opened by the worker, that is with the account's identity, and only as what the definition says that it
// is: a FIFO where a file was expected, or a file where a device was, is an error that names the right kind. No open
// waits for anybody: a FIFO that has no reader yet is opened later.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "control/graph_file.hpp"

namespace yoke::worker {

struct Place {
    std::string graph;          // "/graph"
    std::string key;            // of this graph and no other that was or will be
    std::string channel_name;   // "/graph/channel"
    std::uint32_t channel = 0;  // for push and pull
    bool source = false;        // data come from the endpoint
    bool persist = false;       // of the graph: who has gone at the other end of a FIFO or socket may come back
    std::uint64_t bytes = 0;    // of a datablock, at most
    bool variable = false;      // it may have less
    std::string port;           // "/graph/ptask:port", at the channel's other end
    control::TemplateDefinition form;
    control::EndpointDefinition definition;

    // "endpoint /path of channel /graph/channel"
    [[nodiscard]] std::string text() const;
};

// What makes two paths one file.
struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const FileIdentity&) const = default;
};
// Nothing: the path is not there, or what is there may be read and written at the same time (devices, sockets).
std::optional<FileIdentity> identity_of(const Place& place);

// Never waits. Empties nothing. A descriptor that is not valid: a FIFO to write to that nobody reads yet. EINVAL: the
// path is something else, or not absolute; ENOENT and others of open(2) and connect(2).
Result<Fd> open_place(const Place& place);
// What a file that is written had before goes, unless the graph persists.
Status empty_place(const Place& place, const Fd& fd);

}  // namespace yoke::worker
