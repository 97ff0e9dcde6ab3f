// Stages for the tests of pipelines: each word does one thing with records that tell where they come from.
//
//     source COUNT BYTES [PAUSE_US]   COUNT records of BYTES bytes; record k is filled with what its number makes
//     variable COUNT BYTES            records of growing length, at most BYTES
//     place COUNT BYTES               the same records, made where yoke_stage_room says
//     lend COUNT BYTES                the same records, made in turns in memory of the stage's own session
//     copy                            each record by hand
//     take COUNT                      the first COUNT records, then ends
//     sink                            a line for each record: its number in the stream, its length, its checksum
//     fork AFTER                      a copy that after so many records has a child write one, and waits for it
//     complain AFTER                  a copy that then writes as much as a record to the standard error
//     halves                          the first record by hand, the others by a kernel that adds one
//     bytes COUNT LENGTH [PAUSE_US]   plain bytes: COUNT times LENGTH of them, and each time none after that
//     sip COUNT ROOM                  takes COUNT plain bytes, at most ROOM at a time, then ends
//
// With YOKE_PROBE_HOLD=FILE the sources write the first half slowly, so that stages have time to join, and the rest
// only when FILE is there; where it does not come, they fail.
#include <yoke/stage.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

namespace {

using Bytes = std::vector<std::byte>;

std::uint32_t checksum(std::span<const std::byte> bytes) {
    std::uint32_t sum = 2166136261U;  // FNV-1a
    for (const std::byte byte : bytes) {
        sum = (sum ^ static_cast<std::uint32_t>(byte)) * 16777619U;
    }
    return sum;
}

void fill(std::span<std::byte> record, std::uint32_t number) {
    for (std::size_t i = 0; i < record.size(); ++i) {
        record[i] = static_cast<std::byte>(((number * 2654435761U) >> (i % 4 * 8)) + i);
    }
}

// Of u8, u16 and the like.
std::size_t bytes_of(const yoke_stream& stream) {
    const yoke_template& form = stream.template_;
    return form.extent[0] * form.extent[1] * form.extent[2] * (std::stoul(form.type + 1) / 8);
}

// Lets a source go on once a file is there.
class Hold {
   public:
    explicit Hold(std::uint32_t count) : half_(count / 2) {}
    // Before record `number`.
    void wait(std::uint32_t number) {
        if (number == 0 || released()) {
            return;
        }
        // Each record is one more attempt to join; a writer leaves longer pauses between those, too.
        std::this_thread::sleep_for(pause_);
        pause_ = std::min(pause_ * 5 / 4, pause_max);
        for (auto left = patience; number >= half_ && !released(); left -= look) {
            if (left <= look) {
                throw yoke::error(ETIMEDOUT, "the test does not let the source go on");
            }
            std::this_thread::sleep_for(look);
        }
    }

   private:
    using Time = std::chrono::microseconds;
    bool released() {
        released_ = released_ || file_ == nullptr || std::filesystem::exists(file_);
        return released_;
    }

    static constexpr Time pause_max{1'000'000};
    static constexpr Time look{10'000};
    static constexpr Time patience{30'000'000};
    const char* const file_ = std::getenv("YOKE_PROBE_HOLD");
    const std::uint32_t half_;
    Time pause_{10'000};
    bool released_ = false;
};

void source(std::uint32_t count, std::size_t bytes, std::uint64_t pause_us, bool variable) {
    yoke::Stage stage = yoke::Stage::source();
    stage.output(yoke::Records(yoke::Form("u8", {bytes}), variable));
    Bytes record(bytes);
    Hold hold(count);
    for (std::uint32_t k = 0; k < count; ++k) {
        hold.wait(k);
        const std::span<std::byte> used = std::span(record).first(variable ? k % (bytes + 1) : bytes);
        fill(used, k);
        stage.write(used);
        std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    }
}

void source_in_place(std::uint32_t count, std::size_t bytes) {
    yoke::Stage stage = yoke::Stage::source();
    stage.output(yoke::Records(yoke::Form("u8", {bytes})));
    Hold hold(count);
    for (std::uint32_t k = 0; k < count; ++k) {
        hold.wait(k);
        const std::span<std::byte> record = stage.room(bytes);
        fill(record, k);
        stage.write(record);
    }
}

void source_of_lent(std::uint32_t count, std::size_t bytes) {
    constexpr std::size_t rooms = 3;
    yoke::Stage stage = yoke::Stage::source();
    yoke_session* const session = stage.session((rooms + 1) * (bytes + 64));  // before anybody knows of the stream
    std::array<void*, rooms> memory{};
    for (void*& room : memory) {
        if (yoke_alloc(session, bytes, &room) != 0) {
            throw yoke::error(ENOMEM, yoke_error(session));
        }
    }
    stage.output(yoke::Records(yoke::Form("u8", {bytes})));
    Hold hold(count);
    for (std::uint32_t k = 0; k < count; ++k) {
        hold.wait(k);
        const std::span<std::byte> record(static_cast<std::byte*>(memory.at(k % rooms)), bytes);
        fill(record, k);
        stage.write(record);
    }
}

// A record of a process that is no stage, between those of one that is.
void write_in_child(Bytes record) {
    const pid_t child = ::fork();
    if (child == 0) {
        std::fill(record.begin(), record.end(), std::byte{'c'});
        const ssize_t written = ::write(STDOUT_FILENO, record.data(), record.size());
        ::_exit(written == static_cast<ssize_t>(record.size()) ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
}

void copy(const std::string& word, std::uint32_t number) {
    const std::uint32_t count = word == "take" ? number : UINT32_MAX;
    yoke::Stage stage;
    const yoke_stream stream = stage.input();
    stage.output(stream);
    Bytes record(bytes_of(stream));
    for (std::uint32_t k = 0; k < count; ++k) {
        const auto length = stage.read(record);
        if (!length) {
            return;
        }
        stage.write(std::span(record).first(*length));
        if (word == "fork" && k + 1 == number) {
            write_in_child(record);
        }
        if (word == "complain" && k + 1 == number) {
            const std::string complaint(record.size(), 'e');  // as long as a record, so that the stream stays one
            static_cast<void>(::write(STDERR_FILENO, complaint.data(), complaint.size()));
        }
    }
}

void halves() {
    yoke::Stage stage;
    const yoke_stream stream = stage.input();
    stage.output(stream);
    Bytes record(bytes_of(stream));
    if (const auto length = stage.read(record)) {
        stage.write(std::span(record).first(*length));
    }
    yoke_kernel kernel{};
    kernel.source =
        "kernel void f(global const uchar *in, global uchar *out) {"
        "    out[get_global_id(0)] = in[get_global_id(0)] + 1; }";
    kernel.source_name = "f.cl";
    kernel.function = "f";
    stage.kernel(kernel, {"in", "out"});
    stage.run();
}

yoke::Stage plain(std::uint32_t end) {
    yoke_stage_options options{};
    options.flags = YOKE_STAGE_BYTES | end;
    return yoke::Stage(options);
}

void bytes(std::uint32_t count, std::size_t length, std::uint64_t pause_us) {
    yoke::Stage stage = plain(YOKE_STAGE_SOURCE);
    Hold hold(count);
    for (std::uint32_t k = 0; k < count; ++k) {
        hold.wait(k);
        stage.write(Bytes(length, std::byte{'x'}));
        stage.write({});
        std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    }
}

void sip(std::size_t count, std::size_t room) {
    yoke::Stage stage = plain(YOKE_STAGE_SINK);
    Bytes bytes(room);
    while (count > 0) {
        try {
            const auto length = stage.read(std::span(bytes).first(std::min(count, room)));
            if (!length) {
                return;
            }
            count -= *length;
        } catch (const yoke::error& failure) {
            if (failure.code() != EAGAIN) {
                throw;
            }
        }
    }
}

void sink() {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);  // so that a test sees how far it has come
    yoke::Stage stage = yoke::Stage::sink();
    Bytes record(bytes_of(stage.input()));
    for (std::uint32_t k = 0; const auto length = stage.read(record); ++k) {
        std::printf("%u %zu %08x\n", k, *length, checksum(std::span(record).first(*length)));
    }
}

std::uint32_t number(char** arguments, int count, int index, std::uint32_t otherwise) {
    return index < count ? static_cast<std::uint32_t>(std::stoul(arguments[index])) : otherwise;
}

}  // namespace

int main(int count, char** arguments) {
    return yoke::stage_main("stage-probe", [&] {
        const std::string word = count > 1 ? arguments[1] : "";
        if (word == "source" || word == "variable") {
            source(number(arguments, count, 2, 1), number(arguments, count, 3, 1), number(arguments, count, 4, 0),
                   word == "variable");
        } else if (word == "place") {
            source_in_place(number(arguments, count, 2, 1), number(arguments, count, 3, 1));
        } else if (word == "lend") {
            source_of_lent(number(arguments, count, 2, 1), number(arguments, count, 3, 1));
        } else if (word == "sink") {
            sink();
        } else if (word == "halves") {
            halves();
        } else if (word == "bytes") {
            bytes(number(arguments, count, 2, 1), number(arguments, count, 3, 1), number(arguments, count, 4, 0));
        } else if (word == "sip") {
            sip(number(arguments, count, 2, 1), number(arguments, count, 3, 1));
        } else if (word == "copy" || word == "fork" || word == "complain" || word == "take") {
            copy(word, number(arguments, count, 2, 0));
        } else {
            throw yoke::error(EINVAL, "no such word: " + word);
        }
    });
}
