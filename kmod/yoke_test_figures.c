// SPDX-License-Identifier: GPL-2.0
/*
 * What a call of 4 KiB costs and where the time goes. Each line: the way of calling, the median and the 99th
 * percentile of the whole and of each hop in ns:
 *   submit   from the entry of yoke_submit() to the entry in the ring (the input is copied here)
 *   there    from there to the beginning of the execution, and from its end to the completion seen by the kernel
 *   run      the worker's execution
 *   deliver  from seen to delivered (the output is copied here)
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "yoke_test.h"

static unsigned int rounds = 500;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "how many calls of each kind are measured, 100 to 100000 (default 500)");

#define CALL_BYTES 4096u
/* An emulated worker may not run for a while; with one processor it does not run while somebody spins. */
#define SPIN_NS (1000 * NSEC_PER_MSEC)
#define SPIN_ALONE_NS (2 * NSEC_PER_MSEC)

enum hop { WHOLE, SUBMIT, THERE, RUN, DELIVER, HOPS };

static const char *const hop_name[HOPS] = { "whole", "submit", "there", "run", "deliver" };

static u32 *samples[HOPS];

static int compare(const void *a, const void *b)
{
	u32 left = *(const u32 *)a;
	u32 right = *(const u32 *)b;

	return left < right ? -1 : left > right;
}

static u32 part(enum hop hop, unsigned int count, unsigned int percent)
{
	return samples[hop][count * percent / 100];
}

static void keep(unsigned int n, const struct yoke_stamps *stamps)
{
	samples[WHOLE][n] = stamps->done - stamps->submitted;
	samples[SUBMIT][n] = stamps->issued - stamps->submitted;
	samples[RUN][n] = stamps->run_ns;
	/* The kernel looks at its clock before it looks at the ring: the end may come in between. */
	samples[THERE][n] = max_t(s64, 0, stamps->seen - stamps->issued - stamps->run_ns);
	samples[DELIVER][n] = stamps->done - stamps->seen;
}

static void say(const char *way, unsigned int count, unsigned int by_cpu)
{
	unsigned int hop;

	if (!count) {
		test_report("figure %s: all %u calls were done by the CPU\n", way, by_cpu);
		return;
	}
	for (hop = 0; hop < HOPS; hop++)
		sort(samples[hop], count, sizeof(u32), compare, NULL);
	test_report("figure %s:", way);
	for (hop = 0; hop < HOPS; hop++)
		test_report(" %s %u p99 %u", hop_name[hop], part(hop, count, 50), part(hop, count, 99));
	test_report(" ns, calls %u, by the cpu %u\n", count, by_cpu);
}

static void wake(struct yoke_call *call)
{
	complete(call->context);
}

static int by_callback(struct yoke_call *call)
{
	DECLARE_COMPLETION_ONSTACK(ended);
	int error;

	call->complete = wake;
	call->context = &ended;
	error = yoke_submit(call);
	if (error)
		return error;
	wait_for_completion(&ended);
	return call->status;
}

static int by_spinning(struct yoke_call *call)
{
	return yoke_call_spin(call, num_online_cpus() > 1 ? SPIN_NS : SPIN_ALONE_NS);
}

static bool measure(struct test_memory *memory, const char *way, u16 service, struct yoke_key *key,
		    int (*make)(struct yoke_call *call))
{
	unsigned int i, count = 0, by_cpu = 0;
	struct yoke_call *call = kzalloc(sizeof(*call), GFP_KERNEL);

	EXPECT(call);
	for (i = 0; i < rounds; i++) {
		int status;

		test_describe(call, memory, service, key, CALL_BYTES, false);
		call->cpu = yoke_cpu;
		call->timeout_ns = 0;
		status = make(call);
		if (status == -EAGAIN || status == -ENOBUFS || (!status && call->where == YOKE_WHERE_CALLER)) {
			by_cpu++;
			usleep_range(200, 400); /* else all rounds are over before the worker is free again */
		} else if (status) {
			kfree(call);
			EXPECT_IS(status, 0);
		} else {
			keep(count++, &call->stamps);
		}
		cond_resched();
	}
	kfree(call);
	say(way, count, by_cpu);
	return true;
}

static bool measure_cpu(struct test_memory *memory, const char *way, u16 service, struct yoke_key *key)
{
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		struct yoke_call call;
		u64 begin = ktime_get_ns();

		test_describe(&call, memory, service, key, CALL_BYTES, false);
		EXPECT_IS(yoke_cpu(&call), 0);
		samples[WHOLE][i] = ktime_get_ns() - begin;
	}
	sort(samples[WHOLE], rounds, sizeof(u32), compare, NULL);
	test_report("figure %s: whole %u p99 %u ns\n", way, part(WHOLE, rounds, 50), part(WHOLE, rounds, 99));
	return true;
}

static bool make_samples(void)
{
	unsigned int hop;

	for (hop = 0; hop < HOPS; hop++) {
		samples[hop] = kvcalloc(rounds, sizeof(u32), GFP_KERNEL);
		if (!samples[hop])
			return false;
	}
	return true;
}

static void free_samples(void)
{
	unsigned int hop;

	for (hop = 0; hop < HOPS; hop++) {
		kvfree(samples[hop]);
		samples[hop] = NULL;
	}
}

/* NULL: by the CPU. */
static bool figures(struct test_memory *memory, const char *way, int (*make)(struct yoke_call *call))
{
	char echo[32], xts[32];
	struct yoke_key *key;
	u8 bytes[64];
	unsigned int i;
	bool good;

	rounds = clamp(rounds, 100u, 100000u);
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	key = yoke_key_create(YOKE_SERVICE_AES_XTS, bytes, sizeof(bytes));
	EXPECT(!IS_ERR(key));
	snprintf(echo, sizeof(echo), "echo %s", way);
	snprintf(xts, sizeof(xts), "aes-xts %s", way);
	good = make_samples();
	if (good && make)
		good = measure(memory, echo, YOKE_SERVICE_ECHO, NULL, make) &&
		       measure(memory, xts, YOKE_SERVICE_AES_XTS, key, make);
	else if (good)
		good = measure_cpu(memory, xts, YOKE_SERVICE_AES_XTS, key);
	free_samples();
	yoke_key_destroy(key);
	return good;
}

static bool spinning(struct test_memory *memory)
{
	return figures(memory, "spinning", by_spinning);
}

static bool waiting(struct test_memory *memory)
{
	return figures(memory, "waiting", yoke_call_wait);
}

static bool callback(struct test_memory *memory)
{
	return figures(memory, "callback", by_callback);
}

static bool cpu(struct test_memory *memory)
{
	return figures(memory, "cpu", NULL);
}

const struct test_case test_spinning[] = { { "spinning", spinning }, {} };
const struct test_case test_waiting[] = { { "waiting", waiting }, {} };
const struct test_case test_callback[] = { { "callback", callback }, {} };
const struct test_case test_cpu[] = { { "cpu", cpu }, {} };
