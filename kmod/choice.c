// SPDX-License-Identifier: GPL-2.0
/*
 * See choice.h. A model is one 64-bit word, read and written whole: two processors that learn at the same time lose one
 * measurement, no more. The worker's word about its speed is believed as far as it goes: a liar is given calls, misses
 * deadlines and trips the breaker.
 */
#include "choice.h"

#include <linux/atomic.h>
#include <linux/export.h>
#include <linux/ktime.h>

#include <uapi/yoke_cost.h>

#include "arena.h"
#include "core.h"
#include "params.h"
#include "session.h"

#include <linux/yoke.h>

#define HOP_DECAY_LOG2 12
#define DOUBT_EVERY 16u /* with DOUBT_LOG2 as slow as the hop's decay, and felt by small numbers too */
#define DOUBT_LOG2 8

union model {
	struct yoke_cost cost;
	u64 word;
};

static u64 cpu_model[YOKE_SERVICES_MAX];
static bool offload_all;

void yoke_choice_offload_all(bool all)
{
	WRITE_ONCE(offload_all, all);
}

bool yoke_choice_offloads_all(void)
{
	return READ_ONCE(offload_all);
}

void yoke_choice_learn_cpu(u16 service, u32 bytes, u64 took_ns)
{
	union model model;

	if (service >= YOKE_SERVICES_MAX || !bytes)
		return;
	model.word = READ_ONCE(cpu_model[service]);
	model.cost = yoke_cost_learn(model.cost, bytes, took_ns);
	WRITE_ONCE(cpu_model[service], model.word);
}

/*
 * What a call of @bytes takes with the worker: what it published, for what is queued in front as well, and the hop as
 * it was measured; ~0: the worker does not know. When that is longer than @least_ns, the hop is taken to be a little
 * shorter next time: one bad measurement is tried again after some thousand calls.
 */
static u64 worker_ns(u16 service, u32 bytes, u64 least_ns)
{
	struct yoke_session *session;
	union model model = {};
	unsigned long flags;
	u64 expected = ~0ull;

	spin_lock_irqsave(&yoke_core.lock, flags);
	session = yoke_core.session;
	if (session) {
		const struct yoke_status_page *status_untrusted = yoke_arena_status(session->arena);

		model.word = READ_ONCE(*(const u64 *)&status_untrusted->cost[service]);
		/* No overflow: 30 bits of bytes, 32 of rate. */
		expected = yoke_cost_ns(model.cost, min_t(u64, session->backlog_bytes + bytes, YOKE_CALL_BYTES_MAX));
		if (expected != ~0ull) {
			expected += session->hop_ns;
			if (expected > least_ns)
				session->hop_ns -= session->hop_ns >> HOP_DECAY_LOG2;
		}
	}
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	return expected;
}

/*
 * The CPU's model is corrected by what the CPU does: one bad measurement that sends all to the worker would never be
 * corrected. So it is taken to be a little better each time that the worker is chosen, until it is tried again.
 */
static void doubt_cpu(u16 service, union model cpu)
{
	static atomic_t chosen;

	if (atomic_inc_return(&chosen) % DOUBT_EVERY)
		return;
	cpu.cost.overhead_ns -= min(cpu.cost.overhead_ns, (cpu.cost.overhead_ns >> DOUBT_LOG2) + 1);
	cpu.cost.ns_per_kib -= min(cpu.cost.ns_per_kib - 1, (cpu.cost.ns_per_kib >> DOUBT_LOG2) + 1);
	WRITE_ONCE(cpu_model[service], cpu.word);
}

u64 yoke_choice_expected_ns(const struct yoke_call *call)
{
	u64 expected = worker_ns(call->service, call->in_length, ~0ull);

	return expected == ~0ull ? 0 : 2 * expected;
}

bool yoke_worthwhile(u16 service, u32 bytes)
{
	int threshold = yoke_threshold();
	union model cpu;
	u64 cpu_ns;

	if (service >= YOKE_SERVICES_MAX)
		return false;
	if (yoke_choice_offloads_all())
		return true;
	if (threshold >= 0)
		return bytes >= threshold;
	cpu.word = READ_ONCE(cpu_model[service]);
	cpu_ns = yoke_cost_ns(cpu.cost, bytes);
	/* Until the CPU was measured it does the work, and is measured by it. */
	if (!cpu.cost.ns_per_kib || worker_ns(service, bytes, cpu_ns) >= cpu_ns)
		return false;
	doubt_cpu(service, cpu);
	return true;
}
EXPORT_SYMBOL_GPL(yoke_worthwhile);
