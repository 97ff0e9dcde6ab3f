// The tree is read from /proc each time: slow and simple, and right also for processes that change their parent.
#include "support/process_tree.hpp"

#include <dirent.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <thread>

#include "base/file.hpp"

namespace yoke::test {
namespace {

struct Stat {
    ProcessInfo info;
    char state = 'X';
};

Stat stat_of(pid_t pid) {
    const std::string text = read_file("/proc/" + std::to_string(pid) + "/stat").value_or("");
    const std::size_t open = text.find('(');
    const std::size_t close = text.rfind(')');
    Stat stat;
    if (open == std::string::npos || close == std::string::npos) {
        return stat;
    }
    stat.info.pid = pid;
    stat.info.name = text.substr(open + 1, close - open - 1);
    std::istringstream rest(text.substr(close + 1));
    rest >> stat.state >> stat.info.parent;
    return stat;
}

std::vector<Stat> all_processes() {
    std::vector<Stat> all;
    const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), &::closedir);
    while (const dirent* entry = proc ? ::readdir(proc.get()) : nullptr) {
        const pid_t pid = std::atoi(entry->d_name);
        if (pid > 0) {
            all.push_back(stat_of(pid));
        }
    }
    return all;
}

}  // namespace

void adopt_orphans() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

std::vector<ProcessInfo> descendants() {
    const std::vector<Stat> all = all_processes();
    std::set<pid_t> ours{::getpid()};
    for (bool grown = true; grown;) {
        grown = false;
        for (const Stat& process : all) {
            grown =
                (process.info.pid != 0 && ours.contains(process.info.parent) && ours.insert(process.info.pid).second) ||
                grown;
        }
    }
    std::vector<ProcessInfo> found;
    for (const Stat& process : all) {
        if (process.info.pid != ::getpid() && ours.contains(process.info.pid) && process.state != 'Z' &&
            process.state != 'X') {
            found.push_back(process.info);
        }
    }
    return found;
}

std::vector<ProcessInfo> yoke_descendants() {
    std::vector<ProcessInfo> found = descendants();
    std::erase_if(found, [](const ProcessInfo& process) {
        return process.name != "yoked" && process.name != "yoke-worker" && process.name != "yoke-compile" &&
               process.name != "yoke-spawner";
    });
    return found;
}

std::size_t zombies_of(pid_t parent) {
    const std::vector<Stat> all = all_processes();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const Stat& process) {
        return process.info.parent == parent && process.state == 'Z';
    }));
}

bool stop(pid_t pid) {
    return ::kill(pid, SIGSTOP) == 0 && eventually([&] {
               std::error_code gone;
               std::filesystem::directory_iterator threads("/proc/" + std::to_string(pid) + "/task", gone);
               return !gone && std::all_of(begin(threads), end(threads), [](const auto& thread) {
                   std::ifstream stat(thread.path() / "stat");
                   std::string line;
                   std::getline(stat, line);
                   return line.find(") T ") != std::string::npos;
               });
           });
}

bool eventually(const std::function<bool()>& condition, int timeout_ms) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= deadline) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

void reap_orphans(pid_t except) {
    for (const Stat& process : all_processes()) {
        if (process.info.parent == ::getpid() && process.state == 'Z' && process.info.pid != except &&
            process.info.name.starts_with("yoke")) {
            ::waitpid(process.info.pid, nullptr, WNOHANG);
        }
    }
}

}  // namespace yoke::test
