// Response files of NIST's validation programme (CAVP): what algorithms must answer, as text.
//
// A file is a list of records, separated by empty lines; a record is a list of "NAME = value". A line in brackets is a
// section ([ENCRYPT]) or says something of the records below ([Keylen = 128]). A line "FAIL" marks a record whose tag
// is wrong on purpose. '#' begins a comment. Names differ in case between files, so they are kept in lower case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace yoke::vectors {

template <typename T>
using Result = tl::expected<T, std::string>;  // the error is a sentence
using Bytes = std::vector<std::byte>;

struct Record {
    std::string section;  // "ENCRYPT", "DECRYPT" or empty
    std::map<std::string, std::string> fields;
    bool fail = false;
    std::size_t line = 0;  // of its first field
};

[[nodiscard]] Result<std::vector<Record>> parse_rsp(std::string_view text);
// Error: no such file, or the line that is not understood.
[[nodiscard]] Result<std::vector<Record>> read_rsp(const std::string& path);

// Error: an odd number of digits or another character than a hexadecimal digit.
[[nodiscard]] Result<Bytes> parse_hex(std::string_view digits);

}  // namespace yoke::vectors
