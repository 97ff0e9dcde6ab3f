// One spdlog logger per topic, all writing to one stderr; see log.hpp. Fields come from strangers too, so they are
// printed as one escaped, shortened word each: no text can forge a line. Under the journal a line begins with its
// priority.
#include "base/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <optional>

#include "base/text.hpp"

namespace yoke {

namespace {

constexpr std::array<const char*, 7> topic_names{"control", "daemon", "worker", "executive",
                                                 "graph",   "device", "client"};
constexpr std::array<std::string_view, 5> level_names{"debug", "info", "warning", "error", "off"};
constexpr std::array<spdlog::level::level_enum, 5> spdlog_levels{
    spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err, spdlog::level::off};
constexpr std::size_t topics = topic_names.size();
constexpr std::size_t field_bytes_max = 512;  // long enough for a path, short enough for a line

// "<6>": the priority by which the journal files a line (sd-daemon(3)).
class PriorityFlag : public spdlog::custom_flag_formatter {
   public:
    void format(const spdlog::details::log_msg& message, const std::tm& /*time*/, spdlog::memory_buf_t& out) override {
        const std::string_view text = message.level >= spdlog::level::err    ? "<3>"
                                      : message.level == spdlog::level::warn ? "<4>"
                                      : message.level == spdlog::level::info ? "<6>"
                                                                             : "<7>";
        out.append(text.data(), text.data() + text.size());
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<PriorityFlag>();
    }
};

// Whether stderr is the socket that $JOURNAL_STREAM ("device:inode") names (systemd.exec(5)).
bool stderr_is_journal() {
    const char* const stream = ::secure_getenv("JOURNAL_STREAM");
    struct stat st {};
    return stream != nullptr && ::fstat(STDERR_FILENO, &st) == 0 &&
           fmt::format("{}:{}", st.st_dev, st.st_ino) == stream;
}

// The loggers of all topics share one sink. They are kept out of spdlog's registry, which belongs to the program that
// libyoke may be loaded into.
struct Loggers {
    Loggers() : sink(std::make_shared<spdlog::sinks::stderr_color_sink_mt>()) {
        auto formatter = std::make_unique<spdlog::pattern_formatter>();
        if (stderr_is_journal()) {
            formatter->add_flag<PriorityFlag>('*').set_pattern("%*%n: %v");
        } else {
            formatter->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %n: %v");
        }
        sink->set_formatter(std::move(formatter));
        for (std::size_t i = 0; i < topics; ++i) {
            loggers[i] = std::make_unique<spdlog::logger>(topic_names[i], sink);
            loggers[i]->set_level(spdlog::level::warn);
        }
    }

    std::shared_ptr<spdlog::sinks::stderr_color_sink_mt> sink;
    std::array<std::unique_ptr<spdlog::logger>, topics> loggers;
};

// Never destroyed: threads may log while the program ends.
Loggers& all() {
    static auto* const loggers = new Loggers();
    return *loggers;
}

spdlog::logger& logger_of(Topic topic) {
    return *all().loggers[static_cast<std::size_t>(topic)];
}

template <typename Names>
std::optional<std::size_t> index_of(const Names& names, std::string_view name) {
    const auto found = std::find(names.begin(), names.end(), name);
    return found == names.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - names.begin()));
}

std::string value_text(const Field::Value& value) {
    struct Shown {
        std::string operator()(bool v) const { return v ? "true" : "false"; }
        std::string operator()(std::int64_t v) const { return fmt::format("{}", v); }
        std::string operator()(std::uint64_t v) const { return fmt::format("{}", v); }
        std::string operator()(double v) const { return fmt::format("{}", v); }
        std::string operator()(std::string_view v) const {
            const std::string text = in_quotes(v, field_bytes_max);
            const bool plain = !v.empty() && text.size() == v.size() + 2 && v.find_first_of(" =") == v.npos;
            return plain ? std::string(v) : text;
        }
    };
    return std::visit(Shown{}, value);
}

}  // namespace

Status configure_log(std::string_view spec) {
    std::array<std::size_t, topics> levels{};
    for (std::size_t i = 0; i < topics; ++i) {
        const auto known = std::find(spdlog_levels.begin(), spdlog_levels.end(), all().loggers[i]->level());
        levels[i] = static_cast<std::size_t>(known - spdlog_levels.begin());
    }
    for (std::string_view rest = spec; !rest.empty();) {
        const std::string_view item = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), item.size() + 1));
        const std::size_t equals = item.find('=');
        const auto level = index_of(level_names, equals == item.npos ? item : item.substr(equals + 1));
        if (!level) {
            return fail(EINVAL, "log level {} has no known level; use {}", in_quotes(item),
                        fmt::join(level_names, ", "));
        }
        if (equals == item.npos) {
            levels.fill(*level);
            continue;
        }
        const auto topic = index_of(topic_names, item.substr(0, equals));
        if (!topic) {
            return fail(EINVAL, "log level {} has no known topic; use {}", in_quotes(item),
                        fmt::join(topic_names, ", "));
        }
        levels[*topic] = *level;
    }
    for (std::size_t i = 0; i < topics; ++i) {
        all().loggers[i]->set_level(spdlog_levels[levels[i]]);
    }
    return {};
}

bool log_enabled(Topic topic, Level level) {
    return logger_of(topic).should_log(spdlog_levels[static_cast<std::size_t>(level)]);
}

std::string log_text(std::string_view event, std::initializer_list<Field> fields) {
    std::string text(event);
    for (const Field& field : fields) {
        text += fmt::format(" {}={}", field.key, value_text(field.value));
    }
    return text;
}

void log_event(Topic topic, Level level, std::string_view event, std::initializer_list<Field> fields) {
    if (log_enabled(topic, level)) {
        logger_of(topic).log(spdlog_levels[static_cast<std::size_t>(level)], log_text(event, fields));
    }
}

}  // namespace yoke
