// The head is JSON so that it can grow; it is looked at like any message.
#include "device/cuda/image.hpp"

#include <cstring>
#include <string_view>

#include "base/text.hpp"
#include "control/message.hpp"

namespace yoke::device::cuda {
namespace {

using control::Json;

constexpr std::string_view magic = "YOKEIMG2";
constexpr std::size_t head_begin = magic.size() + sizeof(std::uint32_t);

// Names can be of any bytes, JSON only UTF-8.
std::string clean(const std::string& text) {
    return is_utf8(text) ? text : printable(text);
}

tl::unexpected<Error> misfit(const char* why) {
    return fail(EBADMSG, "a compiled kernel is damaged ({}); remove the cache of compiled kernels", why);
}

Result<Parameter::Kind> kind_of_untrusted(unsigned number) {
    for (const auto kind :
         {Parameter::Kind::unknown, Parameter::Kind::buffer, Parameter::Kind::constant, Parameter::Kind::other}) {
        if (static_cast<unsigned>(kind) == number) {
            return kind;
        }
    }
    return misfit("kind of a parameter");
}

Status read_head(const Json& head_untrusted, Image& image) {
    try {
        head_untrusted.at("symbol").get_to(image.symbol);
        head_untrusted.at("has_parameters").get_to(image.has_parameters);
        for (const Json& entry : head_untrusted.at("parameters")) {
            auto kind = kind_of_untrusted(entry.at("kind").get<unsigned>());
            if (!kind) {
                return tl::unexpected(kind.error());
            }
            Parameter parameter;
            parameter.kind = *kind;
            entry.at("name").get_to(parameter.name);
            entry.at("type").get_to(parameter.type);
            entry.at("element").get_to(parameter.element);
            entry.at("read_only").get_to(parameter.read_only);
            image.parameters.push_back(std::move(parameter));
        }
    } catch (const Json::exception& e) {
        return misfit(e.what());
    }
    return {};
}

}  // namespace

std::vector<unsigned char> bytes_of(const Image& image) {
    Json parameters = Json::array();
    for (const Parameter& parameter : image.parameters) {
        parameters.push_back({{"kind", static_cast<unsigned>(parameter.kind)},
                              {"name", clean(parameter.name)},
                              {"type", clean(parameter.type)},
                              {"element", clean(parameter.element)},
                              {"read_only", parameter.read_only}});
    }
    const std::string head = Json{
        {"symbol", clean(image.symbol)},
        {"has_parameters", image.has_parameters},
        {"parameters",
         std::move(parameters)}}.dump();
    const auto length = static_cast<std::uint32_t>(head.size());
    std::vector<unsigned char> bytes(magic.begin(), magic.end());
    bytes.resize(head_begin);
    std::memcpy(bytes.data() + magic.size(), &length, sizeof length);
    bytes.insert(bytes.end(), head.begin(), head.end());
    bytes.insert(bytes.end(), image.code.begin(), image.code.end());
    return bytes;
}

Result<Image> image_from_untrusted(std::span<const unsigned char> bytes) {
    std::uint32_t length = 0;
    if (bytes.size() < head_begin || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) {
        return misfit("no such file");
    }
    std::memcpy(&length, bytes.data() + magic.size(), sizeof length);
    if (length > bytes.size() - head_begin) {
        return misfit("cut off");
    }
    auto head = control::parse(std::as_bytes(bytes.subspan(head_begin, length)));
    if (!head) {
        return tl::unexpected(head.error());
    }
    Image image;
    if (auto read = read_head(*head, image); !read) {
        return tl::unexpected(read.error());
    }
    const auto code = bytes.subspan(head_begin + length);
    if (code.empty()) {
        return misfit("no code");
    }
    image.code.assign(code.begin(), code.end());
    return image;
}

}  // namespace yoke::device::cuda
