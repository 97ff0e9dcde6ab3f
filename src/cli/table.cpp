// See table.hpp.
#include "cli/table.hpp"

#include <fmt/format.h>
#include <yoke/yoke.h>

#include <algorithm>
#include <set>

#include "cli/number.hpp"

namespace yoke::cli {
namespace {

struct Column {
    std::string member;
    std::string title;
    bool numeric = true;  // aligned to the right
    std::size_t width = 0;
    std::vector<std::string> cells;
};

std::vector<std::string> members_of(const nlohmann::json& objects, const ColumnOrder& order) {
    std::set<std::string> present;
    for (const auto& object : objects) {
        for (const auto& item : object.items()) {
            present.insert(item.key());
        }
    }
    std::vector<std::string> members;
    for (const auto& name : order) {
        if (present.erase(name) > 0) {
            members.push_back(name);
        }
    }
    members.insert(members.end(), present.begin(), present.end());
    return members;
}

std::string title_of(std::string member) {
    for (const char* unit : {"_bytes", "_ns"}) {
        if (member.ends_with(unit)) {
            member.resize(member.size() - std::string_view(unit).size());
        }
    }
    std::replace(member.begin(), member.end(), '_', ' ');
    std::transform(member.begin(), member.end(), member.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    return member;
}

// Names come from other users; a terminal must not obey them.
std::string printable(const std::string& text) {
    std::string safe;
    for (const char c : text) {
        const auto value = static_cast<unsigned char>(c);
        if (value < 0x20 || value == 0x7f) {
            fmt::format_to(std::back_inserter(safe), "\\x{:02x}", value);
        } else {
            safe += c;
        }
    }
    return safe;
}

// Characters as a terminal counts them: bytes that continue a UTF-8 sequence take no column.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

void append_padded(std::string& line, const std::string& text, const Column& column, bool last) {
    const std::string padding(column.width - width_of(text), ' ');
    if (column.numeric) {
        line += padding + text;
    } else {
        line += last ? text : text + padding;
    }
    line += last ? "\n" : "  ";
}

}  // namespace

std::string cell_of(const std::string& member, const nlohmann::json& value, bool plain) {
    if (value.is_null()) {
        return "-";
    }
    if (value.is_string()) {
        const std::string text = printable(value.get<std::string>());
        return text.empty() ? "-" : text;
    }
    if ((member == "account" || member == "client_uid") && value == YOKE_ACCOUNT_KERNEL) {
        return "kernel";
    }
    if (value.is_number_unsigned() && !plain) {
        if (member.ends_with("_bytes")) {
            return human_bytes(value.get<std::uint64_t>());
        }
        if (member.ends_with("_ns")) {
            return human_duration(value.get<std::uint64_t>());
        }
    }
    if (value.is_boolean()) {
        return value.get<bool>() ? "yes" : "no";
    }
    // Extents and the like: 640x480x1.
    if (value.is_array() && !value.empty() &&
        std::all_of(value.begin(), value.end(), [](const auto& e) { return e.is_number(); })) {
        std::string text;
        for (const auto& element : value) {
            text += (text.empty() ? "" : "x") + element.dump();
        }
        return text;
    }
    if (value.is_object()) {
        std::string text;
        for (const auto& item : value.items()) {
            text += fmt::format("{}{}={}", text.empty() ? "" : " ", printable(item.key()),
                                cell_of(item.key(), item.value(), plain));
        }
        return text;
    }
    return printable(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string table_of(const nlohmann::json& objects, const ColumnOrder& order, bool plain) {
    std::vector<Column> columns;
    for (const auto& member : members_of(objects, order)) {
        Column column;
        column.member = member;
        column.title = title_of(member);
        column.width = width_of(column.title);
        for (const auto& object : objects) {
            const auto found = object.find(member);
            const bool absent = found == object.end() || found->is_null();
            column.numeric = column.numeric && (absent || found->is_number());
            column.cells.push_back(absent ? "-" : cell_of(member, *found, plain));
            column.width = std::max(column.width, width_of(column.cells.back()));
        }
        columns.push_back(std::move(column));
    }
    std::string text;
    if (!plain) {
        for (const Column& column : columns) {
            append_padded(text, column.title, column, &column == &columns.back());
        }
    }
    for (std::size_t row = 0; row < objects.size(); ++row) {
        for (const Column& column : columns) {
            const bool last = &column == &columns.back();
            if (plain) {
                text += column.cells[row] + (last ? "\n" : "\t");
            } else {
                append_padded(text, column.cells[row], column, last);
            }
        }
    }
    return text;
}

}  // namespace yoke::cli
