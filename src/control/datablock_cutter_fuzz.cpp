// Fuzzes the cutter. Whatever comes, and in whatever pieces: nothing is asked for beyond the room, datablocks are what
// the port takes, the same bytes give the same datablocks, and of a raw input they are its bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "control/datablock_cutter.hpp"

namespace {

using namespace yoke::control;

constexpr std::size_t element_bytes = 2;
constexpr std::size_t room_bytes = 8 * element_bytes;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

// All datablocks, one behind the other; `most` bytes come at a time.
std::string cut(DatablockCutter& cutter, std::string_view input, std::size_t most, bool variable) {
    std::vector<std::byte> room(room_bytes);
    std::string all;
    for (;;) {
        const auto next = cutter.next(room);
        if (!next) {
            require(next.error().code == EPROTO && !next.error().message.empty());
            return all + "!";
        }
        if (next->cut == DatablockCutter::Cut::read) {
            require(!next->to.empty() && next->to.size() <= room_bytes);
            const std::size_t count = std::min({next->to.size(), input.size(), most});
            std::memcpy(next->to.data(), input.data(), count);
            input.remove_prefix(count);
            cutter.took(count);
            continue;
        }
        const std::size_t length = cutter.length();
        require(length <= room_bytes && length % element_bytes == 0);
        require(length == room_bytes || variable || length == 0);
        all.append(reinterpret_cast<const char*>(room.data()), length);
        if (next->cut == DatablockCutter::Cut::over) {
            return all;
        }
        require(length != 0);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string input(data + 1, data + size);
    const bool variable = (data[0] & 1U) != 0;
    const bool raw = (data[0] & 2U) != 0;
    auto cutter = DatablockCutter::create({"input", "/g/p:in", {"u16", {4, 2, 1}, 0}, variable, raw, "--raw"});
    require(cutter.has_value() && cutter->datablock_bytes() == room_bytes);
    const std::string whole = cut(*cutter, input, SIZE_MAX, variable);
    cutter->begin_again();
    require(whole == cut(*cutter, input, 1 + (data[0] >> 2U), variable));
    if (raw && variable && input.size() % element_bytes == 0) {
        require(whole == input);
    }
    return 0;
}
