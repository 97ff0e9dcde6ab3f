// See reference.hpp. A reference reads the buffers as they were before the step, and gives those that the step writes.
// Sums and square roots may differ in the last places and thresholds with them, so a few elements in ten thousand may
// disagree where numbers are compared with limits.
#include "gesture/reference.hpp"

#include <functional>
#include <map>

#include "gesture/step.hpp"

namespace yoke::test {

std::string compare_step(GestureRunner& runner, const gesture::Step& step, const gesture::Camera& camera) {
    using namespace reference;
    static const std::map<std::string, std::function<void(Step&)>> references{
        {"bilateral", smooth},  {"transform", transform}, {"gather", gather},   {"close", close}, {"outline", outline},
        {"across", across},     {"inscribe", inscribe},   {"begin", begin},     {"join", join},   {"survey", survey},
        {"tile", tiles},        {"palm", palm},           {"plane", plane},     {"core", core},   {"trim", trim},
        {"climb", climb},       {"settle", settle},       {"meet", meet},       {"merge", merge}, {"measure", measure},
        {"conclude", conclude}, {"blank", blank},         {"project", project}, {"fuse", fuse}};
    const auto found = references.find(step.function);
    if (found == references.end()) {
        return step.function + ": there is no reference";
    }
    Step context(runner, step, camera);
    found->second(context);
    return !runner.error().empty() ? runner.error() : context.difference;
}

}  // namespace yoke::test
