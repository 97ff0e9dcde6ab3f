// Stages without a worker: headers, records and errors over real pipes.
#include <yoke/stage.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "base/fd.hpp"

namespace yoke::client {
namespace {

class StagePipe : public ::testing::Test {
   protected:
    void SetUp() override {
        std::array<int, 2> ends{};
        ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        read_end = Fd(ends[0]);
        write_end = Fd(ends[1]);
    }
    [[nodiscard]] Stage source() const {
        yoke_stage_options options{};
        options.flags = YOKE_STAGE_SOURCE;
        options.output = write_end.get();
        return Stage(options);
    }
    [[nodiscard]] Stage sink() const {
        yoke_stage_options options{};
        options.flags = YOKE_STAGE_SINK;
        options.input = read_end.get();
        return Stage(options);
    }
    void put(const std::string& text) const {
        ASSERT_EQ(::write(write_end.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }

    Fd read_end;
    Fd write_end;
};

int code_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const error& failure) {
        EXPECT_FALSE(std::string(failure.what()).empty());
        return failure.code();
    }
    return 0;
}

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
    return std::as_bytes(std::span(&value, 1));
}

TEST_F(StagePipe, RecordsAndParametersComeThrough) {
    Stage writer = source();
    writer.set("unit", 0.001);
    writer.set("frame", std::string("camera"));
    writer.output(Records(Form("u32", {2})));
    Stage reader = sink();
    for (std::uint32_t k = 0; k < 100; ++k) {
        writer.write(bytes_of(std::array{k, k * k}));
        std::array<std::uint32_t, 2> got{};
        EXPECT_EQ(reader.read(std::as_writable_bytes(std::span(got))), 8U);
        EXPECT_EQ(got, (std::array{k, k * k}));
    }
    EXPECT_EQ(std::string(reader.input().template_.type), "u32");
    EXPECT_EQ(reader.number("unit"), 0.001);
    EXPECT_EQ(reader.parameter("frame"), "camera");
    EXPECT_EQ(reader.parameter("none"), std::nullopt);
    EXPECT_EQ(code_of([&] { static_cast<void>(reader.number("frame")); }), EINVAL);
    write_end.reset();
    std::array<std::byte, 8> room{};
    EXPECT_EQ(reader.read(room), std::nullopt);
    EXPECT_EQ(reader.read(room), std::nullopt);
}

TEST_F(StagePipe, VariableRecordsKeepTheirLength) {
    Stage writer = source();
    writer.output(Records(Form("u16", {100}), true));
    Stage reader = sink();
    std::array<std::byte, 200> room{};
    for (const std::size_t length : {0U, 2U, 200U}) {
        const std::string record(length, 'r');
        writer.write(std::as_bytes(std::span(record)));
        EXPECT_EQ(reader.read(room), length);
    }
    EXPECT_EQ(code_of([&] { writer.write(std::as_bytes(std::span("ab", 3))); }), EINVAL);
    const std::string long_record(202, 'r');
    EXPECT_EQ(code_of([&] { writer.write(std::as_bytes(std::span(long_record))); }), EINVAL);
    // Too little room loses nothing.
    writer.write(std::as_bytes(std::span("abcd", 4)));
    EXPECT_EQ(code_of([&] { reader.read(std::span(room).first(3)); }), EMSGSIZE);
    EXPECT_EQ(reader.read(room), 4U);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(room.data()), 4), "abcd");
}

TEST_F(StagePipe, RecordsAreMadeInRoomOfTheStage) {
    Stage writer = source();
    EXPECT_EQ(code_of([&] { static_cast<void>(writer.room(4)); }), EINVAL);  // no header yet
    writer.output(Records(Form("u32", {1})));
    Stage reader = sink();
    for (std::uint32_t k = 0; k < 10; ++k) {
        const std::span<std::byte> room = writer.room(sizeof k);
        std::memcpy(room.data(), &k, sizeof k);
        writer.write(room);
        std::uint32_t got = 0;
        EXPECT_EQ(reader.read(std::as_writable_bytes(std::span(&got, 1))), sizeof got);
        EXPECT_EQ(got, k);
    }
    EXPECT_EQ(code_of([&] { static_cast<void>(writer.room(5)); }), EINVAL);
    EXPECT_EQ(code_of([&] { static_cast<void>(reader.room(4)); }), EINVAL);
}

TEST_F(StagePipe, TerminalsHaveNoRecords) {
    const Fd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(terminal);
    ASSERT_EQ(::grantpt(terminal.get()), 0);
    ASSERT_EQ(::unlockpt(terminal.get()), 0);
    const Fd typed(::open(::ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(typed);
    yoke_stage_options options{};
    options.output = write_end.get();
    options.input = typed.get();
    EXPECT_EQ(code_of([&] { Stage stage(options); }), EINVAL);
    EXPECT_NE(std::string(yoke_stage_error(nullptr)).find("is a terminal; connect"), std::string::npos);
    options.input = read_end.get();
    options.output = typed.get();
    EXPECT_EQ(code_of([&] { Stage stage(options); }), EINVAL);
    options.flags = YOKE_STAGE_BYTES;  // calls may well be typed
    EXPECT_EQ(code_of([&] { Stage stage(options); }), 0);
}

TEST_F(StagePipe, ParametersAreInheritedUnlessChanged) {
    put("YOKESTREAM 1 u8 1 fixed a=1 b=2 c=3\n");
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const Fd next_read(ends[0]);
    const Fd next_write(ends[1]);
    yoke_stage_options options{};
    options.input = read_end.get();
    options.output = next_write.get();
    Stage stage(options);
    stage.set("b", std::string("x"));
    stage.drop("c");
    stage.output(stage.input());
    int waiting = -1;
    EXPECT_EQ(::ioctl(next_read.get(), FIONREAD, &waiting), 0);
    EXPECT_EQ(waiting, 0) << "before it is known that the stage can do its work, it has no stream";
    stage.end();
    std::array<char, 200> text{};
    const ssize_t count = ::read(next_read.get(), text.data(), text.size());
    EXPECT_EQ(std::string(text.data(), static_cast<std::size_t>(count)), "YOKESTREAM 1 u8 1 fixed a=1 b=x\n");
    EXPECT_EQ(code_of([&] { stage.output(stage.input()); }), EALREADY);
    EXPECT_EQ(code_of([&] { stage.set("d", 1.0); }), EALREADY);
}

TEST_F(StagePipe, RecordsInPiecesAndNonBlockingEndsAreWhole) {
    ASSERT_EQ(::fcntl(read_end.get(), F_SETFL, O_NONBLOCK), 0);
    std::thread writer([&] {
        for (const char c : std::string("YOKESTREAM 1 u8 4 fixed\nabcdefgh")) {
            put(std::string(1, c));
            std::this_thread::yield();
        }
        write_end.reset();
    });
    Stage reader = sink();
    std::array<std::byte, 4> room{};
    EXPECT_EQ(reader.read(room), 4U);
    EXPECT_EQ(reader.read(room), 4U);
    EXPECT_EQ(static_cast<char>(room[3]), 'h');
    EXPECT_EQ(reader.read(room), std::nullopt);
    writer.join();
}

TEST_F(StagePipe, MaliciousStreamsAreErrors) {
    std::array<std::byte, 64> room{};
    put("YOKESTREAM 1 u16 4 variable\n" + std::string(8, '\xff'));
    Stage huge = sink();
    EXPECT_EQ(code_of([&] { huge.read(room); }), EPROTO);

    put("P5 640 480");
    Stage other = sink();
    EXPECT_EQ(code_of([&] { other.read(room); }), EPROTO);
}

TEST_F(StagePipe, EndsWithinARecordAndBeforeTheHeaderAreErrors) {
    std::array<std::byte, 64> room{};
    put("YOKESTREAM 1 u16 4 fixed\n1234567");
    write_end.reset();
    Stage cut = sink();
    EXPECT_EQ(code_of([&] { cut.read(room); }), EPROTO);
    Stage empty = sink();
    EXPECT_EQ(code_of([&] { empty.input(); }), ENODATA);
}

TEST_F(StagePipe, AReaderThatIsGoneIsEpipe) {
    ::signal(SIGPIPE, SIG_IGN);
    Stage writer = source();
    writer.output(Records(Form("u8", {1})));
    read_end.reset();
    EXPECT_EQ(code_of([&] { writer.write(bytes_of('x')); }), EPIPE);
}

TEST_F(StagePipe, WhatAStageIsNotIsRefused) {
    Stage writer = source();
    Stage reader = sink();
    std::array<std::byte, 1> room{};
    EXPECT_EQ(code_of([&] { writer.read(room); }), EINVAL);
    EXPECT_EQ(code_of([&] { writer.write(room); }), EINVAL);  // no header yet
    EXPECT_EQ(code_of([&] { reader.output(Records(Form("u8", {1}))); }), EINVAL);
    EXPECT_EQ(code_of([&] { writer.run(); }), EINVAL);
    EXPECT_EQ(code_of([&] { writer.graph("a:in", "a:out"); }), EINVAL);
    EXPECT_EQ(code_of([&] { writer.kernel({}, {}); }), EINVAL);
    yoke_stage_options options{};
    options.input = write_end.get();
    EXPECT_EQ(code_of([&] { Stage stage(options); }), EBADF);
    options.flags = YOKE_STAGE_SOURCE | YOKE_STAGE_SINK;
    EXPECT_EQ(code_of([&] { Stage stage(options); }), EINVAL);
}

}  // namespace
}  // namespace yoke::client
