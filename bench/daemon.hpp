// The yoked of a benchmark, in a runtime directory of its own: the first session starts it, and it ends with this.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include <yoke/yoke.hpp>

namespace yoke::bench {

class Daemon {
   public:
    // @configuration: text of its yoke.toml; "": the defaults.
    explicit Daemon(const std::string& configuration = "") {
        directory_ = (std::filesystem::temp_directory_path() / "yoke-bench-XXXXXX").string();
        if (::mkdtemp(directory_.data()) == nullptr) {
            std::fprintf(stderr, "bench: no temporary directory can be made\n");
            std::_Exit(1);
        }
        ::setenv("XDG_RUNTIME_DIR", directory_.c_str(), 1);
        ::unsetenv("YOKE_SOCKET");
        if (!configuration.empty()) {
            std::filesystem::create_directory(directory_ + "/yoke");
            std::filesystem::permissions(directory_ + "/yoke", std::filesystem::perms::owner_all);
            std::ofstream(directory_ + "/yoke/yoke.toml") << configuration;
            ::setenv("XDG_CONFIG_HOME", directory_.c_str(), 1);
        }
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon() {
        ask(R"({"op": "shutdown"})");
        for (int tries = 0; std::filesystem::exists(directory_ + "/yoke/yoke.sock") && tries < 500; ++tries) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }

    // Null when there is no answer.
    static nlohmann::json ask(const char* request, bool autostart = false) {
        char* answer = nullptr;
        const int status = yoke_ask_daemon(nullptr, autostart ? 1 : 0, request, &answer);
        auto json = status >= 0 && answer != nullptr ? nlohmann::json::parse(answer, nullptr, false) : nlohmann::json();
        std::free(answer);
        return json;
    }
    [[nodiscard]] const std::string& directory() const { return directory_; }

   private:
    std::string directory_;
};

}  // namespace yoke::bench
