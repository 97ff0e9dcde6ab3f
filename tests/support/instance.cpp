// yoked runs as a child that dies with the test; its orphans come to the test, so all that was started can be seen.
#include "support/instance.hpp"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/program.hpp"
#include "control/address.hpp"
#include "support/process_tree.hpp"

namespace yoke::test {
namespace {

constexpr int start_timeout_ms = 60'000;
constexpr int end_timeout_ms = 60'000;
constexpr int answer_timeout_ms = 60'000;
constexpr const char* usual_config = "\n[lifetime]\nidle_exit_s = 60\n";

// On a busy machine nobody may come for longer than a yoked waits by default.
std::string config_of(const std::string& given) {
    return given.find("[lifetime]") == std::string::npos ? given + usual_config : given;
}

std::atomic<int> alive{0};  // instances: the last one checks for processes left over

// Variables that would make a test depend on who runs it.
bool is_foreign(std::string_view variable) {
    return variable.starts_with("YOKE_SOCKET=") || variable.starts_with("YOKE_LOG=") ||
           variable.starts_with("YOKE_AUTOSTART=") || variable.starts_with("NOTIFY_SOCKET=") ||
           variable.starts_with("XDG_CACHE_HOME=") || variable.starts_with("XDG_STATE_HOME=") ||
           variable.starts_with("STATE_DIRECTORY=") || variable.starts_with("LISTEN_");
}

std::string make_directory() {
    std::string path = (std::filesystem::temp_directory_path() / "yoke-test-XXXXXX").string();
    return ::mkdtemp(path.data()) == nullptr ? std::string() : path;
}

std::string read_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

[[noreturn]] void run_yoked(const std::string& log, uid_t user, char* const* arguments, char* const* environment,
                            pid_t parent) {
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (out < 0 || ::dup2(out, STDOUT_FILENO) < 0 || ::dup2(out, STDERR_FILENO) < 0) {
        ::_exit(126);
    }
    if (user != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(user) != 0 || ::setuid(user) != 0)) {
        ::_exit(126);
    }
    // A test that crashes takes its yoked along, and that its workers.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) {
        ::_exit(126);
    }
    ::execve(arguments[0], arguments, environment);
    ::_exit(127);
}

}  // namespace

Instance::Instance(Options options) : options_(std::move(options)), directory_(make_directory()) {
    ++alive;
    adopt_orphans();
    socket_ = directory_ + "/yoke.sock";
    if (options_.system) {
        std::filesystem::permissions(directory_, std::filesystem::perms(0711));
    }
    if (options_.user != 0 && ::chown(directory_.c_str(), options_.user, options_.user) != 0) {
        error_ = std::strerror(errno);
        return;
    }
    std::ofstream(directory_ + "/yoke.toml") << config_of(options_.config);
    if (directory_.empty()) {
        error_ = "no temporary directory can be made";
    } else if (options_.start) {
        start();
    }
}

bool Instance::start() {
    auto program = find_program("yoked");
    int ends[2] = {-1, -1};
    if (!program || ::pipe2(ends, O_CLOEXEC) != 0) {
        error_ = program ? std::strerror(errno) : program.error().message;
        return false;
    }
    const Fd reader(ends[0]);
    Fd writer(::fcntl(ends[1], F_DUPFD, 100));  // without close-on-exec
    ::close(ends[1]);
    std::vector<std::string> words{*program,     "--private",
                                   "--socket",   socket_,
                                   "--config",   directory_ + "/yoke.toml",
                                   "--ready-fd", std::to_string(writer.get())};
    std::vector<std::string> variables = options_.environment;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        if (!is_foreign(*variable)) {
            variables.emplace_back(*variable);
        }
    }
    variables.push_back("XDG_CACHE_HOME=" + (options_.cache.empty() ? directory_ + "/cache" : options_.cache));
    const std::string state = directory_ + "/state";
    if (options_.system && ::mkdir(state.c_str(), 0711) == 0) {
        ::chmod(state.c_str(), 0711);
    }
    variables.push_back((options_.system ? "STATE_DIRECTORY=" : "XDG_STATE_HOME=") + state);
    if (options_.system) {
        std::erase(words, "--private");
    }
    const auto pointers = [](std::vector<std::string>& texts) {
        std::vector<char*> made;
        std::transform(texts.begin(), texts.end(), std::back_inserter(made),
                       [](std::string& text) { return text.data(); });
        made.push_back(nullptr);
        return made;
    };
    const std::vector<char*> arguments = pointers(words);
    const std::vector<char*> environment = pointers(variables);
    const std::string log = directory_ + "/log";
    const pid_t parent = ::getpid();
    yoked_ = ::fork();
    if (yoked_ == 0) {
        run_yoked(log, options_.user, arguments.data(), environment.data(), parent);
    }
    writer.reset();
    pollfd wait{reader.get(), POLLIN, 0};
    char byte = 0;
    if (yoked_ < 0 || ::poll(&wait, 1, start_timeout_ms) != 1 || ::read(reader.get(), &byte, 1) != 1) {
        error_ = "yoked does not become ready:\n" + this->log();
        if (yoked_ > 0) {
            ::kill(yoked_, SIGKILL);
            ::waitpid(yoked_, nullptr, 0);
        }
        yoked_ = -1;
        return false;
    }
    error_.clear();
    return true;
}

int Instance::wait_for_exit(int timeout_ms) {
    int status = -1;
    const bool ended = eventually([&] { return ::waitpid(yoked_, &status, WNOHANG) == yoked_; }, timeout_ms);
    if (!ended) {
        return -1;
    }
    yoked_ = -1;
    return status;
}

int Instance::stop(int signal) {
    if (yoked_ <= 0) {
        return -1;
    }
    ::kill(yoked_, signal);
    return wait_for_exit(end_timeout_ms);
}

void Instance::kill_yoked() {
    stop(SIGKILL);
}

bool Instance::restart() {
    kill_yoked();
    return start();
}

void Instance::kill_worker(pid_t pid) {
    ::kill(pid, SIGKILL);
    const bool gone = eventually([&] {
        reap_orphans(yoked_);
        const auto left = yoke_descendants();
        return std::none_of(left.begin(), left.end(), [&](const ProcessInfo& process) { return process.pid == pid; });
    });
    EXPECT_TRUE(gone) << "worker " << pid << " survives SIGKILL";
}

Result<Fd> Instance::connect() const {
    return control::connect_to(socket_);
}

Result<control::Message> Instance::ask(const control::Json& request) const {
    auto link = connect();
    if (!link) {
        return tl::unexpected(link.error());
    }
    return control::request(*link, request, {}, answer_timeout_ms);
}

std::vector<pid_t> Instance::worker_pids() const {
    std::vector<pid_t> pids;
    if (const auto status = ask({{"op", "status"}})) {
        for (const control::Json& worker : status->body["workers"]) {
            if (worker["pid"].is_number()) {
                pids.push_back(worker["pid"].get<pid_t>());
            }
        }
    }
    return pids;
}

std::string Instance::log() const {
    return read_file(directory_ + "/log");
}

// Workers of a yoked that was killed, and their spawners, which end with them.
void Instance::end_workers() {
    for (const ProcessInfo& process : yoke_descendants()) {
        if (process.name == "yoke-worker") {
            ::kill(process.pid, SIGKILL);
        }
    }
}

Instance::~Instance() {
    const bool clean = yoked_ > 0;
    if (yoked_ > 0) {
        ::kill(yoked_, SIGCONT);
        const int status = stop(SIGTERM);
        EXPECT_TRUE(status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
            << "yoked did not end well, wait status " << status;
        if (yoked_ > 0) {
            kill_yoked();
        }
    }
    if (--alive == 0) {
        if (!clean) {
            end_workers();
        }
        const bool gone = eventually([] {
            reap_orphans(-1);
            return yoke_descendants().empty();
        });
        for (const ProcessInfo& process : gone ? std::vector<ProcessInfo>() : yoke_descendants()) {
            ADD_FAILURE() << "process " << process.pid << " (" << process.name << ") is left over";
        }
        if (!gone) {
            end_workers();
        }
    }
    if (clean) {
        check_files();
    }
    check_log();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

void Instance::check_files() {
    for (const char* name : {"yoke.sock", "secret", "workers", "lock"}) {
        EXPECT_FALSE(std::filesystem::exists(directory_ + "/" + name)) << name << " is left over";
    }
}

void Instance::check_log() {
    const std::string text = log();
    for (const char* complaint : {"Sanitizer", "runtime error:"}) {
        if (options_.check_log && text.find(complaint) != std::string::npos) {
            ADD_FAILURE() << "a sanitizer complained:\n" << text;
            return;
        }
    }
    if (testing::Test::HasFailure()) {
        std::cerr << "log of yoked and its workers:\n" << text;
    }
}

}  // namespace yoke::test
