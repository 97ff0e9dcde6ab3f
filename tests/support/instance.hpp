// A private yoked in a directory of its own, for tests of whole programs.
//
//     yoke::test::Instance instance;                       // starts yoked and waits until it is ready
//     ASSERT_TRUE(instance.ready()) << instance.error();
//     ::setenv("YOKE_SOCKET", instance.socket().c_str(), 1);
//
// Its destructor ends everything that was started, and fails the test when a process is left over, when a file of
// yoked's is, or when a sanitizer has complained in one of its processes. Several may live at a time.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "control/message.hpp"

namespace yoke::test {

class Instance {
   public:
    struct Options {
        std::string config;                    // TOML; without [lifetime]: a minute until it ends by idleness
        std::vector<std::string> environment;  // "NAME=VALUE" in addition to this process's
        bool start = true;
        bool system = false;    // not --private: other users may connect, and root serves them
        uid_t user = 0;         // not 0: yoked runs as this user (needs root)
        bool check_log = true;  // fail on sanitizers' messages in the log
        std::string cache{};    // compiled kernels that outlive the instance; "" : its own, gone with it
    };
    Instance() : Instance(Options()) {}
    explicit Instance(Options options);
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;
    ~Instance();

    [[nodiscard]] bool ready() const { return yoked_ > 0; }
    [[nodiscard]] const std::string& error() const { return error_; }
    [[nodiscard]] const std::string& directory() const { return directory_; }  // mode 0700
    [[nodiscard]] const std::string& socket() const { return socket_; }
    [[nodiscard]] pid_t yoked_pid() const { return yoked_; }
    // Asks yoked; empty when it does not answer.
    [[nodiscard]] std::vector<pid_t> worker_pids() const;
    // Everything that yoked and its workers have written to stderr.
    [[nodiscard]] std::string log() const;

    // Starts yoked (again); false with error() when it is not ready within a minute.
    bool start();
    // Sends a signal to yoked and waits for its end; returns its wait status, -1 if it runs on after a minute.
    int stop(int signal);
    void kill_yoked();            // SIGKILL; workers go on
    void kill_worker(pid_t pid);  // SIGKILL, then waits until the process is gone
    bool restart();               // kill_yoked() and start()
    // Waits for the end of a yoked that ends by itself; its exit status, -1 after `timeout_ms`.
    int wait_for_exit(int timeout_ms);

    // A connection to yoked, and one request over a fresh connection.
    [[nodiscard]] Result<Fd> connect() const;
    [[nodiscard]] Result<control::Message> ask(const control::Json& request) const;

   private:
    void end_workers();
    void check_files();
    void check_log();

    Options options_;
    std::string directory_;
    std::string socket_;
    std::string error_;
    pid_t yoked_ = -1;
};

}  // namespace yoke::test
