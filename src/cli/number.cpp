// See number.hpp.
#include "cli/number.hpp"

#include <optional>

namespace yoke::cli {
namespace {

std::optional<unsigned> digit_of(char c) {
    if (c >= '0' && c <= '9') {
        return static_cast<unsigned>(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return static_cast<unsigned>(c - 'a' + 10);
    }
    if (c >= 'A' && c <= 'F') {
        return static_cast<unsigned>(c - 'A' + 10);
    }
    return std::nullopt;
}

// number = number * base + digit; false when that needs more than 128 bits.
bool append_digit(Number128& number, unsigned base, unsigned digit) {
    unsigned carry = digit;
    for (std::byte& byte : number) {
        const unsigned value = std::to_integer<unsigned>(byte) * base + carry;
        byte = static_cast<std::byte>(value & 0xffU);
        carry = value >> 8U;
    }
    return carry == 0;
}

}  // namespace

Outcome<Number128> parse_number128(std::string_view text) {
    const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    const std::string_view digits = hexadecimal ? text.substr(2) : text;
    const unsigned base = hexadecimal ? 16 : 10;
    Number128 number{};
    for (const char c : digits) {
        const auto digit = digit_of(c);
        if (!digit || *digit >= base) {
            return fail(exit_usage, "{} is not a number; write it in decimal, or in hexadecimal after 0x", text);
        }
        if (!append_digit(number, base, *digit)) {
            return fail(exit_usage, "{} does not fit into 128 bits", text);
        }
    }
    if (digits.empty()) {
        return fail(exit_usage, "'{}' is not a number; write it in decimal, or in hexadecimal after 0x", text);
    }
    return number;
}

void add_little_endian(std::span<std::byte, 16> number, std::uint64_t count) {
    unsigned carry = 0;
    for (std::size_t i = 0; i < number.size(); ++i) {
        const unsigned addend = i < 8 ? static_cast<unsigned>(count >> (8 * i)) & 0xffU : 0;
        const unsigned sum = std::to_integer<unsigned>(number[i]) + addend + carry;
        number[i] = static_cast<std::byte>(sum & 0xffU);
        carry = sum >> 8U;
    }
}

void add_big_endian(std::span<std::byte, 16> number, std::uint64_t count) {
    unsigned carry = 0;
    for (std::size_t i = 0; i < number.size(); ++i) {
        std::byte& byte = number[number.size() - 1 - i];
        const unsigned addend = i < 8 ? static_cast<unsigned>(count >> (8 * i)) & 0xffU : 0;
        const unsigned sum = std::to_integer<unsigned>(byte) + addend + carry;
        byte = static_cast<std::byte>(sum & 0xffU);
        carry = sum >> 8U;
    }
}

Outcome<std::vector<std::byte>> parse_hex(std::string_view text) {
    if (text.size() % 2 != 0) {
        return fail(exit_usage, "{} has an odd number of hexadecimal digits", text);
    }
    std::vector<std::byte> bytes;
    bytes.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const auto high = digit_of(text[i]);
        const auto low = digit_of(text[i + 1]);
        if (!high || !low) {
            return fail(exit_usage, "{} is not hexadecimal; write two digits for each byte", text);
        }
        bytes.push_back(static_cast<std::byte>(*high * 16 + *low));
    }
    return bytes;
}

std::string hex_of(std::span<const std::byte> bytes) {
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::byte byte : bytes) {
        fmt::format_to(std::back_inserter(text), "{:02x}", std::to_integer<unsigned>(byte));
    }
    return text;
}

std::string counted(std::uint64_t count, std::string_view thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string human_bytes(std::uint64_t bytes) {
    constexpr std::array<const char*, 4> units{"KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1024) {
        return fmt::format("{} B", bytes);
    }
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    return fmt::format("{:.{}f} {}", value, value < 10 ? 1 : 0, units[unit]);
}

std::string human_duration(std::uint64_t ns) {
    const double seconds = static_cast<double>(ns) / 1e9;
    if (ns < 1000) {
        return fmt::format("{} ns", ns);
    }
    if (seconds < 1e-3) {
        return fmt::format("{:.1f} us", seconds * 1e6);
    }
    if (seconds < 1) {
        return fmt::format("{:.1f} ms", seconds * 1e3);
    }
    if (seconds < 120) {
        return fmt::format("{:.1f} s", seconds);
    }
    const auto minutes = static_cast<std::uint64_t>(seconds / 60);
    return minutes < 60 ? fmt::format("{} min", minutes) : fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

}  // namespace yoke::cli
