// The shared memory of a session: arena, status page and bell, made fresh or with the arena of a dead worker.
//
// The arena is sealed against resizing; a client can still punch holes into it, which costs only itself. The status
// page is sealed against every future writer once the worker has mapped it, so that the client can rely on its words
// and the worker on nobody else writing them.
#pragma once

#include <optional>

#include "base/fd.hpp"
#include "control/message.hpp"
#include "executive/executive.hpp"

namespace yoke::worker {

struct SessionParts {
    executive::SessionMemory memory;
    std::vector<Fd> for_client;  // arena, status page, bell
};

// `session` and `worker_pid` go into the status page. `old_arena_untrusted`: one that is handed over; its size must be
// that of the layout. EINVAL, EMSGSIZE, ENOMEM.
Result<SessionParts> make_session_memory(const yoke_layout& layout, executive::SessionId session,
                                         std::optional<Fd> old_arena_untrusted);

// The words of a fresh status page that never change.
void fill_status_page(const Mapping& status, executive::SessionId session);

// The member `layout` of the answer to open_session.
control::Json layout_message(const yoke_layout& layout);

}  // namespace yoke::worker
