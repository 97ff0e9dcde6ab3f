// SPDX-License-Identifier: GPL-2.0
/*
 * Where everything lies in an arena and its status page. The worker computes the same from the sizes and refuses a
 * layout that differs in one byte, so the order and the alignments here are part of the protocol: fixed words first,
 * then one array after the other, each on a boundary of its own so that no pair of cache lines is written by both
 * sides.
 */
#include "layout.h"

#include <linux/align.h>
#include <linux/string.h>

#define ARRAY_ALIGN 256u

static u64 take(u64 *end, u64 bytes)
{
	u64 begin = *end;

	*end = ALIGN(begin + bytes, ARRAY_ALIGN);
	return begin;
}

void yoke_layout_make(struct yoke_layout *layout, u64 arena_bytes, u32 features)
{
	u64 arena_end = ALIGN(sizeof(struct yoke_client_words), ARRAY_ALIGN);
	u64 status_end = ALIGN(sizeof(struct yoke_status_page), ARRAY_ALIGN);
	unsigned int r;

	memset(layout, 0, sizeof(*layout));
	layout->magic = YOKE_ABI_MAGIC;
	layout->version = YOKE_ABI_VERSION;
	layout->features = features;
	layout->arena_bytes = ALIGN(arena_bytes, YOKE_PAGE_BYTES);
	for (r = 0; r < YOKE_RINGS; r++) {
		struct yoke_ring_layout *ring = &layout->ring[r];

		ring->slots = YOKE_SLOTS;
		ring->submission = take(&arena_end, YOKE_SLOTS * sizeof(struct yoke_line));
		ring->params = take(&arena_end, YOKE_SLOTS * sizeof(struct yoke_line));
		ring->completion = take(&arena_end, YOKE_SLOTS * sizeof(struct yoke_line));
		ring->cancel = take(&arena_end, YOKE_SLOTS * sizeof(u32));
		ring->running = take(&status_end, YOKE_SLOTS * sizeof(u32));
	}
	layout->data = ALIGN(arena_end, YOKE_PAGE_BYTES);
	layout->status_bytes = ALIGN(status_end, YOKE_PAGE_BYTES);
}
