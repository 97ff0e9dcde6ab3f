// SPDX-License-Identifier: Apache-2.0
//
// stage.hpp: stages of shell pipelines for C++20, header-only over stage.h, which has the format and the error numbers
//
//     int main() {                                                  // halves every value
//         return yoke::stage_main("halve", [] {
//             yoke::Stage stage;
//             const yoke_stream stream = stage.input();
//             stage.output(stream);
//             stage.kernel(kernel, {"in", "out"});                  // a yoke_kernel; or each record by hand:
//             stage.run();                                          // while (auto bytes = stage.read(room)) ...
//         });
//     }
#ifndef YOKE_STAGE_HPP
#define YOKE_STAGE_HPP

#include <charconv>
#include <cstdio>
#include <string_view>
#include <vector>

#include <yoke/stage.h>
#include <yoke/yoke.hpp>

namespace yoke {

// Records with this template: Records(Form("f32", {640, 480})).
struct Records : yoke_stream {
    explicit Records(const yoke_template& form, bool variable_length = false) : yoke_stream{} {
        template_ = form;
        variable = variable_length ? 1 : 0;
    }
};

class Stage {
   public:
    explicit Stage(const yoke_stage_options& options = {}) { check(yoke_stage_open(&stage_, &options)); }
    // A stage that reads nothing, and one that writes nothing.
    static Stage source() { return with(YOKE_STAGE_SOURCE); }
    static Stage sink() { return with(YOKE_STAGE_SINK); }
    Stage(Stage&& other) noexcept : stage_(std::exchange(other.stage_, nullptr)) {}
    Stage& operator=(Stage&& other) noexcept {
        std::swap(stage_, other.stage_);
        return *this;
    }
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
    ~Stage() { yoke_stage_close(stage_); }

    [[nodiscard]] yoke_stage* get() const noexcept { return stage_; }

    // The input's header.
    yoke_stream input() {
        yoke_stream stream{};
        check(yoke_stage_input(stage_, &stream));
        return stream;
    }
    [[nodiscard]] std::optional<std::string> parameter(const std::string& name) const {
        const char* value = yoke_stage_parameter(stage_, name.c_str());
        return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
    }
    // A parameter that must be there and be a number.
    [[nodiscard]] double number(const std::string& name) const {
        const auto text = parameter(name);
        double value = 0;
        if (!text) {
            throw error(ENOENT, "the input has no parameter " + name + "; let the stage before this one give it");
        }
        const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), value);
        if (code != std::errc() || end != text->data() + text->size()) {
            throw error(EINVAL, "parameter " + name + " of the input is " + *text + ", which is no number");
        }
        return value;
    }
    void set(const std::string& name, const std::string& value) {
        check(yoke_stage_set_parameter(stage_, name.c_str(), value.c_str()));
    }
    void set(const std::string& name, double value) {
        std::array<char, 32> text{};
        const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
        set(name, std::string(text.data(), end));
    }
    // Does not pass on a parameter of the input.
    void drop(const std::string& name) { check(yoke_stage_set_parameter(stage_, name.c_str(), nullptr)); }
    // Says what the output's records are; for when its header goes out, see yoke_stage_output.
    void output(const yoke_stream& stream) { check(yoke_stage_output(stage_, &stream)); }

    // Bytes of the next record, which is then in `room`; nothing at the end of the stream.
    std::optional<std::size_t> read(std::span<std::byte> room) {
        std::size_t length = 0;
        const int status = yoke_stage_read(stage_, room.data(), room.size(), &length);
        if (status == -ENODATA) {
            return std::nullopt;
        }
        check(status);
        return length;
    }
    void write(std::span<const std::byte> record) { check(yoke_stage_write(stage_, record.data(), record.size())); }
    // Memory for the next record of so many bytes, from where write() need not copy it.
    [[nodiscard]] std::span<std::byte> room(std::size_t bytes) {
        void* memory = nullptr;
        check(yoke_stage_room(stage_, bytes, &memory));
        return {static_cast<std::byte*>(memory), bytes};
    }

    // Ends the output; the destructor does that, too, but says nothing of what went wrong.
    void end() { check(yoke_stage_end(stage_)); }

    // The session for graph() or for a source's records, with room for `bytes` in its arena; it belongs to the stage.
    [[nodiscard]] yoke_session* session(std::uint64_t bytes = 0) {
        yoke_session* session = yoke_stage_session(stage_, bytes);
        if (session == nullptr) {
            throw error(ENOTCONN, yoke_stage_error(stage_));
        }
        return session;
    }
    // Name that the graph for graph() must have.
    [[nodiscard]] std::string graph_name() { return yoke_stage_graph_name(stage_); }
    void kernel(const yoke_kernel& kernel, std::initializer_list<Argument> arguments) {
        std::vector<yoke_argument> raw;
        for (const Argument& argument : arguments) {
            raw.push_back(argument.raw());
        }
        check(yoke_stage_kernel(stage_, &kernel, raw.data(), raw.size()));
    }
    void graph(const std::string& in, const std::string& out) {
        check(yoke_stage_graph(stage_, in.c_str(), out.c_str()));
    }
    void run() { check(yoke_stage_run(stage_)); }

   private:
    static Stage with(std::uint32_t flags) {
        yoke_stage_options options{};
        options.flags = flags;
        return Stage(options);
    }
    void check(int status) const {
        if (status < 0) {
            throw error(-status, yoke_stage_error(stage_));
        }
    }

    yoke_stage* stage_ = nullptr;
};

// Runs `body` and gives the exit code of main(): 0 ok, 1 failed, 3 no daemon, 4 no permission, as the command yoke
// does. Says what failed on the standard error, but for a reader that has gone.
template <typename Body>
int stage_main(const char* name, Body&& body) {
    try {
        body();
        return 0;
    } catch (const error& failure) {
        if (failure.code() != EPIPE) {
            std::fprintf(stderr, "%s: %s\n", name, failure.what());
        }
        return failure.code() == ENOTCONN ? 3 : failure.code() == EACCES || failure.code() == EPERM ? 4 : 1;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "%s: %s\n", name, failure.what());
        return 1;
    }
}

}  // namespace yoke

#endif  // YOKE_STAGE_HPP
