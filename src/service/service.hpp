// Services: named pure functions out = f(in, aux, params, key), with host code.
//
// The same code runs in the caller (libyoke) and in the worker (executive), so it sees only private copies of
// parameters and treats in, aux and out as memory that others may write while it runs: a length is never read from
// them.
//
// A call is planned once (lengths, number of chunks) and then executed chunk by chunk, in any order and on any lane;
// services whose data is a chain (CBC encryption, GCM, one long SHA-256) plan a single chunk. A lane is a thread: lane
// numbers index scratch space that a key prepares when it is made, so that running a chunk allocates nothing.
//
// Adding a service: one folder with its code, one line in table.cpp, one id in uapi/yoke.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <uapi/yoke.h>

#include "base/error.hpp"

namespace yoke::service {

// Chunks are about this long: short enough to look for deadlines and other callers in between, long enough to be cheap.
inline constexpr std::uint32_t chunk_bytes = 64U * 1024U;
// Lanes that a key prepares for at most (threads of one executive).
inline constexpr unsigned lanes_max = 64;

using Params = std::array<std::byte, YOKE_PAYLOAD_BYTES>;

// A key made ready for one service: cipher contexts for every lane, wiped when destroyed. A key belongs to the one
// service that made it. Two threads must not use one lane at the same time.
class Key {
   public:
    explicit Key(std::uint16_t service) : service_(service) {}
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;
    virtual ~Key() = default;

    [[nodiscard]] std::uint16_t service() const { return service_; }

   private:
    std::uint16_t service_;
};

// What is known of a call before its data is touched.
struct Shape {
    std::uint8_t flags = 0;       // YOKE_FLAG_*; PARAMS is set where the call came with parameters, else params is zero
    std::uint32_t in_length = 0;  // bytes
    std::uint32_t out_length = 0;  // bytes available for output
    const Key* key = nullptr;
    Params params{};  // private copy
};

// What the service makes of it.
struct Plan {
    int status = 0;                // 0 or -errno; the members below are valid for 0, out_length for -EMSGSIZE too
    std::uint32_t detail = 0;      // enum yoke_member when status != 0
    std::uint32_t out_length = 0;  // bytes that will be written
    std::uint32_t aux_length = 0;  // bytes of second input that will be read
    std::uint32_t chunks = 0;      // 0: nothing to do
};

// A planned call with its memory.
struct Work {
    Shape shape;
    Plan plan;
    const std::byte* in = nullptr;
    const std::byte* aux = nullptr;
    std::byte* out = nullptr;
};

class Service {
   public:
    virtual ~Service() = default;
    Service() = default;
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    [[nodiscard]] virtual std::uint16_t id() const = 0;
    [[nodiscard]] virtual std::string_view name() const = 0;     // "aes-xts"
    [[nodiscard]] virtual std::string_view summary() const = 0;  // one line for people
    [[nodiscard]] virtual bool needs_key() const = 0;
    // Makes a key usable on lanes 0 .. lanes-1. EKEYREJECTED with a sentence; ENOSYS where no key is taken.
    [[nodiscard]] virtual Result<std::unique_ptr<Key>> make_key(std::span<const std::byte> bytes,
                                                                unsigned lanes) const = 0;
    // Checks lengths, flags, parameters and the key's kind (ENOKEY). Allocates nothing.
    [[nodiscard]] virtual Plan plan(const Shape& shape) const noexcept = 0;
    // Executes one chunk on one lane. Returns 0 or -errno (EBADMSG: authentication failed, output zeroed).
    // Allocates nothing.
    [[nodiscard]] virtual int run(const Work& work, std::uint32_t chunk, unsigned lane) const noexcept = 0;
};

// The table of services. Returns nullptr when there is none.
[[nodiscard]] const Service* find(std::uint16_t id);
[[nodiscard]] const Service* find(std::string_view name);
[[nodiscard]] std::span<const Service* const> all();

}  // namespace yoke::service
