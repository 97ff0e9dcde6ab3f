// Finds yoke's own programs; see program.hpp. The folder of the running code is asked from the kernel (/proc/self), not
// from argv or $PATH. The one variable that counts, $YOKE_LIBEXEC_DIR, must be absolute and is ignored in setuid
// programs.
#include "base/program.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "base/text.hpp"

namespace yoke {

namespace {

std::string folder_of(const std::string& path) {
    return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
}

// "/opt/yoke/lib/libyoke.so.0" of the line of /proc/self/maps that covers `address`, "" if there is none.
std::string mapped_file(std::uintptr_t address) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        const char* const stop = line.data() + line.size();
        const auto first = std::from_chars(line.data(), stop, begin, 16);
        if (first.ec != std::errc() || first.ptr == stop) {
            continue;
        }
        const auto second = std::from_chars(first.ptr + 1, stop, end, 16);
        const std::size_t slash = line.find('/');
        if (second.ec == std::errc() && begin <= address && address < end && slash != std::string::npos) {
            return line.substr(slash);
        }
    }
    return {};
}

std::string running_program() {
    std::array<char, PATH_MAX> path{};
    const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
    return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : std::string();
}

std::vector<std::string> places() {
    std::vector<std::string> folders;
    const char* const chosen = ::secure_getenv("YOKE_LIBEXEC_DIR");
    if (chosen != nullptr && chosen[0] == '/') {
        folders.emplace_back(chosen);
    }
    if (const std::string program = running_program(); !program.empty()) {
        folders.push_back(folder_of(program));
    }
    // Not dladdr(): it gives the name under which the file was loaded, which may be relative to a folder long left.
    if (const std::string here = mapped_file(reinterpret_cast<std::uintptr_t>(&find_program)); !here.empty()) {
        const std::string folder = folder_of(here);
        folders.push_back(folder);
        folders.push_back(folder + "/../bin");
        folders.push_back(folder + "/yoke");
        folders.push_back(folder + "/../yoke");
    }
    folders.emplace_back("/usr/lib/yoke");
    folders.emplace_back("/usr/libexec/yoke");
    return folders;
}

bool is_program(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

Result<std::string> find_program(std::string_view name) {
    if (name.empty() || name.find('/') != std::string_view::npos || name.find('\0') != std::string_view::npos) {
        return fail(EINVAL, "{} is no name of a program; give a plain file name", in_quotes(name));
    }
    std::string looked;
    std::vector<std::string> seen;
    for (const std::string& folder : places()) {
        if (std::find(seen.begin(), seen.end(), folder) != seen.end()) {
            continue;
        }
        seen.push_back(folder);
        const std::string path = fmt::format("{}/{}", folder, name);
        if (is_program(path)) {
            return path;
        }
        looked += (looked.empty() ? "" : ", ") + folder;
    }
    return fail(ENOENT, "program {} not found in {}; install it or set YOKE_LIBEXEC_DIR to its folder", name, looked);
}

}  // namespace yoke
