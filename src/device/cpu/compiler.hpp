// From a program to the binary of one launch: out of the disk cache, or by the spawner's compiler process.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "device/cpu/binary_cache.hpp"
#include "device/cpu/compile_request.hpp"

namespace yoke::device {

class Compiler {
   public:
    struct Outcome {
        BinaryCache::Entry entry;
        bool cached = false;
    };

    // `spawner`: see start_spawner(). Without a cache every program is compiled.
    Compiler(Fd spawner, std::optional<BinaryCache> cache) : spawner_(std::move(spawner)), cache_(std::move(cache)) {}

    // `fingerprint`: what else the binary depends on. `fresh`: don't take it from the cache. Errors as Device::compile;
    // EIO when the spawner is gone.
    Result<Outcome> compile(const CompileRequest& request, const std::string& fingerprint, bool fresh);

    // Has `directory` removed when this process is dead, and used for the compiler's temporary files until then.
    Status entrust(const std::string& directory);

   private:
    Result<control::Message> ask(const control::Json& request);

    std::mutex mutex_;  // the spawner does one thing at a time
    Fd spawner_;
    std::optional<BinaryCache> cache_;
};

}  // namespace yoke::device
