// Streams of bytes through endpoints: where they end, in order or by an error, and the headers that stages write.
#include "worker/endpoint/test_endpoint.hpp"

namespace yoke::worker {
namespace {

using testing::HasSubstr;

TEST_F(EndpointTest, WhatAStageWritesIsItsRecords) {
    const std::string header = "YOKESTREAM 1 u8 1000 fixed unit=0.5\n";
    ASSERT_TRUE(start(place(Kind::file, write_file("frames", header + text(9)), true)));
    channels_.accept(100);
    ASSERT_TRUE(channels_.wait_for_end());
    EXPECT_EQ(channels_.received(), text(9));
}

TEST_F(EndpointTest, RepeatedFileHasItsHeaderAgain) {
    Place repeated = place(Kind::file, write_file("frames", "YOKESTREAM 1 u8 1000 fixed\n" + text(2)), true);
    repeated.definition.repeat = true;
    ASSERT_TRUE(start(repeated));
    channels_.accept(5);
    ASSERT_TRUE(channels_.wait_for_bytes(5 * datablock_bytes));
    EXPECT_EQ(channels_.received(), text(2) + text(2) + text(1));

    endpoints_->stop("/g");
    repeated.definition.path = write_file("empty", "YOKESTREAM 1 u8 1000 fixed\n");
    ASSERT_TRUE(start(repeated));
    EXPECT_TRUE(channels_.wait_for_end());  // there is nothing to repeat
}

TEST_F(EndpointTest, RawBytesMayBeginLikeAHeader) {
    std::string bytes = "YOKESTREAM 1 u8 1000 fixed\n" + text(2);
    bytes.resize(2 * datablock_bytes);
    Place raw = place(Kind::file, write_file("frames", bytes), true);
    raw.definition.raw = true;
    ASSERT_TRUE(start(raw));
    channels_.accept(100);
    ASSERT_TRUE(channels_.wait_for_end());
    EXPECT_EQ(channels_.received(), bytes);
}

TEST_F(EndpointTest, MaliciousHeadersEndTheStreamWithAnError) {
    std::size_t failures = 0;
    for (const auto& [input, what] : std::vector<std::pair<std::string, std::string>>{
             {"YOKESTREAM 1 u16 1000 fixed\n" + text(2), "port /g/p:in takes u8 1000; push what fits, or raw = true"},
             {"YOKESTREAM 1 u8 1000 variable\n", "make the port variable"},
             {"YOKESTREAM 1 u8 1000 fixed\n" + text(1) + "x", "1 byte is left of 1000"},
             {"YOKESTREAM 1 u8 1000", "the line is cut off"},
             {"YOKESTREAM 1 " + std::string(20'000, 'x'), "longer than 4096 bytes"},
             {"YOKESTREAM 1 u8 99999999999999999999 fixed\n", "means nothing"}}) {
        Place hostile = place(Kind::file, write_file("frames-in", input), true);
        ASSERT_TRUE(start(hostile));
        channels_.accept(100);
        ASSERT_TRUE(channels_.wait_for_failures(++failures)) << what;
        EXPECT_THAT(channels_.failure(failures - 1),
                    testing::AllOf(HasSubstr("endpoint " + path("frames-in")), HasSubstr(what)));
    }
    EXPECT_EQ(channels_.received(), text(1));
}

TEST_F(EndpointTest, FileThatEndsInADatablockEndsItsStreamWithAnError) {
    ASSERT_TRUE(start(place(Kind::file, write_file("frames", text(9) + "rest"), true)));
    ASSERT_TRUE(channels_.wait_for_waiting_pushes(4));  // and nobody takes them yet
    channels_.accept(100);
    ASSERT_TRUE(channels_.wait_for_end());
    EXPECT_EQ(channels_.received(), text(9));
    const std::string failure = channels_.wait_for_failure();
    EXPECT_THAT(failure, HasSubstr("1: endpoint " + path("frames") +
                                   " of channel /g/in ends at byte 9004, in the "
                                   "middle of a datablock: 4 bytes are left of 1000"));
}

TEST_F(EndpointTest, WriterThatGoesInADatablockEndsItsStreamWithAnError) {
    const std::string fifo = make_fifo("frames");
    ASSERT_TRUE(start(place(Kind::fifo, fifo, true)));
    channels_.accept(100);
    write_all(Fd(::open(fifo.c_str(), O_WRONLY)), text(3) + "x");
    ASSERT_TRUE(channels_.wait_for_end());
    EXPECT_EQ(channels_.received(), text(3));
    EXPECT_THAT(channels_.wait_for_failure(), HasSubstr("ends at byte 3001"));
}

TEST_F(EndpointTest, ShortLastDatablockReachesAVariablePort) {
    Place variable = place(Kind::file, write_file("frames", text(1) + "rest"), true);
    variable.variable = true;
    ASSERT_TRUE(start(variable));
    channels_.accept(100);
    ASSERT_TRUE(channels_.wait_for_end());
    EXPECT_EQ(channels_.received(), text(1) + "rest");

    variable.definition.path = write_file("more", text(1) + "rests");
    variable.form = {"u32", {datablock_bytes / 4, 1, 1}, 0};
    ASSERT_TRUE(start(variable));
    EXPECT_THAT(channels_.wait_for_failure(),
                HasSubstr("5 bytes are left of 1000 that /g/p:in takes, and elements have 4 bytes"));
}

TEST_F(EndpointTest, SinkTellsWhenAllIsWritten) {
    ASSERT_TRUE(start(place(Kind::file, path("results"), false)));
    for (std::size_t i = 0; i < 20; ++i) {
        channels_.give(text(20).substr(i * datablock_bytes, datablock_bytes));
    }
    EXPECT_FALSE(channels_.finished());
    channels_.give_end();
    ASSERT_TRUE(channels_.wait_until_finished(2));
    EXPECT_EQ(read_file("results"), text(20));
}

TEST_F(EndpointTest, SinkWritesWhatCameBeforeAnError) {
    const std::string fifo = make_fifo("results");
    ASSERT_TRUE(start(place(Kind::fifo, fifo, false)));
    for (std::size_t i = 0; i < 2; ++i) {
        channels_.give(text(2).substr(i * datablock_bytes, datablock_bytes));
    }
    channels_.give_end(YOKE_EIO);  // which the third pull hears before anything could be written
    const Fd reader(::open(fifo.c_str(), O_RDONLY));
    EXPECT_EQ(read_up_to(reader, SIZE_MAX), text(2));
    EXPECT_TRUE(channels_.wait_until_finished(2));
}

TEST_F(EndpointTest, ReaderSeesTheEndOfAnEmptyStream) {
    const std::string fifo = make_fifo("results");
    ASSERT_TRUE(start(place(Kind::fifo, fifo, false)));
    channels_.give_end();
    const Fd reader(::open(fifo.c_str(), O_RDONLY));  // waits for the sink
    EXPECT_EQ(read_up_to(reader, SIZE_MAX), "");
    EXPECT_TRUE(channels_.wait_until_finished(2));
}

TEST_F(EndpointTest, FullDiskFailsTheGraphAndOtherSinksWriteOn) {
    Place other = place(Kind::fifo, make_fifo("results"), false);
    other.channel = 3;
    auto opened = Endpoints::open({place(Kind::file, "/dev/full", false)});
    auto open_too = Endpoints::open({other});
    ASSERT_TRUE(opened && open_too);
    ASSERT_TRUE(endpoints_->begin("/g", std::move(*open_too)));
    for (std::size_t i = 0; i < 3; ++i) {
        channels_.give(text(3).substr(i * datablock_bytes, datablock_bytes));
    }
    ASSERT_TRUE(endpoints_->begin("/g", std::move(*opened)));
    channels_.give("lost");
    EXPECT_THAT(channels_.wait_for_failure(), HasSubstr("/dev/full"));
    ASSERT_TRUE(channels_.wait_until_finished(2));
    EXPECT_EQ(endpoints_->keys(), std::vector<std::string>{"/g"});
    channels_.give_end(YOKE_EIO);
    const Fd reader(::open(path("results").c_str(), O_RDONLY));
    EXPECT_EQ(read_up_to(reader, SIZE_MAX), text(3));
    EXPECT_TRUE(channels_.wait_until_finished(3));
}

TEST_F(EndpointTest, EachConnectionMayBringAHeader) {
    Listener listener(path("socket"));
    Place lasting = place(Kind::socket, path("socket"), true);
    lasting.persist = true;
    ASSERT_TRUE(start(lasting));
    channels_.accept(100);
    const std::string header = "YOKESTREAM 1 u8 1000 fixed\n";
    write_all(listener.accept(), header + text(3));
    write_all(listener.accept(), text(2, 'k') + "left over");
    write_all(listener.accept(), "YOKESTR");
    write_all(listener.accept(), header + text(1, 'r'));
    const std::string all = text(3) + text(2, 'k') + text(1, 'r');
    ASSERT_TRUE(channels_.wait_for_bytes(all.size()));
    EXPECT_EQ(channels_.received(), all);
}

}  // namespace
}  // namespace yoke::worker
