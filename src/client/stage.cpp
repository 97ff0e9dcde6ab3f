// See stage.hpp.
#include "client/stage.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/log.hpp"
#include "client/api.hpp"

namespace yoke::client {
namespace {

yoke_stream stream_of(const control::StreamForm& form) {
    yoke_stream stream{};
    std::copy(form.form.type.begin(), form.form.type.end(), stream.template_.type);
    std::copy(form.form.extent.begin(), form.form.extent.end(), stream.template_.extent);
    stream.variable = form.variable ? 1 : 0;
    return stream;
}

control::StreamForm form_of(const yoke_stream& stream) {
    control::StreamForm form;
    form.form.type.assign(stream.template_.type, ::strnlen(stream.template_.type, sizeof(stream.template_.type)));
    std::copy_n(stream.template_.extent, 3, form.form.extent.begin());
    form.form.stride = stream.template_.stride;
    form.variable = stream.variable != 0;
    return form;
}

constexpr std::uint64_t piece_bytes = 256U << 10U;  // of plain bytes, in one datablock

// `records`: nobody types those, and no terminal shows them.
Status check_open(int fd, int access, bool records, const char* what) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ((flags & O_ACCMODE) != access && (flags & O_ACCMODE) != O_RDWR)) {
        return fail(EBADF, "descriptor {} is not open for {}; connect the stage to a pipe or a file", fd, what);
    }
    if (records && ::isatty(fd) == 1) {
        return fail(EINVAL, "descriptor {} for {} is a terminal; connect the stage to a pipe or a file", fd, what);
    }
    return {};
}

std::string next_graph_name() {
    static std::atomic<unsigned> number{0};
    return fmt::format("/stage-{}-{}", ::getpid(), ++number);
}

}  // namespace

Result<std::unique_ptr<Stage>> Stage::open(const yoke_stage_options& options) {
    configure_log_once();
    constexpr std::uint32_t ends = YOKE_STAGE_SOURCE | YOKE_STAGE_SINK;
    if ((options.flags & ~(YOKE_STAGE_SOURCE | YOKE_STAGE_SINK | YOKE_STAGE_BYTES)) != 0 || options.reserved != 0 ||
        (options.flags & ends) == ends) {
        return fail(EINVAL, "flags {:#x} of the stage are not known, or make it neither read nor write", options.flags);
    }
    std::unique_ptr<Stage> stage(new Stage(options));
    const bool records = (options.flags & YOKE_STAGE_BYTES) == 0;
    if ((options.flags & YOKE_STAGE_SOURCE) == 0) {
        if (auto done = check_open(options.input, O_RDONLY, records, "reading records"); !done) {
            return tl::unexpected(done.error());
        }
    }
    if ((options.flags & YOKE_STAGE_SINK) == 0) {
        const int output = options.output == 0 ? STDOUT_FILENO : options.output;
        if (auto done = check_open(output, O_WRONLY, records, "writing records"); !done) {
            return tl::unexpected(done.error());
        }
    }
    if ((options.flags & YOKE_STAGE_BYTES) != 0) {
        stage->begin_bytes();
    }
    return stage;
}

// Without a header both streams are known from the beginning.
void Stage::begin_bytes() {
    control::StageHeader header;
    header.stream.form.type = "u8";
    header.stream.form.extent = {piece_bytes, 1, 1};
    header.stream.variable = true;
    if ((flags_ & YOKE_STAGE_SOURCE) == 0) {
        inlet_.begin_raw(header, socket_);
    }
    if ((flags_ & YOKE_STAGE_SINK) == 0) {
        outlet_.begin_raw(header, socket_);
    }
}

Stage::Stage(const yoke_stage_options& options)
    : flags_(options.flags),
      socket_(options.socket != nullptr ? options.socket : ""),
      pid_(::getpid()),
      graph_name_(next_graph_name()),
      inlet_(options.input, bytes()),
      outlet_(options.output == 0 ? STDOUT_FILENO : options.output, bytes()) {}

// A child's sessions are not the parent's: yoke_close knows, and only gives memory back.
Stage::~Stage() {
    if (usable()) {
        inlet_.end();
        // A stage that cannot do its work has no stream: who reads it must not take it for one without records.
        if (!refused_ || outlet_.announced()) {
            static_cast<void>(outlet_.end());  // who wants to know ends the stage by run()
        }
        tell_counts();
    }
}

void Stage::tell_counts() const {
    const StageJoint::Counts& in = inlet_.counts();
    const StageJoint::Counts& out = outlet_.counts();
    log_debug(Topic::client, "a stage has ended",
              {{"from_pipe", in.piped},
               {"from_channel", in.joined},
               {"to_pipe", out.piped},
               {"to_channel", out.joined},
               {"copied_bytes", in.copied_bytes + out.copied_bytes}});
}

bool Stage::usable() const {
    return ::getpid() == pid_;
}

int Stage::refuse(const Error& error) {
    error_ = error.message;
    return -error.code;
}

Status Stage::library(int status) const {
    if (status >= 0) {
        return {};
    }
    return tl::unexpected(Error{-status, yoke_error(session_.get())});
}

Result<const control::StageHeader*> Stage::input_header() {
    if ((flags_ & YOKE_STAGE_SOURCE) != 0) {
        return fail(EINVAL, "the stage is a source and has no input; open it without YOKE_STAGE_SOURCE");
    }
    if (bytes()) {
        return fail(EINVAL, "the stage passes plain bytes, which have no header");
    }
    return inlet_.header(socket_);
}

Status Stage::input(yoke_stream& stream) {
    auto header = input_header();
    if (!header) {
        return tl::unexpected(header.error());
    }
    stream = stream_of((*header)->stream);
    return {};
}

const char* Stage::parameter(const char* name) const {
    const std::string* value =
        inlet_.known() != nullptr ? control::find_parameter(inlet_.known()->parameters, name) : nullptr;
    return value != nullptr ? value->c_str() : nullptr;
}

Status Stage::set_parameter(const char* name, const char* value) {
    if (auto done = control::check_parameter(name, value != nullptr ? value : "-"); !done) {
        return done;
    }
    if (outlet_.header()) {
        return fail(EALREADY, "parameter {} comes too late: the output has its header already", name);
    }
    const auto found = std::find_if(set_.begin(), set_.end(), [&](const auto& one) { return one.first == name; });
    auto& place = found != set_.end() ? *found : set_.emplace_back(name, "");
    place.second = value != nullptr ? value : "";
    return {};
}

Status Stage::output(const yoke_stream& stream) {
    if ((flags_ & YOKE_STAGE_SINK) != 0) {
        return fail(EINVAL, "the stage is a sink and has no output; open it without YOKE_STAGE_SINK");
    }
    if (bytes()) {
        return fail(EINVAL, "the stage passes plain bytes, which have no header");
    }
    control::StageHeader header{form_of(stream), {}};
    if ((flags_ & YOKE_STAGE_SOURCE) == 0) {
        auto input = input_header();
        if (!input) {
            return tl::unexpected(input.error());
        }
        for (const auto& parameter : (*input)->parameters) {
            if (control::find_parameter(set_, parameter.first) == nullptr) {
                header.parameters.push_back(parameter);
            }
        }
    }
    std::copy_if(set_.begin(), set_.end(), std::back_inserter(header.parameters),
                 [](const auto& parameter) { return !parameter.second.empty(); });
    // A source has neither kernel nor graph that could be refused.
    const bool source = (flags_ & YOKE_STAGE_SOURCE) != 0;
    auto begun = outlet_.begin(header, socket_);
    return begun && source ? outlet_.announce() : begun;
}

Result<std::optional<std::size_t>> Stage::read(std::span<std::byte> room) {
    if (auto header = bytes() ? Result<const control::StageHeader*>(nullptr) : input_header(); !header) {
        return tl::unexpected(header.error());
    }
    if (bytes() && (flags_ & YOKE_STAGE_SOURCE) != 0) {
        return fail(EINVAL, "the stage is a source and has no input; open it without YOKE_STAGE_SOURCE");
    }
    if (auto done = outlet_.announce(); !done) {
        return tl::unexpected(done.error());
    }
    return inlet_.read(room, &outlet_, [this] { return outlet_.attend(); });
}

Status Stage::write(std::span<const std::byte> record) {
    if (bytes() && (flags_ & YOKE_STAGE_SINK) != 0) {
        return fail(EINVAL, "the stage is a sink and has no output; open it without YOKE_STAGE_SINK");
    }
    return outlet_.write(record);
}

Result<std::span<std::byte>> Stage::room(std::size_t bytes) {
    if ((flags_ & YOKE_STAGE_SINK) != 0) {
        return fail(EINVAL, "the stage is a sink and has no output; open it without YOKE_STAGE_SINK");
    }
    return outlet_.room_for(bytes);
}

}  // namespace yoke::client
