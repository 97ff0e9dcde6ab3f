// See crypto.hpp. The file is taken in windows that fit into the arena, so that it may be larger than any memory;
// within a window it is a stream of pieces with several calls in flight. Only the calls are timed: reading the file and
// comparing are the same for all paths.
#include "tour/crypto.hpp"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <optional>
#include <vector>

#include "tour/process.hpp"
#include "tour/reference_xts.hpp"
#include "tour/session.hpp"

namespace tour {
namespace {

constexpr std::size_t unit_bytes = 4096;
constexpr std::size_t piece_bytes = 1U << 20U;
constexpr std::size_t window_bytes = 32U << 20U;
constexpr std::size_t in_flight_max = 16;
constexpr std::size_t block_bytes = 16;
constexpr std::uint64_t worker_message_max = 256U << 20U;  // arena that a tour may ask of a worker

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

class File {
   public:
    static Outcome<File> open(const std::string& path) {
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        struct stat status {};
        if (fd < 0 || ::fstat(fd, &status) != 0) {
            return fail("cannot read {}: {}", path, std::strerror(errno));
        }
        File file(fd, static_cast<std::uint64_t>(status.st_size), path);
        if (!S_ISREG(status.st_mode) || status.st_size == 0) {
            return fail("{} is no regular file with content; name another", path);
        }
        return file;
    }
    File(File&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)), bytes_(other.bytes_), path_(std::move(other.path_)) {}
    File& operator=(File&&) = delete;
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    [[nodiscard]] int fd() const { return fd_; }
    // Fills @to from @offset on; what the file does not have is zero.
    Done read(std::uint64_t offset, std::span<std::byte> to) const {
        while (!to.empty()) {
            const ssize_t count = ::pread(fd_, to.data(), to.size(), static_cast<off_t>(offset));
            if (count < 0) {
                return fail("cannot read {}: {}", path_, std::strerror(errno));
            }
            if (count == 0) {
                std::fill(to.begin(), to.end(), std::byte{0});
                break;
            }
            to = to.subspan(static_cast<std::size_t>(count));
            offset += static_cast<std::uint64_t>(count);
        }
        return {};
    }

   private:
    File(int fd, std::uint64_t bytes, std::string path) : fd_(fd), bytes_(bytes), path_(std::move(path)) {}
    int fd_;
    std::uint64_t bytes_;
    std::string path_;
};

// One way through yoke, with what it took so far.
struct Path {
    const char* name;
    std::uint8_t place;
    bool decrypt;
    double seconds;
    bool right;
    std::string where;
};

class CryptoTour {
   public:
    CryptoTour(const File& file, Report& report) : file_(file), report_(report) {}
    Done prepare();
    Done run();

   private:
    Done run_window(std::uint64_t offset, std::size_t bytes);
    Done run_path(Path& path, std::uint64_t offset, std::size_t bytes);
    Done stream(Path& path, std::uint64_t first_unit, std::span<const std::byte> in, std::span<std::byte> out);

    const File& file_;
    Report& report_;
    std::uint64_t padded_bytes_ = 0;
    Session session_;
    yoke_key* key_ = nullptr;  // freed with its session
    std::optional<ReferenceXts> reference_;
    double reference_seconds_ = 0;
    std::span<std::byte> plain_side_;   // in the arena
    std::span<std::byte> cipher_side_;  // in the arena
    std::vector<std::byte> plain_;      // what the file holds
    std::vector<std::byte> expected_;   // what libgcrypt makes of it
    std::array<Path, 4> paths_{{{"encrypt, caller", YOKE_PLACE_CALLER, false, 0, true, ""},
                                {"encrypt, worker", YOKE_PLACE_WORKER, false, 0, true, ""},
                                {"decrypt, worker", YOKE_PLACE_WORKER, true, 0, true, ""},
                                {"decrypt, caller", YOKE_PLACE_CALLER, true, 0, true, ""}}};
};

Done CryptoTour::prepare() {
    padded_bytes_ = file_.bytes();
    if (const auto rest = padded_bytes_ % unit_bytes; rest != 0 && rest < block_bytes) {
        padded_bytes_ += block_bytes - rest;  // XTS has no data unit under one block
        report_.set_subject(
            "padded", fmt::format("with {} zero bytes, since XTS takes no last unit of {}", block_bytes - rest, rest));
    }
    auto session = open_session(2 * window_bytes);
    if (!session) {
        return tl::unexpected<Failure>(session.error());
    }
    session_ = std::move(*session);
    const auto plain = allocate(session_.get(), window_bytes);
    const auto cipher = allocate(session_.get(), window_bytes);
    if (!plain || !cipher) {
        return tl::unexpected<Failure>(plain ? cipher.error() : plain.error());
    }
    plain_side_ = *plain;
    cipher_side_ = *cipher;
    plain_.resize(window_bytes);
    expected_.resize(window_bytes);

    std::array<std::byte, 64> key{};
    if (::getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
        return fail("the kernel gives no random bytes for a key: {}", std::strerror(errno));
    }
    auto reference = ReferenceXts::create(key, unit_bytes);
    if (!reference) {
        return tl::unexpected<Failure>(reference.error());
    }
    reference_.emplace(std::move(*reference));
    const int error = yoke_key_create(session_.get(), YOKE_SERVICE_AES_XTS, key.data(), key.size(), &key_);
    ::explicit_bzero(key.data(), key.size());
    return error == 0 ? Done{} : fail("{}", yoke_error(session_.get()));
}

Done CryptoTour::stream(Path& path, std::uint64_t first_unit, std::span<const std::byte> in, std::span<std::byte> out) {
    std::deque<yoke_ticket> in_flight;
    for (std::size_t offset = 0; offset < in.size() || !in_flight.empty();) {
        if (offset < in.size() && in_flight.size() < in_flight_max) {
            const std::size_t length = std::min(piece_bytes, in.size() - offset);
            yoke_params_aes_xts params{};
            const std::uint64_t unit = first_unit + offset / unit_bytes;
            std::memcpy(params.start, &unit, sizeof unit);
            params.unit = unit_bytes;
            yoke_call call{};
            call.service = YOKE_SERVICE_AES_XTS;
            call.flags = path.decrypt ? YOKE_FLAG_DECRYPT : 0;
            call.place = path.place;
            call.key = key_;
            call.in = in.data() + offset;
            call.in_length = length;
            call.out = out.data() + offset;
            call.out_length = length;
            call.params = &params;
            yoke_ticket ticket = 0;
            if (yoke_submit(session_.get(), &call, nullptr, nullptr, &ticket) != 0) {
                return fail("{}", yoke_error(session_.get()));
            }
            in_flight.push_back(ticket);
            offset += length;
            continue;
        }
        yoke_result result{};
        if (yoke_wait(session_.get(), in_flight.front(), UINT64_MAX, &result) != 0) {
            return fail("{}", yoke_error(session_.get()));
        }
        in_flight.pop_front();
        if (result.status != 0) {
            return fail("{}: a call ended with {}", path.name, std::strerror(-result.status));
        }
        path.where = place_of(result);
    }
    return {};
}

Done CryptoTour::run_path(Path& path, std::uint64_t offset, std::size_t bytes) {
    const auto in = (path.decrypt ? cipher_side_ : plain_side_).first(bytes);
    const auto out = (path.decrypt ? plain_side_ : cipher_side_).first(bytes);
    const auto wanted = std::span<const std::byte>(path.decrypt ? plain_ : expected_).first(bytes);
    std::fill(out.begin(), out.end(), std::byte{0});  // so that an earlier path's result cannot pass for this one's
    const auto begin = Clock::now();
    if (auto done = stream(path, offset / unit_bytes, in, out); !done) {
        return done;
    }
    path.seconds += seconds_since(begin);
    path.right = path.right && std::equal(out.begin(), out.end(), wanted.begin());
    return {};
}

Done CryptoTour::run_window(std::uint64_t offset, std::size_t bytes) {
    const auto plain = std::span(plain_).first(bytes);
    if (auto done = file_.read(offset, plain); !done) {
        return done;
    }
    const auto begin = Clock::now();
    if (auto done = reference_->encrypt(offset / unit_bytes, plain, std::span(expected_).first(bytes)); !done) {
        return done;
    }
    reference_seconds_ += seconds_since(begin);
    for (Path& path : paths_) {
        // A path that decrypts starts from what the other library encrypted.
        const auto& source = path.decrypt ? expected_ : plain_;
        std::copy_n(source.begin(), bytes, (path.decrypt ? cipher_side_ : plain_side_).begin());
        if (auto done = run_path(path, offset, bytes); !done) {
            return done;
        }
    }
    return {};
}

Done CryptoTour::run() {
    Progress progress(
        fmt::format("AES-256-XTS: {:.1f} MB, encrypted and decrypted in the caller and through the worker",
                    static_cast<double>(padded_bytes_) / 1e6));
    for (std::uint64_t offset = 0; offset < padded_bytes_; offset += window_bytes) {
        progress.at(offset, padded_bytes_);
        const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(window_bytes, padded_bytes_ - offset));
        if (auto done = run_window(offset, bytes); !done) {
            return done;
        }
    }
    report_.add({"encrypt, libgcrypt", padded_bytes_, reference_seconds_, "this process", "", true, "reference"});
    for (const Path& path : paths_) {
        report_.add({path.name, padded_bytes_, path.seconds, path.where, path.decrypt ? "= FILE" : "= libgcrypt",
                     path.right, ""});
    }
    return {};
}

std::string hex_of(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte byte : bytes) {
        text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    }
    return text;
}

// The digest of @message, which a place other than the caller needs in the arena, as @digest must be then.
Outcome<Row> hash(yoke_session* session, const char* name, std::uint8_t place, std::span<const std::byte> message,
                  std::span<std::byte> digest, const std::string& wanted) {
    yoke_params_sha256 params{};
    yoke_call call{};
    call.service = YOKE_SERVICE_SHA256;
    call.place = place;
    call.in = message.data();
    call.in_length = message.size();
    call.out = digest.data();
    call.out_length = digest.size();
    call.params = &params;
    yoke_result result{};
    const auto begin = Clock::now();
    if (yoke_call_sync(session, &call, &result) != 0) {
        return fail("{}: {}", name, yoke_error(session));
    }
    return Row{name, message.size(), seconds_since(begin), place_of(result), "= sha256sum", hex_of(digest) == wanted,
               ""};
}

class FileMapping {
   public:
    explicit FileMapping(const File& file) : bytes_(file.bytes()) {
        memory_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file.fd(), 0);
    }
    FileMapping(const FileMapping&) = delete;
    FileMapping& operator=(const FileMapping&) = delete;
    ~FileMapping() {
        if (memory_ != MAP_FAILED) {
            ::munmap(memory_, bytes_);
        }
    }
    [[nodiscard]] bool valid() const { return memory_ != MAP_FAILED; }
    [[nodiscard]] std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(memory_), bytes_}; }

   private:
    std::size_t bytes_;
    void* memory_;
};

Done tour_hash(const File& file, const std::string& path, Report& report) {
    constexpr std::size_t digest_bytes = 32;
    if (file.bytes() > YOKE_CALL_BYTES_MAX) {
        report.add({"sha256", file.bytes(), 0, "-", "", true, "not done: a message has at most 1 GiB"});
        return {};
    }
    const Progress progress("SHA-256, in the caller, through the worker and by sha256sum");
    const auto printed = output_of({"sha256sum", "--", path});
    if (!printed) {
        return tl::unexpected<Failure>(printed.error());
    }
    // A name with a newline or backslash makes sha256sum begin its line with a backslash.
    const std::string wanted = printed->substr(printed->starts_with('\\') ? 1 : 0, 2 * digest_bytes);

    const FileMapping mapping(file);
    if (!mapping.valid()) {
        return fail("cannot map {}: {}", path, std::strerror(errno));
    }
    const bool through_worker = file.bytes() <= worker_message_max;
    const auto session = open_session((through_worker ? file.bytes() : 0) + 2 * digest_bytes + YOKE_DATA_ALIGN);
    if (!session) {
        return tl::unexpected<Failure>(session.error());
    }
    std::array<std::byte, digest_bytes> digest{};
    const auto caller = hash(session->get(), "sha256, caller", YOKE_PLACE_CALLER, mapping.bytes(), digest, wanted);
    if (!caller) {
        return tl::unexpected<Failure>(caller.error());
    }
    report.add(*caller);
    if (!through_worker) {
        report.add({"sha256, worker", file.bytes(), 0, "-", "", true, "not done: the tour's arena ends at 256 MiB"});
        return {};
    }
    const auto message = allocate(session->get(), file.bytes());
    const auto shared_digest = allocate(session->get(), digest_bytes);
    if (!message || !shared_digest) {
        return tl::unexpected<Failure>(message ? shared_digest.error() : message.error());
    }
    std::copy(mapping.bytes().begin(), mapping.bytes().end(), message->begin());
    const auto worker = hash(session->get(), "sha256, worker", YOKE_PLACE_WORKER, *message, *shared_digest, wanted);
    if (!worker) {
        return tl::unexpected<Failure>(worker.error());
    }
    report.add(*worker);
    return {};
}

}  // namespace

Done tour_crypto(const std::string& path, Report& report) {
    const auto file = File::open(path);
    if (!file) {
        return tl::unexpected<Failure>(file.error());
    }
    report.set_subject("file", fmt::format("{} ({:.1f} MB)", path, static_cast<double>(file->bytes()) / 1e6));
    CryptoTour tour(*file, report);
    if (auto done = tour.prepare(); !done) {
        return done;
    }
    if (auto done = tour.run(); !done) {
        return done;
    }
    return tour_hash(*file, path, report);
}

}  // namespace tour
