// What a command says, once, when the graph that it pushes into does not move, or when all that it pushed was for
// nothing: which channel is full or empty, and what to do about it.
#pragma once

#include <chrono>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include <yoke/yoke.h>

#include "cli/graph_picture.hpp"

namespace yoke::cli {

// On the standard error; nothing when the graph has no reason that lies outside of this command. @served: channels that
// the command itself pushes into or pulls from. @starts: the command could have been told to serve more.
void say_standstill(yoke_session* session, const std::string& graph, const std::set<std::string>& served, bool starts);

// Why the graph has failed, one sentence; "": it has not, or nobody knows.
std::string failure_of_graph(yoke_session* session, const std::string& graph);

// A graph that is looked at again and again, and has perhaps come to a standstill.
class Stillness {
   public:
    Stillness(yoke_session* session, std::string graph) : session_(session), graph_(std::move(graph)) {}
    // Why it stands still, one sentence, when for a second nothing in its channels has changed: what the worker tells
    // as a cause. Empty: it moves or may yet move, since it waits for an endpoint, a function of a program or the
    // device, which may take their time. The worker was asked before @picture was taken, and nothing has changed since:
    // cause and counts are of one moment.
    std::string look(const GraphPicture& picture);

   private:
    yoke_session* session_;
    std::string graph_;
    nlohmann::json channels_;  // as they were last
    std::chrono::steady_clock::time_point moved_;
    std::string cause_;
};

// Says which datablocks end with the graph because nobody has pulled them.
void say_unpulled(const std::string& socket, const std::string& graph, const std::set<std::string>& served);

}  // namespace yoke::cli
