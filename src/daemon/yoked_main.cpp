// yoked: the broker of yoke (docs/daemon.md).
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include <yoke/yoke.h>
#include <CLI/CLI.hpp>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/program.hpp"
#include "daemon/broker.hpp"
#include "daemon/config.hpp"
#include "daemon/instance.hpp"
#include "daemon/state_directory.hpp"

namespace yoke::daemon {
namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

struct Arguments {
    std::string socket;
    std::string config;
    int ready_fd = -1;
    bool private_instance = false;
    bool check = false;
    bool default_config = false;
};

int report(const Error& error) {
    fmt::print(stderr, "yoked: {}\n", error.message);
    return exit_failed;
}

// A standard stream that was closed must not become the next file or socket: messages would be written to it.
void occupy_standard_streams() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(fd, F_GETFD) < 0) {
            static_cast<void>(::open("/dev/null", O_RDWR));  // the lowest free number is this one
        }
    }
}

// One descriptor for each session that waits to be handed over, some for each worker: as many as we may have.
void raise_descriptor_limit() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        if (::setrlimit(RLIMIT_NOFILE, &files) != 0) {
            log_warning(Topic::daemon, "limit of descriptors cannot be raised", {});
        }
    }
}

Result<Config> read_config(const Arguments& arguments) {
    return arguments.config.empty() ? load_config(config_path(arguments.private_instance), false)
                                    : load_config(arguments.config, true);
}

// Both the service manager and a parent that passed --ready-fd wait for this.
void tell_ready(int ready_fd) {
    sd_notify(0, "READY=1");
    if (ready_fd >= 0) {
        const char byte = '1';
        if (::write(ready_fd, &byte, 1) != 1) {
            log_debug(Topic::daemon, "nobody waits for readiness", {});
        }
        ::close(ready_fd);
    }
}

void reload(Broker& broker, const Arguments& arguments) {
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", static_cast<unsigned long long>(now_ns() / 1000));
    auto config = read_config(arguments);
    Status levels;
    if (config) {
        levels = configure_log(log_spec(*config));
    }
    if (!config || !levels) {
        log_error(Topic::daemon, "configuration is not applied",
                  {{"error", config ? levels.error().message : config.error().message}});
    } else {
        broker.set_config(std::move(*config));
        log_info(Topic::daemon, "configuration reloaded", {});
    }
    sd_notify(0, "READY=1");
}

Result<int> serve(Instance& instance, const Arguments& arguments, Config config) {
    auto worker_program = find_program("yoke-worker");
    if (!worker_program) {
        return tl::unexpected(worker_program.error());
    }
    auto loop = control::Loop::create();
    if (!loop) {
        return tl::unexpected(loop.error());
    }
    auto broker =
        Broker::create(*loop,
                       {std::move(config), arguments.private_instance, instance.socket_path(), instance.directory(),
                        std::move(*worker_program), StateDirectory::find(arguments.private_instance)},
                       instance.take_listener());
    if (!broker) {
        return tl::unexpected(broker.error());
    }
    (*broker)->on_change = [broker = broker->get()] { sd_notify(0, ("STATUS=" + broker->summary()).c_str()); };
    (*broker)->on_shut_down = [&instance] { instance.stop_listening(); };
    const auto end = [broker = broker->get()](std::uint32_t) { broker->shut_down(); };
    auto on_term = loop->on_signal(SIGTERM, end);
    auto on_interrupt = loop->on_signal(SIGINT, end);
    auto on_hangup = loop->on_signal(SIGHUP, [&](std::uint32_t) { reload(**broker, arguments); });
    for (const auto* source : {&on_term, &on_interrupt, &on_hangup}) {
        if (!*source) {
            return tl::unexpected(source->error());
        }
    }
    log_info(Topic::daemon, "yoked serves", {{"socket", instance.socket_path()}, {"pid", ::getpid()}});
    tell_ready(arguments.ready_fd);
    auto code = loop->run();
    sd_notify(0, "STOPPING=1");
    return code;
}

int run(const Arguments& arguments) {
    if (arguments.default_config) {
        fmt::print("{}", default_config());
        return 0;
    }
    auto config = read_config(arguments);
    if (!config) {
        return report(config.error());
    }
    if (arguments.check) {
        return 0;
    }
    if (auto levels = configure_log(log_spec(*config)); !levels) {
        return report(levels.error());
    }
    ::signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    auto instance = Instance::claim(arguments.socket, arguments.private_instance);
    if (!instance) {
        return report(instance.error());
    }
    if (instance->served_by_another()) {
        log_info(Topic::daemon, "another yoked serves already", {{"socket", instance->socket_path()}});
        tell_ready(arguments.ready_fd);
        return 0;
    }
    const auto code = serve(*instance, arguments, std::move(*config));
    if (!code) {
        return report(code.error());
    }
    instance->clean_up();
    return *code;
}

}  // namespace
}  // namespace yoke::daemon

int main(int argc, char** argv) {
    yoke::daemon::occupy_standard_streams();
    // Libraries throw when memory is used up or an option of the command line is declared wrongly.
    try {
        yoke::daemon::Arguments arguments;
        CLI::App app{"The broker of yoke: accounts, workers, sessions."};
        app.set_version_flag("--version",
                             fmt::format("yoked {}.{}.{}", YOKE_VERSION_MAJOR, YOKE_VERSION_MINOR, YOKE_VERSION_PATCH));
        app.add_option("--socket", arguments.socket, "Path of the socket to listen at (default: that of the instance)");
        app.add_flag("--private", arguments.private_instance, "Serve one user, end when idle");
        app.add_option("--config", arguments.config,
                       "Configuration file (default: that of the instance, if it is there)");
        app.add_flag("--check", arguments.check, "Check the configuration and exit");
        app.add_flag("--default-config", arguments.default_config, "Print every option at its default and exit");
        app.add_option("--ready-fd", arguments.ready_fd, "Write one byte to this descriptor once clients can connect");
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return app.exit(error) == 0 ? 0 : yoke::daemon::exit_usage;
        }
        return yoke::daemon::run(arguments);
    } catch (const std::exception& error) {
        std::fputs("yoked: ", stderr);
        std::fputs(error.what(), stderr);
        std::fputs("\n", stderr);
        return yoke::daemon::exit_failed;
    }
}
