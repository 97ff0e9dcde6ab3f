// Tables for people and, plain, for awk: columns from an array of JSON objects.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace yoke::cli {

// Which columns come first, in which order; members of the objects that are not named follow in alphabetical order.
using ColumnOrder = std::vector<std::string>;

// One line per object. @plain: no header, one tab between columns. Members whose name ends in _bytes or _ns are written
// with units, unless @plain. An absent or null member is "-". Control characters are escaped.
std::string table_of(const nlohmann::json& objects, const ColumnOrder& order, bool plain);

// One value as a cell.
std::string cell_of(const std::string& member, const nlohmann::json& value, bool plain);

}  // namespace yoke::cli
