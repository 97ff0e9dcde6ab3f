// SPDX-License-Identifier: GPL-2.0
/*
 * Arenas, and what becomes of them when their worker is gone.
 *
 * PROBLEM. A worker's driver may have pinned the pages and its device may still write them after the worker is dead. Such
 * a page must not be given to anybody, and nobody tells us when the pin ends.
 * MODEL. An arena consists of single pages with reference counts of their own. When the last one who uses a retired arena
 * lets go, each page of it is looked at: if only we hold it, it is cleared and used again; if somebody else does, we drop
 * our reference, which leaves the page to its holder until he unpins it, and put a fresh page in its place. Two arenas
 * exist from the start, so that the next worker needs no memory at a moment when the machine may have none.
 * TRADE-OFF. The kernel reaches the pages through a vmap: one translation more per access, but no order-9 allocations
 * and a page can be replaced alone.
 */
#include "arena.h"

#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "counters.h"
#include "layout.h"
#include "params.h"

#include <linux/yoke.h>

#define SPARES 2u
#define RECOVER_AGAIN (HZ) /* when there was no memory to replace pages */

static LIST_HEAD(spare);
static LIST_HEAD(retired);
static unsigned int spares;
static DEFINE_SPINLOCK(arenas_lock); /* of the two lists */

static void recover(struct work_struct *work);
static DECLARE_DELAYED_WORK(recover_work, recover);

static struct page *fresh_page(void)
{
	/* Not movable: a device may come to write to it. */
	return alloc_page(GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN);
}

static void destroy(struct yoke_arena *arena)
{
	u32 i;

	if (arena->base)
		vunmap(arena->base);
	for (i = 0; arena->page && i < arena->pages; i++) {
		if (arena->page[i])
			put_page(arena->page[i]); /* a page that somebody has pinned stays his */
	}
	kvfree(arena->sg);
	kvfree(arena->table);
	bitmap_free(arena->map);
	kvfree(arena->page);
	kfree(arena);
}

/* The kernel's mapping, and the scatterlists, of the pages as they are now. */
static int map_pages(struct yoke_arena *arena)
{
	u32 first = arena->arena_pages - arena->data_pages;
	u32 i;

	if (arena->base)
		vunmap(arena->base);
	arena->base = vmap(arena->page, arena->pages, VM_MAP, PAGE_KERNEL);
	if (!arena->base)
		return -ENOMEM;
	for (i = 0; i < arena->data_pages; i++) {
		arena->table[i].arena = arena;
		arena->table[i].first = i;
	}
	for (i = 0; i < arena->data_pages; i++) {
		sg_init_table(&arena->sg[i], 1);
		sg_set_page(&arena->sg[i], arena->page[first + i], PAGE_SIZE, 0);
	}
	return 0;
}

static struct yoke_arena *create(void)
{
	struct yoke_arena *arena = kzalloc(sizeof(*arena), GFP_KERNEL);
	u32 i;

	if (!arena)
		return NULL;
	yoke_layout_make(&arena->layout, (u64)yoke_arena_mib() << 20, YOKE_FEATURE_EXPRESS | YOKE_FEATURE_BULK);
	spin_lock_init(&arena->lock);
	INIT_LIST_HEAD(&arena->link);
	arena->arena_pages = arena->layout.arena_bytes >> PAGE_SHIFT;
	arena->pages = arena->arena_pages + (arena->layout.status_bytes >> PAGE_SHIFT);
	arena->data_pages = (arena->layout.arena_bytes - arena->layout.data) >> PAGE_SHIFT;
	arena->page = kvcalloc(arena->pages, sizeof(*arena->page), GFP_KERNEL);
	arena->map = bitmap_zalloc(arena->data_pages, GFP_KERNEL);
	arena->table = kvcalloc(arena->data_pages, sizeof(*arena->table), GFP_KERNEL);
	arena->sg = kvcalloc(arena->data_pages, sizeof(*arena->sg), GFP_KERNEL);
	if (!arena->page || !arena->map || !arena->table || !arena->sg)
		goto no_memory;
	for (i = 0; i < arena->pages; i++) {
		arena->page[i] = fresh_page();
		if (!arena->page[i])
			goto no_memory;
	}
	if (map_pages(arena))
		goto no_memory;
	return arena;

no_memory:
	destroy(arena);
	return NULL;
}

/* Makes every page ours alone. False: there was no memory for all of them; what is done stays done. */
static bool renew(struct yoke_arena *arena)
{
	bool replaced = !arena->base;
	u32 i;

	for (i = 0; i < arena->pages; i++) {
		struct page *page = arena->page[i];

		if (page_count(page) == 1) {
			clear_highpage(page);
			continue;
		}
		page = fresh_page();
		if (!page)
			return false;
		/* Out of the kernel's mapping before it may become free. */
		if (arena->base)
			vunmap(arena->base);
		arena->base = NULL;
		swap(arena->page[i], page);
		put_page(page);
		yoke_count(YOKE_COUNT_PAGES_LEFT_TO_HOLDERS);
		replaced = true;
	}
	arena->next = 0;
	return !replaced || !map_pages(arena);
}

static void recover(struct work_struct *work)
{
	struct yoke_arena *arena;

	for (;;) {
		spin_lock_irq(&arenas_lock);
		arena = list_first_entry_or_null(&retired, struct yoke_arena, link);
		if (arena)
			list_del_init(&arena->link);
		spin_unlock_irq(&arenas_lock);
		if (!arena)
			return;
		if (spares >= SPARES) {
			destroy(arena);
			continue;
		}
		if (!renew(arena)) {
			spin_lock_irq(&arenas_lock);
			list_add_tail(&arena->link, &retired);
			spin_unlock_irq(&arenas_lock);
			schedule_delayed_work(&recover_work, RECOVER_AGAIN);
			return;
		}
		spin_lock_irq(&arenas_lock);
		list_add_tail(&arena->link, &spare);
		spares++;
		spin_unlock_irq(&arenas_lock);
	}
}

static void release(struct kref *ref)
{
	struct yoke_arena *arena = container_of(ref, struct yoke_arena, ref);
	unsigned long flags;

	spin_lock_irqsave(&arenas_lock, flags);
	list_add_tail(&arena->link, &retired);
	spin_unlock_irqrestore(&arenas_lock, flags);
	schedule_delayed_work(&recover_work, 0);
}

void yoke_arena_put(struct yoke_arena *arena)
{
	kref_put(&arena->ref, release);
}

static struct yoke_arena *take_spare(void)
{
	struct yoke_arena *arena;

	spin_lock_irq(&arenas_lock);
	arena = list_first_entry_or_null(&spare, struct yoke_arena, link);
	if (arena) {
		list_del_init(&arena->link);
		spares--;
	}
	spin_unlock_irq(&arenas_lock);
	return arena;
}

struct yoke_arena *yoke_arena_get(void)
{
	struct yoke_arena *arena = take_spare();

	if (!arena) {
		flush_delayed_work(&recover_work);
		arena = take_spare();
	}
	if (!arena)
		arena = create();
	if (arena)
		kref_init(&arena->ref);
	return arena;
}

int yoke_arena_map(struct yoke_arena *arena, struct vm_area_struct *vma, bool status)
{
	unsigned long pages = status ? arena->pages - arena->arena_pages : arena->arena_pages;
	struct page **first = arena->page + (status ? arena->arena_pages : 0);
	int error;

	if (vma_pages(vma) != pages)
		return -EINVAL;
	if (!(vma->vm_flags & VM_SHARED) || (vma->vm_flags & VM_EXEC))
		return -EINVAL;
	vma->vm_flags &= ~VM_MAYEXEC;
	vma->vm_flags |= VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY;
	error = vm_insert_pages(vma, vma->vm_start, first, &pages);
	return error;
}

struct yoke_buffer *yoke_buffer_take(struct yoke_arena *arena, u32 bytes)
{
	struct yoke_buffer *buffer = NULL;
	unsigned long at, flags;
	u32 pages, i;

	if (!bytes || bytes > arena->data_pages * PAGE_SIZE)
		return NULL;
	pages = DIV_ROUND_UP(bytes, PAGE_SIZE);
	spin_lock_irqsave(&arena->lock, flags);
	at = bitmap_find_next_zero_area(arena->map, arena->data_pages, arena->next, pages, 0);
	if (at >= arena->data_pages)
		at = bitmap_find_next_zero_area(arena->map, arena->data_pages, 0, pages, 0);
	if (at < arena->data_pages) {
		bitmap_set(arena->map, at, pages);
		arena->next = at + pages < arena->data_pages ? at + pages : 0;
		buffer = &arena->table[at];
		buffer->pages = pages;
		refcount_set(&buffer->users, 1);
		kref_get(&arena->ref);
	}
	spin_unlock_irqrestore(&arena->lock, flags);
	if (!buffer)
		return NULL;
	for (i = at; i + 1 < at + pages; i++)
		sg_unmark_end(&arena->sg[i]);
	sg_mark_end(&arena->sg[at + pages - 1]);
	return buffer;
}

void yoke_buffer_put(struct yoke_buffer *buffer)
{
	struct yoke_arena *arena;
	unsigned long flags;

	if (!buffer || !refcount_dec_and_test(&buffer->users))
		return;
	arena = buffer->arena;
	spin_lock_irqsave(&arena->lock, flags);
	bitmap_clear(arena->map, buffer->first, buffer->pages);
	buffer->pages = 0;
	spin_unlock_irqrestore(&arena->lock, flags);
	yoke_arena_put(arena);
}
EXPORT_SYMBOL_GPL(yoke_buffer_put);

void *yoke_buffer_data(struct yoke_buffer *buffer)
{
	return buffer->arena->base + yoke_buffer_offset(buffer);
}
EXPORT_SYMBOL_GPL(yoke_buffer_data);

struct scatterlist *yoke_buffer_sg(struct yoke_buffer *buffer)
{
	return &buffer->arena->sg[buffer->first];
}
EXPORT_SYMBOL_GPL(yoke_buffer_sg);

int yoke_arenas_init(void)
{
	while (spares < SPARES) {
		struct yoke_arena *arena = create();

		if (!arena) {
			yoke_arenas_exit();
			return -ENOMEM;
		}
		list_add_tail(&arena->link, &spare);
		spares++;
	}
	return 0;
}

void yoke_arenas_exit(void)
{
	struct yoke_arena *arena, *next;

	cancel_delayed_work_sync(&recover_work);
	list_splice_init(&retired, &spare);
	list_for_each_entry_safe(arena, next, &spare, link) {
		list_del(&arena->link);
		destroy(arena);
	}
	spares = 0;
}
