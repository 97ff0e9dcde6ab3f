// Constants of kernel functions, from TOML to the bytes that the function takes.
#pragma once

#include <cstdint>
#include <vector>

#include "control/toml_reader.hpp"

namespace yoke::control {

// Bytes of {i32 = 640}, {f32 = [0.5, 1.0]} or {hex = "0000803f"}: little-endian. An array of 2, 3, 4, 8 or 16 numbers
// is a vector; one of 3 is filled up to 4, as an OpenCL argument of type float3 is. `reader` keeps mistakes.
std::vector<std::uint8_t> encode_constant(TomlReader& reader, const toml::table& constant);
// The same for an element of a datablock, of up to 128 bytes: packed, so that 3 stay 3.
std::vector<std::uint8_t> encode_element(TomlReader& reader, const toml::table& constant);

}  // namespace yoke::control
