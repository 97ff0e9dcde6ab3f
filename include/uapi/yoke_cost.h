/* SPDX-License-Identifier: Apache-2.0 OR (GPL-2.0 WITH Linux-syscall-note) */
/*
 * yoke_cost.h: the cost model in fixed point, so that the kernel can read it
 *
 * A call of n bytes at one place is expected to take t = overhead + n * ns_per_kib / 1024. The model is learned on line
 * from measured calls: small calls teach the overhead, large ones the rate. A place with ns_per_kib == 0 was never
 * measured and is never chosen by cost.
 *
 * Which of the two a call teaches depends on its length alone, not on the model, so that no order of measurements can
 * make the two chase each other. A place that was measured by small calls only is taken to be fast with large ones, so
 * that it is tried. An expectation that is wrong by a factor of more than four is corrected by half of the difference,
 * else by an eighth: a model follows a change in a few calls, and one preempted call spoils little.
 */
#ifndef _UAPI_YOKE_COST_H
#define _UAPI_YOKE_COST_H

#include "yoke_ring.h"

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast" /* C has no other */
#endif

/* Expected time in ns of a call of @bytes; ~0 when the place was not measured. */
YOKE_FN __u64 yoke_cost_ns(struct yoke_cost cost, __u64 bytes)
{
	if (cost.ns_per_kib == 0)
		return ~(__u64)0;
	return (__u64)cost.overhead_ns + ((bytes * (__u64)cost.ns_per_kib) >> 10);
}

#define YOKE_COST_SMALL_BYTES 8192u /* calls up to here teach the overhead */

/* Moves @value towards @measured, by half of the way when it is off by more than a factor of four. */
YOKE_FN __u32 yoke_cost_approach(__u32 value, __u64 measured)
{
	const __u64 old = value;
	__u64 next;

	if (measured > 0xffffffffu)
		measured = 0xffffffffu;
	if (measured > 4 * old || old > 4 * measured)
		next = (old + measured + 1) / 2;
	else
		next = (old * 7 + measured + 4) / 8;
	return (__u32)next;
}

/* Corrects the model by one measured call of @bytes. The first measurement of a place sets it. */
YOKE_FN struct yoke_cost yoke_cost_learn(struct yoke_cost cost, __u64 bytes, __u64 measured_ns)
{
	const __u64 most = 0xffffffffu;
	__u64 part;

	if (measured_ns > most)
		measured_ns = most;
	if (bytes <= YOKE_COST_SMALL_BYTES) {
		part = (bytes * (__u64)cost.ns_per_kib) >> 10;
		part = measured_ns > part ? measured_ns - part : 0;
		if (cost.ns_per_kib == 0) {
			cost.overhead_ns = (__u32)part;
			cost.ns_per_kib = 1;
		} else {
			cost.overhead_ns = yoke_cost_approach(cost.overhead_ns, part);
		}
		return cost;
	}
	part = measured_ns > cost.overhead_ns ? measured_ns - cost.overhead_ns : 0;
	part = (part << 10) / bytes;
	if (part > most)
		part = most;
	cost.ns_per_kib = cost.ns_per_kib <= 1 ? (__u32)part : yoke_cost_approach(cost.ns_per_kib, part);
	if (cost.ns_per_kib == 0)
		cost.ns_per_kib = 1;
	return cost;
}

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif /* _UAPI_YOKE_COST_H */
