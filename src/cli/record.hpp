// Records of yoked's answers and of libyoke's, read without trust in the kinds of their members.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace yoke::cli {

// "" where @object has no such member, or one that is no text.
[[nodiscard]] inline std::string text_in(const nlohmann::json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace yoke::cli
