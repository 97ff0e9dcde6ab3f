// See daemon.hpp.
#include "cli/daemon.hpp"

#include <stdlib.h>
#include <unistd.h>
#include <yoke/yoke.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "cli/interrupt.hpp"

namespace yoke::cli {
namespace {

constexpr std::chrono::seconds patience_with_worker{5};
constexpr int ask_again_ms = 10;

}  // namespace

Outcome<nlohmann::json> ask_daemon(const std::string& socket, const nlohmann::json& request) {
    char* text = nullptr;
    const int error = yoke_ask_daemon(socket.empty() ? nullptr : socket.c_str(), 0, request.dump().c_str(), &text);
    const std::unique_ptr<char, decltype(&::free)> owner(text, &::free);
    if (error == -ENOTCONN) {
        return fail(
            exit_no_daemon,
            "yoked is not running{}; any program that uses yoke starts one (try `yoke call echo`), or start the "
            "system's: systemctl start yoked.socket",
            socket.empty() ? "" : " at " + socket);
    }
    if (error != 0) {
        const std::string sentence = yoke_error(nullptr);
        return fail(exit_of(-error), "yoked did not answer: {}", sentence.empty() ? std::strerror(-error) : sentence);
    }
    auto answer = nlohmann::json::parse(text, nullptr, false);
    if (!answer.is_object()) {
        return fail(exit_failed, "yoked gave an answer that is no JSON object; do versions differ? see `yoke version`");
    }
    if (!answer.value("ok", true)) {
        const int code = answer.value("errno", EIO);
        return fail(code == ENOENT ? static_cast<int>(exit_no_object) : exit_of(code), "{}",
                    answer.value("error", std::string("yoked refused the request")));
    }
    return answer;
}

bool is_stale(const nlohmann::json& answer) {
    const auto accounts = answer.value("stale", nlohmann::json::array());
    return std::ranges::find(accounts, nlohmann::json(::getuid())) != accounts.end();
}

Outcome<nlohmann::json> ask_list(const std::string& socket, const std::string& kind) {
    nlohmann::json request{{"op", "list"}};
    if (!kind.empty()) {
        request["kind"] = kind;
    }
    const auto until = std::chrono::steady_clock::now() + patience_with_worker;
    for (;;) {
        auto answer = ask_daemon(socket, request);
        if (!answer || !is_stale(*answer) || interrupted() || std::chrono::steady_clock::now() > until) {
            return answer;
        }
        static_cast<void>(wait_readable(-1, ask_again_ms));
    }
}

}  // namespace yoke::cli
