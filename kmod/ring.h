/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The client's side of one ring, as uapi/yoke.h defines it. What decides lies in private memory: which position each slot
 * holds, and whose flight that is. Everything is called under the core's lock.
 */
#ifndef YOKE_RING_H
#define YOKE_RING_H

#include <linux/types.h>

#include <uapi/yoke.h>

#include "layout.h"

struct yoke_arena;
struct yoke_flight;

struct yoke_ring {
	struct yoke_line *submission;
	struct yoke_line *params;
	const struct yoke_line *completion;
	u32 *cancel;
	const u32 *running_untrusted;
	const u32 *asleep_untrusted;
	u64 next;         /* position */
	u64 taken_before; /* positions below are known to have been taken */
	u32 in_flight;
	struct {
		u64 written; /* last position whose entry was written here */
		struct yoke_flight *flight; /* whose completion is awaited; NULL: none */
	} slot[YOKE_SLOTS];
};

void yoke_ring_init(struct yoke_ring *ring, const struct yoke_arena *arena, unsigned int id, u64 first);

/*
 * Writes an entry for @flight, with its parameter line if YOKE_FLAG_PARAMS is set. The caller looks at
 * yoke_ring_asleep() afterwards. -EAGAIN: no slot can be used until a completion has been taken. -EPROTO: a completion of
 * this position is there already, which nobody has asked for.
 */
int yoke_ring_submit(struct yoke_ring *ring, const struct yoke_submission *submission, const void *params,
		     struct yoke_flight *flight, u64 *position);
/* Copies the completion of a position that is in flight and frees its slot. False: there is none yet. */
bool yoke_ring_take(struct yoke_ring *ring, u64 position, struct yoke_completion *completion_untrusted);
/* A cheap look whether yoke_ring_take() is worth trying. */
bool yoke_ring_peek(const struct yoke_ring *ring, u64 position);
void yoke_ring_cancel(struct yoke_ring *ring, u64 position);

/* After entries or cancel words: true if the worker must be rung. */
bool yoke_ring_asleep(const struct yoke_ring *ring);

#endif /* YOKE_RING_H */
