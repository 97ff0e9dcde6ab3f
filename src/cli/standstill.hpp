// What a command says, once, when the graph that it pushes into does not move, or when all that it pushed was for
// nothing: which channel is full or empty, and what to do about it.
#pragma once

#include <set>
#include <string>

#include <yoke/yoke.h>

namespace yoke::cli {

// On the standard error; nothing when the graph has no reason that lies outside of this command. @served: channels that
// the command itself pushes into or pulls from. @starts: the command could have been told to serve more.
void say_standstill(yoke_session* session, const std::string& graph, const std::set<std::string>& served, bool starts);

// Says which datablocks end with the graph because nobody has pulled them.
void say_unpulled(const std::string& socket, const std::string& graph, const std::set<std::string>& served);

}  // namespace yoke::cli
