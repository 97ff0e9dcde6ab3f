/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An arena with its status page: single pages that a worker maps and its drivers may pin, mapped once for the kernel.
 * References keep it out of use by the next worker: one of the open file, one of each buffer.
 */
#ifndef YOKE_ARENA_H
#define YOKE_ARENA_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>

#include <uapi/yoke.h>

struct yoke_arena;

/* A run of data pages. Buffers lie in a table of their arena, one element for each page that could be its first. */
struct yoke_buffer {
	struct yoke_arena *arena;
	u32 first;        /* data page */
	u32 pages;        /* 0: not in use */
	refcount_t users; /* the owner, and each flight */
};

struct yoke_arena {
	struct kref ref;
	struct list_head link; /* of the spare or the retired ones */
	struct yoke_layout layout;
	struct page **page;    /* of the arena, then of the status page */
	u32 arena_pages;
	u32 pages;
	u8 *base;              /* all pages, in the kernel's address space */
	spinlock_t lock;       /* of the map and the table */
	unsigned long *map;    /* data pages in use */
	u32 data_pages;
	u32 next;              /* where the next search begins */
	struct yoke_buffer *table;
	struct scatterlist *sg; /* one for each data page */
};

int yoke_arenas_init(void);
void yoke_arenas_exit(void);

/* A cleared arena that nobody else has, with one reference; NULL when there is none. May sleep. */
struct yoke_arena *yoke_arena_get(void);
void yoke_arena_put(struct yoke_arena *arena);
struct vm_area_struct;
/* Maps the arena (or the status page) into a worker. */
int yoke_arena_map(struct yoke_arena *arena, struct vm_area_struct *vma, bool status);

struct yoke_buffer *yoke_buffer_take(struct yoke_arena *arena, u32 bytes);
static inline u64 yoke_buffer_offset(const struct yoke_buffer *buffer)
{
	return buffer->arena->layout.data + (u64)buffer->first * YOKE_PAGE_BYTES;
}

static inline u32 yoke_buffer_bytes(const struct yoke_buffer *buffer)
{
	return buffer->pages * YOKE_PAGE_BYTES;
}

static inline struct yoke_buffer *yoke_buffer_share(struct yoke_buffer *buffer)
{
	refcount_inc(&buffer->users);
	return buffer;
}

static inline const struct yoke_status_page *yoke_arena_status(const struct yoke_arena *arena)
{
	return (const struct yoke_status_page *)(arena->base + arena->layout.arena_bytes);
}

static inline struct yoke_client_words *yoke_arena_words(const struct yoke_arena *arena)
{
	return (struct yoke_client_words *)(arena->base + arena->layout.client);
}

#endif /* YOKE_ARENA_H */
