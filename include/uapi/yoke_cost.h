/* SPDX-License-Identifier: Apache-2.0 OR (GPL-2.0 WITH Linux-syscall-note) */
/*
 * yoke_cost.h: the cost model in fixed point, so that the kernel can read it
 *
 * A call of n bytes at one place is expected to take t = overhead + n * ns_per_kib / 1024. The model is learned on line
 * from measured calls: small calls teach the overhead, large ones the rate. A place with ns_per_kib == 0 was never
 * measured and is never chosen by cost.
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

/*
 * Corrects the model by one measured call: an exponential mean with weight 1/8, on the overhead when the expected
 * transfer part is the smaller one, else on the rate. The first measurement of a place sets it.
 */
YOKE_FN struct yoke_cost yoke_cost_learn(struct yoke_cost cost, __u64 bytes, __u64 measured_ns)
{
	const __u64 part = (bytes * (__u64)cost.ns_per_kib) >> 10;
	__u64 value;

	if (measured_ns > 0xffffffffu)
		measured_ns = 0xffffffffu;
	if (cost.ns_per_kib == 0) {
		value = bytes ? (measured_ns << 10) / bytes : 1;
		cost.overhead_ns = 0;
		cost.ns_per_kib = value == 0 ? 1 : value > 0xffffffffu ? 0xffffffffu : (__u32)value;
		return cost;
	}
	if (part <= cost.overhead_ns || bytes == 0) {
		value = measured_ns > part ? measured_ns - part : 0;
		cost.overhead_ns = (__u32)(((__u64)cost.overhead_ns * 7 + value) >> 3);
	} else {
		value = measured_ns > cost.overhead_ns ? ((measured_ns - cost.overhead_ns) << 10) / bytes : 1;
		value = ((__u64)cost.ns_per_kib * 7 + value) >> 3;
		cost.ns_per_kib = value == 0 ? 1 : value > 0xffffffffu ? 0xffffffffu : (__u32)value;
	}
	return cost;
}

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif /* _UAPI_YOKE_COST_H */
