// One run of yoke-compile under limits: started, watched and reaped by the spawner.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "control/message.hpp"
#include "device/cpu/spawner.hpp"

namespace yoke::device {

// Descriptors of yoke-compile.
inline constexpr int compile_request_fd = 3;  // the request, JSON
inline constexpr int compile_answer_fd = 4;   // its answer, JSON
inline constexpr int compile_binary_fd = 5;   // the binary

class CompileJob {
   public:
    struct Binary {
        control::Json answer;
        Fd file;  // sealed
    };

    // `directory`: where its temporary directory is made; "": that for temporary files.
    static Result<CompileJob> start(const std::string& program, const control::Json& request,
                                    const std::string& directory, const SpawnerLimits& limits);
    CompileJob(CompileJob&&) = default;
    CompileJob(const CompileJob&) = delete;
    CompileJob& operator=(CompileJob&&) = delete;
    CompileJob& operator=(const CompileJob&) = delete;
    ~CompileJob();  // kills it when it still runs, removes its files

    // Returns when it has ended or its time is over; false when `socket` hung up meanwhile.
    bool wait(const Fd& socket);
    // After wait(). ENOEXEC, EINVAL, ENODEV, ENOMEM, ETIME as said in device.hpp; EIO when it died otherwise.
    Result<Binary> result();

   private:
    CompileJob() = default;
    [[noreturn]] void become(const std::string& program, const SpawnerLimits& limits) const;
    void kill_all();
    [[nodiscard]] std::string messages() const;
    [[nodiscard]] Error death() const;

    SpawnerLimits limits_;
    std::string temporary_;            // its POCL_CACHE_DIR
    bool reserves_addresses_ = false;  // the memory limit counts what is filled, not addresses
    std::string name_;                 // of the source, for messages
    Fd request_;
    Fd answer_;
    Fd binary_;
    Fd log_;
    struct Child {  // so that a moved-from job kills nobody
        Child() = default;
        explicit Child(pid_t p) : pid(p) {}
        Child(Child&& other) noexcept : pid(other.pid) { other.pid = 0; }
        Child& operator=(Child&& other) noexcept {
            pid = other.pid;
            other.pid = 0;
            return *this;
        }
        Child(const Child&) = delete;
        Child& operator=(const Child&) = delete;
        ~Child() = default;
        pid_t pid = 0;
    } child_;
    int status_ = 0;
    bool late_ = false;
};

}  // namespace yoke::device
