// What the inventory says of a session that the executive serves.
#pragma once

#include "control/message.hpp"
#include "executive/executive.hpp"

namespace yoke::worker {

// Adds the executive's counters to the record of a session.
void add_report(control::Json& record, const executive::SessionReport& report);

}  // namespace yoke::worker
