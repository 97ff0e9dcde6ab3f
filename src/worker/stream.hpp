// Between the executive's tickets and the graph runtime's transfers: push, pull and move of sessions.
#pragma once

#include "executive/executive.hpp"
#include "graph/runtime.hpp"
#include "worker/engine.hpp"

namespace yoke::worker {

class Streams final : public executive::StreamSink, public graph::TransferSink {
   public:
    // `engine` must outlive the executive that this is the sink of.
    explicit Streams(Engine& engine) : engine_(engine) {}
    // The executive is made with this as its sink, so it is known only afterwards and before any session.
    void serve(executive::Executive& executive) { executive_ = &executive; }

    void push(const executive::StreamEntry& entry) noexcept override;
    void pull(const executive::StreamEntry& entry) noexcept override;
    void move(const executive::StreamEntry& entry) noexcept override;
    void cancel(const executive::Ticket& ticket) noexcept override;
    void forget(executive::SessionId session) noexcept override;

    void complete(const graph::Transfer& transfer, const yoke_completion& completion) noexcept override;

   private:
    void start(const executive::StreamEntry& entry, void (graph::Runtime::*operation)(graph::Transfer)) noexcept;

    Engine& engine_;
    executive::Executive* executive_ = nullptr;
};

}  // namespace yoke::worker
