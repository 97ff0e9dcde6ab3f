// Each link starts from three equal digests, the last of the link before.
#include "vectors/monte_carlo.hpp"

#include <algorithm>
#include <array>

namespace yoke::vectors {

Result<void> run(const MonteCarlo& test, std::size_t links, const Hash& hash) {
    constexpr unsigned hashes_per_link = 1000;
    Bytes seed = test.seed;
    for (std::size_t link = 0; link < std::min(links, test.expected.size()); ++link) {
        std::array<Bytes, 3> last = {seed, seed, seed};
        for (unsigned i = 0; i < hashes_per_link; ++i) {
            Bytes message;
            for (const Bytes& digest : last) {
                message.insert(message.end(), digest.begin(), digest.end());
            }
            auto digest = hash(message);
            if (!digest) {
                return tl::unexpected(test.name + ": no digest in link " + std::to_string(link));
            }
            last = {std::move(last[1]), std::move(last[2]), std::move(*digest)};
        }
        seed = last[2];
        if (seed != test.expected[link]) {
            return tl::unexpected(test.name + ": wrong digest at the end of link " + std::to_string(link));
        }
    }
    return {};
}

}  // namespace yoke::vectors
