// Replacement of names in text: PTX is line-oriented, and none of these names can be part of another. Comments and
// strings never hold them.
#include "device/cuda/ptx.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "base/text.hpp"

namespace yoke::device::cuda {
namespace {

constexpr std::string_view environment = "%envreg";
constexpr std::string_view shared_pointer = " .ptr .shared";
constexpr std::string_view alignment = " .align ";

std::optional<std::string_view> meaning_of(std::string_view number) {
    if (number.size() == 1 && number[0] >= '0' && number[0] <= '5') {
        return "0";
    }
    constexpr std::array<std::string_view, 3> groups{"%nctaid.x", "%nctaid.y", "%nctaid.z"};
    if (number == "6" || number == "7" || number == "8") {
        return groups[static_cast<std::size_t>(number[0] - '6')];
    }
    return std::nullopt;
}

}  // namespace

Result<std::string> rewrite_opencl_ptx(std::string_view ptx) {
    std::string result;
    result.reserve(ptx.size());
    std::size_t at = 0;
    while (at < ptx.size()) {
        const std::size_t next = std::min(ptx.find(environment, at), ptx.find(shared_pointer, at));
        if (next == std::string_view::npos) {
            result += ptx.substr(at);
            break;
        }
        result += ptx.substr(at, next - at);
        if (ptx.substr(next).starts_with(shared_pointer)) {
            at = next + shared_pointer.size();
            if (ptx.substr(at).starts_with(alignment)) {  // belongs to the pointer
                at = std::min(ptx.find_first_not_of("0123456789", at + alignment.size()), ptx.size());
            }
            continue;
        }
        std::size_t end = next + environment.size();
        while (end < ptx.size() && std::isdigit(static_cast<unsigned char>(ptx[end])) != 0) {
            ++end;
        }
        const std::string_view number = ptx.substr(next + environment.size(), end - next - environment.size());
        const auto meaning = meaning_of(number);
        if (!meaning) {
            return fail(ENOTSUP, "the kernel uses %envreg{} of the OpenCL runtime, which a CUDA device does not have",
                        printable(number));
        }
        result += *meaning;
        at = end;
    }
    return result;
}

}  // namespace yoke::device::cuda
