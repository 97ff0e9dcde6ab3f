/* SPDX-License-Identifier: Apache-2.0 OR (GPL-2.0 WITH Linux-syscall-note) */
/*
 * yoke_ring.h: reading and writing tagged lines, for every side of a ring
 *
 * Clients, workers, the kernel module and GPU code must agree on memory order to the letter; these inlines are the only
 * place where it is written down. A line is written quarter by quarter: the low half relaxed, then the half with the tag
 * as a release store. It is read the other way round. On x86 all of these are plain moves.
 */
#ifndef _UAPI_YOKE_RING_H
#define _UAPI_YOKE_RING_H

#include "yoke.h"

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

/* Writes 48 bytes of payload with @tag. The caller is the line's only writer. */
YOKE_FN void yoke_line_write(struct yoke_line *line, const void *payload, __u32 tag)
{
	__u32 word[12];
	int k;

	__builtin_memcpy(word, payload, sizeof(word));
	for (k = 0; k < 4; k++) {
		const __u64 low = (__u64)word[3 * k] | (__u64)word[3 * k + 1] << 32;
		const __u64 high = (__u64)word[3 * k + 2] | (__u64)tag << 32;

		yoke_store_relaxed64(&line->quarter[k].low, low);
		yoke_store_release64(&line->quarter[k].high, high);
	}
}

/*
 * Copies the payload of a line out of memory that another may write at any time.
 * Returns 1 if all four quarters carried @tag, else 0 (the content of @payload is then unspecified).
 */
YOKE_FN int yoke_line_read(const struct yoke_line *line, void *payload, __u32 tag)
{
	__u32 word[12];
	int k;

	for (k = 3; k >= 0; k--) {
		const __u64 high = yoke_load_acquire64(&line->quarter[k].high);
		__u64 low;

		if ((__u32)(high >> 32) != tag)
			return 0;
		low = yoke_load_relaxed64(&line->quarter[k].low);
		word[3 * k] = (__u32)low;
		word[3 * k + 1] = (__u32)(low >> 32);
		word[3 * k + 2] = (__u32)high;
	}
	__builtin_memcpy(payload, word, sizeof(word));
	return 1;
}

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif /* _UAPI_YOKE_RING_H */
