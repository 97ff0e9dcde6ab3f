// See last_words.hpp. The handler calls nothing that takes a lock of this process, but for dladdr(): the faulting
// thread is in a kernel, hence not in the loader.
#include "worker/last_words.hpp"

#include <dlfcn.h>
#include <sys/socket.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <string_view>

#include "base/text.hpp"
#include "control/message.hpp"
#include "graph/kernel_mark.hpp"

namespace yoke::worker {

namespace {

constexpr std::array<int, 4> faults{SIGSEGV, SIGBUS, SIGILL, SIGABRT};

std::atomic<int> last_socket{-1};
std::array<struct sigaction, faults.size()> before;

// Text in fixed room; what does not fit is left out.
class Line {
   public:
    void add(std::string_view text) {
        const std::size_t bytes = std::min(text.size(), room_.size() - used_);
        std::copy_n(text.begin(), bytes, room_.begin() + static_cast<std::ptrdiff_t>(used_));
        used_ += bytes;
    }
    void add(unsigned number) {
        if (number >= 10) {
            add(number / 10);
        }
        const char digit = static_cast<char>('0' + number % 10);
        add(std::string_view(&digit, 1));
    }
    [[nodiscard]] std::string_view text() const { return {room_.data(), used_}; }

   private:
    std::array<char, 1024> room_{};
    std::size_t used_ = 0;
};

void send_line(std::string_view text) {
    const int socket = last_socket.load();
    if (socket >= 0) {
        [[maybe_unused]] const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

const void* instruction(const void* context) {
#if defined(__x86_64__)
    const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
    return reinterpret_cast<const void*>(registers[REG_RIP]);  // NOLINT(performance-no-int-to-ptr): it is an address
#elif defined(__aarch64__)
    // NOLINTNEXTLINE(performance-no-int-to-ptr): it is an address
    return reinterpret_cast<const void*>(static_cast<const ucontext_t*>(context)->uc_mcontext.pc);
#else
    static_cast<void>(context);
    return nullptr;
#endif
}

// The kernel function that the instruction belongs to; "" for other code. PoCL's code of a kernel is a library of its
// name.
std::string_view kernel_at(const void* address) {
    Dl_info info{};
    if (address == nullptr || ::dladdr(address, &info) == 0 || info.dli_fname == nullptr) {
        return {};
    }
    std::string_view name = info.dli_fname;
    name.remove_prefix(std::min(name.rfind('/') + 1, name.size()));
    const std::size_t end = name.rfind(".so");
    name = name.substr(0, end);
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
    return plain && graph::last_launched(name) != nullptr ? name : std::string_view();
}

void compose(Line& line, int number, std::string_view function) {
    const char* const ptask = graph::last_launched(function);
    line.add(R"({"op":"last_words","object":")");
    line.add(ptask != nullptr ? ptask : "");
    line.add(R"(","why":")");
    if (!function.empty()) {
        line.add("its kernel ");
        line.add(function);
        line.add(" did what is not allowed (signal ");
        line.add(static_cast<unsigned>(number));
        line.add("); it probably reads or writes outside its buffers");
    } else if (ptask != nullptr) {
        line.add("signal ");
        line.add(static_cast<unsigned>(number));
        line.add(
            " outside of any kernel; that ptask was the last to be launched, and its kernel may have written "
            "outside its buffers");
    } else {
        line.add("signal ");
        line.add(static_cast<unsigned>(number));
    }
    line.add(R"("})");
}

void on_fault(int number, siginfo_t* /*info*/, void* context) {
    // A fault in here, and the same one when this returns, go to whoever handled it before.
    const auto place = static_cast<std::size_t>(std::find(faults.begin(), faults.end(), number) - faults.begin());
    ::sigaction(number, &before.at(place), nullptr);
    Line line;
    compose(line, number, number == SIGABRT ? std::string_view() : kernel_at(instruction(context)));
    send_line(line.text());
}

}  // namespace

void tell_faults() {
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (std::size_t place = 0; place < faults.size(); ++place) {
        ::sigaction(faults.at(place), &action, &before.at(place));
    }
}

void set_last_words_socket(int socket) {
    last_socket.store(socket);
}

void say_last_words(const std::string& object, const std::string& why) {
    const control::Json words{{"op", "last_words"}, {"object", object}, {"why", printable(why, 512)}};
    send_line(words.dump(-1, ' ', false, control::Json::error_handler_t::replace));
}

}  // namespace yoke::worker
