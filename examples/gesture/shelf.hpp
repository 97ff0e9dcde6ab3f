// Memory for frames that stays the same from frame to frame: in the arena of the stage that writes them, so that
// nothing copies them when the next stage has joined it.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include <yoke/stage.hpp>

#include "gesture/depth_camera.hpp"

namespace gesture {

inline std::span<std::byte> allocate(yoke_session* session, std::size_t bytes) {
    void* memory = nullptr;
    if (const int status = yoke_alloc(session, bytes, &memory); status < 0) {
        throw yoke::error(-status, yoke_error(session));
    }
    return {static_cast<std::byte*>(memory), bytes};
}

// Rooms that a camera's driver may write into. To be called before the stage's header.
inline DepthCamera::Memory arena_rooms(yoke::Stage& stage) {
    return [&stage](std::size_t bytes, std::size_t count) {
        constexpr std::size_t page = 4096;
        yoke_session* const session = stage.session(count * (bytes + page) + bytes);  // and the stage's own record
        std::vector<DepthCamera::Room> rooms;
        for (std::size_t k = 0; k < count; ++k) {
            std::byte* const room = allocate(session, bytes + page).data();
            rooms.push_back({{room + (page - reinterpret_cast<std::uintptr_t>(room) % page) % page, bytes}, -1});
        }
        return rooms;
    };
}

// For frames that are written again and again. Where no stage may join, it is plain memory, for which nobody needs a
// worker.
class Shelf {
   public:
    explicit Shelf(yoke::Stage& stage) : stage_(stage) {}
    Shelf(const Shelf&) = delete;
    Shelf& operator=(const Shelf&) = delete;

    // To be called once, after the stage's header. Valid as long as the stage and this.
    std::span<std::byte> allocate(std::size_t bytes) {
        if (bytes <= pinned_max && may_join()) {
            try {
                return gesture::allocate(stage_.session(bytes), bytes);
            } catch (const yoke::error&) {
                // No worker can be had, so nobody will join either.
            }
        }
        plain_.resize(bytes);
        return plain_;
    }

   private:
    static bool may_join() {
        struct stat output {};
        const char* way = std::getenv("YOKE_STAGE");
        return ::fstat(STDOUT_FILENO, &output) == 0 && S_ISFIFO(output.st_mode) &&
               (way == nullptr || std::string_view(way) != "pipe");
    }

    static constexpr std::size_t pinned_max = std::size_t{256} << 20U;  // of the machine's memory, for one program
    yoke::Stage& stage_;
    std::vector<std::byte> plain_;
};

}  // namespace gesture
