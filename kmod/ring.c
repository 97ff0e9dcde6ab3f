// SPDX-License-Identifier: GPL-2.0
/*
 * Producing entries and taking completions; see ring.h. A position never repeats, so that a completion that comes twice
 * or late carries a tag that nobody awaits. What proves that an entry was taken, so that its line may be written again, is
 * a completion of a later position or the running table: both are the worker's word, and a wrong one harms the worker
 * only.
 */
#include "ring.h"

#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/string.h>

#include <uapi/yoke_ring.h>

#include "arena.h"

#define SLOTS_LOG2 ilog2(YOKE_SLOTS)
#define NEVER (~0ull)

static u32 slot_of(u64 position)
{
	return position & (YOKE_SLOTS - 1);
}

static u32 tag_of(u64 position)
{
	return yoke_lap_tag(position, SLOTS_LOG2);
}

void yoke_ring_init(struct yoke_ring *ring, const struct yoke_arena *arena, unsigned int id, u64 first)
{
	const struct yoke_ring_layout *place = &arena->layout.ring[id];
	const struct yoke_status_page *status = yoke_arena_status(arena);
	u32 i;

	BUILD_BUG_ON(!is_power_of_2(YOKE_SLOTS) || YOKE_SLOTS < YOKE_SLOTS_MIN || YOKE_SLOTS > YOKE_SLOTS_MAX);
	memset(ring, 0, sizeof(*ring));
	ring->submission = (struct yoke_line *)(arena->base + place->submission);
	ring->params = (struct yoke_line *)(arena->base + place->params);
	ring->completion = (const struct yoke_line *)(arena->base + place->completion);
	ring->cancel = (u32 *)(arena->base + place->cancel);
	ring->running_untrusted = (const u32 *)((const u8 *)status + place->running);
	ring->asleep_untrusted = &status->ring[id].asleep;
	ring->next = first;
	ring->taken_before = first;
	for (i = 0; i < YOKE_SLOTS; i++)
		ring->slot[i].written = NEVER;
}

static bool taken(const struct yoke_ring *ring, u64 position)
{
	return position < ring->taken_before ||
	       yoke_load_acquire32(&ring->running_untrusted[slot_of(position)]) == tag_of(position);
}

bool yoke_ring_peek(const struct yoke_ring *ring, u64 position)
{
	const struct yoke_line *line = &ring->completion[slot_of(position)];

	return yoke_load_acquire64(&line->quarter[3].high) >> 32 == tag_of(position);
}

int yoke_ring_submit(struct yoke_ring *ring, const struct yoke_submission *submission, const void *params,
		     struct yoke_flight *flight, u64 *position)
{
	static const struct yoke_submission skip = { .opcode = YOKE_OP_SKIP };

	if (ring->in_flight == YOKE_SLOTS)
		return -EAGAIN;
	for (;;) {
		u32 slot = slot_of(ring->next);
		u32 tag = tag_of(ring->next);

		if (ring->slot[slot].written != NEVER && !taken(ring, ring->slot[slot].written))
			return -EAGAIN;
		if (yoke_ring_peek(ring, ring->next))
			return -EPROTO;
		ring->slot[slot].written = ring->next;
		if (ring->slot[slot].flight) {
			yoke_line_write(&ring->submission[slot], &skip, tag);
			ring->next++;
			continue;
		}
		if (submission->flags & YOKE_FLAG_PARAMS)
			yoke_line_write(&ring->params[slot], params, tag);
		yoke_line_write(&ring->submission[slot], submission, tag);
		ring->slot[slot].flight = flight;
		ring->in_flight++;
		*position = ring->next++;
		return 0;
	}
}

bool yoke_ring_take(struct yoke_ring *ring, u64 position, struct yoke_completion *completion_untrusted)
{
	u32 slot = slot_of(position);

	if (!yoke_line_read(&ring->completion[slot], completion_untrusted, tag_of(position)))
		return false;
	ring->slot[slot].flight = NULL;
	ring->in_flight--;
	if (ring->taken_before < position + 1)
		ring->taken_before = position + 1;
	return true;
}

void yoke_ring_cancel(struct yoke_ring *ring, u64 position)
{
	yoke_store_release32(&ring->cancel[slot_of(position)], tag_of(position));
}

bool yoke_ring_asleep(const struct yoke_ring *ring)
{
	yoke_full_fence();
	return yoke_load_acquire32(ring->asleep_untrusted) != 0;
}
