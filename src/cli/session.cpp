// See session.hpp.
#include "cli/session.hpp"

#include <algorithm>

namespace yoke::cli {
namespace {

constexpr std::uint64_t arena_granule = 1U << 20U;
constexpr std::uint64_t rings_bytes = 1U << 20U;  // room for the rings of the default number of slots, and then some

std::string without_full_stop(std::string text) {
    while (text.ends_with('\n') || text.ends_with('.')) {
        text.pop_back();
    }
    return text;
}

}  // namespace

tl::unexpected<Failure> fail_library(const yoke_session* session, int error) {
    const int code = error == -ENOENT ? static_cast<int>(exit_no_object) : exit_of(-error);
    const std::string sentence = without_full_stop(yoke_error(session));
    return fail(code, "{}", sentence.empty() ? std::strerror(-error) : sentence);
}

Outcome<Session> open_session(const SessionNeeds& needs) {
    yoke_options options{};
    options.socket = needs.socket.empty() ? nullptr : needs.socket.c_str();
    options.arena_bytes = (needs.data_bytes + rings_bytes + arena_granule - 1) / arena_granule * arena_granule;
    options.flags = needs.local ? YOKE_OPEN_LOCAL : YOKE_OPEN_NOTICES;
    yoke_session* session = nullptr;
    if (const int error = yoke_open(&session, &options); error != 0) {
        return fail_library(nullptr, error);
    }
    return Session(session);
}

Outcome<std::span<std::byte>> allocate(yoke_session* session, std::size_t bytes) {
    void* memory = nullptr;
    const std::size_t room = std::max<std::size_t>(bytes, 1);
    if (const int error = yoke_alloc(session, room, &memory); error != 0) {
        return fail_library(session, error);
    }
    return std::span(static_cast<std::byte*>(memory), bytes);
}

Outcome<Key> Key::create(yoke_session* session, std::uint16_t service, std::span<const std::byte> bytes) {
    yoke_key* key = nullptr;
    if (const int error = yoke_key_create(session, service, bytes.data(), bytes.size(), &key); error != 0) {
        return fail_library(session, error);
    }
    return Key(session, key);
}

const char* place_name(std::uint8_t where) {
    switch (where) {
        case YOKE_WHERE_CALLER:
            return "caller";
        case YOKE_WHERE_CPU:
            return "cpu";
        case YOKE_WHERE_CUDA:
            return "cuda";
        case YOKE_WHERE_NSK:
            return "nsk";
        default:
            return "none";
    }
}

const char* reason_name(std::uint8_t why) {
    switch (why) {
        case YOKE_WHY_ASKED:
            return "asked";
        case YOKE_WHY_COST:
            return "cost";
        case YOKE_WHY_ONLY:
            return "only";
        case YOKE_WHY_LOST:
            return "lost";
        case YOKE_WHY_BARRED:
            return "barred";
        default:
            return "none";
    }
}

}  // namespace yoke::cli
