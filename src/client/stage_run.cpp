// A stage's kernel or graph, and the records on their way through it.
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

yoke_template template_of(const StreamForm& form) {
    yoke_template made{};
    std::copy(form.form.type.begin(), form.form.type.end(), made.type);
    std::copy(form.form.extent.begin(), form.form.extent.end(), made.extent);
    return made;
}

std::string extents_define(const char* name, const StreamForm& form) {
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
    if (!writer_.header()) {
        return fail(EINVAL, "the output has no header yet; call yoke_stage_output before the kernel is chosen");
    }
    if ((*input)->stream.variable || writer_.header()->stream.variable) {
        return fail(EINVAL, "a kernel takes and makes records of fixed size; read and write variable ones by hand");
    }
    in_bytes_ = *control::template_bytes((*input)->stream.form);
    out_bytes_ = *control::template_bytes(writer_.header()->stream.form);
    return {};
}

Result<yoke_session*> Stage::session(std::uint64_t bytes) {
    if (session_) {
        return session_.get();
    }
    if (auto done = both_fixed(); !done) {
        return tl::unexpected(done.error());
    }
    yoke_options options{};
    options.socket = socket_.empty() ? nullptr : socket_.c_str();
    options.arena_bytes = bytes + depth * (aligned(in_bytes_) + aligned(out_bytes_)) + overhead_bytes;
    options.arena_bytes = (options.arena_bytes + overhead_bytes - 1) / overhead_bytes * overhead_bytes;
    yoke_session* session = nullptr;
    if (auto done = library(yoke_open(&session, &options)); !done) {
        return tl::unexpected(done.error());
    }
    session_.reset(session);
    if (auto done = library(yoke_open_graph(session, graph_name_.c_str())); !done) {
        session_.reset();
        return tl::unexpected(done.error());
    }
    return session;
}

// The extents, and those parameters that are numbers: nothing else of a stranger's header reaches a compiler.
std::string Stage::defines() const {
    const Parameters& output = writer_.header()->parameters;
    std::string text = extents_define("YOKE_IN_EXTENT", reader_.known()->stream) +
                       extents_define("YOKE_OUT_EXTENT", writer_.header()->stream);
    const auto define = [&](const auto& parameter) {
        if (is_number(parameter.second)) {
            text += fmt::format(" -D YOKE_PARAMETER_{}={}", parameter.first, parameter.second);
        }
    };
    std::for_each(output.begin(), output.end(), define);
    for (const auto& parameter : reader_.known()->parameters) {
        if (find_parameter(output, parameter.first) == nullptr) {
            define(parameter);
        }
    }
    return text;
}

Status Stage::kernel(const yoke_kernel& kernel, std::span<const yoke_argument> arguments) {
    auto opened = session(0);
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    const std::string ptask = graph_name_ + "/kernel";
    const yoke_template in = template_of(reader_.known()->stream);
    const yoke_template out = template_of(writer_.header()->stream);
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
    if (auto done = library(yoke_open_ptask(*opened, ptask.c_str(), &with_options, arguments.data(), arguments.size()));
        !done) {
        return done;
    }
    return graph("kernel:in", "kernel:out");
}

Status Stage::graph(const std::string& in, const std::string& out) {
    if (connected_) {
        return fail(EALREADY, "the stage has its kernel or graph already; open another stage");
    }
    auto opened = session(0);
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    const std::string prefix = graph_name_ + "/";
    if (auto done = library(yoke_open_channel(*opened, (prefix + "stage-in").c_str(), nullptr, (prefix + in).c_str(),
                                              depth, &push_channel_));
        !done) {
        return done;
    }
    if (auto done = library(yoke_open_channel(*opened, (prefix + "stage-out").c_str(), (prefix + out).c_str(), nullptr,
                                              depth, &pull_channel_));
        !done) {
        return done;
    }
    if (auto done = library(yoke_run_graph(*opened, graph_name_.c_str())); !done) {
        return done;
    }
    connected_ = true;
    return allocate_slots();
}

Status Stage::allocate_slots() {
    for (Slot& slot : slots_) {
        if (auto done = library(yoke_alloc(session_.get(), in_bytes_, &slot.in)); !done) {
            return done;
        }
        if (auto done = library(yoke_alloc(session_.get(), out_bytes_, &slot.out)); !done) {
            return done;
        }
    }
    return {};
}

// How many workers have died so far; which of them a record was given to tells whether it is lost.
std::uint64_t Stage::deaths() const {
    yoke_session_info info{};
    return yoke_info(session_.get(), &info) == 0 ? info.reconnects : 0;
}

// False: a worker has died and the graph began anew.
Result<bool> Stage::submit(Slot& slot) {
    const auto judge = [&](int status) -> Result<bool> {
        if (status == -ERESTART) {
            return false;
        }
        auto done = library(status);
        return done ? Result<bool>(true) : tl::unexpected(done.error());
    };
    slot.push = 0;
    slot.pull = 0;
    auto pushed =
        judge(yoke_submit_push(session_.get(), push_channel_, slot.in, in_bytes_, 0, 0, nullptr, nullptr, &slot.push));
    if (!pushed || !*pushed) {
        return pushed;
    }
    slot.worker = deaths();
    return judge(
        yoke_submit_pull(session_.get(), pull_channel_, slot.out, out_bytes_, 0, nullptr, nullptr, &slot.pull));
}

// Reads one record and sends it on its way. False: the input has ended.
Result<bool> Stage::take_record() {
    Slot& slot = slots_.at(submitted_ % depth);
    auto length = reader_.read({static_cast<std::byte*>(slot.in), in_bytes_});
    if (!length) {
        return tl::unexpected(length.error());
    }
    if (!*length) {
        return false;
    }
    ++submitted_;
    auto done = submit(slot);
    if (!done) {
        return tl::unexpected(done.error());
    }
    if (!*done) {
        if (auto again = begin_again(); !again) {
            return tl::unexpected(again.error());
        }
    }
    return true;
}

// Waits for the end of a transfer; its status. 0 where there is none.
Result<int> Stage::end_of(yoke_ticket& ticket) {
    if (ticket == 0) {
        return 0;
    }
    yoke_result result{};
    const int status = yoke_wait(session_.get(), ticket, UINT64_MAX, &result);
    ticket = 0;
    auto done = library(status);
    return done ? Result<int>(result.status) : tl::unexpected(done.error());
}

// Waits until a record has come out. False: a worker died and the graph began anew without it.
Result<bool> Stage::come_out(Slot& slot) {
    for (yoke_ticket* ticket : {&slot.push, &slot.pull}) {
        auto status = end_of(*ticket);
        if (!status) {
            return tl::unexpected(status.error());
        }
        if (*status == -YOKE_ERESTART) {
            return false;
        }
        if (*status != 0) {
            return fail(-*status, "record {} did not come through graph {}: {}; see the journal of yoked", finished_,
                        graph_name_, std::strerror(-*status));
        }
    }
    return true;
}

// Takes everything in flight back, and out of the graph what this worker was given already. False: it died, too.
Result<bool> Stage::withdraw() {
    const std::uint64_t worker = deaths();
    std::int64_t inside = 0;
    for (std::uint64_t record = finished_; record < submitted_; ++record) {
        const Slot& slot = slots_.at(record % depth);
        for (const yoke_ticket ticket : {slot.pull, slot.push}) {
            if (ticket != 0) {
                yoke_cancel(session_.get(), ticket);  // what has ended already says so below
            }
        }
    }
    for (std::uint64_t record = finished_; record < submitted_; ++record) {
        Slot& slot = slots_.at(record % depth);
        const bool was_pushed = slot.push != 0;
        const bool was_pulled = slot.pull != 0;
        const auto push = end_of(slot.push);
        const auto pull = end_of(slot.pull);
        if (!push || !pull) {
            return tl::unexpected(push ? pull.error() : push.error());
        }
        if (slot.worker == worker) {
            inside += (was_pushed && *push == 0 ? 1 : 0) - (was_pulled && *pull == 0 ? 1 : 0);
        }
    }
    for (; inside > 0; --inside) {
        const int status = yoke_pull(session_.get(), pull_channel_, oldest().out, out_bytes_, 0, nullptr);
        if (status == -ERESTART) {
            return false;
        }
        if (auto done = library(status); !done) {
            return tl::unexpected(done.error());
        }
    }
    return deaths() == worker;
}

// After a worker's death: what has not come out goes in again. Its input is still there.
Status Stage::begin_again() {
    for (;;) {
        auto done = withdraw();
        for (std::uint64_t record = finished_; done && *done && record < submitted_; ++record) {
            done = submit(slots_.at(record % depth));
        }
        if (!done) {
            return tl::unexpected(done.error());
        }
        if (*done) {
            return {};
        }
    }
}

Status Stage::finish_oldest() {
    for (;;) {
        auto ended = come_out(oldest());
        if (!ended) {
            return tl::unexpected(ended.error());
        }
        if (*ended) {
            break;
        }
        if (auto done = begin_again(); !done) {
            return done;
        }
    }
    const auto* out = static_cast<const std::byte*>(oldest().out);
    ++finished_;
    return writer_.write({out, out_bytes_});
}

Status Stage::run() {
    if (!connected_) {
        return fail(EINVAL, "the stage has neither kernel nor graph; call yoke_stage_kernel or yoke_stage_graph first");
    }
    for (;;) {
        const std::uint64_t in_flight = submitted_ - finished_;
        // With records in flight the input is only looked at, so that a result does not wait for the next record.
        if (in_flight == depth || (in_flight != 0 && !reader_.ready())) {
            if (auto done = finish_oldest(); !done) {
                return done;
            }
            continue;
        }
        auto taken = take_record();
        if (!taken) {
            // What came in whole comes out, as it would through a pipe.
            while (submitted_ != finished_) {
                if (auto done = finish_oldest(); !done) {
                    return done;
                }
            }
            return tl::unexpected(taken.error());
        }
        if (!*taken) {
            break;
        }
    }
    while (submitted_ != finished_) {
        if (auto done = finish_oldest(); !done) {
            return done;
        }
    }
    return {};
}

}  // namespace yoke::client
