// What a command says, once, when the graph that it pushes into does not move: which channel is full or empty, and what
// to do about it.
#pragma once

#include <set>
#include <string>

#include <yoke/yoke.h>

namespace yoke::cli {

// On the standard error; nothing when the graph has no reason that lies outside of this command. @served: channels that
// the command itself pushes into or pulls from. @starts: the command could have been told to serve more.
void say_standstill(yoke_session* session, const std::string& graph, const std::set<std::string>& served, bool starts);

}  // namespace yoke::cli
