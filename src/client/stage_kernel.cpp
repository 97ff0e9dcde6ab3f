// What a stage does: its kernel or graph, in a session of its own.
#include <yoke/yoke.h>

#include <algorithm>
#include <cstring>

#include "client/stage.hpp"

namespace yoke::client {
namespace {

constexpr std::uint64_t overhead_bytes = 1U << 20U;  // rings of the default number of slots

std::uint64_t aligned(std::uint64_t bytes) {
    return (bytes + YOKE_DATA_ALIGN - 1) / YOKE_DATA_ALIGN * YOKE_DATA_ALIGN;
}

yoke_template template_of(const control::StreamForm& form) {
    yoke_template made{};
    std::copy(form.form.type.begin(), form.form.type.end(), made.type);
    std::copy(form.form.extent.begin(), form.form.extent.end(), made.extent);
    return made;
}

std::string extents_define(const char* name, const control::StreamForm& form) {
    std::string text;
    for (std::size_t k = 0; k < form.form.extent.size(); ++k) {
        text += fmt::format(" -D {}_{}={}", name, k, form.form.extent[k]);
    }
    return text;
}

}  // namespace

Status Stage::both_fixed() {
    auto input = input_header();
    if (!input) {
        return tl::unexpected(input.error());
    }
    if (!outlet_.header()) {
        return fail(EINVAL, "the output has no header yet; call yoke_stage_output before the kernel is chosen");
    }
    if ((*input)->stream.variable || outlet_.header()->stream.variable) {
        return fail(EINVAL, "a kernel takes and makes records of fixed size; read and write variable ones by hand");
    }
    in_bytes_ = *control::template_bytes((*input)->stream.form);
    out_bytes_ = *control::template_bytes(outlet_.header()->stream.form);
    return {};
}

Status Stage::open_session(std::uint64_t bytes) {
    yoke_options options{};
    options.flags = YOKE_OPEN_NOTICES;  // a stage is a program of somebody's shell
    options.socket = socket_.empty() ? nullptr : socket_.c_str();
    options.arena_bytes = (bytes + 2 * overhead_bytes - 1) / overhead_bytes * overhead_bytes;
    yoke_session* session = nullptr;
    if (auto done = library(yoke_open(&session, &options)); !done) {
        return done;
    }
    session_.reset(session);
    return {};
}

// Its channel is opened in the same session, so that nothing that lies in the arena is copied into another one.
Status Stage::open_source_session(std::uint64_t bytes) {
    const auto& header = outlet_.header();
    const std::uint64_t record = header ? aligned(control::template_bytes(header->stream.form).value_or(0)) : 0;
    if (auto done = open_session(bytes + record); !done) {
        return done;
    }
    auto changed = outlet_.change_session(session_.get());
    if (!changed) {
        session_.reset();
    }
    return changed;
}

Status Stage::open_graph_session(std::uint64_t bytes) {
    if (auto done = both_fixed(); !done) {
        return done;
    }
    const std::uint64_t records = (StageFlow::depth + 1) * (aligned(in_bytes_) + aligned(out_bytes_));
    if (auto done = open_session(bytes + records); !done) {
        return done;
    }
    auto opened = library(yoke_open_graph(session_.get(), graph_name_.c_str()));
    if (!opened) {
        session_.reset();
    }
    return opened;
}

Result<yoke_session*> Stage::session(std::uint64_t bytes) {
    if (!session_) {
        const bool source = (flags_ & YOKE_STAGE_SOURCE) != 0;
        if (auto done = source ? open_source_session(bytes) : open_graph_session(bytes); !done) {
            return tl::unexpected(done.error());
        }
    }
    return session_.get();
}

// The extents, and those parameters that are numbers: nothing else of a stranger's header reaches a compiler.
std::string Stage::defines() const {
    const control::Parameters& output = outlet_.header()->parameters;
    std::string text = extents_define("YOKE_IN_EXTENT", inlet_.known()->stream) +
                       extents_define("YOKE_OUT_EXTENT", outlet_.header()->stream);
    const auto define = [&](const auto& parameter) {
        if (control::is_number(parameter.second)) {
            text += fmt::format(" -D YOKE_PARAMETER_{}={}", parameter.first, parameter.second);
        }
    };
    std::for_each(output.begin(), output.end(), define);
    for (const auto& parameter : inlet_.known()->parameters) {
        if (control::find_parameter(output, parameter.first) == nullptr) {
            define(parameter);
        }
    }
    return text;
}

Status Stage::kernel(const yoke_kernel& kernel, std::span<const yoke_argument> arguments) {
    refused_ = true;
    if (auto done = open_kernel(kernel, arguments); !done) {
        return done;
    }
    return graph("kernel:in", "kernel:out");
}

Status Stage::open_kernel(const yoke_kernel& kernel, std::span<const yoke_argument> arguments) {
    if (auto done = both_fixed(); !done) {
        return done;
    }
    auto opened = session(0);
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    const std::string ptask = graph_name_ + "/kernel";
    const yoke_template in = template_of(inlet_.known()->stream);
    const yoke_template out = template_of(outlet_.header()->stream);
    const std::string options = (kernel.options != nullptr ? kernel.options : "") + defines();
    yoke_kernel with_options = kernel;
    with_options.options = options.c_str();
    if (std::all_of(std::begin(kernel.geometry), std::end(kernel.geometry), [](auto items) { return items == 0; })) {
        std::copy(std::begin(in.extent), std::end(in.extent), with_options.geometry);
    }
    if (auto done = library(yoke_open_port(*opened, (ptask + ":in").c_str(), YOKE_IN, &in)); !done) {
        return done;
    }
    if (auto done = library(yoke_open_port(*opened, (ptask + ":out").c_str(), YOKE_OUT, &out)); !done) {
        return done;
    }
    return library(yoke_open_ptask(*opened, ptask.c_str(), &with_options, arguments.data(), arguments.size()));
}

// The header of the output goes out when it is known that records will be made.
Status Stage::graph(const std::string& in, const std::string& out) {
    refused_ = true;
    if (auto done = open_flow(in, out); !done) {
        return done;
    }
    refused_ = false;
    return outlet_.announce();
}

Status Stage::open_flow(const std::string& in, const std::string& out) {
    if (flow_) {
        return fail(EALREADY, "the stage has its kernel or graph already; open another stage");
    }
    if (auto done = both_fixed(); !done) {
        return done;
    }
    auto opened = session(0);
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    const std::string prefix = graph_name_ + "/";
    StageFlow::Channels channels;
    if (auto done = library(yoke_open_channel(*opened, (prefix + "stage-in").c_str(), nullptr, (prefix + in).c_str(),
                                              StageFlow::depth, &channels.in));
        !done) {
        return done;
    }
    if (auto done = library(yoke_open_channel(*opened, (prefix + "stage-out").c_str(), (prefix + out).c_str(), nullptr,
                                              StageFlow::depth, &channels.out));
        !done) {
        return done;
    }
    if (auto done = library(yoke_run_graph(*opened, graph_name_.c_str())); !done) {
        return done;
    }
    inlet_.use(*opened);
    outlet_.use(*opened);
    flow_ = std::make_unique<StageFlow>(*opened, inlet_, outlet_, channels);
    return flow_->allocate(in_bytes_, out_bytes_);
}

Status Stage::run() {
    if (!flow_) {
        return fail(EINVAL, "the stage has neither kernel nor graph; call yoke_stage_kernel or yoke_stage_graph first");
    }
    auto done = flow_->run();
    inlet_.end();
    auto ended = outlet_.end();
    return done ? ended : done;
}

}  // namespace yoke::client
