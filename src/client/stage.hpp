// A stage of a shell pipeline: two streams, and between them a kernel or a graph in the worker, or the program itself.
//
// Records in flight keep their input until their output has been written, so that a worker's death costs nothing but
// time: what had not come out is pushed again, in order. The pipe is what the stage must be equal to; so each result is
// written as soon as it is there, and nothing waits for more input.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <yoke/stage.h>

#include "base/error.hpp"
#include "client/stage_pipe.hpp"

namespace yoke::client {

class Stage {
   public:
    static Result<std::unique_ptr<Stage>> open(const yoke_stage_options& options);
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
    ~Stage();

    [[nodiscard]] bool usable() const;  // false in a child of fork
    [[nodiscard]] const std::string& error() const { return error_; }
    int refuse(const Error& error);

    Status input(yoke_stream& stream);
    [[nodiscard]] const char* parameter(const char* name) const;
    Status set_parameter(const char* name, const char* value);
    Status output(const yoke_stream& stream);
    Result<std::optional<std::size_t>> read(std::span<std::byte> room);
    Status write(std::span<const std::byte> record);

    Result<yoke_session*> session(std::uint64_t bytes);
    [[nodiscard]] const std::string& graph_name() const { return graph_name_; }
    Status kernel(const yoke_kernel& kernel, std::span<const yoke_argument> arguments);
    Status graph(const std::string& in, const std::string& out);
    Status run();

   private:
    static constexpr std::size_t depth = 4;  // records in flight: one is read, one copied, one runs, one is written

    // A record on its way through the graph.
    struct Slot {
        void* in = nullptr;
        void* out = nullptr;
        yoke_ticket push = 0;
        yoke_ticket pull = 0;
        std::uint64_t worker = 0;  // deaths before it was pushed
    };
    struct SessionCloser {
        void operator()(yoke_session* session) const { yoke_close(session); }
    };

    explicit Stage(const yoke_stage_options& options);
    Result<const StageHeader*> input_header();
    Status both_fixed();
    [[nodiscard]] std::string defines() const;
    Status library(int status) const;
    Status allocate_slots();
    Result<bool> take_record();
    [[nodiscard]] std::uint64_t deaths() const;
    Result<bool> submit(Slot& slot);
    Status finish_oldest();
    Result<int> end_of(yoke_ticket& ticket);
    Result<bool> come_out(Slot& slot);
    Result<bool> withdraw();
    Status begin_again();
    Slot& oldest() { return slots_.at(finished_ % depth); }

    const std::uint32_t flags_;
    const std::string socket_;
    const int pid_;
    std::string error_;
    StageReader reader_;
    StageWriter writer_;
    Parameters set_;  // of the output, beside the input's; an empty value leaves one out

    std::string graph_name_;
    std::unique_ptr<yoke_session, SessionCloser> session_;
    std::array<Slot, depth> slots_{};
    std::size_t in_bytes_ = 0;
    std::size_t out_bytes_ = 0;
    std::uint32_t push_channel_ = 0;
    std::uint32_t pull_channel_ = 0;
    bool connected_ = false;
    std::uint64_t submitted_ = 0;
    std::uint64_t finished_ = 0;
};

}  // namespace yoke::client
