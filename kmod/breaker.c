// SPDX-License-Identifier: GPL-2.0
/*
 * See breaker.h. The hold grows because a heartbeat comes from one thread of the worker and proves nothing of the
 * others: a worker that beats and serves nothing costs one deadline per hold, in the end one in ten seconds.
 */
#include "breaker.h"

#include <linux/minmax.h>
#include <linux/time64.h>

#include <uapi/yoke_kernel.h>

#define HOLD_FIRST_NS (20 * NSEC_PER_MSEC)
#define HOLD_MOST_NS (10ull * NSEC_PER_SEC)

bool yoke_breaker_miss(struct yoke_breaker *breaker, u64 now_ns)
{
	if (breaker->open)
		return false;
	breaker->open = true;
	breaker->missed_ns = now_ns;
	breaker->hold_ns = breaker->hold_ns ? min(2 * breaker->hold_ns, HOLD_MOST_NS) : HOLD_FIRST_NS;
	return true;
}

void yoke_breaker_success(struct yoke_breaker *breaker)
{
	if (!breaker->open)
		breaker->hold_ns = 0;
}

bool yoke_breaker_allows(struct yoke_breaker *breaker, u64 now_ns, u64 heartbeat_untrusted_ns)
{
	if (heartbeat_untrusted_ns > now_ns || now_ns - heartbeat_untrusted_ns > YOKE_KERNEL_HEARTBEAT_NS)
		return false;
	if (!breaker->open)
		return true;
	if (heartbeat_untrusted_ns <= breaker->missed_ns || now_ns - breaker->missed_ns < breaker->hold_ns)
		return false;
	breaker->open = false;
	return true;
}
