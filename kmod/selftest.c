// SPDX-License-Identifier: GPL-2.0
/*
 * What can be tested without a worker is tested at every load, on a real arena: a module that computes wrong keys or
 * lengths must not come up. Takes less than a millisecond.
 */
#include "selftest.h"

#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/time64.h>

#include <uapi/yoke_kernel.h>
#include <uapi/yoke_ring.h>

#include "arena.h"
#include "breaker.h"
#include "plan.h"
#include "ring.h"

#include <linux/yoke.h>

#define EXPECT(what)                                                                                \
	do {                                                                                        \
		if (!(what)) {                                                                      \
			pr_err("self-test failed: %s: %s\n", __func__, #what);                      \
			return false;                                                               \
		}                                                                                   \
	} while (0)

static bool layout_is_right(struct yoke_arena *arena)
{
	const struct yoke_layout *layout = &arena->layout;

	EXPECT(layout->client == 0 && layout->ring[0].submission == 256);
	EXPECT(layout->ring[1].submission > layout->ring[0].cancel);
	EXPECT(layout->data % YOKE_PAGE_BYTES == 0 && layout->data < layout->arena_bytes);
	EXPECT(layout->ring[0].running >= sizeof(struct yoke_status_page));
	EXPECT(layout->status_bytes >= layout->ring[1].running + YOKE_SLOTS * sizeof(u32));
	return true;
}

static bool buffers_are_disjoint(struct yoke_arena *arena)
{
	struct yoke_buffer *one = yoke_buffer_take(arena, 1);
	struct yoke_buffer *many = yoke_buffer_take(arena, 5 * PAGE_SIZE - 1);
	struct yoke_buffer *more;

	EXPECT(one && many && one != many);
	EXPECT(one->pages == 1 && many->pages == 5);
	EXPECT(many->first >= one->first + 1 || one->first >= many->first + 5);
	EXPECT(sg_nents(yoke_buffer_sg(one)) == 1 && sg_nents(yoke_buffer_sg(many)) == 5);
	EXPECT(!yoke_buffer_take(arena, arena->data_pages * PAGE_SIZE));
	EXPECT(!yoke_buffer_take(arena, 0));
	yoke_buffer_share(many);
	yoke_buffer_put(many);
	EXPECT(many->pages == 5); /* somebody still has it */
	yoke_buffer_put(many);
	EXPECT(!many->pages);
	yoke_buffer_put(one);
	more = yoke_buffer_take(arena, arena->data_pages * PAGE_SIZE);
	EXPECT(more && sg_nents(yoke_buffer_sg(more)) == arena->data_pages);
	yoke_buffer_put(more);
	return true;
}

/* Plays the worker: completes position @position. */
static void play_worker(struct yoke_arena *arena, u64 position, u32 tag)
{
	struct yoke_completion completion = { .out_length = position };
	struct yoke_line *line = (struct yoke_line *)(arena->base + arena->layout.ring[0].completion);

	yoke_line_write(&line[position % YOKE_SLOTS], &completion, tag);
}

static bool ring_passes_over_busy_slots(struct yoke_arena *arena, struct yoke_ring *ring)
{
	struct yoke_submission entry = { .opcode = YOKE_OP_CALL };
	struct yoke_flight *flight = (struct yoke_flight *)ring; /* only compared */
	struct yoke_completion completion;
	u64 position, i;

	yoke_ring_init(ring, arena, 0, 0);
	for (i = 0; i < YOKE_SLOTS; i++)
		EXPECT(!yoke_ring_submit(ring, &entry, NULL, flight, &position) && position == i);
	EXPECT(yoke_ring_submit(ring, &entry, NULL, flight, &position) == -EAGAIN);
	EXPECT(!yoke_ring_take(ring, 1, &completion));
	play_worker(arena, 1, 2); /* the tag of another lap */
	EXPECT(!yoke_ring_peek(ring, 1) && !yoke_ring_take(ring, 1, &completion));
	play_worker(arena, 1, 1);
	EXPECT(yoke_ring_peek(ring, 1) && yoke_ring_take(ring, 1, &completion) && completion.out_length == 1);
	play_worker(arena, 1, 2); /* before it was asked */
	EXPECT(yoke_ring_submit(ring, &entry, NULL, flight, &position) == -EPROTO);
	play_worker(arena, 1, 1);
	EXPECT(!yoke_ring_submit(ring, &entry, NULL, flight, &position));
	EXPECT(position == YOKE_SLOTS + 1); /* slot 0 is busy: passed over */
	EXPECT(!yoke_ring_take(ring, position, &completion)); /* the old completion is none of the new position */
	EXPECT(ring->in_flight == YOKE_SLOTS);
	return true;
}

static bool breaker_opens_and_closes(void)
{
	struct yoke_breaker breaker = {};
	u64 now = 1000 * NSEC_PER_SEC;

	EXPECT(yoke_breaker_allows(&breaker, now, now));
	EXPECT(!yoke_breaker_allows(&breaker, now, now + 1)); /* from the future */
	EXPECT(!yoke_breaker_allows(&breaker, now, now - YOKE_KERNEL_HEARTBEAT_NS - 1));
	EXPECT(yoke_breaker_miss(&breaker, now) && !yoke_breaker_miss(&breaker, now));
	EXPECT(!yoke_breaker_allows(&breaker, now + NSEC_PER_SEC, now)); /* no heartbeat since */
	EXPECT(!yoke_breaker_allows(&breaker, now + 1, now + 1));        /* on hold */
	EXPECT(yoke_breaker_allows(&breaker, now + NSEC_PER_SEC, now + NSEC_PER_SEC));
	now += 2 * NSEC_PER_SEC;
	EXPECT(yoke_breaker_miss(&breaker, now));
	EXPECT(!yoke_breaker_allows(&breaker, now + 30 * NSEC_PER_MSEC, now + 30 * NSEC_PER_MSEC)); /* twice the hold */
	EXPECT(yoke_breaker_allows(&breaker, now + NSEC_PER_SEC, now + NSEC_PER_SEC));
	yoke_breaker_success(&breaker);
	EXPECT(!breaker.hold_ns);
	return true;
}

static bool xts_joins_only_what_follows(void)
{
	struct yoke_call call = { .service = YOKE_SERVICE_AES_XTS, .flags = YOKE_FLAG_PARAMS, .in_length = 512 };
	struct yoke_params_aes_xts first = { .start = { 0xff, 0, 1 }, .unit = 512 };

	call.params.xts = first;
	EXPECT(yoke_plan_joins(&call));
	EXPECT(!yoke_plan_follows(&call, call.flags, &first, 512));
	call.params.xts.start[0] = 0;
	call.params.xts.start[1] = 1;
	EXPECT(yoke_plan_follows(&call, call.flags, &first, 512));
	EXPECT(!yoke_plan_follows(&call, call.flags, &first, 1024));
	EXPECT(!yoke_plan_follows(&call, call.flags | YOKE_FLAG_DECRYPT, &first, 512));
	call.params.xts.start[15] = 1;
	EXPECT(!yoke_plan_follows(&call, call.flags, &first, 512));
	call.in_length = 511;
	EXPECT(!yoke_plan_joins(&call));
	return true;
}

static bool run(struct yoke_arena *arena, struct yoke_ring *ring)
{
	return layout_is_right(arena) && buffers_are_disjoint(arena) && ring_passes_over_busy_slots(arena, ring) &&
	       breaker_opens_and_closes() && xts_joins_only_what_follows();
}

int yoke_selftest(void)
{
	struct yoke_ring *ring = kzalloc(sizeof(*ring), GFP_KERNEL);
	struct yoke_arena *arena = yoke_arena_get();
	int error = -ENOMEM;

	if (ring && arena)
		error = run(arena, ring) ? 0 : -EINVAL;
	if (arena)
		yoke_arena_put(arena); /* clears what was written */
	kfree(ring);
	return error;
}
