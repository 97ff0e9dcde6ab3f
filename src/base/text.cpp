// Makes foreign bytes fit for a sentence: one line of well-formed UTF-8 without control characters, of bounded
// length. Simple and linear; long texts are cut between characters.
#include "base/text.hpp"

#include <fmt/format.h>

#include <array>

namespace yoke {

namespace {

// Length of the well-formed UTF-8 character at the start of `text`, 0 when there is none (RFC 3629, section 4).
std::size_t utf8_length(std::string_view text) {
    const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto within = [](unsigned value, unsigned low, unsigned high) { return value >= low && value <= high; };
    const unsigned first = at(0);
    if (text.empty() || first < 0x80) {
        return text.empty() ? 0 : 1;
    }
    struct Form {
        unsigned first_low, first_high, second_low, second_high;
        std::size_t length;
    };
    static constexpr std::array<Form, 8> forms{{{0xC2, 0xDF, 0x80, 0xBF, 2},
                                                {0xE0, 0xE0, 0xA0, 0xBF, 3},
                                                {0xE1, 0xEC, 0x80, 0xBF, 3},
                                                {0xED, 0xED, 0x80, 0x9F, 3},
                                                {0xEE, 0xEF, 0x80, 0xBF, 3},
                                                {0xF0, 0xF0, 0x90, 0xBF, 4},
                                                {0xF1, 0xF3, 0x80, 0xBF, 4},
                                                {0xF4, 0xF4, 0x80, 0x8F, 4}}};
    for (const Form& form : forms) {
        if (within(first, form.first_low, form.first_high)) {
            bool good = within(at(1), form.second_low, form.second_high);
            for (std::size_t i = 2; i < form.length; ++i) {
                good = good && within(at(i), 0x80, 0xBF);
            }
            return good ? form.length : 0;
        }
    }
    return 0;
}

bool is_control(std::string_view character) {
    const auto first = static_cast<unsigned char>(character[0]);
    // C0, DEL, and C1 (U+0080 to U+009F), which some terminals obey as well.
    return first < 0x20 || first == 0x7F ||
           (character.size() == 2 && first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0);
}

void append_escaped(std::string& out, std::string_view bytes) {
    for (const char c : bytes) {
        if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
}

std::string shown(std::string_view untrusted, std::size_t max_bytes, bool quotes) {
    std::string out;
    std::string_view rest = untrusted;
    while (!rest.empty()) {
        const std::size_t length = utf8_length(rest);
        const std::string_view character = rest.substr(0, length == 0 ? 1 : length);
        if (untrusted.size() - rest.size() + character.size() > max_bytes) {
            return out + "...";
        }
        if (length == 0 || is_control(character)) {
            append_escaped(out, character);
        } else if (quotes && (character == "\"" || character == "\\")) {
            out += '\\';
            out += character;
        } else {
            out += character;
        }
        rest.remove_prefix(character.size());
    }
    return out;
}

}  // namespace

std::string printable(std::string_view untrusted, std::size_t max_bytes) {
    return shown(untrusted, max_bytes, false);
}

std::string in_quotes(std::string_view untrusted, std::size_t max_bytes) {
    return '"' + shown(untrusted, max_bytes, true) + '"';
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        if (length == 0) {
            return false;
        }
        text.remove_prefix(length);
    }
    return true;
}

std::string counted(std::uint64_t count, std::string_view thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

}  // namespace yoke
