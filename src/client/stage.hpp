// A stage of a shell pipeline: two streams, and between them a kernel or a graph in the worker, or the program itself.
//
// It is made of an inlet and an outlet, which know pipes and what may stand in for them, and of a flow through the
// graph between the two. The pipe is what the stage must be equal to; so each result is written as soon as it is there,
// and nothing waits for more input.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <yoke/stage.h>

#include "base/error.hpp"
#include "client/stage_flow.hpp"
#include "client/stage_inlet.hpp"
#include "client/stage_outlet.hpp"

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
    Result<std::span<std::byte>> room(std::size_t bytes);
    Status end() { return outlet_.end(); }

    Result<yoke_session*> session(std::uint64_t bytes);
    [[nodiscard]] const std::string& graph_name() const { return graph_name_; }
    Status kernel(const yoke_kernel& kernel, std::span<const yoke_argument> arguments);
    Status graph(const std::string& in, const std::string& out);
    Status run();

   private:
    explicit Stage(const yoke_stage_options& options);
    [[nodiscard]] bool bytes() const { return (flags_ & YOKE_STAGE_BYTES) != 0; }
    void begin_bytes();
    Result<const control::StageHeader*> input_header();
    Status both_fixed();
    Status open_session(std::uint64_t bytes);
    Status open_source_session(std::uint64_t bytes);
    Status open_graph_session(std::uint64_t bytes);
    void tell_counts() const;
    Status open_kernel(const yoke_kernel& kernel, std::span<const yoke_argument> arguments);
    Status open_flow(const std::string& in, const std::string& out);
    [[nodiscard]] std::string defines() const;
    Status library(int status) const;

    const std::uint32_t flags_;
    const std::string socket_;
    const int pid_;
    std::string error_;
    control::Parameters set_;  // of the output, beside the input's; an empty value leaves one out

    std::string graph_name_;
    std::size_t in_bytes_ = 0;
    std::size_t out_bytes_ = 0;
    OwnedSession session_;
    StageInlet inlet_;
    StageOutlet outlet_;
    bool refused_ = false;  // the worker did not take the kernel or graph, and the output has no header
    std::unique_ptr<StageFlow> flow_;
};

}  // namespace yoke::client
