// The Monte Carlo test of the SHA validation system (SHAVS, section 6.4): a hundred links of a thousand hashes, each of
// the three digests before it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vectors/rsp.hpp"

namespace yoke::vectors {

struct MonteCarlo {
    std::string name;
    std::uint16_t service = 0;
    Bytes seed;
    std::vector<Bytes> expected;  // digest at the end of each link
};

// The digest of a message; empty if it could not be computed.
using Hash = std::function<std::optional<Bytes>(const Bytes& message)>;

// Runs the first `links` links at most. Error: the first link that ends with another digest.
[[nodiscard]] Result<void> run(const MonteCarlo& test, std::size_t links, const Hash& hash);

}  // namespace yoke::vectors
