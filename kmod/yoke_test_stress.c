// SPDX-License-Identifier: GPL-2.0
/*
 * Many threads that call in every way at once, with deadlines that cannot be kept, cancels, and keys that come and go.
 * What ends with status 0 must be right; what has CPU code must end so (or cancelled). A script kills and replaces
 * honest workers meanwhile.
 */
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "yoke_test.h"

#define STRESS_SECONDS 5
#define THREADS_MAX 16u
#define CALLS_PER_KEY 16u
#define UNIT_BYTES 512u
#define UNITS_MAX 64u

static const struct {
	u16 service;
	u8 key_bytes;
} kinds[] = {
	{ YOKE_SERVICE_ECHO, 0 },     { YOKE_SERVICE_AES_ECB, 16 }, { YOKE_SERVICE_AES_CTR, 32 },
	{ YOKE_SERVICE_AES_XTS, 64 }, { YOKE_SERVICE_AES_GCM, 32 }, { YOKE_SERVICE_SHA256, 0 },
};

struct stress_thread {
	struct task_struct *task;
	struct test_memory memory;
	struct completion ended;
	unsigned long calls, offloaded, failed;
	u64 until_ns;
	bool bad;
};

struct callback {
	struct completion ended;
	bool owed; /* that the call goes on */
};

static void wake(struct yoke_call *call)
{
	struct callback *callback = call->context;

	complete(&callback->ended);
}

static void resumed(struct yoke_call *call)
{
	struct callback *callback = call->context;

	callback->owed = !callback->owed;
}

/* Submits, perhaps waits for room, perhaps cancels, waits. */
static int by_callback(struct yoke_call *call)
{
	struct callback callback = {};
	int error;

	init_completion(&callback.ended);
	call->complete = wake;
	call->resumed = prandom_u32_max(2) ? resumed : NULL;
	call->context = &callback;
	error = yoke_submit(call);
	if (error && error != -EBUSY)
		return error;
	if (prandom_u32_max(4) == 0)
		yoke_cancel(call);
	wait_for_completion(&callback.ended);
	return callback.owed == (error == -EBUSY) ? call->status : -EDOM;
}

static int call_somehow(struct yoke_call *call)
{
	switch (prandom_u32_max(3)) {
	case 0:
		return yoke_call_spin(call, prandom_u32_max(500 * NSEC_PER_USEC));
	case 1:
		return by_callback(call);
	default:
		return yoke_call_wait(call);
	}
}

/* May a call with CPU code end like this? Only where it was cancelled, or never begun. */
static bool is_excused(int status)
{
	return status == -ECANCELED || status == -EAGAIN || status == -ENOBUFS || status == -ENODEV ||
	       status == -EOWNERDEAD;
}

static bool one_call(struct stress_thread *thread, u16 service, struct yoke_key *key)
{
	u32 bytes = (1 + prandom_u32_max(UNITS_MAX)) * UNIT_BYTES;
	struct yoke_call *call = kmalloc(sizeof(*call), GFP_KERNEL);
	bool good = false;
	int status;

	if (!call)
		return false;
	test_describe(call, &thread->memory, service, key, bytes, false);
	call->timeout_ns = prandom_u32_max(8) ? 0 : 1 + prandom_u32_max(NSEC_PER_MSEC);
	call->cpu = yoke_cpu;
	status = call_somehow(call);
	thread->calls++;
	if (!status) {
		good = !test_expect(call, &thread->memory) && test_same(call, &thread->memory);
		thread->offloaded += call->where != YOKE_WHERE_CALLER;
	} else {
		good = is_excused(status);
		thread->failed++;
	}
	if (!good)
		test_report("  service %u, %u bytes, status %d, where %u\n", service, bytes, status, call->where);
	kfree(call);
	return good;
}

static int stress(void *data)
{
	struct stress_thread *thread = data;

	while (ktime_get_ns() < thread->until_ns && !thread->bad) {
		unsigned int kind = prandom_u32_max(ARRAY_SIZE(kinds));
		struct yoke_key *key = NULL;
		unsigned int i;
		u8 bytes[64];

		get_random_bytes(bytes, sizeof(bytes));
		if (kinds[kind].key_bytes)
			key = yoke_key_create(kinds[kind].service, bytes, kinds[kind].key_bytes);
		for (i = 0; !IS_ERR(key) && i < CALLS_PER_KEY && !thread->bad; i++) {
			thread->bad = !one_call(thread, kinds[kind].service, key);
			cond_resched();
		}
		if (IS_ERR(key))
			thread->bad = true;
		else
			yoke_key_destroy(key);
	}
	complete(&thread->ended);
	return 0;
}

static bool start(struct stress_thread *thread, unsigned int number)
{
	if (!test_memory_make(&thread->memory, UNITS_MAX * UNIT_BYTES + PAGE_SIZE))
		return false;
	init_completion(&thread->ended);
	thread->until_ns = ktime_get_ns() + STRESS_SECONDS * (u64)NSEC_PER_SEC;
	thread->task = kthread_run(stress, thread, "yoke_test/%u", number);
	return !IS_ERR(thread->task);
}

static bool stresses(struct test_memory *unused)
{
	unsigned int count = min(2 * num_online_cpus(), THREADS_MAX);
	struct stress_thread *threads = kcalloc(count, sizeof(*threads), GFP_KERNEL);
	unsigned long calls = 0, offloaded = 0, failed = 0;
	unsigned int i, started = 0;
	bool good;

	EXPECT(threads);
	while (started < count && start(&threads[started], started))
		started++;
	good = started == count;
	for (i = 0; i < started; i++) {
		wait_for_completion(&threads[i].ended);
		calls += threads[i].calls;
		offloaded += threads[i].offloaded;
		failed += threads[i].failed;
		good &= !threads[i].bad;
	}
	for (i = 0; i < count; i++)
		test_memory_free(&threads[i].memory);
	kfree(threads);
	test_report("  %u threads, %lu calls, %lu by the worker, %lu cancelled or refused\n", started, calls, offloaded,
		    failed);
	EXPECT(good);
	return true;
}

const struct test_case test_stress[] = { { "stress", stresses }, {} };
