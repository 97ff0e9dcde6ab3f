// What each kernel of the gesture example computes, in plain C++: sequential, and by another way where there is one
// (flood fill for union-find, search for the distance transform, sorting for the watershed).
#pragma once

#include <string>

#include "gesture/runner.hpp"

namespace yoke::test {

// Runs @step on @runner and compares what it has written with the reference, given what it has read. "" where they
// agree, else the first difference.
std::string compare_step(GestureRunner& runner, const gesture::Step& step, const gesture::Camera& camera);

}  // namespace yoke::test
