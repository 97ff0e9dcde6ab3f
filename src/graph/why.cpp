// Graph: why it does not move. What it says of itself as a whole; of one that runs, its ptasks tell (standstill.hpp).
#include "graph/graph.hpp"
#include "graph/standstill.hpp"

namespace yoke::graph {

control::Json Graph::why() const {
    const std::lock_guard lock(mutex_);
    const auto only = [&](const char* what, std::string sentence) {
        return control::Json::array({{{"object", name()},
                                      {"reason", what},
                                      {"sentence", std::move(sentence)},
                                      {"channel", nullptr},
                                      {"follows", false}}});
    };
    if (state_ == State::built) {
        const auto complete = complete_definition();
        return only("not running", complete ? fmt::format("graph {} has not been started by the program that has "
                                                          "opened it; that must run it",
                                                          name())
                                            : complete.error().message);
    }
    if (const std::string error = error_text(); !error.empty()) {
        return only("failed", fmt::format("graph {} has failed: {}", name(), error));
    }
    if (state_ != State::running) {
        return only("ended", fmt::format("graph {} has {}: its stream is over", name(), state_text()));
    }
    control::Json reasons = reasons_of(ptasks_, channels_);
    if (all_ended()) {
        reasons = reasons_of_sinks(channels_);
    }
    if (!stream_error_.empty()) {
        reasons.insert(reasons.begin(),
                       only("failed", fmt::format("graph {} has failed: {}", name(), stream_error_)).front());
    }
    return reasons;
}

}  // namespace yoke::graph
