// Strict on purpose: a line that is not understood is an error with its number, never skipped, so that no vector is
// lost by a slip of the parser.
#include "vectors/rsp.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

namespace yoke::vectors {
namespace {

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(blanks);
    return begin == std::string_view::npos ? std::string_view{}
                                           : text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::string lower(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

int digit(char c) {
    const auto at =
        std::string_view("0123456789abcdef").find(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// Takes lines one after the other and collects records.
class Parser {
   public:
    [[nodiscard]] bool take(std::string_view line) {
        ++number_;
        line = trimmed(line);
        if (line.empty()) {
            close();
            return true;
        }
        if (line.front() == '#') {
            return true;
        }
        if (line.front() == '[') {
            return take_bracket(line);
        }
        if (line == "FAIL") {
            open_.fail = true;
            return !open_.fields.empty();
        }
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos || equals == 0) {
            return false;
        }
        if (open_.fields.empty()) {
            open_.line = number_;
        }
        const std::string name = lower(trimmed(line.substr(0, equals)));
        return open_.fields.emplace(name, trimmed(line.substr(equals + 1))).second;
    }

    void close() {
        if (!open_.fields.empty()) {
            open_.section = section_;
            records_.push_back(std::move(open_));
        }
        open_ = {};
    }

    [[nodiscard]] std::size_t number() const { return number_; }
    [[nodiscard]] std::vector<Record> records() && { return std::move(records_); }

   private:
    [[nodiscard]] bool take_bracket(std::string_view line) {
        close();
        if (line.back() != ']') {
            return false;
        }
        // Facts such as [Keylen = 128] repeat what the fields below them show.
        if (line.find('=') == std::string_view::npos) {
            section_ = std::string(trimmed(line.substr(1, line.size() - 2)));
        }
        return true;
    }

    std::size_t number_ = 0;
    std::string section_;
    Record open_;
    std::vector<Record> records_;
};

}  // namespace

Result<std::vector<Record>> parse_rsp(std::string_view text) {
    Parser parser;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (!parser.take(text.substr(0, end))) {
            return tl::unexpected("line " + std::to_string(parser.number()) + " is not understood");
        }
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    parser.close();
    return std::move(parser).records();
}

Result<std::vector<Record>> read_rsp(const std::string& path) {
    const std::ifstream file(path, std::ios::binary);
    if (!file) {
        return tl::unexpected("file " + path + " of test vectors is missing; apt install python3-cryptography-vectors");
    }
    std::ostringstream text;
    text << file.rdbuf();
    auto records = parse_rsp(text.str());
    if (!records) {
        return tl::unexpected("file " + path + ": " + records.error());
    }
    return records;
}

Result<Bytes> parse_hex(std::string_view digits) {
    if (digits.size() % 2 != 0) {
        return tl::unexpected(std::string("odd number of hexadecimal digits"));
    }
    Bytes bytes;
    bytes.reserve(digits.size() / 2);
    for (std::size_t i = 0; i < digits.size(); i += 2) {
        const int high = digit(digits[i]);
        const int low = digit(digits[i + 1]);
        if (high < 0 || low < 0) {
            return tl::unexpected("\"" + std::string(digits.substr(i, 2)) + "\" is not hexadecimal");
        }
        bytes.push_back(static_cast<std::byte>(high * 16 + low));
    }
    return bytes;
}

}  // namespace yoke::vectors
