// Keys of a session behind one atomic word each; see key_table.hpp.
#include "executive/key_table.hpp"
#include "base/text.hpp"

namespace yoke::executive {
namespace {

constexpr std::uint64_t removed_bit = 1ULL << 31;
constexpr std::uint64_t users_mask = removed_bit - 1;

constexpr std::uint32_t id_of(std::uint64_t word) {
    return static_cast<std::uint32_t>(word >> 32);
}

}  // namespace

const service::Key* KeyTable::Use::key() const {
    return table_ == nullptr ? nullptr : place_->key.get();
}

const service::Service* KeyTable::Use::service() const {
    return table_ == nullptr ? nullptr : place_->service;
}

void KeyTable::Use::end() {
    if (table_ != nullptr) {
        std::exchange(table_, nullptr)->release(*place_);
    }
}

KeyTable::~KeyTable() = default;

Result<std::uint32_t> KeyTable::add(const service::Service& service, std::unique_ptr<service::Key> key) {
    const std::lock_guard lock(mutex_);
    if (owner_ == nullptr) {
        owner_ = std::make_unique<Place[]>(limit_);
        places_.store(owner_.get(), std::memory_order_release);
    }
    for (std::uint32_t i = 0; i < limit_; ++i) {
        Place& place = owner_[i];
        const std::uint64_t id = std::uint64_t{place.generation} * limit_ + i + 1;
        if (place.word.load(std::memory_order_acquire) != 0 || id > UINT32_MAX) {
            continue;
        }
        ++place.generation;
        place.service = &service;
        place.key = std::move(key);
        count_.fetch_add(1, std::memory_order_relaxed);
        place.word.store(id << 32, std::memory_order_release);
        return static_cast<std::uint32_t>(id);
    }
    return fail(ENOBUFS, "the session holds {} already; remove one first", counted(limit_, "key"));
}

Status KeyTable::remove(std::uint32_t id) {
    Place* const place = place_of(id);
    std::uint64_t word = place == nullptr ? 0 : place->word.load(std::memory_order_acquire);
    do {
        if (id_of(word) != id || id == 0 || (word & removed_bit) != 0) {
            return fail(ENOKEY, "the session has no key {}", id);
        }
    } while (!place->word.compare_exchange_weak(word, word | removed_bit, std::memory_order_acq_rel));
    if ((word & users_mask) == 0) {
        wipe(*place);
    }
    return {};
}

KeyTable::Use KeyTable::use(std::uint32_t id) noexcept {
    Place* const place = place_of(id);
    std::uint64_t word = place == nullptr ? 0 : place->word.load(std::memory_order_acquire);
    do {
        if (id_of(word) != id || id == 0 || (word & removed_bit) != 0) {
            return {};
        }
    } while (!place->word.compare_exchange_weak(word, word + 1, std::memory_order_acq_rel));
    return {this, place};
}

std::shared_ptr<const service::Key> KeyTable::share(std::uint32_t id, const service::Service& service) {
    const Use used = use(id);
    return used && used.service() == &service ? used.place_->key : nullptr;
}

KeyTable::Place* KeyTable::place_of(std::uint32_t id) const noexcept {
    Place* const places = places_.load(std::memory_order_acquire);
    return places == nullptr || id == 0 ? nullptr : &places[(id - 1) % limit_];
}

void KeyTable::release(Place& place) noexcept {
    const std::uint64_t before = place.word.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & (removed_bit | users_mask)) == (removed_bit | 1)) {
        wipe(place);
    }
}

void KeyTable::wipe(Place& place) noexcept {
    place.key.reset();
    count_.fetch_sub(1, std::memory_order_relaxed);
    place.word.store(0, std::memory_order_release);
}

}  // namespace yoke::executive
