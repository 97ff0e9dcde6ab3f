// What is special about the OpenCL device: compiling elsewhere, the disk cache, and loading without a compiler.
#include "device/cpu/opencl_device.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <ostream>
#include <thread>
#include <vector>

#include "control/message.hpp"
#include "device/cpu/binary_cache.hpp"
#include "device/cpu/opencl.hpp"
#include "device/cpu/spawner.hpp"
#include "device/cpu/test_device.hpp"

namespace yoke::device {
namespace {

constexpr const char* source = R"(
kernel void number(global uint* out, uint base) {
    size_t i = get_global_id(0) + get_global_size(0) * (get_global_id(1) + get_global_size(1) * get_global_id(2));
    out[i] = base + (uint)i;
}
__attribute__((reqd_work_group_size(8, 2, 1)))
kernel void required(global uint* out, uint base) {
    local uint shared[16];
    size_t l = get_local_id(0) + 8 * get_local_id(1);
    shared[l] = base;
    barrier(CLK_LOCAL_MEM_FENCE);
    out[get_global_id(0) + get_global_size(0) * get_global_id(1)] =
        shared[15 - l] + (uint)(get_global_id(0) + get_global_size(0) * get_global_id(1));
}
)";

struct Wait final : Done {
    void done(int status_given) noexcept override {
        const std::lock_guard lock(mutex);
        status = status_given;
        over = true;
        changed.notify_all();
    }
    int wait() {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return over; });
        return status;
    }
    std::mutex mutex;
    std::condition_variable changed;
    bool over = false;
    int status = 0;
};

Program program(const Geometry& geometry, const char* function = "number") {
    return {source, "number.cl", function, "", geometry};
}

// Launches and looks at every work item. Returns what went wrong.
std::string launch_and_check(Device& device, Kernel& kernel, std::size_t items) {
    auto buffer = device.allocate(items * sizeof(std::uint32_t));
    auto queue = device.create_queue();
    if (!buffer || !queue) {
        return "no buffer or no queue";
    }
    const std::uint32_t base = 1000;
    const std::array<Argument, 2> arguments{
        Argument{buffer->get(), {}}, Argument{nullptr, {reinterpret_cast<const std::uint8_t*>(&base), sizeof base}}};
    Wait failed;
    Wait read;
    std::vector<std::uint32_t> out(items);
    if (auto launched = (*queue)->launch(kernel, arguments, failed); !launched) {
        return launched.error().message;
    }
    if (!(*queue)->read(**buffer, reinterpret_cast<std::byte*>(out.data()), items * 4, read) || !(*queue)->flush() ||
        read.wait() != 0) {
        return "cannot read";
    }
    for (std::size_t i = 0; i < items; ++i) {
        if (out[i] != base + i) {
            return fmt::format("item {} is {}", i, out[i]);
        }
    }
    return {};
}

std::size_t files_below(const std::string& directory, std::string_view extension) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        count += entry.path().extension() == extension ? 1 : 0;
    }
    return count;
}

TEST(OpenclDevice, TellsMistakesWithNameAndLine) {
    const auto device = open_test_device(test_cache());
    ASSERT_NE(device, nullptr);
    std::string log;
    const auto kernel = device->compile(
        {"kernel void k(global int* a) {\n  a[0] = 1;\n  a[1] = foo;\n}\n", "my \"kernel\".cl", "k", "", {}}, log);
    ASSERT_FALSE(kernel);
    EXPECT_EQ(kernel.error().code, ENOEXEC);
    EXPECT_NE(kernel.error().message.find("my \"kernel\".cl:3:10"), std::string::npos) << kernel.error().message;
    EXPECT_NE(kernel.error().message.find("foo"), std::string::npos) << kernel.error().message;
    const auto options = device->compile({source, "number.cl", "number", "-no-such-option", {}}, log);
    ASSERT_FALSE(options);
    EXPECT_EQ(options.error().code, ENOEXEC);
    EXPECT_NE(options.error().message.find("-no-such-option"), std::string::npos) << options.error().message;
    const auto undefined = device->compile(
        {"float f(float); kernel void k(global float* a) { a[0] = f(a[0]); }", "u.cl", "k", "", {}}, log);
    ASSERT_FALSE(undefined);
    EXPECT_NE(undefined.error().message.find("u.cl"), std::string::npos) << undefined.error().message;
    const auto works = device->compile(program({{64, 1, 1}, {}}), log);
    EXPECT_TRUE(works) << works.error().message;
}

TEST(OpenclDevice, ChecksWorkGroups) {
    const auto device = open_test_device(test_cache());
    ASSERT_NE(device, nullptr);
    std::string log;
    for (const Geometry& geometry :
         {Geometry{{100, 1, 1}, {16, 1, 1}}, Geometry{{100'000'000, 1, 1}, {100'000'000, 1, 1}},
          Geometry{{64, 1, 1}, {64, 64, 64}}}) {
        const auto kernel = device->compile(program(geometry), log);
        ASSERT_FALSE(kernel);
        EXPECT_EQ(kernel.error().code, EINVAL) << kernel.error().message;
        EXPECT_NE(kernel.error().message.find("number"), std::string::npos) << kernel.error().message;
    }
    EXPECT_FALSE(device->compile(program({{64, 2, 1}, {16, 1, 1}}, "required"), log));
    EXPECT_FALSE(device->compile(program({{12, 2, 1}, {}}, "required"), log));
    EXPECT_FALSE(device->compile(program({{0, 1, 1}, {}}), log));
}

TEST(OpenclDevice, NamesThePlatformThatThereIsNot) {
    auto spawner = start_spawner();
    ASSERT_TRUE(spawner) << spawner.error().message;
    OpenclOptions options;
    options.spawner = std::move(*spawner);
    options.cache_directory = test_cache();
    options.platform = "No such platform";
    const auto device = open_opencl_device(std::move(options));
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().code, ENODEV);
    EXPECT_NE(device.error().message.find("Portable Computing Language"), std::string::npos) << device.error().message;
}

using OpenclDeathTest = testing::Test;

TEST_F(OpenclDeathTest, SaysWhatToInstallWithoutAnyPlatform) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // another process, in which no platform has been loaded
    EXPECT_EXIT(
        {
            ::setenv("OCL_ICD_VENDORS", "/nonexistent/", 1);
            const auto target = find_opencl_target("");
            std::fputs(target ? "found one" : target.error().message.c_str(), stderr);
            std::_Exit(target ? 1 : target.error().code == ENODEV ? 0 : 2);
        },
        testing::ExitedWithCode(0), "no OpenCL platform found; install pocl-opencl-icd");
}

// Every way to start a program or another process ends this one.
bool forbid_exec() {
    scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
    bool good = filter != nullptr;
    for (const int call : {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork)}) {
        good = good && ::seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, call, 0) == 0;
    }
    // A clone that makes no thread (CLONE_THREAD is 0x10000); clone3 cannot be looked into and falls back to clone.
    good = good && ::seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
                                      SCMP_A0(SCMP_CMP_MASKED_EQ, 0x10000, 0)) == 0;
    good = good && ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
    good = good && ::seccomp_load(filter) == 0;
    ::seccomp_release(filter);
    return good;
}

struct Case {
    Geometry geometry;
    const char* function;
};

// Geometries of one kind: a test each, since a kernel takes a second to compile.
struct Kind {
    const char* name;
    std::vector<Case> cases;

    friend void PrintTo(const Kind& kind, std::ostream* stream) { *stream << kind.name; }
};

// The body of ForbiddenExecDeathTest: compiles, launches and checks kernels where nothing can be started.
std::string work_without_exec(const std::vector<Case>& cases) {
    const TestDirectory cache;
    auto spawner = start_spawner();
    if (!spawner || !forbid_exec()) {
        return "no spawner or no filter";
    }
    OpenclOptions options;
    options.spawner = std::move(*spawner);
    options.cache_directory = cache.path();
    auto device = open_opencl_device(std::move(options));
    if (!device) {
        return device.error().message;
    }
    const char* const scratch = std::getenv("POCL_CACHE_DIR");
    for (const Case& test : cases) {
        std::string log;
        auto kernel = (*device)->compile(program(test.geometry, test.function), log);
        if (!kernel) {
            return kernel.error().message;
        }
        // PoCL puts what it compiles by itself beside what it has unpacked.
        const std::size_t objects = files_below(scratch, ".so");
        const auto& global = test.geometry.global;
        if (auto wrong = launch_and_check(**device, **kernel, global[0] * global[1] * global[2]); !wrong.empty()) {
            return wrong;
        }
        if (objects == 0 || files_below(scratch, ".so") != objects) {
            return fmt::format("{}x{}x{} of {} was compiled at its launch", global[0], global[1], global[2],
                               test.function);
        }
    }
    return {};
}

class ForbiddenExecDeathTest : public testing::TestWithParam<Kind> {};

TEST_P(ForbiddenExecDeathTest, IsNotNeeded) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            const std::string wrong = work_without_exec(GetParam().cases);
            std::fputs(wrong.c_str(), stderr);
            std::_Exit(wrong.empty() ? 0 : 1);  // the leak checker at a normal exit would want a process of its own
        },
        testing::ExitedWithCode(0), "^$");
}

INSTANTIATE_TEST_SUITE_P(
    Geometries, ForbiddenExecDeathTest,
    testing::Values(
        Kind{"Flat", {{{{1, 1, 1}, {}}, "number"}, {{{640, 480, 1}, {}}, "number"}, {{{641, 479, 1}, {}}, "number"}}},
        Kind{"AroundSixteenBits", {{{{65534, 1, 1}, {}}, "number"}, {{{65535, 1, 1}, {}}, "number"}}},
        Kind{"BeyondSixteenBits", {{{{65536, 2, 1}, {}}, "number"}, {{{7, 70000, 1}, {}}, "number"}}},
        Kind{"Grouped",
             {{{{12, 10, 8}, {}}, "number"}, {{{64, 64, 1}, {16, 16, 1}}, "number"}, {{{64, 6, 1}, {}}, "required"}}}),
    [](const auto& kind) { return kind.param.name; });

TEST(OpenclDevice, TakesFromTheCacheWhatWasCompiledOnce) {
    const TestDirectory cache;
    std::string log;
    const Geometry geometry{{96, 5, 1}, {}};
    {
        const auto device = open_test_device(cache.path());
        ASSERT_NE(device, nullptr);
        ASSERT_TRUE(device->compile(program(geometry), log));
    }
    EXPECT_EQ(files_below(cache.path(), ".bin"), 1U);
    SpawnerLimits nothing;
    nothing.wall_ms = 0;  // compiles nothing
    const auto device = open_test_device(cache.path(), nothing);
    ASSERT_NE(device, nullptr);
    auto kernel = device->compile(program(geometry), log);
    ASSERT_TRUE(kernel) << kernel.error().message;
    EXPECT_EQ(launch_and_check(*device, **kernel, 96 * 5), "");
    const auto other = device->compile(program({{96, 6, 1}, {}}), log);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ETIME);
}

TEST(OpenclDevice, CompilesAgainWhatIncludesFiles) {
    const TestDirectory directory;
    const std::string header = directory.path() + "/base.h";
    const auto device = open_test_device(test_cache());
    ASSERT_NE(device, nullptr);
    const Geometry geometry{{16, 1, 1}, {0, 0, 0}};
    const Program including{
        "#include \"base.h\"\n"
        "kernel void number(global uint* out, uint base) { size_t i = get_global_id(0); out[i] = base + i + MORE; }",
        "number.cl", "number", "-I " + directory.path(), geometry};
    std::string log;
    std::ofstream(header) << "#define MORE 0\n";
    auto good = device->compile(including, log);
    ASSERT_TRUE(good) << good.error().message;
    EXPECT_EQ(launch_and_check(*device, **good, 16), "");
    std::ofstream(header) << "#define MORE 1\n";
    auto other = device->compile(including, log);
    ASSERT_TRUE(other) << other.error().message;
    EXPECT_NE(launch_and_check(*device, **other, 16), "") << "the header has changed what the kernel does";
}

TEST(OpenclDevice, CompilesAgainWhatIsCorruptInTheCache) {
    const TestDirectory cache;
    const auto device = open_test_device(cache.path());
    ASSERT_NE(device, nullptr);
    std::string log;
    const Geometry geometry{{96, 7, 1}, {}};
    ASSERT_TRUE(device->compile(program(geometry), log));
    std::filesystem::path file;
    for (const auto& entry : std::filesystem::directory_iterator(cache.path())) {
        file = entry.path().extension() == ".bin" ? entry.path() : file;
    }
    const auto size = std::filesystem::file_size(file);
    const auto damage = [&](int kind) {
        if (kind == 0) {
            std::filesystem::resize_file(file, size / 2);
        } else if (kind == 1) {
            std::filesystem::resize_file(file, 10);
        } else {
            std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
            stream.seekp(static_cast<std::streamoff>(size - 100));
            stream.put('\x55').put('\xaa').put('\x55');
        }
    };
    for (int kind = 0; kind < 3; ++kind) {
        damage(kind);
        auto kernel = device->compile(program(geometry), log);
        ASSERT_TRUE(kernel) << kernel.error().message;
        EXPECT_EQ(launch_and_check(*device, **kernel, 96 * 7), "");
        EXPECT_EQ(std::filesystem::file_size(file), size) << "stored again";
    }
}

TEST(OpenclDevice, MaliciousCacheIsNotUsed) {
    const TestDirectory parent;
    const std::string open_to_all = parent.path() + "/cache";
    std::filesystem::create_directory(open_to_all);
    ASSERT_EQ(::chmod(open_to_all.c_str(), 0777), 0);
    const auto refused = BinaryCache::open(open_to_all);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EACCES);
    const std::string link = parent.path() + "/link";
    std::filesystem::create_symlink(test_cache(), link);
    EXPECT_FALSE(BinaryCache::open(link));

    auto cache = BinaryCache::open(parent.path() + "/private");
    ASSERT_TRUE(cache);
    const BinaryCache::Key key{1, 2, 3};
    const BinaryCache::Entry entry{{4, 5, 6}, "log", {7, 8, 9}};
    cache->store(key, entry);
    auto loaded = cache->load(key);
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->binary, entry.binary);
    EXPECT_EQ(loaded->log, entry.log);
    EXPECT_EQ(loaded->local, entry.local);
    ASSERT_EQ(::chmod(cache->path_of(key).c_str(), 0666), 0);
    EXPECT_FALSE(cache->load(key)) << "somebody else could have written it";
    cache->store(key, entry);
    std::filesystem::copy_file(cache->path_of(key), cache->path_of({9}));
    EXPECT_FALSE(cache->load({9})) << "an entry under another's name";
}

std::string bomb() {
    std::string text = "#define A0(x) (x)*(x)+1\n";
    for (int level = 1; level < 24; ++level) {
        text += fmt::format("#define A{}(x) A{}(x)+A{}(x)\n", level, level - 1, level - 1);
    }
    return text + "kernel void k(global int* a) { a[0] = A23(a[1]); }\n";
}

TEST(OpenclDevice, MaliciousSourceEndsAtTheTimeLimit) {
    SpawnerLimits limits;
    limits.wall_ms = 3000;
    const TestDirectory cache;
    const auto device = open_test_device(cache.path(), limits);
    ASSERT_NE(device, nullptr);
    std::string log;
    const auto kernel = device->compile({bomb(), "bomb.cl", "k", "", {}}, log);
    ASSERT_FALSE(kernel);
    EXPECT_TRUE(kernel.error().code == ETIME || kernel.error().code == ENOMEM) << kernel.error().message;
    EXPECT_NE(kernel.error().message.find("bomb.cl"), std::string::npos) << kernel.error().message;
}

TEST(OpenclDevice, MaliciousSourceEndsAtTheMemoryLimit) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the address space is not limited with AddressSanitizer";
#endif
    SpawnerLimits limits;
    // What LLVM needs for a small kernel, and a stack for each of PoCL's threads.
    limits.memory_bytes = (1000ULL + 10ULL * std::thread::hardware_concurrency()) << 20;
    const TestDirectory cache;
    const auto device = open_test_device(cache.path(), limits);
    ASSERT_NE(device, nullptr);
    std::string log;
    // The compiler holds every byte of an initialised array.
    const char* const large =
        "constant uchar large[2000000000] = {1}; kernel void k(global uchar* a) { a[0] = large[a[1]]; }";
    const auto kernel = device->compile({large, "bomb.cl", "k", "", {}}, log);
    ASSERT_FALSE(kernel);
    EXPECT_EQ(kernel.error().code, ENOMEM) << kernel.error().message;
    const auto next = device->compile(program({{33, 1, 1}, {}}), log);
    EXPECT_TRUE(next) << next.error().message;
}

// Whoever the spawner has started shares its standard error, so that this ends when all are gone.
TEST(Spawner, EndsWithItsSocketAndLeavesNothing) {
    std::array<int, 2> pipe_ends{};
    ASSERT_EQ(::pipe2(pipe_ends.data(), O_CLOEXEC), 0);
    const Fd reader(pipe_ends[0]);
    Fd writer(pipe_ends[1]);
    const Fd standard_error(::fcntl(2, F_DUPFD_CLOEXEC, 10));
    ::dup2(writer.get(), 2);
    auto spawner = start_spawner();
    ::dup2(standard_error.get(), 2);
    writer.reset();
    ASSERT_TRUE(spawner) << spawner.error().message;
    // A request under way when the worker goes.
    ASSERT_TRUE(control::send(*spawner, {{"op", "compile"},
                                         {"platform", ""},
                                         {"source", bomb()},
                                         {"source_name", "bomb.cl"},
                                         {"function", "k"},
                                         {"options", ""},
                                         {"global", {1, 1, 1}},
                                         {"local", {0, 0, 0}}}));
    pollfd state{reader.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&state, 1, 200), 0) << "it lives";
    spawner->reset();
    EXPECT_EQ(::poll(&state, 1, 20'000), 1);
    char byte = 0;
    EXPECT_EQ(::read(reader.get(), &byte, 1), 0) << "end of file: nobody holds the other end";
}

TEST(Spawner, MaliciousRequestsAreAnswered) {
    auto spawner = start_spawner();
    ASSERT_TRUE(spawner) << spawner.error().message;
    for (const control::Json& request :
         {control::Json{{"op", "dance"}}, control::Json{{"op", 7}}, control::Json::object(),
          control::Json{{"op", "compile"}}, control::Json{{"op", "compile"}, {"source", 3}, {"source_name", true}}}) {
        const auto answer = control::request(*spawner, request, {}, 20'000);
        ASSERT_FALSE(answer) << request.dump();
        EXPECT_NE(answer.error().code, ETIME) << request.dump() << answer.error().message;
        EXPECT_NE(answer.error().code, ECONNRESET) << request.dump();
    }
    ASSERT_EQ(::send(spawner->get(), "{\"op\":", 6, 0), 6);
    const auto answer = control::receive_for(*spawner, 20'000);
    ASSERT_TRUE(answer && answer->has_value());
    EXPECT_FALSE((*answer)->body.value("ok", true));
}

}  // namespace
}  // namespace yoke::device
