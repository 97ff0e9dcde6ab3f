// Locked memory for the bytes of keys: the only copies that outlive yoke_key_create.
//
// A session needs a key's bytes again when a new worker takes over. They lie in pages that are locked (where the limits
// permit), left out of core dumps, zero in children of fork, and wiped when a key goes. A page is cut into places of 64
// bytes, the longest key there is, because locked pages are scarce (RLIMIT_MEMLOCK).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace yoke::client {

class Vault;

// The bytes of one key, wiped with their owner. Must not outlive its vault.
class Secret {
   public:
    Secret() = default;
    Secret(Secret&& other) noexcept
        : vault_(std::exchange(other.vault_, nullptr)),
          place_(other.place_),
          length_(std::exchange(other.length_, 0)) {}
    Secret& operator=(Secret&& other) noexcept {
        std::swap(vault_, other.vault_);
        std::swap(place_, other.place_);
        std::swap(length_, other.length_);
        return *this;
    }
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret();

    [[nodiscard]] std::span<const std::byte> bytes() const { return {place_, length_}; }

   private:
    friend class Vault;
    Secret(Vault* vault, std::byte* place, std::size_t length) : vault_(vault), place_(place), length_(length) {}

    Vault* vault_ = nullptr;
    std::byte* place_ = nullptr;
    std::size_t length_ = 0;
};

class Vault {
   public:
    static constexpr std::size_t place_bytes = 64;

    Vault() = default;
    Vault(const Vault&) = delete;
    Vault& operator=(const Vault&) = delete;
    ~Vault();

    // Copies the bytes of a key. EMSGSIZE: more than 64. ENOMEM.
    Result<Secret> keep(std::span<const std::byte> bytes);

   private:
    friend class Secret;
    Status grow();
    void forget(std::byte* place);

    std::vector<std::byte*> pages_;
    std::vector<std::byte*> spare_;
};

}  // namespace yoke::client
