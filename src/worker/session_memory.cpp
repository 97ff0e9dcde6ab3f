// The order of the seals matters: the status page is mapped writable before future writers are sealed out, and an arena
// from outside is judged by its seals before it is mapped.
#include "worker/session_memory.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <new>

namespace yoke::worker {
namespace {

Result<Fd> duplicate(const Fd& fd) {
    Fd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) {
        return fail_errno("session cannot be opened, descriptors are used up");
    }
    return copy;
}

Result<Fd> take_arena(const yoke_layout& layout, std::optional<Fd> old_arena_untrusted) {
    if (!old_arena_untrusted) {
        return create_sealed_memfd("yoke-arena", layout.arena_bytes);
    }
    const auto size = check_untrusted_memfd(*old_arena_untrusted, layout.arena_bytes, layout.arena_bytes, false);
    if (!size) {
        return fail(size.error().code, "arena that is handed over cannot be used: {}", size.error().message);
    }
    const int seals = ::fcntl(old_arena_untrusted->get(), F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SEAL) == 0 || (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0) {
        return fail(EINVAL, "arena that is handed over must have the seals SHRINK, GROW and SEAL and no others");
    }
    return std::move(*old_arena_untrusted);
}

struct StatusPage {
    Fd memory;
    Mapping mapping;
};

Result<StatusPage> make_status(const yoke_layout& layout, executive::SessionId session) {
    StatusPage status;
    auto memory = create_sealed_memfd("yoke-status", layout.status_bytes, false);
    if (!memory) {
        return tl::unexpected(memory.error());
    }
    status.memory = std::move(*memory);
    auto mapping = Mapping::map(status.memory, layout.status_bytes, true);
    if (!mapping) {
        return tl::unexpected(mapping.error());
    }
    status.mapping = std::move(*mapping);
    if (auto sealed = seal_future_writes(status.memory); !sealed) {
        return tl::unexpected(sealed.error());
    }
    fill_status_page(status.mapping, session);
    return status;
}

}  // namespace

void fill_status_page(const Mapping& status, executive::SessionId session) {
    auto* page = new (status.data()) yoke_status_page{};
    page->magic = YOKE_ABI_MAGIC;
    page->version = YOKE_ABI_VERSION;
    page->worker_pid = static_cast<__u32>(::getpid());
    page->session = session;
}

Result<SessionParts> make_session_memory(const yoke_layout& layout, executive::SessionId session,
                                         std::optional<Fd> old_arena_untrusted) {
    SessionParts parts;
    parts.memory.layout = layout;
    parts.memory.handed_over = old_arena_untrusted.has_value();
    auto arena = take_arena(layout, std::move(old_arena_untrusted));
    if (!arena) {
        return tl::unexpected(arena.error());
    }
    auto mapping = Mapping::map(*arena, layout.arena_bytes, true);
    if (!mapping) {
        return fail(mapping.error().code, "arena of the session cannot be used: {}", mapping.error().message);
    }
    parts.memory.arena = std::move(*mapping);
    auto status = make_status(layout, session);
    if (!status) {
        return tl::unexpected(status.error());
    }
    parts.memory.status = std::move(status->mapping);
    parts.memory.bell.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!parts.memory.bell) {
        return fail_errno("session cannot be opened");
    }
    auto bell = duplicate(parts.memory.bell);
    if (!bell) {
        return tl::unexpected(bell.error());
    }
    parts.for_client.push_back(std::move(*arena));
    parts.for_client.push_back(std::move(status->memory));
    parts.for_client.push_back(std::move(*bell));
    return parts;
}

control::Json layout_message(const yoke_layout& layout) {
    control::Json rings = control::Json::array();
    for (const yoke_ring_layout& ring : layout.ring) {
        rings.push_back({{"slots", ring.slots},
                         {"submission", ring.submission},
                         {"params", ring.params},
                         {"completion", ring.completion},
                         {"cancel", ring.cancel},
                         {"running", ring.running}});
    }
    return {{"magic", layout.magic},
            {"version", layout.version},
            {"features", layout.features},
            {"arena_bytes", layout.arena_bytes},
            {"status_bytes", layout.status_bytes},
            {"client", layout.client},
            {"data", layout.data},
            {"ring", std::move(rings)}};
}

}  // namespace yoke::worker
