/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The circuit breaker: after a missed deadline nothing is submitted until the worker's heartbeat is younger than the
 * miss and a hold has passed, which doubles with each miss in a row. Pure: time and heartbeat are given.
 */
#ifndef YOKE_BREAKER_H
#define YOKE_BREAKER_H

#include <linux/types.h>

struct yoke_breaker {
	bool open;
	u64 missed_ns;
	u64 hold_ns; /* of the last miss; 0: none since the last success */
};

/* A call that was given the usual time has missed its deadline. True if this opened the breaker. */
bool yoke_breaker_miss(struct yoke_breaker *breaker, u64 now_ns);
void yoke_breaker_success(struct yoke_breaker *breaker);
/* May be submitted to? Closes the breaker when that is due. */
bool yoke_breaker_allows(struct yoke_breaker *breaker, u64 now_ns, u64 heartbeat_untrusted_ns);

#endif /* YOKE_BREAKER_H */
