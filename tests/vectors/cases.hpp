// Official vectors as cases that any path to a service can run: in the caller, through a worker, later on a GPU.
//
// Every case names a service of the ABI with its flags, key, parameters and data, and what must come of it. Keys of 192
// bits, which yoke does not offer, are cases too: making such a key must fail. Data units of XTS that are not whole
// bytes have no place in the ABI; they are counted and left out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <uapi/yoke.h>

#include "vectors/monte_carlo.hpp"
#include "vectors/rsp.hpp"

namespace yoke::vectors {

struct Case {
    std::string name;  // file and line
    std::uint16_t service = 0;
    std::uint8_t flags = 0;  // YOKE_FLAG_*, PARAMS where the service takes parameters
    Bytes key;               // empty: service without key
    std::array<std::byte, YOKE_PAYLOAD_BYTES> params{};
    Bytes aux;
    Bytes in;
    Bytes expected;     // output; zeros where status is -EBADMSG
    int key_error = 0;  // positive errno that making the key must end with; the call is then not made
    int status = 0;     // 0 or -errno that the call must end with
};

struct Vectors {
    std::vector<Case> cases;
    std::vector<MonteCarlo> monte_carlo;
    std::size_t skipped = 0;                      // XTS data units that are not whole bytes
    std::map<std::uint16_t, std::size_t> counts;  // cases by service
};

// Folder of the vectors: $YOKE_VECTORS, else where Debian's python3-cryptography-vectors puts them.
[[nodiscard]] std::string default_directory();

// Reads all files. Error: a file is missing or not understood, or a service has fewer cases than the files are known to
// hold, with the remedy.
[[nodiscard]] Result<Vectors> load(const std::string& directory);

}  // namespace yoke::vectors
