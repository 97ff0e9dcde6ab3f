// Makes the device's form of a key: schedules of both directions, the tweak's schedule, powers of the hash key.
#pragma once

#include <cstddef>
#include <span>

#include "service/device/call.hpp"

namespace yoke::service::device {

// `bytes` is a key that the service's make_key() accepts. The caller wipes what it gets.
[[nodiscard]] Key make_key(std::uint16_t service, std::span<const std::byte> bytes) noexcept;

// Overwrites a key so that the compiler cannot leave it out.
void wipe(Key& key) noexcept;

}  // namespace yoke::service::device
