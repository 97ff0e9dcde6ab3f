// Owners of libyoke's objects, and its errors as failures of a command.
#pragma once

#include <yoke/yoke.h>

#include <memory>
#include <span>
#include <string>

#include "cli/failure.hpp"

namespace yoke::cli {

struct SessionCloser {
    void operator()(yoke_session* session) const { yoke_close(session); }
};
using Session = std::unique_ptr<yoke_session, SessionCloser>;

// A key that is destroyed before its session closes.
class Key {
   public:
    // @bytes stay the caller's to wipe.
    static Outcome<Key> create(yoke_session* session, std::uint16_t service, std::span<const std::byte> bytes);
    Key() = default;
    Key(Key&& other) noexcept : session_(other.session_), key_(std::exchange(other.key_, nullptr)) {}
    Key& operator=(Key&& other) noexcept {
        std::swap(session_, other.session_);
        std::swap(key_, other.key_);
        return *this;
    }
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;
    ~Key() { yoke_key_destroy(session_, key_); }
    [[nodiscard]] const yoke_key* get() const { return key_; }

   private:
    Key(yoke_session* session, yoke_key* key) : session_(session), key_(key) {}
    yoke_session* session_ = nullptr;
    yoke_key* key_ = nullptr;
};

struct SessionNeeds {
    std::string socket;            // empty: libyoke's default
    std::uint64_t data_bytes = 0;  // what will be allocated in the arena
    bool local = false;            // no worker
};
Outcome<Session> open_session(const SessionNeeds& needs);

// Allocates in the session's arena; the memory lives as long as the session.
Outcome<std::span<std::byte>> allocate(yoke_session* session, std::size_t bytes);

// The failure of a function of libyoke that returned @error (-errno): the library's own sentence.
[[nodiscard]] tl::unexpected<Failure> fail_library(const yoke_session* session, int error);

[[nodiscard]] const char* place_name(std::uint8_t where);  // enum yoke_where: "caller", "cpu", ...
[[nodiscard]] const char* reason_name(std::uint8_t why);   // enum yoke_why: "asked", "cost", ...

}  // namespace yoke::cli
