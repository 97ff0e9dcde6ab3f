// Fuzzes the reader of yoked's configuration. What it accepts lies within the ranges that it promises, and every
// refusal names a place in the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "daemon/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto config = yoke::daemon::parse_config(text, "fuzz.toml");
    const bool good = config ? config->total_workers >= 1 && config->total_workers <= 4096 && config->lease_ms >= 100 &&
                                   config->suspects_max >= 1 && !yoke::daemon::log_spec(*config).empty()
                             : config.error().code == EINVAL && config.error().message.starts_with("fuzz.toml:");
    if (!good) {
        std::abort();
    }
    return 0;
}
