// Numbers and bytes as people write them on a command line.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/failure.hpp"

namespace yoke::cli {

// 128-bit number, least significant byte first: the tweak of XTS as IEEE 1619 counts data units.
using Number128 = std::array<std::byte, 16>;

// Decimal, or hexadecimal after 0x, below 2^128.
Outcome<Number128> parse_number128(std::string_view text);
// Adds @count modulo 2^128.
void add_little_endian(std::span<std::byte, 16> number, std::uint64_t count);
void add_big_endian(std::span<std::byte, 16> number, std::uint64_t count);

// Pairs of hexadecimal digits.
Outcome<std::vector<std::byte>> parse_hex(std::string_view text);
std::string hex_of(std::span<const std::byte> bytes);

// A number of things in a sentence: "1 byte", "2 bytes".
std::string counted(std::uint64_t count, std::string_view thing);
// "12.3 MiB"; bytes below 1024 as they are.
std::string human_bytes(std::uint64_t bytes);
// "1.2 ms", "3 h 20 min".
std::string human_duration(std::uint64_t ns);

}  // namespace yoke::cli
