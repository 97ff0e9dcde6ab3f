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

// Why the graph stands still, one sentence: what the worker tells as a cause. Empty: there is none, or it is an
// endpoint, a function of a program or the device, which may take their time.
std::string cause_of_standstill(yoke_session* session, const std::string& graph);

// Says which datablocks end with the graph because nobody has pulled them.
void say_unpulled(const std::string& socket, const std::string& graph, const std::set<std::string>& served);

}  // namespace yoke::cli
