// Access to TOML values that names file, line and column of what is wrong; see toml_reader.hpp. The first mistake
// that is met is kept; tables are visited in the order in which the file has them.
#include "control/toml_reader.hpp"

#include <algorithm>
#include <sstream>

#include "base/text.hpp"

namespace yoke::control {

namespace {

constexpr std::size_t description_bytes_max = 400;  // of the parser's own sentence, which quotes the file

std::string type_name(const toml::node& node) {
    std::ostringstream text;
    text << node.type();
    return text.str();
}

bool before(const toml::source_region& a, const toml::source_region& b) {
    return std::pair(a.begin.line, a.begin.column) < std::pair(b.begin.line, b.begin.column);
}

}  // namespace

void TomlReader::keep(int code, const toml::source_region& at, const std::string& sentence) {
    if (!error_) {
        error_ = Error{code, fmt::format("{}:{}:{}: {}", file_, at.begin.line, at.begin.column, sentence)};
    }
}

toml::table TomlReader::parse(std::string_view text) {
    try {
        return toml::parse(text);
    } catch (const toml::parse_error& error) {
        fail_at(error.source(), "{}", printable(error.description(), description_bytes_max));
        return {};
    }
}

void TomlReader::refuse_unknown(const toml::table& table, std::string_view what,
                                std::initializer_list<std::string_view> known) {
    for (const auto& [key, value] : table) {
        if (std::find(known.begin(), known.end(), key.str()) == known.end()) {
            fail_at(key.source(), "{} is unknown in {}; known are {}", in_quotes(key.str()), what,
                    fmt::join(known, ", "));
        }
    }
}

const toml::node* TomlReader::need(const toml::table& table, std::string_view key, std::string_view what) {
    const toml::node* const node = table.get(key);
    if (node == nullptr) {
        fail_at(table.source(), "{} has no {}; add it", what, key);
    }
    return node;
}

const toml::array* TomlReader::array(const toml::node* node, std::string_view name) {
    if (node != nullptr && !node->is_array()) {
        fail_at(node->source(), "{} must be an array, not {}", name, type_name(*node));
    }
    return node == nullptr ? nullptr : node->as_array();
}

std::string TomlReader::string(const toml::node* node, std::string_view name, std::size_t bytes_max) {
    if (node == nullptr) {
        return {};
    }
    const auto* const value = node->as_string();
    if (value == nullptr) {
        fail_at(node->source(), "{} must be a string, not {}", name, type_name(*node));
        return {};
    }
    const std::string& text = value->get();
    if (text.size() > bytes_max) {
        fail_at(node->source(), "{} has {} bytes; at most {} are allowed", name, text.size(), bytes_max);
        return {};
    }
    if (text.find('\0') != std::string::npos) {
        fail_at(node->source(), "{} must not contain a NUL character", name);
        return {};
    }
    return text;
}

std::uint64_t TomlReader::number(const toml::node* node, std::string_view name, std::uint64_t min, std::uint64_t max) {
    if (node == nullptr) {
        return min;
    }
    const auto* const value = node->as_integer();
    if (value == nullptr) {
        fail_at(node->source(), "{} must be an integer, not {}", name, type_name(*node));
        return min;
    }
    const std::int64_t number = value->get();
    if (std::cmp_less(number, min) || std::cmp_greater(number, max)) {
        fail_at(node->source(), "{} is {}; {} to {} are allowed", name, number, min, max);
        return min;
    }
    return static_cast<std::uint64_t>(number);
}

std::vector<std::pair<const toml::key*, const toml::table*>> TomlReader::tables(const toml::table& parent,
                                                                                std::string_view key) {
    std::vector<std::pair<const toml::key*, const toml::table*>> members;
    const toml::node* const node = parent.get(key);
    if (node != nullptr && !node->is_table()) {
        fail_at(node->source(), "{} must be a table of tables, not {}; write [{}.NAME]", key, type_name(*node), key);
    }
    if (node == nullptr || !node->is_table()) {
        return members;
    }
    for (const auto& [name, value] : *node->as_table()) {
        if (const toml::table* const table = value.as_table()) {
            members.emplace_back(&name, table);
        } else {
            fail_at(value.source(), "{} {} must be a table, not {}", key, in_quotes(name.str()), type_name(value));
        }
    }
    std::stable_sort(members.begin(), members.end(),
                     [](const auto& a, const auto& b) { return before(a.first->source(), b.first->source()); });
    return members;
}

}  // namespace yoke::control
