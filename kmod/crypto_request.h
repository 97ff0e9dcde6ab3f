/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the drivers share: whether a request is given to the worker, and how their CPU drivers are chosen.
 */
#ifndef YOKE_CRYPTO_REQUEST_H
#define YOKE_CRYPTO_REQUEST_H

#include <linux/crypto.h>
#include <linux/ktime.h>

#include <linux/yoke.h>

#include "choice.h"
#include "counters.h"
#include "crypto.h"
#include "trace.h"

/* A CPU driver must not need one itself, and must be fit for writeback as we are. */
#define YOKE_CPU_DRIVER_MASK (CRYPTO_ALG_NEED_FALLBACK | CRYPTO_ALG_ALLOCATES_MEMORY)
#define YOKE_DRIVER_FLAGS (CRYPTO_ALG_ASYNC | CRYPTO_ALG_NEED_FALLBACK)

/* In the self-test: a worker that has just started may have to load its code first. */
#define YOKE_TEST_TIMEOUT_NS (2 * NSEC_PER_SEC)

/*
 * -EINPROGRESS: @call was submitted. -EBUSY: so it was, and waits for room; whoever lets his requests be put back gets
 * this. 0: the CPU is to do it, which has been counted.
 */
static inline int yoke_request_offload(struct yoke_call *call, enum yoke_driver driver, bool has_key)
{
	int error = has_key ? 0 : -ENOKEY;

	if (!error && !yoke_worthwhile(call->service, call->in_length)) {
		yoke_count(YOKE_COUNT_FELL_COST);
	} else {
		if (yoke_choice_offloads_all())
			call->timeout_ns = YOKE_TEST_TIMEOUT_NS;
		if (!error)
			error = yoke_submit(call);
		if (!error)
			return -EINPROGRESS;
		if (error == -EBUSY)
			return error;
		yoke_count_fallback(error);
		trace_yoke_fall_back(call->service, call->in_length, error);
	}
	atomic64_inc(&yoke_driver_figures[driver].fallen_back);
	return 0;
}

/* Counts a request that was submitted and has ended. */
static inline void yoke_request_ended(const struct yoke_call *call, enum yoke_driver driver)
{
	struct yoke_driver_figures *figures = &yoke_driver_figures[driver];

	atomic64_inc(call->where == YOKE_WHERE_CALLER ? &figures->fallen_back : &figures->offloaded);
}

/* What a CPU driver returned in struct yoke_call.cpu; a request in its backlog is on its way as well. */
static inline int yoke_request_on_cpu(struct yoke_call *call, int status, u64 begin_ns)
{
	if (status == -EBUSY || status == -EINPROGRESS)
		return -EINPROGRESS;
	if (!status)
		yoke_choice_learn_cpu(call->service, call->in_length, ktime_get_ns() - begin_ns);
	return status;
}

#endif /* YOKE_CRYPTO_REQUEST_H */
