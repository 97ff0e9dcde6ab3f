// Shared memory by memfd: made and sealed here, and checked when it comes from a stranger; see memory.hpp. A
// descriptor is believed only as far as the kernel says so: kind of file system, size, seals.
#include "base/memory.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <utility>

namespace yoke {

namespace {

Result<Fd> create_memfd(const std::string& name, std::size_t bytes) {
    Fd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd) {
        return fail_errno("cannot create shared memory {}", name);
    }
    if (!std::in_range<off_t>(bytes)) {
        return fail(EFBIG, "cannot make shared memory {} {} bytes long: too large for a file", name, bytes);
    }
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
        return fail_errno("cannot make shared memory {} {} bytes long", name, bytes);
    }
    return fd;
}

Status add_seals(const Fd& fd, int seals) {
    if (::fcntl(fd.get(), F_ADD_SEALS, seals) != 0) {
        return fail_errno("cannot seal shared memory");
    }
    return {};
}

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    if (this != &other) {
        Mapping old(std::move(*this));
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

Mapping::~Mapping() {
    if (data_ != nullptr) {
        ::munmap(data_, size_);
    }
}

Result<Mapping> Mapping::map(const Fd& fd, std::size_t bytes, bool writable, std::uint64_t offset) {
    const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void* data = ::mmap(nullptr, bytes, protection, MAP_SHARED, fd.get(), static_cast<off_t>(offset));
    if (data == MAP_FAILED) {
        return fail_errno("cannot map {} bytes of shared memory", bytes);
    }
    Mapping mapping;
    mapping.data_ = static_cast<std::byte*>(data);
    mapping.size_ = bytes;
    return mapping;
}

Result<Fd> create_sealed_memfd(const std::string& name, std::size_t bytes, bool final) {
    auto fd = create_memfd(name, bytes);
    if (!fd) {
        return fd;
    }
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | (final ? F_SEAL_SEAL : 0);
    if (auto sealed = add_seals(*fd, seals); !sealed) {
        return tl::unexpected(sealed.error());
    }
    return fd;
}

Result<Fd> create_content_memfd(const std::string& name, std::span<const std::byte> content) {
    auto fd = create_memfd(name, content.size());
    if (!fd) {
        return fd;
    }
    std::size_t done = 0;
    while (done < content.size()) {
        const auto rest = content.subspan(done);
        const ssize_t n = ::pwrite(fd->get(), rest.data(), rest.size(), static_cast<off_t>(done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return fail_errno("cannot write {} bytes to shared memory {}", content.size(), name);
        }
        done += static_cast<std::size_t>(n);
    }
    if (auto sealed = add_seals(*fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL); !sealed) {
        return tl::unexpected(sealed.error());
    }
    return fd;
}

Status seal_future_writes(const Fd& fd) {
    return add_seals(fd, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
}

Result<std::size_t> check_untrusted_memfd(const Fd& fd, std::size_t min_bytes, std::size_t max_bytes, bool immutable) {
    // First of all the seals: the kernel answers this by itself, while fstatfs and fstat would ask the file system
    // behind the descriptor, and a hostile FUSE server need never answer.
    const int seals = ::fcntl(fd.get(), F_GET_SEALS);
    if (seals < 0) {
        return fail(EINVAL, "the descriptor is no memfd; send one made with memfd_create and MFD_ALLOW_SEALING");
    }
    const int needed = F_SEAL_SHRINK | F_SEAL_GROW | (immutable ? F_SEAL_WRITE : 0);
    if ((seals & needed) != needed) {
        const int missing = needed & ~seals;
        return fail(EINVAL, "the memfd lacks seals:{}{}{}", (missing & F_SEAL_SHRINK) != 0 ? " F_SEAL_SHRINK" : "",
                    (missing & F_SEAL_GROW) != 0 ? " F_SEAL_GROW" : "",
                    (missing & F_SEAL_WRITE) != 0 ? " F_SEAL_WRITE" : "");
    }
    struct statfs fs {};
    struct stat st {};
    if (::fstatfs(fd.get(), &fs) != 0 || ::fstat(fd.get(), &st) != 0) {
        return fail_errno("cannot look at the memfd");
    }
    if (fs.f_type != TMPFS_MAGIC) {
        return fail(EINVAL, "the memfd is not in tmpfs; create it without MFD_HUGETLB");
    }
    const auto bytes = static_cast<std::size_t>(st.st_size);
    if (bytes < min_bytes || bytes > max_bytes) {
        return fail(EMSGSIZE, "the memfd has {}; {} to {} are allowed here", counted(bytes, "byte"), min_bytes,
                    max_bytes);
    }
    return bytes;
}

Status read_content(const Fd& fd, std::span<std::byte> into) {
    std::size_t done = 0;
    while (done < into.size()) {
        const auto rest = into.subspan(done);
        const ssize_t n = ::pread(fd.get(), rest.data(), rest.size(), static_cast<off_t>(done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_errno("cannot read {} bytes of shared memory", into.size());
        }
        if (n == 0) {
            return fail(ENODATA, "shared memory ends after {} of {} bytes", done, into.size());
        }
        done += static_cast<std::size_t>(n);
    }
    return {};
}

}  // namespace yoke
