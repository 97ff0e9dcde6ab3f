// Ctrl-C as a value: the first SIGINT, SIGTERM or SIGHUP sets a flag and wakes whoever waits in wait_readable(), so
// that commands end in order (temporary files removed, graphs terminated). Another one kills, but not within the first
// 0.2 s: timeout(1) and some shells send one signal twice.
#pragma once

namespace yoke::cli {

// Installs the handlers. Called once, by main.
void catch_interrupts();
// Undoes that: interrupts end the program at once, as they end any other part of a pipeline.
void let_interrupts_kill();
[[nodiscard]] bool interrupted();

// Waits until @fd can be read (or is at its end) or an interrupt arrives, at most @timeout_ms (-1: for ever). Returns
// whether @fd can be read.
[[nodiscard]] bool wait_readable(int fd, int timeout_ms);

}  // namespace yoke::cli
