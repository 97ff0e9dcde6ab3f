// See stage_claim.hpp.
#include "client/stage_claim.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "base/log.hpp"
#include "client/broker.hpp"
#include "control/message.hpp"

namespace yoke::client {
namespace {

constexpr int answer_ms = 2000;  // yoked answers claims at once; a machine under load is slow

bool is_pipe(int fd) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    std::array<char, 8> text{};
    const ssize_t length = ::readlink(path.c_str(), text.data(), text.size());
    return length > 0 && std::string_view(text.data(), static_cast<std::size_t>(length)).starts_with("pipe:[");
}

bool forbidden() {
    const char* value = ::getenv("YOKE_STAGE");
    return value != nullptr && std::string_view(value) == "pipe";
}

}  // namespace

std::unique_ptr<StageClaim> StageClaim::make(const ClaimOptions& options) {
    if (forbidden() || !is_pipe(options.fd)) {
        return nullptr;
    }
    auto broker = connect_to_broker(options.socket, Autostart::yes);
    if (!broker) {
        log_debug(Topic::client, "no pipe can become a channel", {{"error", broker.error().message}});
        return nullptr;
    }
    const control::TemplateDefinition& form = options.stream.form;
    const control::Json body{{"op", "claim_pipe"},
                             {"direction", options.end == StageEnd::writer ? "out" : "in"},
                             {"fd", options.fd},
                             {"template", {{"type", form.type}, {"extent", form.extent}, {"stride", 0}}},
                             {"variable", options.stream.variable},
                             {"raw", options.raw}};
    auto answer = control::request(*broker, body, {}, answer_ms);
    if (!answer) {
        log_debug(Topic::client, "yoked does not take the claim of a pipe", {{"error", answer.error().message}});
        return nullptr;
    }
    ::fcntl(broker->get(), F_SETFL, O_NONBLOCK);
    return std::unique_ptr<StageClaim>(new StageClaim(std::move(*broker)));
}

void StageClaim::look() {
    while (socket_) {
        auto message = control::receive(socket_);
        if (!message && message.error().code == EAGAIN) {
            return;
        }
        if (!message || !*message) {
            socket_.reset();  // yoked is gone or speaks another language: nobody new will be introduced
            return;
        }
        control::Json& body_untrusted = (*message)->body;
        const auto op = body_untrusted.find("op");
        const auto pair = body_untrusted.find("pair");
        if (op == body_untrusted.end() || pair == body_untrusted.end() || !pair->is_number_unsigned()) {
            continue;
        }
        if (*op == "part") {
            parted_ = pair->get<std::uint64_t>();
            if (introduced_ && introduced_->pair() == parted_) {
                introduced_.reset();
            }
        } else if (*op == "pair" && (*message)->fds.size() == 2) {
            introduced_.emplace(pair->get<std::uint64_t>(), std::move((*message)->fds[0]),
                                std::move((*message)->fds[1]));
        }
    }
}

std::optional<StagePact> StageClaim::take_introduced() {
    return std::exchange(introduced_, std::nullopt);
}

void StageClaim::tell(std::uint64_t pair, const char* state, const std::string& why) {
    if (socket_) {
        const auto told = control::send(
            socket_, {{"op", "pipe_state"}, {"pair", pair}, {"state", state}, {"why", why.substr(0, 255)}});
        if (!told) {
            log_debug(Topic::client, "yoked is not told of a pipe", {{"error", told.error().message}});
        }
    }
}

}  // namespace yoke::client
