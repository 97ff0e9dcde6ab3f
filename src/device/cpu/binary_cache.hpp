// Binaries of compiled kernels on disk, so that a graph that was opened once opens in milliseconds.
//
// MODEL. One file per key in a directory that only its owner can enter. The key is the SHA-256 of everything that the
// binary depends on (source, options, geometry, platform, device, driver); programs that include files are not kept. A
// file holds its key, the SHA-256 of its
// content, and the content; it is written under another name and renamed, so that a reader sees all of it or nothing.
// What does not fit is removed, logged, and compiled again. The least recently used files go when there is too much.
//
// A binary is code that the worker will run: a directory or file that others could have written is not used.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace yoke::device {

class BinaryCache {
   public:
    static constexpr std::uint64_t bytes_max = 256ULL << 20;  // of all entries: some thousands of kernels

    using Key = std::array<std::uint8_t, 32>;

    struct Entry {
        std::array<std::uint64_t, 3> local{1, 1, 1};  // the work-group size it was compiled for
        std::string log;                              // the compiler's warnings
        std::vector<unsigned char> binary;
    };

    // Creates `directory` (and its parents) with mode 0700. EACCES: it belongs to somebody else or others can write it.
    static Result<BinaryCache> open(const std::string& directory);

    // SHA-256 of the parts, each preceded by its length.
    static Result<Key> key_of(std::span<const std::string> parts);

    // Nothing: there is no entry, or none that can be used (which is logged).
    [[nodiscard]] std::optional<Entry> load(const Key& key) const;
    // Failing to store is logged, not an error: the binary is there.
    void store(const Key& key, const Entry& entry) const;
    void remove(const Key& key) const;

    [[nodiscard]] const std::string& directory() const { return directory_; }
    [[nodiscard]] std::string path_of(const Key& key) const;

   private:
    explicit BinaryCache(std::string directory) : directory_(std::move(directory)) {}
    [[nodiscard]] Status write(const Key& key, const Entry& entry) const;
    void evict() const;

    std::string directory_;
};

// $XDG_CACHE_HOME/yoke, else ~/.cache/yoke; "" when neither variable is set.
[[nodiscard]] std::string default_cache_directory();

// Creates `directory` with mode 0700 where it is missing. EACCES: not ours, or others can write to it.
Status make_private_directory(const std::string& directory);

}  // namespace yoke::device
