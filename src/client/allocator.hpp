// The allocator of the arena's data area: offsets in, offsets out, all bookkeeping in private memory.
//
// Problem: the data area is shared with a worker, so headers between the blocks would be hostile memory, and a block
// that an executor may still write must not be handed out again. Model: blocks of 64-byte granules form an
// address-ordered list of nodes; free blocks hang in segregated lists by size class (power of two, divided by eight),
// so that allocating and freeing take constant time and neighbours coalesce. A block freed while somebody may still
// write it is held: it belongs to nobody until sweep() finds it quiet. Trade-off: a request is rounded up to its class
// first (at most 1/8 more than asked is searched for, not used) and only then searched for exactly.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

namespace yoke::client {

struct Range {
    std::uint64_t offset = 0;  // bytes from the start of the arena
    std::uint64_t bytes = 0;

    [[nodiscard]] bool overlaps(const Range& other) const {
        return bytes != 0 && other.bytes != 0 && offset < other.offset + other.bytes && other.offset < offset + bytes;
    }
};

class Allocator {
   public:
    // Manages [begin, end); both are multiples of YOKE_DATA_ALIGN.
    Allocator(std::uint64_t begin, std::uint64_t end);

    // Offset of a fresh block of at least `bytes` (> 0); nothing when there is no such room.
    [[nodiscard]] std::optional<std::uint64_t> allocate(std::uint64_t bytes);
    // The block that begins at `offset`, if it is allocated (held blocks are not).
    [[nodiscard]] std::optional<Range> find(std::uint64_t offset) const;
    // Gives an allocated block back. `offset` must be one that find() knows.
    void release(std::uint64_t offset);
    // Gives an allocated block back as soon as sweep() finds it quiet.
    void hold(std::uint64_t offset);
    // Releases the held blocks for which `busy(Range)` is false.
    template <typename Busy>
    void sweep(Busy&& busy) {
        std::erase_if(held_, [&](std::uint64_t offset) {
            const std::uint32_t node = at_.at(offset);
            if (busy(Range{nodes_[node].offset, nodes_[node].bytes})) {
                return false;
            }
            free_node(node);
            return true;
        });
    }

    [[nodiscard]] bool holds() const { return !held_.empty(); }
    [[nodiscard]] std::uint64_t free_bytes() const { return free_bytes_; }

   private:
    static constexpr std::uint32_t none = ~std::uint32_t{0};
    static constexpr unsigned sub_bits = 3;
    static constexpr unsigned classes = 64U << sub_bits;
    enum class State : std::uint8_t { free, used, held, unused };
    struct Node {
        std::uint64_t offset = 0;
        std::uint64_t bytes = 0;
        std::uint32_t before = none;  // neighbours by address
        std::uint32_t after = none;
        std::uint32_t previous = none;  // neighbours in the list of the class
        std::uint32_t next = none;
        State state = State::unused;
    };

    static unsigned class_of(std::uint64_t bytes);
    static std::uint64_t round_to_class(std::uint64_t bytes);
    [[nodiscard]] std::uint32_t find_free(std::uint64_t bytes) const;
    std::uint32_t make_node();
    void drop_node(std::uint32_t node);
    void link(std::uint32_t node);
    void unlink(std::uint32_t node);
    void free_node(std::uint32_t node);

    std::vector<Node> nodes_;
    std::vector<std::uint32_t> spare_;
    std::array<std::uint32_t, classes> heads_{};
    std::array<std::uint64_t, classes / 64> filled_{};     // bit per class whose list is not empty
    std::unordered_map<std::uint64_t, std::uint32_t> at_;  // used and held blocks by offset
    std::vector<std::uint64_t> held_;
    std::uint64_t free_bytes_ = 0;
};

}  // namespace yoke::client
