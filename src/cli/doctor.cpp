// See doctor.hpp. Nothing is started and nothing is changed; the OpenCL loader is opened at run time, so that this
// program also runs where there is none.
#include "cli/doctor.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <yoke/yoke.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>

#include "cli/daemon.hpp"
#include "cli/number.hpp"

namespace yoke::cli {
namespace {

// The few words of cl.h that are needed: the loader's interface is stable, its headers may be absent.
constexpr std::int32_t cl_success = 0;
constexpr std::uint32_t cl_platform_name = 0x0902;
using GetPlatforms = std::int32_t (*)(std::uint32_t, void**, std::uint32_t*);
using GetPlatformInfo = std::int32_t (*)(void*, std::uint32_t, std::size_t, void*, std::size_t*);

// dlsym() gives an object pointer; POSIX promises that it converts.
template <typename Function>
Function symbol(void* library, const char* name) {
    return reinterpret_cast<Function>(::dlsym(library, name));
}

Check check_opencl() {
    const std::string remedy =
        "install pocl-opencl-icd (apt install pocl-opencl-icd): graphs run on OpenCL, calls do not need it";
    // Never closed: platforms keep threads and tables that do not survive it.
    void* const library = ::dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        return {"opencl", Verdict::missing, "no OpenCL loader (libOpenCL.so.1)", remedy};
    }
    const auto get_platforms = symbol<GetPlatforms>(library, "clGetPlatformIDs");
    const auto get_info = symbol<GetPlatformInfo>(library, "clGetPlatformInfo");
    std::array<void*, 16> platforms{};
    std::uint32_t count = 0;
    if (get_platforms == nullptr || get_info == nullptr ||
        get_platforms(static_cast<std::uint32_t>(platforms.size()), platforms.data(), &count) != cl_success ||
        count == 0) {
        return {"opencl", Verdict::missing, "an OpenCL loader, but no platform", remedy};
    }
    std::string names;
    for (std::uint32_t i = 0; i < count && i < platforms.size(); ++i) {
        std::array<char, 256> name{};
        if (get_info(platforms[i], cl_platform_name, name.size() - 1, name.data(), nullptr) == cl_success) {
            names += (names.empty() ? "" : ", ") + std::string(name.data());
        }
    }
    return {"opencl", Verdict::ok, names, ""};
}

// Where libyoke looks for the programs that it starts (it does not search PATH either).
std::vector<std::filesystem::path> program_directories() {
    std::vector<std::filesystem::path> directories;
    const char* const chosen = ::secure_getenv("YOKE_LIBEXEC_DIR");
    if (chosen != nullptr && chosen[0] == '/') {
        directories.emplace_back(chosen);
    }
    std::error_code error;
    directories.push_back(std::filesystem::read_symlink("/proc/self/exe", error).parent_path());
    Dl_info library{};
    if (::dladdr(reinterpret_cast<const void*>(&yoke_version), &library) != 0 && library.dli_fname != nullptr) {
        const auto directory = std::filesystem::absolute(library.dli_fname, error).parent_path();
        directories.push_back(directory);
        directories.push_back(directory / "../bin");
        directories.push_back(directory / "yoke");
        directories.push_back(directory / "../yoke");
    }
    directories.emplace_back("/usr/lib/yoke");
    directories.emplace_back("/usr/libexec/yoke");
    return directories;
}

Check check_program(const std::string& name) {
    for (const auto& directory : program_directories()) {
        const auto path = (directory / name).lexically_normal();
        if (::access(path.c_str(), X_OK) == 0) {
            return {name, Verdict::ok, path.string(), ""};
        }
    }
    return {name, Verdict::missing, fmt::format("no executable {}", name),
            fmt::format("put {} beside yoke, or set YOKE_LIBEXEC_DIR to its directory", name)};
}

Check check_daemon(const std::string& socket) {
    const auto answer = ask_daemon(socket, {{"op", "status"}});
    if (answer) {
        return {"daemon", Verdict::ok,
                fmt::format("yoked {}, {} instance, pid {}", answer->value("version", "?"),
                            answer->value("instance", "?"), answer->value("pid", 0)),
                ""};
    }
    if (answer.error().exit != exit_no_daemon) {
        return {"daemon", Verdict::missing, answer.error().message,
                "restart it: systemctl restart yoked, or yoke shutdown"};
    }
    const char* autostart = std::getenv("YOKE_AUTOSTART");
    if (autostart != nullptr && std::string(autostart) == "0") {
        return {"daemon", Verdict::missing, "none runs, and YOKE_AUTOSTART=0 forbids to start one",
                "unset YOKE_AUTOSTART, or systemctl start yoked.socket"};
    }
    return {"daemon", Verdict::optional, "none runs", "nothing to do: the first call starts one"};
}

Check check_memfd() {
    const int fd = static_cast<int>(::syscall(SYS_memfd_create, "yoke-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (fd < 0) {
        return {"memfd", Verdict::missing, "the kernel makes no sealable memory files",
                "use Linux 5.10 or newer with CONFIG_MEMFD_CREATE"};
    }
    ::close(fd);
    return {"memfd", Verdict::ok, "sealable memory files", ""};
}

Check check_pidfd() {
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
    if (fd < 0) {
        return {"pidfd", Verdict::missing, "the kernel gives no descriptors of processes", "use Linux 5.10 or newer"};
    }
    ::close(fd);
    return {"pidfd", Verdict::ok, "descriptors of processes", ""};
}

Check check_memlock() {
    constexpr rlim_t wanted = 64U << 20U;  // key tables and pinned rings of many sessions
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return {"memlock", Verdict::ok, "no limit on locked memory", ""};
    }
    const std::string found = fmt::format("limit on locked memory: {}", human_bytes(limit.rlim_cur));
    if (limit.rlim_cur >= wanted) {
        return {"memlock", Verdict::ok, found, ""};
    }
    return {"memlock", Verdict::optional, found,
            "raise it (LimitMEMLOCK= of yoked.service, memlock in /etc/security/limits.conf), so that no key is ever "
            "swapped out"};
}

Check check_nvidia() {
    struct stat status {};
    if (::stat("/dev/nvidiactl", &status) != 0) {
        return {"nvidia", Verdict::optional, "no NVIDIA device (/dev/nvidiactl)",
                "nothing to do without such a GPU: the CPU serves all"};
    }
    if (::access("/dev/nvidiactl", R_OK | W_OK) != 0) {
        return {"nvidia", Verdict::optional, "an NVIDIA device that you may not open",
                "join the group that owns /dev/nvidiactl, or let the system's yoked use it for you"};
    }
    if ((status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
        return {"nvidia", Verdict::optional, "an NVIDIA device that every process may open",
                "to hold shares between users, give /dev/nvidia* to group yoke with mode 0660"};
    }
    return {"nvidia", Verdict::ok, "an NVIDIA device, closed to others", ""};
}

Check check_nvcc() {
    const char* variable = std::getenv("PATH");
    std::string path = std::string(variable == nullptr ? "" : variable) + ":/usr/local/cuda/bin";
    for (std::size_t begin = 0; begin <= path.size();) {
        const auto end = std::min(path.find(':', begin), path.size());
        const auto candidate = std::filesystem::path(path.substr(begin, end - begin)) / "nvcc";
        if (::access(candidate.c_str(), X_OK) == 0) {
            return {"nvcc", Verdict::ok, candidate.string(), ""};
        }
        begin = end + 1;
    }
    return {"nvcc", Verdict::optional, "no CUDA compiler", "only needed to build yoke with its CUDA device"};
}

}  // namespace

std::vector<Check> examine(const std::string& socket) {
    return {check_program("yoked"),
            check_program("yoke-worker"),
            check_program("yoke-compile"),
            check_daemon(socket),
            check_opencl(),
            check_memfd(),
            check_pidfd(),
            check_memlock(),
            check_nvidia(),
            check_nvcc()};
}

}  // namespace yoke::cli
