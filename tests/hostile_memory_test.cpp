// Hostile use of the memory that a session shares with a real worker: holes, truncation, writes to the status page, the
// bell, and arenas handed over that are none.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "support/hostile.hpp"

namespace yoke::test {
namespace {

class HostileMemory : public Hostile {};

constexpr int arena_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr std::size_t arena_bytes = 1U << 20U;

std::byte* arena_of(const RawSession& session) {
    return session.data().data() - session.layout().data;
}

void ring_bell(const RawSession& session) {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(session.bell_fd().get(), &one, sizeof(one)), 8);
}

// 0 or the errno of a call that returns -1.
int error_of(long returned) {
    return returned < 0 ? errno : 0;
}

Fd memfd(std::size_t bytes, int seals, unsigned flags = 0) {
    Fd fd(::memfd_create("hostile", MFD_ALLOW_SEALING | MFD_CLOEXEC | flags));
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
    EXPECT_TRUE(seals == 0 || ::fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
    return fd;
}

void punch(const RawSession& session, std::uint64_t from, std::uint64_t bytes) {
    ASSERT_EQ(::fallocate(session.arena_fd().get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          static_cast<off_t>(from), static_cast<off_t>(bytes)),
              0);
}

// Submits what fits into both rings and counts what ends, well or not, until `enough` have ended or `rounds` are over.
std::size_t run_calls(RawSession& session, std::size_t enough, std::size_t rounds) {
    yoke_submission s{};
    s.opcode = YOKE_OP_CALL;
    s.service = YOKE_SERVICE_ECHO;
    s.in_offset = session.layout().data;
    s.out_offset = session.layout().data + (2U << 20U);
    std::size_t ended = 0;
    for (std::size_t i = 0; i < rounds && ended < enough; ++i) {
        const unsigned ring = i % 2;
        s.in_length = s.out_length = ring == YOKE_RING_EXPRESS ? 60'000 : 1'500'000;
        static_cast<void>(session.producer(ring).submit(s, nullptr));
        ring_bell(session);
        std::uint64_t position = 0;
        yoke_completion completion{};
        while (session.producer(ring).take_any(position, completion)) {
            EXPECT_EQ(completion.status, 0);
            ++ended;
        }
    }
    return ended;
}

TEST_F(HostileMemory, HolesInDataWhileCallsRunCostOnlyTheData) {
    expect_no_trace([&] {
        auto session = open(4U << 20U);
        ASSERT_TRUE(session);
        const yoke_layout& layout = session->layout();
        const Again puncher([&](std::mt19937_64&) { punch(*session, layout.data, layout.arena_bytes - layout.data); });
        std::size_t ended = 0;
        EXPECT_TRUE(eventually([&] { return (ended += run_calls(*session, 200, 1000)) >= 200; })) << ended;
    });
}

// Entries and completions vanish with their pages, and the ring stands still: the session is lost, no more.
TEST_F(HostileMemory, HolesInRingsWhileCallsRunCostOnlyTheSession) {
    expect_no_trace([&] {
        for (unsigned i = 0; i < 10; ++i) {
            auto session = open(4U << 20U);
            ASSERT_TRUE(session);
            ASSERT_GT(run_calls(*session, 1, 1'000'000), 0U);
            const Again puncher([&](std::mt19937_64& random) {
                punch(*session, random() % (session->layout().data / 4096) * 4096, 4096);
            });
            run_calls(*session, 1'000'000, 500);
            EXPECT_EQ(session->status_page().fault, 0U);
        }
        EXPECT_TRUE(neighbour_->is_served());
    });
}

TEST_F(HostileMemory, AnArenaCannotChangeItsSize) {
    auto session = open();
    ASSERT_TRUE(session);
    const int arena = session->arena_fd().get();
    EXPECT_EQ(error_of(::ftruncate(arena, 0)), EPERM);
    EXPECT_EQ(error_of(::ftruncate(arena, 4096)), EPERM);
    EXPECT_EQ(error_of(::ftruncate(arena, static_cast<off_t>(2 * arena_bytes))), EPERM);
    EXPECT_EQ(error_of(::fallocate(arena, 0, 0, static_cast<off_t>(2 * arena_bytes))), EPERM);
    EXPECT_EQ(error_of(::fcntl(arena, F_ADD_SEALS, F_SEAL_WRITE)), EPERM);
    EXPECT_EQ(error_of(::fcntl(arena, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)), EPERM);
    const Fd again(::open(fmt::format("/proc/self/fd/{}", arena).c_str(), O_RDWR | O_TRUNC | O_CLOEXEC));
    EXPECT_FALSE(again) << "opened and truncated";
    EXPECT_TRUE(session->echo(5000));
}

TEST_F(HostileMemory, TheStatusPageCannotBeWritten) {
    auto session = open();
    ASSERT_TRUE(session);
    const std::size_t bytes = session->layout().status_bytes;
    const int status = session->status_fd().get();
    EXPECT_EQ(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, status, 0), MAP_FAILED);
    EXPECT_EQ(errno, EPERM);
    auto* const readable = const_cast<yoke_status_page*>(&session->status_page());
    EXPECT_THAT(error_of(::mprotect(readable, bytes, PROT_READ | PROT_WRITE)), testing::AnyOf(EACCES, EPERM));
    EXPECT_THAT(error_of(::madvise(readable, bytes, MADV_REMOVE)), testing::AnyOf(EACCES, EPERM));
    EXPECT_EQ(error_of(::pwrite(status, "x", 1, 0)), EPERM);
    EXPECT_EQ(error_of(::ftruncate(status, 0)), EPERM);
    EXPECT_EQ(error_of(::fallocate(status, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes))),
              EPERM);
    EXPECT_EQ(error_of(::fcntl(status, F_ADD_SEALS, F_SEAL_WRITE)), EPERM);
    const Fd again(::open(fmt::format("/proc/self/fd/{}", status).c_str(), O_RDWR | O_CLOEXEC));
    if (again) {
        EXPECT_EQ(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, again.get(), 0), MAP_FAILED);
        EXPECT_EQ(error_of(::write(again.get(), "x", 1)), EPERM);
    }
    // What is written to a private copy stays there.
    void* const copy = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, status, 0);
    ASSERT_NE(copy, MAP_FAILED);
    static_cast<yoke_status_page*>(copy)->worker_pid = 1;
    EXPECT_EQ(session->status_page().worker_pid, static_cast<std::uint32_t>(neighbour_->worker()));
    ::munmap(copy, bytes);
    EXPECT_EQ(session->status_page().magic, YOKE_ABI_MAGIC);
    EXPECT_TRUE(session->echo(5000));
}

TEST_F(HostileMemory, ABellMayBeFilledDrainedAndClosed) {
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        const int bell = session->bell_fd().get();
        const auto drain = [&] {
            std::uint64_t count = 0;
            ASSERT_EQ(::fcntl(bell, F_SETFL, O_NONBLOCK), 0);
            static_cast<void>(!::read(bell, &count, sizeof(count)));
            ASSERT_EQ(::fcntl(bell, F_SETFL, 0), 0);  // the flag is the worker's too
        };
        drain();
        EXPECT_TRUE(session->echo(3000)) << "drained and blocking";
        drain();
        const std::uint64_t full = ~0ULL - 1;
        ASSERT_EQ(::write(bell, &full, sizeof(full)), 8);
        EXPECT_TRUE(neighbour_->is_served());
        drain();
        EXPECT_TRUE(session->echo(3000));
        {
            const Again rings([&](std::mt19937_64&) {
                drain();
                ring_bell(*session);
            });
            EXPECT_TRUE(neighbour_->is_served());
            EXPECT_TRUE(session->echo(100'000, YOKE_RING_BULK));
        }
        // Everybody else's end of it is gone; the worker keeps its own.
        session->close_bell();
        EXPECT_TRUE(neighbour_->is_served());
    });
}

struct BadArena {
    const char* what;
    std::function<Fd()> make;
    int code;
    const char* about;
};

std::vector<BadArena> bad_arenas(RawSession& other) {
    return {
        {"without seals", [] { return memfd(arena_bytes, 0); }, EINVAL, "F_SEAL_SHRINK F_SEAL_GROW"},
        {"may shrink", [] { return memfd(arena_bytes, F_SEAL_GROW | F_SEAL_SEAL); }, EINVAL, "F_SEAL_SHRINK"},
        {"may grow", [] { return memfd(arena_bytes, F_SEAL_SHRINK | F_SEAL_SEAL); }, EINVAL, "F_SEAL_GROW"},
        {"may be sealed", [] { return memfd(arena_bytes, F_SEAL_SHRINK | F_SEAL_GROW); }, EINVAL, "SEAL"},
        {"read-only", [] { return memfd(arena_bytes, arena_seals | F_SEAL_WRITE); }, EINVAL, "arena"},
        {"a status page", [&] { return Fd(::dup(other.status_fd().get())); }, EMSGSIZE, "arena"},
        {"too short", [] { return memfd(arena_bytes - 4096, arena_seals); }, EMSGSIZE, "arena"},
        {"100 MB", [] { return memfd(100'000'000, arena_seals); }, EMSGSIZE, "arena"},
        {"opened to read",
         [] {
             const Fd fd = memfd(arena_bytes, arena_seals);
             return Fd(::open(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), O_RDONLY | O_CLOEXEC));
         },
         EACCES, "arena"},
        {"a bell", [] { return Fd(::eventfd(0, EFD_CLOEXEC)); }, EINVAL, "memfd"},
        {"a pipe",
         [] {
             int ends[2] = {-1, -1};
             EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
             ::close(ends[0]);
             return Fd(ends[1]);
         },
         EINVAL, "memfd"},
        {"a socket", [] { return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }, EINVAL, "memfd"},
        {"a directory", [] { return Fd(::open("/", O_RDONLY | O_CLOEXEC)); }, EINVAL, "memfd"},
        {"a path", [] { return Fd(::open("/proc/self/exe", O_PATH | O_CLOEXEC)); }, EINVAL, "memfd"},
        {"a file", [] { return Fd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)); }, EINVAL, "memfd"},
        {"a device", [] { return Fd(::open("/dev/zero", O_RDWR | O_CLOEXEC)); }, EINVAL, "memfd"},
        {"its own socket", [&] { return Fd(::dup(other.socket().get())); }, EINVAL, "memfd"},
    };
}

TEST_F(HostileMemory, ArenasHandedOverThatAreNoneAreRefused) {
    Json request = open_session_request(arena_bytes);
    request["handover"] = true;
    expect_no_trace([&] {
        auto other = open();
        ASSERT_TRUE(other);
        const Fd socket = connect();
        for (const BadArena& bad : bad_arenas(*other)) {
            const Fd arena = bad.make();
            const int fd = arena.get();
            ASSERT_GE(fd, 0) << bad.what;
            EXPECT_TRUE(is_refused(answer_to(socket, request, {&fd, 1}), bad.code, bad.about)) << bad.what;
        }
        EXPECT_TRUE(is_refused(answer_to(socket, request), EBADMSG, "1 descriptor,")) << "no arena at all";
        // The socket is usable as before.
        const Fd good = memfd(arena_bytes, arena_seals);
        const int fd = good.get();
        EXPECT_EQ(answer_to(socket, request, {&fd, 1}).code, 0);
        EXPECT_TRUE(is_refused(answer_to(socket, request, {&fd, 1}), EALREADY, "session"));
    });
}

// Pages of a file system whose holes fault: only where the machine has such pages.
TEST_F(HostileMemory, HugePagesAreNoArena) {
    const Fd huge(::memfd_create("huge", MFD_ALLOW_SEALING | MFD_CLOEXEC | MFD_HUGETLB));
    if (!huge) {
        GTEST_SKIP() << "the kernel has no hugetlbfs: " << std::strerror(errno);
    }
    constexpr std::size_t bytes = 2U << 20U;
    ASSERT_EQ(::ftruncate(huge.get(), bytes), 0);
    ASSERT_EQ(::fcntl(huge.get(), F_ADD_SEALS, arena_seals), 0);
    Json request = open_session_request(bytes);
    request["handover"] = true;
    const int fd = huge.get();
    EXPECT_TRUE(is_refused(answer_to(connect(), request, {&fd, 1}), EINVAL, "MFD_HUGETLB"));
    auto session = open();
    ASSERT_TRUE(session);
    ASSERT_EQ(::fcntl(huge.get(), F_GET_SEALS) & F_SEAL_WRITE, 0);
    EXPECT_TRUE(is_refused(answer_to(session->socket(), {{"op", "create_key"}, {"service", "aes-ecb"}}, {&fd, 1}),
                           EINVAL, "memfd"));
}

TEST_F(HostileMemory, RingsOfAnArenaHandedOverAreNotBelieved) {
    expect_no_trace([&] {
        // Entries that look submitted, in every slot.
        const Fd arena = memfd(arena_bytes, arena_seals);
        auto memory = Mapping::map(arena, arena_bytes, true);
        ASSERT_TRUE(memory);
        yoke_submission s{};
        s.opcode = YOKE_OP_CALL;
        s.service = YOKE_SERVICE_ECHO;
        for (std::size_t i = 0; i < arena_bytes / sizeof(yoke_line); ++i) {
            yoke_line_write(&reinterpret_cast<yoke_line*>(memory->data())[i], &s, 1);
        }
        auto session = RawSession::open(instance_, arena_bytes, &arena);
        ASSERT_TRUE(session) << session.error().message;
        ring_bell(**session);
        EXPECT_TRUE((*session)->echo(3000));
        EXPECT_TRUE((*session)->echo(100'000, YOKE_RING_BULK));
        EXPECT_EQ((*session)->status_page().fault, 0U);
    });
}

// The client's own risk; the worker must only survive it.
TEST_F(HostileMemory, TwoSessionsMayShareAnArena) {
    expect_no_trace([&] {
        auto first = open();
        ASSERT_TRUE(first);
        auto second = RawSession::open(instance_, arena_bytes, &first->arena_fd());
        ASSERT_TRUE(second) << second.error().message;
        const Again rings([&](std::mt19937_64& random) {
            yoke_submission s{};
            s.opcode = YOKE_OP_CALL;
            s.service = YOKE_SERVICE_ECHO;
            s.in_offset = first->layout().data;
            s.out_offset = first->layout().data + 300'000;
            s.in_length = s.out_length = static_cast<std::uint32_t>(random() % 65'536);
            static_cast<void>(first->producer(random() % 2).submit(s, nullptr));
            ring_bell(**second);
            std::uint64_t position = 0;
            yoke_completion completion{};
            static_cast<void>(first->producer(random() % 2).take_any(position, completion));
        });
        EXPECT_TRUE(neighbour_->is_served());
    });
}

// Calls are running when their session goes and takes the client's mappings along.
TEST_F(HostileMemory, ASessionMayGoInTheMiddleOfItsCalls) {
    expect_no_trace([&] {
        for (unsigned i = 0; i < 10; ++i) {
            auto session = open(8U << 20U);
            ASSERT_TRUE(session);
            yoke_submission s{};
            s.opcode = YOKE_OP_CALL;
            s.service = YOKE_SERVICE_SHA256;
            s.in_offset = session->layout().data;
            s.in_length = 7U << 20U;
            s.out_offset = session->layout().arena_bytes - 4096;
            s.out_length = 32;
            for (unsigned call = 0; call < 8; ++call) {
                ASSERT_GE(session->producer(YOKE_RING_BULK).submit(s, nullptr), 0);
            }
            if (i % 2 == 0) {
                std::memset(arena_of(*session), 0xff, session->layout().data);
            }
        }
    });
}

}  // namespace
}  // namespace yoke::test
