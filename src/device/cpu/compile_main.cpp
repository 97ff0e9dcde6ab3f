// yoke-compile: compiles one program and ends. Started by the spawner, never by hand.
//
// Reads the request from descriptor 3, writes the answer to 4 and the binary to 5; what libraries print goes to 1
// and 2. It ends by _exit, so that threads and destructors of the OpenCL platform have no say in how long that takes.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <span>
#include <string>

#include "device/cpu/compile_job.hpp"
#include "device/cpu/compile_request.hpp"
#include "device/cpu/opencl_build.hpp"
#if defined(YOKE_WITH_CUDA)
#include "device/cuda/cuda_build.hpp"
#endif

namespace {

using namespace yoke;

Result<std::string> read_request() {
    struct stat info {};
    if (::fstat(device::compile_request_fd, &info) != 0) {
        return fail_errno("yoke-compile has no request; it is started by yoke-worker");
    }
    std::string text(static_cast<std::size_t>(info.st_size), '\0');
    if (::pread(device::compile_request_fd, text.data(), text.size(), 0) != info.st_size) {
        return fail_errno("yoke-compile cannot read its request");
    }
    return text;
}

bool write_all(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written <= 0) {
            return false;
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return true;
}

Result<device::CompileAnswer> compile() {
    auto text = read_request();
    if (!text) {
        return tl::unexpected(text.error());
    }
    auto json = control::parse(std::as_bytes(std::span(*text)));
    if (!json) {
        return tl::unexpected(json.error());
    }
    auto request = device::request_from(*json);
    if (!request) {
        return tl::unexpected(request.error());
    }
#if defined(YOKE_WITH_CUDA)
    auto built = device::cuda::is_cuda(*request) ? device::cuda::build_cuda(*request) : device::build_opencl(*request);
#else
    auto built = device::build_opencl(*request);
#endif
    if (!built) {
        return tl::unexpected(built.error());
    }
    if (!write_all(device::compile_binary_fd, std::as_bytes(std::span(built->bytes)))) {
        return fail_errno("yoke-compile cannot write the binary");
    }
    return built->answer;
}

// Writes the answer. False: it could not.
bool answer_request() {
    const auto answer = compile();
    const control::Json json =
        answer ? device::json_of(*answer) : control::answer_error(control::Json::object(), answer.error());
    const std::string text = json.dump(-1, ' ', false, control::Json::error_handler_t::replace);
    if (!write_all(device::compile_answer_fd, std::as_bytes(std::span(text)))) {
        std::perror("yoke-compile: cannot write its answer");
        return false;
    }
    return true;
}

}  // namespace

int main() {
    try {
        ::_exit(answer_request() ? 0 : 1);
    } catch (const std::exception& e) {  // no memory, most likely: the spawner recognises the words
        [[maybe_unused]] const int ignored = std::fputs(e.what(), stderr);
        ::_exit(1);
    }
}
