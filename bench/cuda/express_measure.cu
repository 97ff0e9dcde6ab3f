// Answers, on one GPU and in one run, what the design of the express path assumes. Every question runs in a process of
// its own, so that one that fails takes no other along; every kernel ends by itself, and every process has an alarm.
//
//   express_measure [--only NAME,...] [--scale X] [--output FILE]
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <thread>

#include "check.hpp"
#include "measurements.hpp"

namespace {

using measure::Json;

struct Question {
    const char* name;
    Json (*answer)(double scale);
    unsigned limit_s;
};

constexpr Question kQuestions[] = {
    {"polling", measure::measure_polling, 90},
    {"echo", measure::measure_echo, 60},
    {"bulk_echo", measure::measure_bulk_echo, 60},
    {"launches", measure::measure_launches, 60},
    {"threads", measure::measure_threads, 60},
    {"relaunch", measure::measure_relaunch, 150},
    {"neighbours", measure::measure_neighbours, 120},
    {"registration", measure::measure_registration, 60},
    {"staleness", measure::measure_staleness, 150},
    {"flow", measure::measure_flow, 150},
    {"rewriting", measure::measure_rewriting, 150},
};

extern "C" void on_alarm(int) {
    static const char text[] = "the measurement took longer than its limit\n";
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0) _exit(4);
    _exit(3);
}

// Runs in the child: the answer goes to @fd as JSON.
[[noreturn]] void answer(const Question& question, double scale, int fd) {
    std::signal(SIGALRM, on_alarm);
    alarm(question.limit_s);
    measure::check(cudaSetDevice(0));
    measure::check(cudaSetDeviceFlags(cudaDeviceScheduleSpin | cudaDeviceMapHost));
    measure::check(cudaFree(nullptr));
    const std::string text = question.answer(scale).dump();
    measure::check(cudaDeviceSynchronize());
    for (size_t done = 0; done < text.size();) {
        const ssize_t n = write(fd, text.data() + done, text.size() - done);
        if (n <= 0) _exit(1);
        done += static_cast<size_t>(n);
    }
    _exit(0);
}

Json ask(const Question& question, double scale) {
    int fds[2];
    if (pipe(fds) != 0) measure::die("no pipe");
    const uint64_t begin = measure::now_ns();
    const pid_t child = fork();
    if (child == 0) {
        close(fds[0]);
        answer(question, scale, fds[1]);
    }
    close(fds[1]);
    std::string text;
    char buffer[65536];
    for (ssize_t n; (n = read(fds[0], buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(n));
    close(fds[0]);
    int status = 0;
    waitpid(child, &status, 0);
    Json json;
    json["seconds"] = static_cast<double>(measure::now_ns() - begin) * 1e-9;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        json["answer"] = Json::parse(text);
    else
        json["error"] = WIFEXITED(status) ? "exit status " + std::to_string(WEXITSTATUS(status))
                                          : "signal " + std::to_string(WTERMSIG(status));
    return json;
}

std::string first_line(const char* path, const char* prefix) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        if (line.compare(0, std::strlen(prefix), prefix) == 0) return line;
    return "";
}

// In a child as well: the parent never opens the device.
[[noreturn]] void describe(int fd) {
    cudaDeviceProp properties;
    int driver = 0, runtime = 0;
    measure::check(cudaGetDeviceProperties(&properties, 0));
    measure::check(cudaDriverGetVersion(&driver));
    measure::check(cudaRuntimeGetVersion(&runtime));
    measure::Samples clock;
    for (int k = 0; k < 100000; k++) {
        const uint64_t begin = measure::now_ns();
        clock.add(measure::now_ns() - begin);
    }
    const Json json = {
        {"device", properties.name},
        {"sms", properties.multiProcessorCount},
        {"driver", first_line("/proc/driver/nvidia/version", "NVRM")},
        {"cuda_driver_api", driver},
        {"cuda_runtime", runtime},
        {"cpu", first_line("/proc/cpuinfo", "model name")},
        {"cpus", std::thread::hardware_concurrency()},
        {"clocksource", first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", "")},
        {"clock_read", clock.summary()}};
    const std::string text = json.dump();
    _exit(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
}

Json machine() {
    int fds[2];
    if (pipe(fds) != 0) measure::die("no pipe");
    const pid_t child = fork();
    if (child == 0) describe(fds[1]);
    close(fds[1]);
    char buffer[8192];
    const ssize_t n = read(fds[0], buffer, sizeof(buffer));
    close(fds[0]);
    waitpid(child, nullptr, 0);
    return n > 0 ? Json::parse(buffer, buffer + n) : Json();
}

}  // namespace

int main(int argc, char** argv) {
    std::string only, output;
    double scale = 1;
    for (int k = 1; k < argc; k++) {
        const std::string option = argv[k];
        const bool known = option == "--only" || option == "--scale" || option == "--output";
        if (!known || k + 1 == argc) {
            std::cerr << "usage: express_measure [--only NAME,...] [--scale X] [--output FILE]\n";
            return 2;
        }
        const char* value = argv[++k];
        if (option == "--only") only = std::string(",") + value + ",";
        if (option == "--scale") scale = std::atof(value);
        if (option == "--output") output = value;
    }
    // Code that is loaded on first use would wait for the resident kernel to end.
    setenv("CUDA_MODULE_LOADING", "EAGER", 1);
    Json report = {{"program", "express_measure"}, {"scale", scale}, {"machine", machine()}};
    int failed = 0;
    for (const Question& question : kQuestions) {
        if (!only.empty() && only.find("," + std::string(question.name) + ",") == std::string::npos) continue;
        const Json result = ask(question, scale);
        failed += result.contains("error");
        std::cerr << question.name << ": " << result["seconds"] << " s" << (result.contains("error") ? ", failed" : "")
                  << "\n";
        report[question.name] = result;
        if (!output.empty()) std::ofstream(output) << report.dump(1) << "\n";
    }
    if (output.empty()) std::cout << report.dump(1) << "\n";
    return failed == 0 ? 0 : 1;
}
