// A compiled kernel as it travels from yoke-compile and lies in the cache: machine code and what is known of its
// parameters.
//
// MODEL. "YOKEIMG2", the length of a JSON head (32 bits, little-endian), the head, the code (a cubin). The head names
// the function as the code does and what the source says of its parameters; sizes are the driver's to tell.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "device/device.hpp"

namespace yoke::device::cuda {

struct Image {
    std::string symbol;                 // the kernel's name in the code
    bool has_parameters = false;        // the source told them
    std::vector<Parameter> parameters;  // without sizes
    std::vector<unsigned char> code;
};

[[nodiscard]] std::vector<unsigned char> bytes_of(const Image& image);
// EBADMSG: not what bytes_of() makes.
Result<Image> image_from_untrusted(std::span<const unsigned char> bytes);

}  // namespace yoke::device::cuda
