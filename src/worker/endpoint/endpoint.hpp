// One endpoint at work: a source reads datablocks from its path and pushes them, a sink pulls them and writes them out.
//
// Everything happens on the loop of the endpoints (endpoints.hpp). An endpoint has a fixed number of transfers, each
// with memory of its own; back-pressure is that all of them are in flight: a source then does not read, and whoever
// writes to it waits in the kernel as at any full pipe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <uapi/yoke.h>

#include "base/error.hpp"
#include "control/loop/loop.hpp"
#include "worker/endpoint/place.hpp"

namespace yoke::worker {

// What an endpoint does to its channel. None of these calls the endpoint back before it has returned.
class Wire {
   public:
    static constexpr unsigned transfers_max = 16;  // in flight of one endpoint

    // `transfer` is below transfers_max and has completed; `data` stays until it completes again.
    virtual void push(unsigned transfer, std::byte* data, std::size_t length) = 0;
    virtual void pull(unsigned transfer, std::byte* data, std::size_t length) = 0;
    // Of a source: the stream ends behind what was pushed. `why`: because of an error, which fails the graph once all
    // that came before it has gone through; "": none.
    virtual void end(unsigned transfer, const std::string& why) = 0;
    // Of a sink: all that it was given is written and its path is closed.
    virtual void finish() = 0;
    // Endpoint::run() at the loop's next turn, when others have had theirs.
    virtual void again() = 0;
    // The endpoint has disappeared or cannot be used any more: fails the graph and closes its sources. Sinks write what
    // they have been given.
    virtual void fail(const std::string& why) = 0;

   protected:
    ~Wire() = default;
};

class Endpoint {
   public:
    Endpoint() = default;
    Endpoint(const Endpoint&) = delete;
    Endpoint& operator=(const Endpoint&) = delete;
    virtual ~Endpoint() = default;

    // The graph runs. `loop` and `wire` outlive the endpoint.
    virtual Status begin(control::Loop& loop, Wire& wire) = 0;
    virtual void run() = 0;
    virtual void completed(unsigned transfer, const yoke_completion& completion) = 0;
    // Gives its path up. What is in flight still completes; the endpoint is destroyed behind it.
    virtual void close() = 0;
};

// Opens the path of `place` and gets memory; nothing is read or written yet. Errors name the endpoint.
Result<std::unique_ptr<Endpoint>> open_endpoint(const Place& place);

}  // namespace yoke::worker
