/* SPDX-License-Identifier: Apache-2.0 OR (GPL-2.0 WITH Linux-syscall-note) */
/*
 * yoke_ring.h: reading and writing tagged lines, for every side of a ring
 *
 * Clients, workers, the kernel module and GPU code must agree on memory order to the letter; these inlines are the only
 * place where it is written down. A line is written quarter by quarter: the low half relaxed, then the half with the tag
 * as a release store. It is read the other way round. On x86 all of these are plain moves. In the kernel they are its
 * virt_ operations: the other side is no processor that runs this kernel, so they stay where there is but one.
 */
#ifndef _UAPI_YOKE_RING_H
#define _UAPI_YOKE_RING_H

#include "yoke.h"

#ifdef __KERNEL__
#include <asm/barrier.h>
#include <linux/compiler.h>
#include <linux/string.h>
#endif

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast" /* C has no other */
#endif

#if defined(__CUDA_ARCH__)
#define YOKE_FN static __device__ __forceinline__
#elif defined(__CUDACC__)
#define YOKE_FN static inline __host__ __device__
#else
#define YOKE_FN static inline
#endif

#if defined(__CUDA_ARCH__)
YOKE_FN __u64 yoke_load_relaxed64(const __u64 *from)
{
	__u64 value;
	asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(from) : "memory");
	return value;
}
YOKE_FN __u64 yoke_load_acquire64(const __u64 *from)
{
	__u64 value;
	asm volatile("ld.acquire.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(from) : "memory");
	return value;
}
YOKE_FN void yoke_store_relaxed64(__u64 *to, __u64 value)
{
	asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(to), "l"(value) : "memory");
}
YOKE_FN void yoke_store_release64(__u64 *to, __u64 value)
{
	asm volatile("st.release.sys.global.u64 [%0], %1;" ::"l"(to), "l"(value) : "memory");
}
YOKE_FN __u32 yoke_load_acquire32(const __u32 *from)
{
	__u32 value;
	asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
	return value;
}
YOKE_FN void yoke_store_release32(__u32 *to, __u32 value)
{
	asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(to), "r"(value) : "memory");
}
YOKE_FN void yoke_full_fence(void)
{
	asm volatile("fence.sc.sys;" ::: "memory");
}
#elif defined(__KERNEL__)
YOKE_FN __u64 yoke_load_relaxed64(const __u64 *from)
{
	return READ_ONCE(*from);
}
YOKE_FN __u64 yoke_load_acquire64(const __u64 *from)
{
	return virt_load_acquire(from);
}
YOKE_FN void yoke_store_relaxed64(__u64 *to, __u64 value)
{
	WRITE_ONCE(*to, value);
}
YOKE_FN void yoke_store_release64(__u64 *to, __u64 value)
{
	virt_store_release(to, value);
}
YOKE_FN __u32 yoke_load_acquire32(const __u32 *from)
{
	return virt_load_acquire(from);
}
YOKE_FN void yoke_store_release32(__u32 *to, __u32 value)
{
	virt_store_release(to, value);
}
YOKE_FN void yoke_full_fence(void)
{
	virt_mb();
}
#else
YOKE_FN __u64 yoke_load_relaxed64(const __u64 *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}
YOKE_FN __u64 yoke_load_acquire64(const __u64 *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}
YOKE_FN void yoke_store_relaxed64(__u64 *to, __u64 value)
{
	__atomic_store_n(to, value, __ATOMIC_RELAXED);
}
YOKE_FN void yoke_store_release64(__u64 *to, __u64 value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}
YOKE_FN __u32 yoke_load_acquire32(const __u32 *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}
YOKE_FN void yoke_store_release32(__u32 *to, __u32 value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}
/* Orders an earlier store before a later load. A locked add is cheaper than mfence on every x86 of the last ten years. */
YOKE_FN void yoke_full_fence(void)
{
#if defined(__x86_64__)
	__asm__ __volatile__("lock; addl $0,-4(%%rsp)" ::: "memory", "cc");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}
#endif

/* Tag of @position in a ring of 1 << @slots_log2 slots. */
YOKE_FN __u32 yoke_lap_tag(__u64 position, __u32 slots_log2)
{
	return (__u32)((position >> slots_log2) % 0xffffffffu) + 1u;
}

/*
 * The six words of a payload lie in the four quarters like this (l and h: lower and upper half of a word):
 * quarter 0: 0l 0h 1l, quarter 1: 1h 2l 2h, quarter 2: 3l 3h 4l, quarter 3: 4h 5l 5h, each followed by the tag.
 * They are moved as whole words: gathering them in narrower pieces makes every processor wait for its own stores.
 */

YOKE_FN void yoke_quarter_write(struct yoke_quarter *quarter, __u64 low, __u64 high, __u32 tag)
{
	yoke_store_relaxed64(&quarter->low, low);
	yoke_store_release64(&quarter->high, (high & 0xffffffffu) | (__u64)tag << 32);
}

/* Writes 48 bytes of payload with @tag. The caller is the line's only writer. */
YOKE_FN void yoke_line_write(struct yoke_line *line, const void *payload, __u32 tag)
{
	__u64 word[6];

	__builtin_memcpy(word, payload, sizeof(word));
	yoke_quarter_write(&line->quarter[0], word[0], word[1], tag);
	yoke_quarter_write(&line->quarter[1], word[1] >> 32 | word[2] << 32, word[2] >> 32, tag);
	yoke_quarter_write(&line->quarter[2], word[3], word[4], tag);
	yoke_quarter_write(&line->quarter[3], word[4] >> 32 | word[5] << 32, word[5] >> 32, tag);
}

/* Returns 1 if the quarter carried @tag. */
YOKE_FN int yoke_quarter_read(const struct yoke_quarter *quarter, __u64 *low, __u64 *high, __u32 tag)
{
	*high = yoke_load_acquire64(&quarter->high);
	if ((__u32)(*high >> 32) != tag)
		return 0;
	*low = yoke_load_relaxed64(&quarter->low);
	return 1;
}

/*
 * Copies the payload of a line out of memory that another may write at any time.
 * Returns 1 if all four quarters carried @tag, else 0 and leaves @payload as it was.
 */
YOKE_FN int yoke_line_read(const struct yoke_line *line, void *payload, __u32 tag)
{
	__u64 low[4];
	__u64 high[4];
	__u64 word;
	char *to = (char *)payload;

	if (!yoke_quarter_read(&line->quarter[3], &low[3], &high[3], tag) ||
	    !yoke_quarter_read(&line->quarter[2], &low[2], &high[2], tag) ||
	    !yoke_quarter_read(&line->quarter[1], &low[1], &high[1], tag) ||
	    !yoke_quarter_read(&line->quarter[0], &low[0], &high[0], tag))
		return 0;
	__builtin_memcpy(to, &low[0], sizeof(word));
	word = (high[0] & 0xffffffffu) | low[1] << 32;
	__builtin_memcpy(to + 8, &word, sizeof(word));
	word = low[1] >> 32 | high[1] << 32;
	__builtin_memcpy(to + 16, &word, sizeof(word));
	__builtin_memcpy(to + 24, &low[2], sizeof(word));
	word = (high[2] & 0xffffffffu) | low[3] << 32;
	__builtin_memcpy(to + 32, &word, sizeof(word));
	word = low[3] >> 32 | high[3] << 32;
	__builtin_memcpy(to + 40, &word, sizeof(word));
	return 1;
}

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif /* _UAPI_YOKE_RING_H */
