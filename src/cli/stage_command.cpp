// `yoke stage FILE.cl`: any kernel as a stage of a shell pipeline. What it is not told, it reads from the kernel's
// signature: the first pointer to const is the input, the first other one the output, and scalars are parameters of the
// stream by their names.
#include <yoke/stage.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>

#include "cli/commands.hpp"
#include "cli/file.hpp"
#include "cli/interrupt.hpp"
#include "cli/slow_notice.hpp"
#include "cli/stage_signature.hpp"

namespace yoke::cli {
namespace {

constexpr std::size_t source_bytes_max = std::size_t{1} << 20U;

using Stage = StagePtr;

Done check(const Stage& stage, int status) {
    if (status >= 0) {
        return {};
    }
    if (status == -EPIPE) {
        return fail(exit_failed, "");
    }
    return fail(exit_of(-status), "{}", yoke_stage_error(stage.get()));
}

Outcome<KernelSignature> choose_kernel(const StageOptions& options, const std::string& source) {
    std::vector<KernelSignature> kernels = kernels_in(source);
    if (options.kernel.empty() && kernels.size() == 1) {
        return std::move(kernels.front());
    }
    const auto found = std::find_if(kernels.begin(), kernels.end(),
                                    [&](const KernelSignature& kernel) { return kernel.name == options.kernel; });
    if (found != kernels.end()) {
        return std::move(*found);
    }
    std::string names;
    for (const KernelSignature& kernel : kernels) {
        names += (names.empty() ? "" : ", ") + kernel.name;
    }
    return fail(exit_usage, "{} {}; choose one with --kernel ({})", options.file,
                options.kernel.empty() ? "does not have exactly one kernel" : "has no kernel " + options.kernel,
                names.empty() ? "none was found" : names);
}

struct Ports {
    const KernelArgument* in = nullptr;
    const KernelArgument* out = nullptr;
};

Outcome<Ports> find_ports(const KernelSignature& kernel) {
    Ports ports;
    for (const KernelArgument& argument : kernel.arguments) {
        if (!argument.pointer) {
            continue;
        }
        const KernelArgument*& port = argument.read_only ? ports.in : ports.out;
        if (!argument.global || port != nullptr) {
            return fail(
                exit_usage,
                "kernel {} cannot be a stage because of its argument {}: a stage has one pointer to const global "
                "memory and one to other global memory",
                kernel.name, argument.name);
        }
        port = &argument;
    }
    if (ports.in == nullptr || ports.out == nullptr) {
        return fail(exit_usage, "kernel {} has no {}; a stage reads one array and writes another", kernel.name,
                    ports.in == nullptr ? "pointer to const global memory" : "pointer to global memory to write");
    }
    return ports;
}

Outcome<std::map<std::string, std::string>> settings_of(const StageOptions& options) {
    std::map<std::string, std::string> settings;
    for (const std::string& text : options.set) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos) {
            return fail(exit_usage, "--set takes NAME=VALUE, not '{}'", text);
        }
        settings[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return settings;
}

Done set_extent(yoke_template& form, const std::string& text) {
    std::fill(std::begin(form.extent), std::end(form.extent), 1);
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    for (std::uint64_t& extent : form.extent) {
        const auto [stop, code] = std::from_chars(at, end, extent);
        if (code == std::errc() && stop == end) {
            return {};
        }
        if (code != std::errc() || *stop != 'x') {
            break;
        }
        at = stop + 1;
    }
    return fail(exit_usage, "--extent takes one to three numbers like 640x480, not '{}'", text);
}

Outcome<yoke_stream> output_of(const StageOptions& options, const yoke_stream& input, const KernelArgument& out) {
    yoke_stream output = input;
    const std::string type = options.type.empty() ? out.element : options.type;
    if (type.empty() || type.size() >= sizeof(output.template_.type)) {
        return fail(exit_usage, "argument {} of the kernel does not tell the type of the output; say it with --type",
                    out.name);
    }
    if (!can_be(type, out.element)) {
        return fail(exit_usage,
                    "--type {} contradicts the kernel, whose argument {} points to {}; leave --type out, or change the "
                    "kernel",
                    type, out.name, out.element);
    }
    std::fill(std::begin(output.template_.type), std::end(output.template_.type), '\0');
    std::copy(type.begin(), type.end(), output.template_.type);
    if (!options.extent.empty()) {
        if (auto done = set_extent(output.template_, options.extent); !done) {
            return tl::unexpected<Failure>(done.error());
        }
    }
    return output;
}

std::uint64_t elements_of(const yoke_template& form) {
    return form.extent[0] * form.extent[1] * form.extent[2];
}

// What may be wrong where the worker has died with the kernel: the runtime cannot see how far a kernel writes.
std::string hint_of_extent(const yoke_stream& input, const yoke_stream& output) {
    const yoke_template& in = input.template_;
    const yoke_template& out = output.template_;
    if (elements_of(out) >= elements_of(in)) {
        return {};
    }
    const auto text = [](const yoke_template& form) {
        std::string extents = fmt::format("{}", form.extent[0]);
        extents += form.extent[1] * form.extent[2] == 1 ? "" : fmt::format("x{}", form.extent[1]);
        return form.extent[2] == 1 ? extents : fmt::format("{}x{}", extents, form.extent[2]);
    };
    return fmt::format(
        "; the kernel runs for each element of the input's {}, and a record of its output has {}: if it "
        "writes one element each time, give --extent {}",
        text(in), text(out), text(in));
}

// The kernel's arguments in order; constants live in `values`.
Outcome<std::vector<yoke_argument>> bind(const Stage& stage, const KernelSignature& kernel,
                                         const std::map<std::string, std::string>& settings,
                                         std::vector<std::vector<std::byte>>& values) {
    std::vector<yoke_argument> arguments;
    values.reserve(kernel.arguments.size());
    for (const KernelArgument& argument : kernel.arguments) {
        if (argument.pointer) {
            arguments.push_back({argument.read_only ? "in" : "out", nullptr, 0});
            continue;
        }
        const auto setting = settings.find(argument.name);
        const char* inherited = yoke_stage_parameter(stage.get(), argument.name.c_str());
        if (setting == settings.end() && inherited == nullptr) {
            return fail(exit_failed,
                        "the input has no parameter {}, which kernel {} takes; give it with --set {}=VALUE",
                        argument.name, kernel.name, argument.name);
        }
        auto bytes =
            scalar_bytes(argument.element, setting != settings.end() ? setting->second : inherited, argument.name);
        if (!bytes) {
            return tl::unexpected<Failure>(bytes.error());
        }
        values.push_back(std::move(*bytes));
        arguments.push_back({nullptr, values.back().data(), values.back().size()});
    }
    return arguments;
}

Done run(const Stage& stage, const StageOptions& options, const std::string& source, const KernelSignature& kernel) {
    const auto ports = find_ports(kernel);
    const auto settings = settings_of(options);
    if (!ports || !settings) {
        return tl::unexpected<Failure>(ports ? settings.error() : ports.error());
    }
    yoke_stream input{};
    if (auto done = check(stage, yoke_stage_input(stage.get(), &input)); !done) {
        return done;
    }
    if (!can_be(input.template_.type, ports->in->element)) {
        return fail(exit_failed, "kernel {} reads {}, but the records of the input are {}", kernel.name,
                    ports->in->element, input.template_.type);
    }
    for (const auto& [name, value] : *settings) {
        if (auto done = check(stage, yoke_stage_set_parameter(stage.get(), name.c_str(), value.c_str())); !done) {
            return done;
        }
    }
    const auto output = output_of(options, input, *ports->out);
    if (!output) {
        return tl::unexpected<Failure>(output.error());
    }
    std::vector<std::vector<std::byte>> values;
    const auto arguments = bind(stage, kernel, *settings, values);
    if (!arguments) {
        return tl::unexpected<Failure>(arguments.error());
    }
    if (auto done = check(stage, yoke_stage_output(stage.get(), &*output)); !done) {
        return done;
    }
    yoke_kernel code{};
    code.source = source.c_str();
    code.source_name = options.file.c_str();
    code.function = kernel.name.c_str();
    code.options = options.options.c_str();
    const int accepted = [&] {
        const SlowNotice notice(compiling);
        return yoke_stage_kernel(stage.get(), &code, arguments->data(), arguments->size());
    }();
    if (auto done = check(stage, accepted); !done) {
        return done;
    }
    const int ended = yoke_stage_run(stage.get());
    auto done = check(stage, ended);
    if (!done && (ended == -EIO || ended == -YOKE_ERESTART)) {
        done.error().message += hint_of_extent(input, *output);
    }
    return done;
}

}  // namespace

Done run_stage(const StageOptions& options) {
    const auto bytes = read_small_file(options.file, source_bytes_max, "kernel file");
    if (!bytes) {
        return tl::unexpected<Failure>(bytes.error());
    }
    const std::string source(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    const auto kernel = choose_kernel(options, source);
    if (!kernel) {
        return tl::unexpected<Failure>(kernel.error());
    }
    let_interrupts_kill();
    yoke_stage_options open{};
    open.socket = options.socket.empty() ? nullptr : options.socket.c_str();
    yoke_stage* opened = nullptr;
    if (const int error = yoke_stage_open(&opened, &open); error != 0) {
        return fail(exit_of(-error), "{}", yoke_stage_error(nullptr));
    }
    return run(Stage(opened), options, source, *kernel);
}

}  // namespace yoke::cli
