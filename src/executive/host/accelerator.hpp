// What a device does for an executive: it serves hot express rings itself, and executes large bulk calls.
//
// PROBLEM. The host's threads own the rings, the keys and the protocol with clients, and must go on without a device,
// before it is open and after it has refused. MODEL. The device borrows: the express thread offers it a ring that is
// busy, and gets it back with the head where the device left it; the bulk lead hands it a checked call, and is told its
// end. Whatever the device does not take, the host executes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "executive/executive.hpp"

namespace yoke::executive {

struct BulkCall;
struct Session;

// What the device keeps with a session.
class DeviceSide {
   public:
    DeviceSide() = default;
    DeviceSide(const DeviceSide&) = delete;
    DeviceSide& operator=(const DeviceSide&) = delete;
    virtual ~DeviceSide() = default;
    // A transfer of a graph is about to begin: the session's memory had better be pinned, so that copies need no help
    // of a processor. Express thread and bulk lead; the first time it takes milliseconds.
    virtual void before_transfer(Session& session) noexcept = 0;
};

// Who gets back what the device borrowed. Any thread.
class Lender {
   public:
    Lender() = default;
    Lender(const Lender&) = delete;
    Lender& operator=(const Lender&) = delete;
    virtual ~Lender() = default;
    // The express ring, from `head` on. `refused`: the next entry is one that the device does not execute.
    // `calls`: those that it has executed.
    virtual void ring_back(Session& session, std::uint64_t head, bool refused, std::uint64_t calls) noexcept = 0;
    // A bulk call has ended with 0 or -errno; `begun_ns`: when its execution began. The session may be gone afterwards.
    virtual void call_done(Session& session, BulkCall& call, int status, std::uint64_t begun_ns) noexcept = 0;
};

class Accelerator {
   public:
    Accelerator() = default;
    Accelerator(const Accelerator&) = delete;
    Accelerator& operator=(const Accelerator&) = delete;
    virtual ~Accelerator() = default;  // the sessions have left

    virtual void join(Session& session) = 0;
    // session.closed is set. Returns when the device holds neither ring nor call of the session.
    virtual void leave(Session& session) = 0;
    // Takes the memory of a session that has left: it may stay pinned for a while.
    virtual void bury(std::unique_ptr<DeviceSide> side, SessionMemory memory) noexcept = 0;

    // Express thread, never blocks. True: the ring is the device's until ring_back().
    virtual bool offer(Session& session) noexcept = 0;
    // Bulk lead, never blocks. True: the call is the device's until call_done().
    virtual bool take(Session& session, BulkCall& call) noexcept = 0;

    virtual void add_key(Session& session, std::uint32_t id, std::uint16_t service,
                         std::span<const std::byte> bytes) = 0;
    // Returns when no entry that is taken from now on finds the key; it is wiped when calls under way have ended.
    virtual void remove_key(Session& session, std::uint32_t id) = 0;

    [[nodiscard]] virtual DeviceReport report() const = 0;
};

}  // namespace yoke::executive
