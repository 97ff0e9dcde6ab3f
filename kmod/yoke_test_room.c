// SPDX-License-Identifier: GPL-2.0
/*
 * Calls of one who can be made to wait: more at once than the arena holds, most of which the test has taken for
 * itself. Each that was told to wait is told to go on, once, before it ends, once. Every second of them is cancelled,
 * while it waits or a moment later.
 */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "yoke_test.h"

#define CALLS 64u
#define CALL_BYTES (TEST_BYTES_MAX / 4) /* and as much of output */
#define BUFFER_BYTES (1u << 20)
#define BUFFERS_MAX 1024u /* the largest arena */
#define BUFFERS_LEFT 2u
#define ROUNDS_MAX 50u

struct patient {
	struct yoke_call call;
	struct completion resumed;
	struct completion ended;
	bool told;         /* to wait */
	bool went_on;
	bool cancelled;    /* so yoke_cancel() said */
	bool in_order;
};

static void resumed(struct yoke_call *call)
{
	struct patient *patient = container_of(call, struct patient, call);

	patient->in_order = !patient->went_on && !completion_done(&patient->ended);
	patient->went_on = true;
	complete(&patient->resumed);
}

static void ended(struct yoke_call *call)
{
	struct patient *patient = container_of(call, struct patient, call);

	patient->in_order &= !completion_done(&patient->ended);
	complete(&patient->ended);
}

/* 0 or what yoke_submit() refused the call with. */
static int start(struct patient *patient, struct test_memory *memory, bool patiently)
{
	int error;

	memset(patient, 0, sizeof(*patient));
	patient->in_order = true;
	init_completion(&patient->resumed);
	init_completion(&patient->ended);
	test_describe(&patient->call, memory, YOKE_SERVICE_ECHO, NULL, CALL_BYTES, false);
	patient->call.timeout_ns = 0; /* the module's, which a script makes long or short */
	patient->call.cpu = yoke_cpu;
	patient->call.complete = ended;
	if (patiently)
		patient->call.resumed = resumed;
	error = yoke_submit(&patient->call);
	if (error != -EBUSY)
		return error;
	patient->told = true;
	return 0;
}

static bool is_right(struct patient *patient, struct test_memory *memory)
{
	const struct yoke_call *call = &patient->call;

	wait_for_completion(&patient->ended);
	EXPECT(patient->in_order && patient->told == patient->went_on);
	if (patient->cancelled) {
		EXPECT_IS(call->status, -ECANCELED);
		return true;
	}
	EXPECT_IS(call->status, 0);
	EXPECT_IS(call->produced, CALL_BYTES);
	return true;
}

static bool one_round(struct patient *patients, struct test_memory *memory, bool is_served, unsigned int *told,
		      unsigned int *by_worker)
{
	unsigned int i, count = 0;
	bool any = false;
	int error = 0;

	while (count < CALLS && !error) {
		struct patient *patient = &patients[count];

		error = start(patient, memory, true);
		if (error)
			break;
		count++;
		if (!patient->told)
			continue;
		if (++*told % 2)
			patient->cancelled = yoke_cancel(&patient->call);
		wait_for_completion(&patient->resumed);
	}
	for (i = 0; i < count; i++) {
		if (!is_right(&patients[i], memory))
			error = -EIO;
		any |= !patients[i].call.status;
		*by_worker += !patients[i].call.status && patients[i].call.where != YOKE_WHERE_CALLER;
	}
	/* Without a worker (lost, barred) they are refused as others are. */
	EXPECT(!error || error == -EAGAIN || error == -ENODEV || error == -EOWNERDEAD || error == -ENOBUFS);
	/* A worker that lies about ids may leave one of several the content of another. */
	EXPECT(!is_served || !any || !memcmp(memory->in.bytes, memory->out.bytes, CALL_BYTES));
	return true;
}

/* Takes the arena but for room of a few calls. */
static unsigned int take_buffers(struct yoke_buffer **buffers)
{
	unsigned int count = 0;

	while (count < BUFFERS_MAX && (buffers[count] = yoke_buffer_get(BUFFER_BYTES)))
		count++;
	return count;
}

static void put_buffers(struct yoke_buffer **buffers, unsigned int first, unsigned int end)
{
	for (; first < end; first++)
		yoke_buffer_put(buffers[first]);
}

static bool in_small_arena(bool (*run)(struct test_memory *memory), struct test_memory *memory)
{
	struct yoke_buffer **buffers = kvcalloc(BUFFERS_MAX, sizeof(*buffers), GFP_KERNEL);
	unsigned int count, kept;
	bool good;

	EXPECT(buffers);
	count = take_buffers(buffers);
	kept = count - min(count, BUFFERS_LEFT);
	put_buffers(buffers, kept, count);
	good = run(memory);
	put_buffers(buffers, 0, kept);
	kvfree(buffers);
	return good;
}

static bool rounds(struct test_memory *memory, bool is_served)
{
	struct patient *patients = kvcalloc(CALLS, sizeof(*patients), GFP_KERNEL);
	unsigned int round = 0, told = 0, by_worker = 0;
	bool good = true;

	EXPECT(patients);
	memset(memory->out.bytes, 0, CALL_BYTES);
	do {
		good = one_round(patients, memory, is_served, &told, &by_worker);
	} while (good && is_served && (told < 4 || !by_worker) && ++round < ROUNDS_MAX);
	kvfree(patients);
	test_report("  %u calls were told to wait\n", told);
	EXPECT(good);
	EXPECT(!is_served || (told >= 4 && by_worker));
	return true;
}

static bool served(struct test_memory *memory)
{
	return rounds(memory, true);
}

static bool unserved(struct test_memory *memory)
{
	return rounds(memory, false);
}

/* Who cannot be made to wait is refused when others would wait. */
static bool refused(struct test_memory *memory)
{
	struct patient *patients = kvcalloc(CALLS, sizeof(*patients), GFP_KERNEL);
	unsigned int i, round = 0, count, refusals = 0;
	bool good = true;

	EXPECT(patients);
	do {
		for (count = 0; count < CALLS; count++) {
			int error = start(&patients[count], memory, false);

			good &= !error || error == -ENOBUFS;
			refusals += error == -ENOBUFS;
			if (error)
				break;
		}
		for (i = 0; i < count; i++)
			good &= is_right(&patients[i], memory);
	} while (good && !refusals && ++round < ROUNDS_MAX);
	kvfree(patients);
	EXPECT(good && refusals);
	return true;
}

static bool wait_for_room(struct test_memory *memory)
{
	return in_small_arena(served, memory);
}

static bool refused_at_once(struct test_memory *memory)
{
	return in_small_arena(refused, memory);
}

static bool wait_in_vain(struct test_memory *memory)
{
	return in_small_arena(unserved, memory);
}

const struct test_case test_room[] = {
	{ "calls that wait for room", wait_for_room },
	{ "calls that cannot wait for room", refused_at_once },
	{}
};

const struct test_case test_no_room[] = { { "calls that wait for room in vain", wait_in_vain }, {} };
