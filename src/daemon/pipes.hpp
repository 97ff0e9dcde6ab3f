// Pipes whose ends stages have claimed: who may join whom.
//
// The model is a table from a pipe to its claims. Where there is exactly one writer and one reader, of one account and
// with records of one form, they are a pair and are introduced to each other; whatever changes that ends the pair. How
// the two then join is between them (docs/stage.md): yoked is not needed any more, and its death disturbs nobody. What
// they say about it is kept to be shown, and relied on in nothing.
//
// Pure: no descriptors, no clock. The broker tells it what happened and does what it answers.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "control/message.hpp"

namespace yoke::daemon {

using ClaimId = std::uint64_t;

enum class PipeEnd : std::uint8_t { reader, writer };

struct Claim {
    uid_t account = 0;
    std::uint64_t inode = 0;  // of the pipe: there is one file system of anonymous pipes
    PipeEnd end = PipeEnd::reader;
    std::string form;  // of its records, one text per meaning
    pid_t pid = 0;     // for people
};

// A pair that begins or ends.
struct PairChange {
    enum class What : std::uint8_t { begins, ends } what = What::begins;
    std::uint64_t pair = 0;
    ClaimId writer = 0;
    ClaimId reader = 0;
};

class Pipes {
   public:
    // Pairs are numbered from `first_pair` on: a number that no predecessor has used, since channels are named by it.
    explicit Pipes(std::uint64_t first_pair) : next_pair_(first_pair) {}

    // A claim is made once. At most one pair ends and one begins by it.
    std::vector<PairChange> claim(ClaimId id, const Claim& claim);
    // A claim that there is not: nothing happens.
    std::vector<PairChange> release(ClaimId id);
    // What one of a pair says of it. False: it is in no pair of that number (any more).
    bool report(ClaimId id, std::uint64_t pair, const std::string& state, const std::string& why);

    [[nodiscard]] bool claimed(ClaimId id) const { return claims_.contains(id); }
    [[nodiscard]] std::size_t size() const { return claims_.size(); }
    // [{"pipe", "state", "why", "writer_pid", "reader_pid", "records"}] of an account.
    [[nodiscard]] control::Json list(uid_t account) const;

   private:
    struct Key {
        uid_t account = 0;
        std::uint64_t inode = 0;
        auto operator<=>(const Key&) const = default;
    };
    struct Pipe {
        std::vector<ClaimId> writers;
        std::vector<ClaimId> readers;
        std::uint64_t pair = 0;  // 0: none
        ClaimId paired_writer = 0;
        ClaimId paired_reader = 0;
        std::string state;  // as one of the pair said last
        std::string why;
    };

    std::vector<PairChange> settle(Pipe& pipe);
    [[nodiscard]] std::string obstacle(const Pipe& pipe) const;
    [[nodiscard]] std::string pids(const std::vector<ClaimId>& ids) const;

    std::uint64_t next_pair_;
    std::map<ClaimId, Claim> claims_;
    std::map<Key, Pipe> pipes_;
};

}  // namespace yoke::daemon
