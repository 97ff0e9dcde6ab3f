// What is said when a command takes long: on a terminal, and there alone.
#include "cli/slow_notice.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>

#include <array>

namespace yoke::cli {
namespace {

// The standard error is a terminal, whose other side is read here.
class Terminal {
   public:
    Terminal() : fd_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)), kept_(::dup(STDERR_FILENO)) {
        EXPECT_EQ(::grantpt(fd_), 0);
        EXPECT_EQ(::unlockpt(fd_), 0);
        const int other = ::open(::ptsname(fd_), O_RDWR | O_NOCTTY | O_CLOEXEC);
        EXPECT_EQ(::dup2(other, STDERR_FILENO), STDERR_FILENO);
        ::close(other);
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    ~Terminal() {
        ::dup2(kept_, STDERR_FILENO);
        ::close(kept_);
        ::close(fd_);
    }
    // What has been written, after waiting for at most so long.
    [[nodiscard]] std::string read(int timeout_ms) const {
        std::array<char, 256> text{};
        pollfd ready{fd_, POLLIN, 0};
        if (::poll(&ready, 1, timeout_ms) != 1) {
            return {};
        }
        const ssize_t count = ::read(fd_, text.data(), text.size());
        return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
    }

   private:
    int fd_;
    int kept_;
};

TEST(SlowNotice, IsGivenOnceItTakesLonger) {
    const Terminal terminal;
    const SlowNotice notice("kernels are being compiled", std::chrono::milliseconds(1));
    EXPECT_EQ(terminal.read(60'000), "yoke: kernels are being compiled\r\n");
}

TEST(SlowNotice, IsNotGivenForWhatIsQuick) {
    const Terminal terminal;
    { const SlowNotice notice("kernels are being compiled", std::chrono::hours(1)); }
    EXPECT_EQ(terminal.read(0), "");
}

TEST(SlowNotice, IsNotGivenToScripts) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const int kept = ::dup(STDERR_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    {
        const SlowNotice notice("kernels are being compiled", std::chrono::milliseconds(0));
        ::usleep(10'000);
    }
    ::dup2(kept, STDERR_FILENO);
    ::close(kept);
    ::close(ends[1]);
    char byte = 0;
    EXPECT_EQ(::read(ends[0], &byte, 1), 0) << "nothing, and then the end";
    ::close(ends[0]);
}

}  // namespace
}  // namespace yoke::cli
