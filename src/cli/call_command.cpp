// `yoke call SERVICE`: a service over a stream. The key comes from a file, never from an argument, and is wiped here as
// soon as libyoke has it.
#include <string.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <optional>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/file.hpp"
#include "cli/session.hpp"
#include "cli/stream.hpp"

namespace yoke::cli {
namespace {

constexpr std::size_t key_bytes_max = 64;

// Bytes that are overwritten when they go out of scope.
class SecretBytes {
   public:
    explicit SecretBytes(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
    SecretBytes(SecretBytes&&) = default;
    SecretBytes& operator=(SecretBytes&&) = delete;
    SecretBytes(const SecretBytes&) = delete;
    SecretBytes& operator=(const SecretBytes&) = delete;
    ~SecretBytes() {
        if (!bytes_.empty()) {  // moved from: nothing is left, not even an address
            ::explicit_bzero(bytes_.data(), bytes_.size());
        }
    }
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

   private:
    std::vector<std::byte> bytes_;
};

Outcome<SecretBytes> read_key(const CallOptions& options, std::uint16_t service) {
    const std::string& path = *options.key_file;
    if (path == "-" && options.input == "-") {
        return fail(exit_usage, "the key and the data cannot both come from the standard input; name a file with -i");
    }
    struct stat status {};
    if (path != "-" && ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
        (status.st_mode & S_IROTH) != 0) {
        say("yoke: warning: everybody on this machine can read key file {}; chmod 600 it", path);
    }
    auto bytes = read_small_file(path, key_bytes_max, "key file");
    if (!bytes) {
        return tl::unexpected<Failure>(bytes.error());
    }
    SecretBytes secret(std::move(*bytes));
    if (auto done = check_key_length(service, secret.bytes().size(), path); !done) {
        return tl::unexpected<Failure>(done.error());
    }
    return secret;
}

struct Place {
    std::uint8_t asked = YOKE_PLACE_AUTO;
    Session session;
};

Outcome<Place> open_place(const CallOptions& options, std::uint64_t data_bytes) {
    Place place;
    SessionNeeds needs;
    needs.socket = options.socket;
    needs.data_bytes = data_bytes;
    needs.local = options.place == "caller";
    place.asked = options.place == "caller"   ? std::uint8_t{YOKE_PLACE_CALLER}
                  : options.place == "worker" ? std::uint8_t{YOKE_PLACE_WORKER}
                                              : std::uint8_t{YOKE_PLACE_AUTO};
    auto session = open_session(needs);
    if (!session && place.asked == YOKE_PLACE_AUTO && session.error().exit != exit_usage) {
        say("yoke: note: running in this process, because no worker can be had: {}", session.error().message);
        needs.local = true;
        session = open_session(needs);
    }
    if (!session) {
        return tl::unexpected<Failure>(session.error());
    }
    place.session = std::move(*session);
    return place;
}

void print_summary(const CallOptions& options, const Summary& summary, std::uint64_t wall_ns) {
    nlohmann::ordered_json json;
    json["service"] = options.service;
    json["calls"] = summary.calls;
    json["in_bytes"] = summary.in_bytes;
    json["out_bytes"] = summary.out_bytes;
    json["places"] = nlohmann::ordered_json::array();
    for (const auto& [place, calls] : summary.places) {
        json["places"].push_back(
            {{"where", place_name(place.first)}, {"why", reason_name(place.second)}, {"calls", calls}});
    }
    json["queued_ns"] = summary.queued_ns;
    json["run_ns"] = summary.run_ns;
    json["wall_ns"] = wall_ns;
    say("{}", json.dump());
}

// The stream between opened ends; returns what it did.
Outcome<Summary> run_stream(const CallOptions& options, Recipe& recipe, Input& input, Output& output) {
    std::optional<SecretBytes> secret;
    if (recipe.needs_key()) {
        auto bytes = read_key(options, recipe.service());
        if (!bytes) {
            return tl::unexpected<Failure>(bytes.error());
        }
        secret.emplace(std::move(*bytes));
    }
    Stream stream(recipe, input, output, recipe.service() == YOKE_SERVICE_SHA256 && !options.binary);
    const auto data_bytes = stream.prepare();
    if (!data_bytes) {
        return tl::unexpected<Failure>(data_bytes.error());
    }
    auto place = open_place(options, *data_bytes);
    if (!place) {
        return tl::unexpected<Failure>(place.error());
    }
    Key key;
    if (secret) {
        auto created = Key::create(place->session.get(), recipe.service(), secret->bytes());
        if (!created) {
            return fail(created.error().exit, "key file {}: {}", *options.key_file, created.error().message);
        }
        key = std::move(*created);
        secret.reset();
    }
    return stream.run(place->session.get(), key.get(), place->asked);
}

}  // namespace

Done call_service(const CallOptions& options) {
    const auto begun = std::chrono::steady_clock::now();
    auto recipe = Recipe::make(options);
    if (!recipe) {
        return tl::unexpected<Failure>(recipe.error());
    }
    auto input = Input::open(options.input);
    if (!input) {
        return tl::unexpected<Failure>(input.error());
    }
    auto output = Output::open(options.output, recipe->service() != YOKE_SERVICE_SHA256 || options.binary);
    if (!output) {
        return tl::unexpected<Failure>(output.error());
    }
    if (auto differs = output->differs_from(*input); !differs) {
        return differs;
    }
    // In this process alone: neither a daemon nor a worker has anything to do with it.
    if (options.place != "caller") {
        auto joined = input->join(options.socket);
        if (joined) {
            joined = output->join(options.socket);
        }
        if (!joined) {
            return joined;
        }
    }
    const auto summary = run_stream(options, *recipe, *input, *output);
    if (!summary) {
        return tl::unexpected<Failure>(summary.error());
    }
    if (auto done = output->finish(); !done) {
        return done;
    }
    if (options.json) {
        const auto wall = std::chrono::steady_clock::now() - begun;
        print_summary(options, *summary,
                      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(wall).count()));
    }
    return {};
}

}  // namespace yoke::cli
