// What a process holds: descriptors, shared memory, memory of its own. To show that a hostile client leaves nothing.
//
// Where a process may not be looked into (a worker is undumpable, so only root sees its descriptors and mappings) these
// are left out, and a difference shows in its memory alone.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <ostream>

namespace yoke::test {

struct Footprint {
    struct Inside {
        std::size_t descriptors = 0;
        std::size_t memfds = 0;  // descriptors and mappings of memfds
        bool operator==(const Inside&) const = default;
    };
    std::optional<Inside> inside;
    std::size_t threads = 0;
    std::size_t resident_kib = 0;
    std::size_t zombies = 0;  // children that have ended and were not reaped
};

// Nothing when there is no such process.
std::optional<Footprint> footprint_of(pid_t pid);
// As soon as it has stopped changing; what was closed a moment ago is still being taken apart.
Footprint settled_footprint_of(pid_t pid);
// No more of anything than `before`; of resident memory at most `slack_kib` more, since allocators keep some.
// Sanitizers keep freed memory on purpose: there resident memory is not compared.
bool within(const Footprint& now, const Footprint& before, std::size_t slack_kib);

std::ostream& operator<<(std::ostream& stream, const Footprint& footprint);

}  // namespace yoke::test
