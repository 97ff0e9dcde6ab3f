// Random calls of every service, with the output that libgcrypt expects.
//
// Lengths are spread over orders of magnitude and gather around the places where mistakes live: chunk boundaries,
// counters that carry, data units that are not whole blocks, last units that are shorter. The seed is fixed, so that a
// failure repeats; YOKE_TEST_SEED takes another, YOKE_SOAK=1 multiplies the work and YOKE_TEST_SHARE=N divides it.
#pragma once

#include <random>

#include "vectors/cases.hpp"

namespace yoke::vectors {

using Random = std::mt19937_64;

// $YOKE_TEST_SEED or the fixed one. Tests print it when they fail.
[[nodiscard]] std::uint64_t test_seed();
// `normal`, or many times that with YOKE_SOAK=1, or an N-th of it with YOKE_TEST_SHARE=N, for tools that make a test
// slow; never 0.
[[nodiscard]] unsigned test_rounds(unsigned normal);

[[nodiscard]] Bytes random_bytes(Random& random, std::size_t length);
// A number in [least, most].
[[nodiscard]] std::uint64_t random_between(Random& random, std::uint64_t least, std::uint64_t most);

// A call that must succeed, with about least_bytes to most_bytes of input (modes of whole blocks take 16 at least, many
// messages and data units are rounded to fit). Error: that of the reference.
[[nodiscard]] Result<Case> random_case(Random& random, std::uint16_t service, std::size_t least_bytes,
                                       std::size_t most_bytes);

}  // namespace yoke::vectors
