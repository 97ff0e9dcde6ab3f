// Input and output of the commands: files or the standard streams, read in full pieces, written atomically.
//
// An output file is written as a temporary one in the same directory and renamed when everything has succeeded, so that
// no reader ever sees half of it and a failure leaves the old one untouched. Devices, FIFOs and the standard output
// cannot be replaced and are written directly.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <yoke/stage.h>

#include "cli/failure.hpp"

namespace yoke::cli {

struct StageCloser {
    void operator()(yoke_stage* stage) const { yoke_stage_close(stage); }
};
using StagePtr = std::unique_ptr<yoke_stage, StageCloser>;

class Input {
   public:
    // "-" is the standard input.
    static Outcome<Input> open(const std::string& path);
    Input(Input&& other) noexcept;
    Input& operator=(Input&& other) = delete;
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;
    ~Input();

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] int fd() const { return fd_; }
    // Whether @path is this file or FIFO.
    [[nodiscard]] bool is(const std::string& path) const;
    // From the standard input, if it is a pipe, bytes may come past it when the program before joins (docs/stage.md).
    Done join(const std::string& socket);
    // Bytes from the present position to the end; nothing where only reading tells (pipes, devices).
    [[nodiscard]] std::optional<std::uint64_t> bytes_left() const;
    // Reads until @piece is full or the input ends; returns the bytes read.
    Outcome<std::size_t> read_full(std::span<std::byte> piece);
    // Reads what is there now, at least one byte; 0: end of input.
    Outcome<std::size_t> read_some(std::span<std::byte> piece);

   private:
    Input(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
    int fd_;
    std::string name_;
    StagePtr stage_;
};

class Output {
   public:
    // "-" is the standard output, which must not be a terminal when @binary.
    static Outcome<Output> open(const std::string& path, bool binary);
    Output(Output&& other) noexcept;
    Output& operator=(Output&& other) = delete;
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    ~Output();  // without finish(): removes the temporary file

    [[nodiscard]] const std::string& name() const { return name_; }
    // Exit 1: what is read is the file that is written while it is read. A file that is replaced at the end may be
    // read.
    [[nodiscard]] Done differs_from(const Input& input) const;
    // The same for a file that somebody else reads, by its path.
    [[nodiscard]] Done differs_from(const std::string& path) const;
    // Into the standard output, if it is a pipe, bytes may go past it when the program behind joins.
    Done join(const std::string& socket);
    Done write(std::span<const std::byte> bytes);
    Done write(const std::string& text);
    // Puts the file in its place. Nothing may be written after it.
    Done finish();

   private:
    Output(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
    [[nodiscard]] Done said(int status) const;
    [[nodiscard]] Done differs_from(const std::string& input, const struct stat& status) const;
    static Outcome<Output> open_temporary(const std::string& path, mode_t mode);
    Done name_temporary();
    int fd_;
    std::string name_;
    std::string target_;     // where the file goes; empty: written directly
    std::string temporary_;  // its name until then; empty: it has none
    StagePtr stage_;
};

// Puts something that cannot be used in the place of standard streams that were closed. Otherwise the next file or
// socket gets that number, and what is printed goes there.
void occupy_standard_streams();

// Reads a file of @bytes_max at most. Fails when it is longer.
Outcome<std::vector<std::byte>> read_small_file(const std::string& path, std::size_t bytes_max, const char* what);

}  // namespace yoke::cli
