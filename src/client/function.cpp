// See function.hpp.
#include "client/function.hpp"

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "client/session.hpp"

namespace yoke::client {

namespace {

constexpr std::uint32_t pushable = YOKE_SIGNALS_PUSHABLE;

// Of a datablock of `bytes`: the first two extents as the worker told them, the third from what that leaves.
void set_extent(yoke_datablock& block, const control::TemplateDefinition& form, const yoke_result& result) {
    const std::uint64_t element = control::parse_element_type(form.type)->bytes();
    const std::uint64_t row = form.stride != 0 ? form.stride : std::max<std::uint64_t>(result.extent[0], 1) * element;
    const std::uint64_t plane = row * std::max<std::uint64_t>(result.extent[1], 1);
    block.extent[0] = result.extent[0];
    block.extent[1] = result.extent[1];
    block.extent[2] = result.extent[0] == 0 ? 0 : (block.length + plane - 1) / plane;
}

Status check_client_port(const control::PortDefinition& port) {
    if (port.sticky || port.init || port.hold || port.meta != control::Meta::none || port.descriptor) {
        return fail(EINVAL,
                    "port {} of a function of the client is sticky, init, held, meta or a descriptor; make it a plain "
                    "port",
                    in_quotes(port.name));
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Function>> Function::create(Session& session, const std::string& ptask,
                                                   const Graphs::ClientPtask& known, yoke_function function,
                                                   void* user) {
    if (!known.ptask) {
        return fail(ENOENT,
                    "ptask {} was not opened in this session as one of form \"client\"; open it, its ports and its "
                    "channels first",
                    in_quotes(ptask));
    }
    std::unique_ptr<Function> made(new Function(session, ptask, function, user));
    for (const control::ArgumentDefinition& argument : known.ptask->arguments) {
        const auto port = std::ranges::find_if(
            known.ports, [&](const auto& candidate) { return argument.port && candidate.name == *argument.port; });
        if (port == known.ports.end() || argument.tells != control::ArgumentDefinition::Tells::datablock) {
            return fail(EINVAL,
                        "an argument of ptask {} is no port that this session has opened; a function of the "
                        "client takes datablocks only",
                        in_quotes(ptask));
        }
        if (auto added = made->add_port(*port, known); !added) {
            return tl::unexpected(added.error());
        }
    }
    if (made->inputs_.empty()) {
        return fail(EINVAL, "ptask {} has no input that could start it; add an in port", in_quotes(ptask));
    }
    if (auto allocated = made->allocate(); !allocated) {
        made->release();
        return tl::unexpected(allocated.error());
    }
    return made;
}

void Function::release() {
    for (const Input& input : inputs_) {
        session_.free(input.memory);
    }
    for (const Port& output : outputs_) {
        if (!output.definition.takes()) {
            session_.free(output.memory);
        }
    }
    inputs_.clear();
    outputs_.clear();
}

Status Function::add_port(const control::PortDefinition& port, const Graphs::ClientPtask& known) {
    if (auto checked = check_client_port(port); !checked) {
        return checked;
    }
    auto bytes = control::template_bytes(port.form);
    if (!bytes) {
        return tl::unexpected(bytes.error());
    }
    Input input;
    input.definition = port;
    input.bytes = *bytes;
    Port output = input;
    std::size_t arriving = 0;
    for (const auto& [channel, number] : known.channels) {
        if (channel.destination == port.name) {
            input.channel = number;
            arriving++;
        }
        if (channel.source == port.name) {
            output.channel = number;
        }
    }
    if ((port.takes() && arriving != 1) || (port.gives() && output.channel == 0)) {
        return fail(EINVAL, "port {} of a function of the client needs {} that this session has opened; open it before",
                    in_quotes(port.name),
                    port.takes() && arriving != 1 ? "one channel that ends there, and only one,"
                                                  : "a channel that begins there");
    }
    if (port.takes()) {
        inputs_.push_back(std::move(input));
    }
    if (port.gives()) {
        outputs_.push_back(std::move(output));
    }
    return {};
}

Status Function::allocate() {
    const auto take = [&](Port& port) -> Status {
        const int status = session_.allocate(port.bytes, port.memory);
        return status == 0 ? Status() : Status(tl::unexpected(Error{-status, session_.error()}));
    };
    for (Input& input : inputs_) {
        if (auto taken = take(input); !taken) {
            return taken;
        }
    }
    for (Port& output : outputs_) {
        const auto same = std::ranges::find_if(
            inputs_, [&](const Input& input) { return input.definition.name == output.definition.name; });
        if (same != inputs_.end()) {
            output.memory = same->memory;
        } else if (auto taken = take(output); !taken) {
            return taken;
        }
    }
    for (std::size_t i = 0; i < inputs_.size(); i++) {
        handles_.push_back(std::make_unique<Handle>(Handle{this, i, false}));
    }
    for (std::size_t i = 0; i < outputs_.size(); i++) {
        handles_.push_back(std::make_unique<Handle>(Handle{this, i, true}));
    }
    return {};
}

void Function::go_on() {
    while (!queued_.empty() && push(queued_.back())) {
        queued_.pop_back();
    }
    if (ended_ || !queued_.empty() || pushing_ != 0) {
        return;
    }
    if (ending_) {
        ended_ = true;
        for (const Input& input : inputs_) {
            if (input.state == Input::State::pulling) {
                session_.cancel(input.ticket);
            }
        }
        return;
    }
    for (Input& input : inputs_) {
        if (input.state == Input::State::empty && !pull(input)) {
            return;
        }
    }
}

// Whether it could be submitted; what a full ring refuses is tried again at the next dispatch.
bool Function::pull(Input& input) {
    Job job;
    job.opcode = YOKE_OP_PULL;
    job.channel = input.channel;
    job.quiet = true;
    job.prepared.place = YOKE_PLACE_WORKER;
    job.prepared.work.out = static_cast<std::byte*>(input.memory);
    job.prepared.work.shape.out_length = static_cast<std::uint32_t>(input.bytes);
    Handle* const handle = handles_.at(static_cast<std::size_t>(&input - inputs_.data())).get();
    const int status = session_.submit_stream(job, &Function::ended, handle, input.ticket);
    if (status == 0) {
        input.state = Input::State::pulling;
        in_flight_++;
        return true;
    }
    if (status != -EAGAIN) {
        fail_with(-status, session_.error());
    }
    return false;
}

bool Function::push(std::size_t index) {
    const yoke_datablock& block = out_blocks_[index];
    const Port& output = outputs_[index];
    Job job;
    job.opcode = YOKE_OP_PUSH;
    job.flags = push_flags_;
    job.channel = output.channel;
    job.quiet = true;
    job.prepared.place = YOKE_PLACE_WORKER;
    service::Work& work = job.prepared.work;
    work.in = static_cast<const std::byte*>(output.memory);
    work.shape.in_length = static_cast<std::uint32_t>(block.length);
    yoke_params_push params{};
    params.signals = block.signals & pushable;
    std::ranges::copy(block.extent, params.extent);
    work.shape.flags = YOKE_FLAG_PARAMS;
    std::memcpy(work.shape.params.data(), &params, sizeof(params));
    yoke_ticket ticket = 0;
    const int status = session_.submit_stream(job, &Function::ended, handles_.at(inputs_.size() + index).get(), ticket);
    if (status == 0) {
        pushing_++;
        in_flight_++;
        return true;
    }
    if (status != -EAGAIN) {
        fail_with(-status, session_.error());
    }
    return false;
}

void Function::ended(void* user, yoke_ticket, const yoke_result* result) {
    const auto* handle = static_cast<const Handle*>(user);
    Function& function = *handle->function;
    function.in_flight_--;
    if (handle->push) {
        function.pushed(function.outputs_[handle->port], *result);
    } else {
        function.pulled(function.inputs_[handle->port], *result);
    }
    function.go_on();
}

void Function::pulled(Input& input, const yoke_result& result) {
    input.state = Input::State::empty;
    if (ended_ || ending_) {
        return;
    }
    if (result.status == -ERESTART) {
        begin_again();
    } else if (result.status == -ENODATA) {
        end_streams();
    } else if (result.status != 0) {
        fail_with(-result.status, fmt::format("an input of ptask {} could not be pulled: {}", in_quotes(ptask_),
                                              std::strerror(-result.status)));
    } else {
        input.state = Input::State::full;
        input.block = {};
        input.block.port = input.definition.name.c_str();
        input.block.data = input.memory;
        input.block.length = result.out_length;
        input.block.signals = result.signal;
        set_extent(input.block, input.definition.form, result);
        if (std::ranges::all_of(inputs_, [](const Input& other) { return other.state == Input::State::full; })) {
            run();
        }
    }
}

// An output that nobody reads any more is passed over; the others go on, as those of a ptask on the device do.
void Function::pushed(Port& output, const yoke_result& result) {
    pushing_--;
    if (ended_) {
        return;
    }
    if (result.status == -ERESTART) {
        begin_again();
    } else if (result.status == -EPIPE &&
               !std::ranges::all_of(outputs_, [&](const Port& other) { return other.closed || &other == &output; })) {
        output.closed = true;
    } else if (result.status != 0 && !ending_) {
        fail_with(-result.status, fmt::format("an output of ptask {} could not be pushed: {}", in_quotes(ptask_),
                                              std::strerror(-result.status)));
    }
}

// All inputs are there.
void Function::run() {
    std::vector<yoke_datablock> blocks;
    std::uint32_t signals = 0;
    for (Input& input : inputs_) {
        blocks.push_back(input.block);
        signals |= input.block.signals;
        input.state = Input::State::empty;
    }
    out_blocks_.clear();
    for (const Port& output : outputs_) {
        yoke_datablock block{};
        block.port = output.definition.name.c_str();
        block.data = output.memory;
        block.length = output.bytes;
        block.signals = signals;
        if (output.definition.takes()) {
            const auto same = std::ranges::find(blocks, output.memory, &yoke_datablock::data);
            block.length = same->length;
            std::ranges::copy(same->extent, block.extent);
        }
        out_blocks_.push_back(block);
    }
    if ((signals & YOKE_SIGNAL_DROP) == 0) {
        const int status = function_(user_, blocks.data(), blocks.size(), out_blocks_.data(), out_blocks_.size());
        if (status != 0) {
            failure_ =
                Error{status < 0 ? -status : EIO, fmt::format("the function that serves ptask {} failed ({}); its "
                                                              "streams have ended",
                                                              in_quotes(ptask_), status)};
            end_streams();
            return;
        }
    }
    queue_outputs(signals);
}

void Function::queue_outputs(std::uint32_t signals) {
    push_flags_ = (signals & YOKE_SIGNAL_END) != 0 ? YOKE_FLAG_END : 0;
    ending_ = push_flags_ != 0;
    for (std::size_t i = 0; i < outputs_.size(); i++) {
        // A function that makes more than its output has room for has written over other memory already; what is pushed
        // stays within.
        out_blocks_[i].length = std::min(out_blocks_[i].length, outputs_[i].bytes);
        if (!outputs_[i].closed) {
            queued_.push_back(i);
        }
    }
    std::ranges::reverse(queued_);  // they are taken from the back
}

// Pushes the end of the stream, without content, into all channels.
void Function::end_streams() {
    out_blocks_.assign(outputs_.size(), yoke_datablock{});
    queued_.clear();
    queue_outputs(YOKE_SIGNAL_END);
}

// The graph has begun again: what was on its way is gone.
void Function::begin_again() {
    queued_.clear();
    ending_ = false;
    for (Port& output : outputs_) {
        output.closed = false;
    }
    for (Input& input : inputs_) {
        if (input.state == Input::State::full) {
            input.state = Input::State::empty;
        }
    }
}

void Function::fail_with(int code, const std::string& sentence) {
    queued_.clear();
    ended_ = true;
    // A graph that is terminated takes its functions along; that is no failure.
    if (code != ECANCELED && code != ENOENT && code != EPIPE) {
        failure_ = Error{code, sentence};
    }
    for (const Input& input : inputs_) {
        if (input.state == Input::State::pulling) {
            session_.cancel(input.ticket);
        }
    }
}

int Session::serve_function(const std::string& ptask, yoke_function function, void* user) {
    if (std::ranges::any_of(functions_,
                            [&](const auto& served) { return served->ptask() == ptask && !served->over(); })) {
        return refuse({EBUSY, fmt::format("ptask {} is served already; one function serves it", in_quotes(ptask))});
    }
    auto made = Function::create(*this, ptask, graphs_.find_ptask(ptask), function, user);
    if (!made) {
        return refuse(made.error());
    }
    std::erase_if(functions_, [](const auto& served) {
        const bool gone = served->over() && !served->failure();
        if (gone) {
            served->release();
        }
        return gone;
    });
    functions_.push_back(std::move(*made));
    functions_.back()->go_on();
    return 0;
}

// The failure of a function that is over; it is told once.
std::optional<Error> Session::take_failed_function() {
    std::optional<Error> failure;
    std::erase_if(functions_, [&](const auto& served) {
        const bool gone = served->over() && (!failure || !served->failure());
        if (gone) {
            failure = served->failure() ? served->failure() : failure;
            served->release();
        }
        return gone;
    });
    return failure;
}

}  // namespace yoke::client
