// Compiled programs on disk; see binary_cache.hpp. An entry is written under another name and renamed, and carries a
// hash of itself, so that a torn or foreign file is a miss and never a program.
#include "device/cpu/binary_cache.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/fd.hpp"
#include "base/hex.hpp"
#include "base/log.hpp"

namespace yoke::device {

namespace {

namespace fs = std::filesystem;

constexpr std::array<char, 8> magic{'y', 'o', 'k', 'e', 'b', 'i', 'n', '2'};
constexpr std::uint64_t entry_bytes_max = 256ULL << 20;
constexpr const char* suffix = ".bin";

struct Header {
    std::array<char, 8> magic;
    BinaryCache::Key key;
    BinaryCache::Key content;  // SHA-256 of what follows the header, and of the members below
    std::array<std::uint64_t, 3> local;
    std::uint64_t log_bytes;
    std::uint64_t binary_bytes;
};
static_assert(sizeof(Header) == 8 + 32 + 32 + 24 + 16);

class Hash {
   public:
    Hash() : context_(::EVP_MD_CTX_new(), ::EVP_MD_CTX_free) {
        good_ = context_ && ::EVP_DigestInit_ex(context_.get(), ::EVP_sha256(), nullptr) == 1;
    }
    void add(const void* data, std::size_t bytes) {
        good_ = good_ && ::EVP_DigestUpdate(context_.get(), data, bytes) == 1;
    }
    Result<BinaryCache::Key> end() {
        BinaryCache::Key key{};
        if (!good_ || ::EVP_DigestFinal_ex(context_.get(), key.data(), nullptr) != 1) {
            return fail(EIO, "cannot compute a SHA-256; check the OpenSSL installation");
        }
        return key;
    }

   private:
    std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> context_;
    bool good_ = false;
};

Result<BinaryCache::Key> hash_content(const Header& header, std::span<const unsigned char> content) {
    Hash hash;
    hash.add(header.local.data(), sizeof header.local);
    hash.add(&header.log_bytes, sizeof header.log_bytes);
    hash.add(&header.binary_bytes, sizeof header.binary_bytes);
    hash.add(content.data(), content.size());
    return hash.end();
}

Status write_all(const Fd& fd, const void* data, std::size_t bytes) {
    const auto* from = static_cast<const char*>(data);
    while (bytes > 0) {
        const ssize_t written = ::write(fd.get(), from, bytes);
        if (written < 0) {
            return fail_errno("cannot write a compiled kernel");
        }
        from += written;
        bytes -= static_cast<std::size_t>(written);
    }
    return {};
}

Result<std::vector<unsigned char>> read_own_file(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) {
        return fail_errno("cannot open {}", path);
    }
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) {
        return fail_errno("cannot look at {}", path);
    }
    if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 022U) != 0) {
        return fail(EACCES, "{} is not a file that only this user can write", path);
    }
    if (static_cast<std::uint64_t>(info.st_size) > entry_bytes_max) {
        return fail(EFBIG, "{} is too long for a compiled kernel", path);
    }
    std::vector<unsigned char> bytes(static_cast<std::size_t>(info.st_size));
    std::size_t got = 0;
    while (got < bytes.size()) {
        const ssize_t part = ::read(fd.get(), bytes.data() + got, bytes.size() - got);
        if (part <= 0) {
            return fail(EIO, "{} cannot be read to its end", path);
        }
        got += static_cast<std::size_t>(part);
    }
    ::futimens(fd.get(), nullptr);  // now the most recently used one
    return bytes;
}

Result<BinaryCache::Entry> decode(const BinaryCache::Key& key, std::span<const unsigned char> bytes) {
    Header header{};
    if (bytes.size() < sizeof header) {
        return fail(EBADMSG, "it is cut off");
    }
    std::memcpy(&header, bytes.data(), sizeof header);
    const auto content = bytes.subspan(sizeof header);
    if (header.magic != magic || header.key != key || header.log_bytes > content.size() ||
        header.binary_bytes != content.size() - header.log_bytes) {
        return fail(EBADMSG, "it is not the entry of this kernel");
    }
    auto hash = hash_content(header, content);
    if (!hash) {
        return tl::unexpected(hash.error());
    }
    if (*hash != header.content) {
        return fail(EBADMSG, "its content was changed");
    }
    BinaryCache::Entry entry;
    entry.local = header.local;
    const auto log = content.first(header.log_bytes);
    entry.log.assign(log.begin(), log.end());
    const auto binary = content.subspan(header.log_bytes);
    entry.binary.assign(binary.begin(), binary.end());
    return entry;
}

}  // namespace

Status make_private_directory(const std::string& directory) {
    std::error_code error;
    const fs::path parent = fs::path(directory).parent_path();
    if (!parent.empty()) {
        fs::create_directories(parent, error);
    }
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        return fail_errno("cannot create directory {}", directory);
    }
    struct stat info {};
    if (::lstat(directory.c_str(), &info) != 0) {
        return fail_errno("cannot look at directory {}", directory);
    }
    if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 022U) != 0) {
        return fail(EACCES, "{} must be a directory that only this user can write; chmod 0700 or remove it", directory);
    }
    return {};
}

std::string default_cache_directory() {
    const char* const cache = std::getenv("XDG_CACHE_HOME");
    if (cache != nullptr && cache[0] == '/') {
        return std::string(cache) + "/yoke";
    }
    const char* const home = std::getenv("HOME");
    return home != nullptr && home[0] == '/' ? std::string(home) + "/.cache/yoke" : std::string();
}

Result<BinaryCache> BinaryCache::open(const std::string& directory) {
    if (auto made = make_private_directory(directory); !made) {
        return tl::unexpected(made.error());
    }
    return BinaryCache(directory);
}

Result<BinaryCache::Key> BinaryCache::key_of(std::span<const std::string> parts) {
    Hash hash;
    for (const std::string& part : parts) {
        const std::uint64_t bytes = part.size();
        hash.add(&bytes, sizeof bytes);
        hash.add(part.data(), part.size());
    }
    return hash.end();
}

std::string BinaryCache::path_of(const Key& key) const {
    return directory_ + "/" + encode_hex(key) + suffix;
}

std::optional<BinaryCache::Entry> BinaryCache::load(const Key& key) const {
    const std::string path = path_of(key);
    auto bytes = read_own_file(path);
    if (!bytes) {
        if (bytes.error().code != ENOENT) {
            log_warning(Topic::device, "compiled kernel not used", {{"why", bytes.error().message}});
            remove(key);
        }
        return std::nullopt;
    }
    auto entry = decode(key, *bytes);
    if (!entry) {
        log_warning(Topic::device, "compiled kernel is corrupt, compiling again",
                    {{"file", path}, {"why", entry.error().message}});
        remove(key);
        return std::nullopt;
    }
    return std::move(*entry);
}

Status BinaryCache::write(const Key& key, const Entry& entry) const {
    std::vector<unsigned char> content(entry.log.begin(), entry.log.end());
    content.insert(content.end(), entry.binary.begin(), entry.binary.end());
    Header header{};
    header.magic = magic;
    header.key = key;
    header.local = entry.local;
    header.log_bytes = entry.log.size();
    header.binary_bytes = entry.binary.size();
    auto hash = hash_content(header, content);
    if (!hash) {
        return tl::unexpected(hash.error());
    }
    header.content = *hash;
    std::string temporary = directory_ + "/new-XXXXXX";
    const Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd) {
        return fail_errno("cannot create a file in {}", directory_);
    }
    auto written = write_all(fd, &header, sizeof header);
    if (written) {
        written = write_all(fd, content.data(), content.size());
    }
    if (written && ::rename(temporary.c_str(), path_of(key).c_str()) != 0) {
        written = fail_errno("cannot rename {}", temporary);
    }
    if (!written) {
        ::unlink(temporary.c_str());
    }
    return written;
}

void BinaryCache::store(const Key& key, const Entry& entry) const {
    if (auto written = write(key, entry); !written) {
        log_warning(Topic::device, "compiled kernel not kept", {{"why", written.error().message}});
        return;
    }
    evict();
}

void BinaryCache::remove(const Key& key) const {
    ::unlink(path_of(key).c_str());
}

void BinaryCache::evict() const {
    struct Item {
        fs::path path;
        fs::file_time_type used;
        std::uint64_t bytes;
    };
    std::vector<Item> items;
    std::uint64_t total = 0;
    std::error_code error;
    for (fs::directory_iterator it(directory_, error), end; !error && it != end; it.increment(error)) {
        std::error_code gone;  // by another worker of the account
        const std::uint64_t bytes = it->file_size(gone);
        const auto used = it->last_write_time(gone);
        if (!gone && it->path().extension() == suffix) {
            items.push_back({it->path(), used, bytes});
            total += bytes;
        }
    }
    if (total <= bytes_max) {
        return;
    }
    std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.used < b.used; });
    for (const Item& item : items) {
        if (total <= bytes_max) {
            return;
        }
        fs::remove(item.path, error);
        total -= item.bytes;
    }
}

}  // namespace yoke::device
