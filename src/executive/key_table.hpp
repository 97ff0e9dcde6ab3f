// The keys of one session: found without a lock, removed while they are in use, wiped after their last use.
//
// Each place holds one word {id, removed, users}. Using a key raises the number of users if the id still matches and
// the key was not removed; removing sets a bit. Whoever makes the word "removed, no users" (the remover or the last
// user) destroys the key, so that this happens exactly once and never under a running call.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "base/error.hpp"
#include "service/service.hpp"

namespace yoke::executive {

class KeyTable {
    struct Place;

   public:
    // A key that cannot be wiped while this lives. Empty when there was no such key.
    class Use {
       public:
        Use() = default;
        Use(Use&& other) noexcept : table_(std::exchange(other.table_, nullptr)), place_(other.place_) {}
        Use& operator=(Use&& other) noexcept {
            std::swap(table_, other.table_);
            std::swap(place_, other.place_);
            return *this;
        }
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;
        ~Use() { end(); }
        explicit operator bool() const { return table_ != nullptr; }
        [[nodiscard]] const service::Key* key() const;
        [[nodiscard]] const service::Service* service() const;
        void end();

       private:
        friend class KeyTable;
        Use(KeyTable* table, Place* place) : table_(table), place_(place) {}
        KeyTable* table_ = nullptr;
        Place* place_ = nullptr;
    };

    // At most `limit` keys at a time; the table is allocated with the first one.
    explicit KeyTable(std::uint32_t limit) : limit_(limit) {}
    ~KeyTable();  // no Use may be left
    KeyTable(const KeyTable&) = delete;
    KeyTable& operator=(const KeyTable&) = delete;

    // ENOBUFS when the limit is reached. The id is never 0 and never comes back.
    Result<std::uint32_t> add(const service::Service& service, std::unique_ptr<service::Key> key);
    // ENOKEY. The key is wiped now or after its last use.
    Status remove(std::uint32_t id);
    // Any thread, without a lock or an allocation.
    [[nodiscard]] Use use(std::uint32_t id) noexcept;
    // The key itself, for one who keeps it longer than the table does: it is wiped when he lets go of it. Null where
    // there is no such key of `service`.
    [[nodiscard]] std::shared_ptr<const service::Key> share(std::uint32_t id, const service::Service& service);
    [[nodiscard]] std::uint32_t count() const { return count_.load(std::memory_order_relaxed); }

   private:
    struct Place {
        std::atomic<std::uint64_t> word{0};  // 0: free
        std::uint32_t generation = 0;        // of the next key here; guarded by mutex_
        const service::Service* service = nullptr;
        std::shared_ptr<service::Key> key;
    };
    [[nodiscard]] Place* place_of(std::uint32_t id) const noexcept;
    void release(Place& place) noexcept;
    void wipe(Place& place) noexcept;

    const std::uint32_t limit_;
    std::mutex mutex_;  // of add
    std::unique_ptr<Place[]> owner_;
    std::atomic<Place*> places_{nullptr};
    std::atomic<std::uint32_t> count_{0};
};

}  // namespace yoke::executive
