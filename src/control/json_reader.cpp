// Builds a JSON value from the parser's events and stops at the first that breaks a limit; see json_reader.hpp.
#include "control/json_reader.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/text.hpp"

namespace yoke::control {

namespace {

// Receives the parser's events and builds the value. An event that returns false ends the parsing.
class Builder {
   public:
    using number_integer_t = Json::number_integer_t;
    using number_unsigned_t = Json::number_unsigned_t;
    using number_float_t = Json::number_float_t;
    using string_t = Json::string_t;
    using binary_t = Json::binary_t;

    Builder() : root_(nullptr) {}
    Builder(const Builder&) = delete;
    Builder& operator=(const Builder&) = delete;

    bool null() { return add(Json(nullptr)); }
    bool boolean(bool value) { return add(Json(value)); }
    bool number_integer(number_integer_t value) { return add(Json(value)); }
    bool number_unsigned(number_unsigned_t value) { return add(Json(value)); }
    bool number_float(number_float_t value, const string_t& /*text*/) { return add(Json(value)); }
    bool string(string_t& value) { return add(Json(std::move(value))); }
    bool binary(binary_t& value) { return add(Json(std::move(value))); }
    bool start_object(std::size_t /*unknown*/) { return open(Json::object()); }
    bool start_array(std::size_t /*unknown*/) { return open(Json::array()); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }

    bool key(string_t& name) {
        if (open_.back()->contains(name)) {
            return stop(EBADMSG, fmt::format("a control message has two members {}", in_quotes(name)));
        }
        key_ = std::move(name);
        return true;
    }

    bool parse_error(std::size_t position, const std::string& /*token*/, const Json::exception& /*error*/) {
        return stop(EBADMSG, fmt::format("a control message is no JSON: error at byte {}", position));
    }

    [[nodiscard]] Result<Json> result() && {
        if (error_) {
            return tl::unexpected(std::move(*error_));
        }
        if (!root_.is_object()) {
            return fail(EBADMSG, "a control message must be a JSON object, not {}", root_.type_name());
        }
        return std::move(root_);
    }

   private:
    bool stop(int code, std::string message) {
        error_ = Error{code, std::move(message)};
        return false;
    }

    // Puts `value` where it belongs and says where that is; nullptr: too many.
    Json* put(Json&& value) {
        if (++values_ > values_max) {
            stop(EMSGSIZE, fmt::format("a control message has more than {} values", values_max));
            return nullptr;
        }
        if (open_.empty()) {
            root_ = std::move(value);
            return &root_;
        }
        if (open_.back()->is_array()) {
            return &open_.back()->emplace_back(std::move(value));
        }
        return &((*open_.back())[key_] = std::move(value));
    }

    bool add(Json&& value) { return put(std::move(value)) != nullptr; }

    bool open(Json&& container) {
        if (open_.size() == depth_max) {
            return stop(EMSGSIZE, fmt::format("a control message is nested deeper than {} levels", depth_max));
        }
        Json* const place = put(std::move(container));
        if (place == nullptr) {
            return false;
        }
        open_.push_back(place);  // stays valid: its parent grows only when it is closed
        return true;
    }

    bool close() {
        open_.pop_back();
        return true;
    }

    Json root_;
    std::vector<Json*> open_;
    std::string key_;
    std::size_t values_ = 0;
    std::optional<Error> error_;
};

}  // namespace

Result<Json> read_json(std::span<const std::byte> text) {
    // The parser takes a NUL for the end of the text.
    if (std::find(text.begin(), text.end(), std::byte{0}) != text.end()) {
        return fail(EBADMSG, "a control message is no JSON: it contains a NUL byte");
    }
    Builder builder;
    // Pointers of char type: the parser's own traits know no std::byte.
    const auto* const begin = reinterpret_cast<const char*>(text.data());
    Json::sax_parse(begin, begin + text.size(), &builder);
    return std::move(builder).result();
}

}  // namespace yoke::control
