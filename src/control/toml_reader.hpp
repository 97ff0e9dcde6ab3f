// Typed access to a TOML file that says where each mistake is: "depth.toml:12:5: extent must be ...".
//
// A file has many places that can be wrong, and only the first mistake is told. So the reader keeps that mistake, its
// functions answer with an empty value from then on, and the caller looks at error() once, at the end.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <toml++/toml.h>

#include "base/error.hpp"

namespace yoke::control {

class TomlReader {
   public:
    explicit TomlReader(std::string file) : file_(std::move(file)) {}

    [[nodiscard]] const std::string& file() const { return file_; }
    // The first mistake, with file, line and column.
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }

    // Keeps a mistake unless there is one already.
    template <typename... Args>
    void fail_at(const toml::source_region& at, fmt::format_string<Args...> format, Args&&... args) {
        keep(EINVAL, at, fmt::format(format, std::forward<Args>(args)...));
    }
    void keep(int code, const toml::source_region& at, const std::string& sentence);

    // The functions below take nullptr for a member that is not there, and answer with an empty value.

    // Mistakes: syntax, members defined twice.
    toml::table parse(std::string_view text);
    // Keys of `table` that are not in `known` are mistakes. `what` names the table in the message.
    void refuse_unknown(const toml::table& table, std::string_view what, std::initializer_list<std::string_view> known);
    // Member `key`, whose absence is a mistake.
    const toml::node* need(const toml::table& table, std::string_view key, std::string_view what);
    const toml::array* array(const toml::node* node, std::string_view name);
    // Without NUL, at most `bytes_max` long.
    std::string string(const toml::node* node, std::string_view name, std::size_t bytes_max);
    std::uint64_t number(const toml::node* node, std::string_view name, std::uint64_t min, std::uint64_t max);
    bool boolean(const toml::node* node, std::string_view name);  // false
    // Members of the table `key`, which must be tables, in the order in which they stand in the file.
    std::vector<std::pair<const toml::key*, const toml::table*>> tables(const toml::table& parent,
                                                                        std::string_view key);

   private:
    std::string file_;
    std::optional<Error> error_;
};

}  // namespace yoke::control
