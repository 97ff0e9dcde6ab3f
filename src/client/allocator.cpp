// See allocator.hpp. Granules are YOKE_DATA_ALIGN bytes; all sizes below are multiples of it.
#include "client/allocator.hpp"

#include <bit>

#include <uapi/yoke.h>

namespace yoke::client {

namespace {

constexpr std::uint64_t granule = YOKE_DATA_ALIGN;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
    return (value + step - 1) / step * step;
}

}  // namespace

Allocator::Allocator(std::uint64_t begin, std::uint64_t end) {
    heads_.fill(none);
    const std::uint32_t node = make_node();
    nodes_[node].offset = begin;
    nodes_[node].bytes = end - begin;
    nodes_[node].state = State::free;
    free_bytes_ = end - begin;
    if (free_bytes_ != 0) {
        link(node);
    }
}

unsigned Allocator::class_of(std::uint64_t bytes) {
    const std::uint64_t granules = bytes / granule;
    const unsigned log2 = static_cast<unsigned>(std::bit_width(granules)) - 1;
    if (log2 < sub_bits) {
        return static_cast<unsigned>(granules);
    }
    const unsigned sub = static_cast<unsigned>(granules >> (log2 - sub_bits)) & ((1U << sub_bits) - 1);
    return ((log2 - sub_bits + 1) << sub_bits) + sub;
}

std::uint64_t Allocator::round_to_class(std::uint64_t bytes) {
    const std::uint64_t granules = bytes / granule;
    const unsigned log2 = static_cast<unsigned>(std::bit_width(granules)) - 1;
    if (log2 < sub_bits) {
        return bytes;
    }
    return round_up(granules, std::uint64_t{1} << (log2 - sub_bits)) * granule;
}

std::uint32_t Allocator::find_free(std::uint64_t bytes) const {
    // Every block of the class of the rounded size, and of all higher ones, is large enough.
    const unsigned wanted = class_of(round_to_class(bytes));
    for (unsigned word = wanted / 64; word < filled_.size(); word++) {
        std::uint64_t bits = filled_[word];
        if (word == wanted / 64) {
            bits &= ~std::uint64_t{0} << (wanted % 64);
        }
        if (bits != 0) {
            return heads_[word * 64 + static_cast<unsigned>(std::countr_zero(bits))];
        }
    }
    for (std::uint32_t node = heads_[class_of(bytes)]; node != none; node = nodes_[node].next) {
        if (nodes_[node].bytes >= bytes) {
            return node;
        }
    }
    return none;
}

std::optional<std::uint64_t> Allocator::allocate(std::uint64_t bytes) {
    if (bytes > free_bytes_) {
        return std::nullopt;
    }
    bytes = round_up(bytes, granule);
    const std::uint32_t node = find_free(bytes);
    if (node == none) {
        return std::nullopt;
    }
    const std::uint64_t offset = nodes_[node].offset;
    const std::uint32_t rest = nodes_[node].bytes > bytes ? make_node() : none;  // may throw: before anything changes
    at_.emplace(offset, node);
    unlink(node);
    if (rest != none) {
        nodes_[rest] = {.offset = offset + bytes,
                        .bytes = nodes_[node].bytes - bytes,
                        .before = node,
                        .after = nodes_[node].after,
                        .state = State::free};
        if (nodes_[rest].after != none) {
            nodes_[nodes_[rest].after].before = rest;
        }
        nodes_[node].after = rest;
        nodes_[node].bytes = bytes;
        link(rest);
    }
    nodes_[node].state = State::used;
    free_bytes_ -= bytes;
    return offset;
}

std::optional<Range> Allocator::find(std::uint64_t offset) const {
    const auto found = at_.find(offset);
    if (found == at_.end() || nodes_[found->second].state != State::used) {
        return std::nullopt;
    }
    return Range{nodes_[found->second].offset, nodes_[found->second].bytes};
}

void Allocator::release(std::uint64_t offset) {
    free_node(at_.at(offset));
}

void Allocator::hold(std::uint64_t offset) {
    held_.push_back(offset);
    nodes_[at_.at(offset)].state = State::held;
}

void Allocator::free_node(std::uint32_t node) {
    at_.erase(nodes_[node].offset);
    free_bytes_ += nodes_[node].bytes;
    nodes_[node].state = State::free;
    const std::uint32_t after = nodes_[node].after;
    if (after != none && nodes_[after].state == State::free) {
        unlink(after);
        nodes_[node].bytes += nodes_[after].bytes;
        drop_node(after);
    }
    const std::uint32_t before = nodes_[node].before;
    if (before != none && nodes_[before].state == State::free) {
        unlink(before);
        nodes_[before].bytes += nodes_[node].bytes;
        drop_node(node);
        link(before);
        return;
    }
    link(node);
}

std::uint32_t Allocator::make_node() {
    if (!spare_.empty()) {
        const std::uint32_t node = spare_.back();
        spare_.pop_back();
        return node;
    }
    nodes_.emplace_back();
    spare_.reserve(nodes_.capacity());  // so that giving back never throws
    return static_cast<std::uint32_t>(nodes_.size() - 1);
}

// Takes a node out of the list by address; its bytes have been given to the node before it.
void Allocator::drop_node(std::uint32_t node) {
    const std::uint32_t before = nodes_[node].before;
    const std::uint32_t after = nodes_[node].after;
    if (before != none) {
        nodes_[before].after = after;
    }
    if (after != none) {
        nodes_[after].before = before;
    }
    nodes_[node] = Node{};
    spare_.push_back(node);
}

void Allocator::link(std::uint32_t node) {
    const unsigned cls = class_of(nodes_[node].bytes);
    nodes_[node].previous = none;
    nodes_[node].next = heads_[cls];
    if (heads_[cls] != none) {
        nodes_[heads_[cls]].previous = node;
    }
    heads_[cls] = node;
    filled_[cls / 64] |= std::uint64_t{1} << (cls % 64);
}

void Allocator::unlink(std::uint32_t node) {
    const unsigned cls = class_of(nodes_[node].bytes);
    const std::uint32_t previous = nodes_[node].previous;
    const std::uint32_t next = nodes_[node].next;
    if (previous != none) {
        nodes_[previous].next = next;
    } else {
        heads_[cls] = next;
        if (next == none) {
            filled_[cls / 64] &= ~(std::uint64_t{1} << (cls % 64));
        }
    }
    if (next != none) {
        nodes_[next].previous = previous;
    }
}

}  // namespace yoke::client
