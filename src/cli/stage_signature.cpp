// See stage_signature.hpp.
#include "cli/stage_signature.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <span>
#include <utility>

namespace yoke::cli {
namespace {

using Words = std::vector<std::string>;

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

std::string without_comments(std::string_view source) {
    std::string text;
    for (std::size_t k = 0; k < source.size();) {
        const std::string_view rest = source.substr(k);
        if (rest.starts_with("//") || rest.starts_with("/*")) {
            const std::string_view close = rest[1] == '/' ? "\n" : "*/";
            const std::size_t end = rest.find(close, 2);
            k = end == std::string_view::npos ? source.size() : k + end + close.size();
            text += ' ';
        } else {
            text += source[k++];
        }
    }
    return text;
}

// Words, and every other character as a word of its own.
Words words_of(const std::string& text) {
    Words words;
    for (std::size_t k = 0; k < text.size();) {
        const auto begin = text.begin() + static_cast<std::ptrdiff_t>(k);
        const auto end = std::find_if_not(begin, text.end(), is_word);
        if (end != begin) {
            words.emplace_back(begin, end);
            k += words.back().size();
        } else {
            if (std::isspace(static_cast<unsigned char>(text[k])) == 0) {
                words.emplace_back(1, text[k]);
            }
            ++k;
        }
    }
    return words;
}

std::string element_of(std::string type, bool is_unsigned) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 11> scalars{{{"uchar", "u8"},
                                                                                     {"char", "i8"},
                                                                                     {"ushort", "u16"},
                                                                                     {"short", "i16"},
                                                                                     {"uint", "u32"},
                                                                                     {"int", "i32"},
                                                                                     {"ulong", "u64"},
                                                                                     {"long", "i64"},
                                                                                     {"half", "f16"},
                                                                                     {"float", "f32"},
                                                                                     {"double", "f64"}}};
    if (is_unsigned) {
        type = type.empty() ? "uint" : "u" + type;
    }
    for (const auto& [name, element] : scalars) {
        if (type == name) {
            return std::string(element);
        }
        // An element of three is packed in a stream, and a float3 is not.
        for (const std::string_view lanes : {"2", "4", "8", "16"}) {
            if (type == std::string(name) + std::string(lanes)) {
                return std::string(element) + "x" + std::string(lanes);
            }
        }
    }
    return {};
}

KernelArgument argument_from(std::span<const std::string> words) {
    KernelArgument argument;
    bool is_unsigned = false;
    std::string type;
    for (const std::string& word : words) {
        const std::string plain = word.starts_with("__") ? word.substr(2) : word;
        if (word == "*") {
            argument.pointer = true;
        } else if (plain == "global" || plain == "constant") {
            argument.global = true;
            argument.read_only = argument.read_only || plain == "constant";
        } else if (plain == "const") {
            argument.read_only = argument.read_only || !argument.pointer;
        } else if (plain == "unsigned") {
            is_unsigned = true;
        } else if (plain != "restrict" && plain != "volatile" && plain != "local" && plain != "private" &&
                   plain != "signed" && plain != "struct" && is_word(word.front())) {
            type = std::exchange(argument.name, word);
        }
    }
    argument.element = element_of(type, is_unsigned);
    return argument;
}

std::vector<KernelArgument> arguments_from(std::span<const std::string> words) {
    std::vector<KernelArgument> arguments;
    while (!words.empty()) {
        const auto comma = std::find(words.begin(), words.end(), ",");
        const auto count = static_cast<std::size_t>(comma - words.begin());
        arguments.push_back(argument_from(words.first(count)));
        words = words.subspan(std::min(count + 1, words.size()));
    }
    return arguments;
}

template <typename T>
Outcome<std::vector<std::byte>> number_bytes(const std::string& text, const std::string& name) {
    T value{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || end != text.data() + text.size()) {
        return fail(exit_failed,
                    "parameter {} is '{}', which does not fit the kernel's argument; give another with --set {}=", name,
                    text, name);
    }
    const auto bytes = std::as_bytes(std::span(&value, 1));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
}

}  // namespace

std::vector<KernelSignature> kernels_in(std::string_view source) {
    const Words words = words_of(without_comments(source));
    std::vector<KernelSignature> kernels;
    for (std::size_t k = 0; k + 3 < words.size(); ++k) {
        if (words[k] != "kernel" && words[k] != "__kernel") {
            continue;
        }
        // Attributes may stand between; the name is what follows void.
        std::size_t at = k + 1;
        while (at < words.size() && words[at] != "void" && words[at] != "{" && words[at] != ";") {
            ++at;
        }
        if (at + 2 >= words.size() || words[at] != "void" || words[at + 2] != "(") {
            continue;
        }
        const auto first = words.begin() + static_cast<std::ptrdiff_t>(at + 3);
        const auto last = std::find(first, words.end(), ")");
        kernels.push_back({words[at + 1], arguments_from({first, last})});
    }
    return kernels;
}

bool can_be(const std::string& type, const std::string& element) {
    const auto apart = [](const std::string& text) {
        const std::size_t x = text.find('x');
        unsigned lanes = 1;
        if (x != std::string::npos) {
            std::from_chars(text.data() + x + 1, text.data() + text.size(), lanes);
        }
        return std::pair(text.substr(0, x), std::max(lanes, 1U));
    };
    const auto [stream, stream_lanes] = apart(type);
    const auto [kernel, kernel_lanes] = apart(element);
    return element.empty() || element == "u8" || element == "i8" ||
           (stream == kernel && stream_lanes % kernel_lanes == 0);
}

Outcome<std::vector<std::byte>> scalar_bytes(const std::string& element, const std::string& text,
                                             const std::string& name) {
    using Convert = Outcome<std::vector<std::byte>> (*)(const std::string&, const std::string&);
    constexpr std::array<std::pair<std::string_view, Convert>, 10> converters{{{"i8", number_bytes<std::int8_t>},
                                                                               {"u8", number_bytes<std::uint8_t>},
                                                                               {"i16", number_bytes<std::int16_t>},
                                                                               {"u16", number_bytes<std::uint16_t>},
                                                                               {"i32", number_bytes<std::int32_t>},
                                                                               {"u32", number_bytes<std::uint32_t>},
                                                                               {"i64", number_bytes<std::int64_t>},
                                                                               {"u64", number_bytes<std::uint64_t>},
                                                                               {"f32", number_bytes<float>},
                                                                               {"f64", number_bytes<double>}}};
    for (const auto& [type, convert] : converters) {
        if (type == element) {
            return convert(text, name);
        }
    }
    return fail(exit_failed,
                "argument {} of the kernel is no scalar number; use the constant YOKE_PARAMETER_{} in its text", name,
                name);
}

}  // namespace yoke::cli
