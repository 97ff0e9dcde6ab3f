// Owners of libyoke's objects for the parts of the tour.
#pragma once

#include <yoke/yoke.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

#include "tour/outcome.hpp"

namespace tour {

struct SessionCloser {
    void operator()(yoke_session* session) const { yoke_close(session); }
};
using Session = std::unique_ptr<yoke_session, SessionCloser>;

// @data_bytes: what will be allocated in its arena.
inline Outcome<Session> open_session(std::uint64_t data_bytes) {
    constexpr std::uint64_t granule = 1U << 20U;
    yoke_options options{};
    options.arena_bytes = (data_bytes / granule + 3) * granule;  // and room for rings and rounding
    yoke_session* session = nullptr;
    if (yoke_open(&session, &options) != 0) {
        return fail("{}", yoke_error(nullptr));
    }
    return Session(session);
}

inline Outcome<std::span<std::byte>> allocate(yoke_session* session, std::size_t bytes) {
    void* memory = nullptr;
    if (yoke_alloc(session, bytes, &memory) != 0) {
        return fail("{}", yoke_error(session));
    }
    return std::span(static_cast<std::byte*>(memory), bytes);
}

}  // namespace tour
