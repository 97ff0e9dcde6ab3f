// Keys of a session: the cipher contexts for calls in the caller, the worker's id, and the bytes for the next worker.
//
// A key that is destroyed while calls use it stays until they have ended, here and in the worker: an entry that was
// submitted but not yet taken must still find it, and a call may have to be repeated after the worker's death.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>

#include <yoke/yoke.h>

#include "base/error.hpp"
#include "client/link.hpp"
#include "client/vault.hpp"
#include "service/service.hpp"

namespace yoke::client {

class Key {
   public:
    Key(const service::Service& service, std::unique_ptr<service::Key> local, Secret secret, std::uint32_t id)
        : number(id), service_(service), local_(std::move(local)), secret_(std::move(secret)) {}

    static Key* from(const yoke_key* key) { return const_cast<Key*>(reinterpret_cast<const Key*>(key)); }
    [[nodiscard]] yoke_key* handle() { return reinterpret_cast<yoke_key*>(this); }

    [[nodiscard]] const service::Service& service() const { return service_; }
    [[nodiscard]] const service::Key* local() const { return local_.get(); }
    [[nodiscard]] std::span<const std::byte> bytes() const { return secret_.bytes(); }

    const std::uint32_t number;  // of the session: the same at every worker, never 0
    std::uint32_t remote = 0;    // id in the worker; 0: the worker does not have it
    std::uint32_t uses = 0;      // calls in flight or quarantined
    bool condemned = false;      // destroyed by its owner

   private:
    const service::Service& service_;
    std::unique_ptr<service::Key> local_;
    Secret secret_;
};

class Keys {
   public:
    // EKEYREJECTED, ENOSYS (no such service, or one without keys), ENOMEM.
    Result<Key*> create(std::uint16_t service, std::span<const std::byte> bytes);
    // Sends a key to the worker.
    static Status send(Key& key, Link& link, std::uint64_t deadline_ns);
    // Sends all keys to a new worker.
    Status send_all(Link& link, std::uint64_t deadline_ns);
    // The worker is gone, and with it what it knew.
    void forget_remote();

    [[nodiscard]] bool knows(const Key* key) const;
    // Marks a key as destroyed; collect() removes it when nothing uses it.
    void condemn(Key& key);
    [[nodiscard]] bool has_condemned() const { return condemned_ != 0; }
    // Wipes condemned keys that nothing uses, in the worker too where there is a `link`.
    void collect(Link* link, std::uint64_t deadline_ns);
    // A request about graphs with the worker's ids of keys in the place of the session's numbers. A key that the worker
    // does not have gets an id that no key has.
    [[nodiscard]] control::Json for_worker(const control::Json& body) const;
    // Wipes a key now.
    void erase(const Key* key);

   private:
    Vault vault_;  // outlives the keys
    std::list<Key> keys_;
    std::uint32_t condemned_ = 0;
    std::uint32_t last_number_ = 0;
};

}  // namespace yoke::client
