// The border between C and C++: handles become sessions, exceptions become errno values.
#pragma once

#include <new>

#include <yoke/yoke.h>

#include "client/session.hpp"

namespace yoke::client {

inline Session* session_of(yoke_session* session) {
    return reinterpret_cast<Session*>(session);
}
inline const Session* session_of(const yoke_session* session) {
    return reinterpret_cast<const Session*>(session);
}

// Runs `body(session)`, which returns 0, a count or -errno, unless the session cannot be used.
template <typename Body>
int guarded(yoke_session* handle, Body&& body) noexcept {
    if (handle == nullptr) {
        return -EINVAL;
    }
    Session& session = *session_of(handle);
    try {
        if (!session.usable()) {
            return session.refuse({ECHILD, "the process forked since the session was opened; open one in the child"});
        }
        return body(session);
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    } catch (...) {
        return -EIO;
    }
}

inline int missing(Session& session, const char* what) {
    return session.refuse({EINVAL, fmt::format("{} is NULL; give one", what)});
}

}  // namespace yoke::client
