// SPDX-License-Identifier: GPL-2.0
/*
 * Calls of many keys that come together, as from many tfms: each key's calls and the digests, which have none, gather
 * behind two long calls that keep the worker busy, and share entries. What the entries cost in bells, a script reads in
 * the module's counters.
 */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "yoke_test.h"

#define HOLDERS 2u        /* as many as are under way before calls gather */
#define KEYS 8u
#define ROWS (KEYS + 1u)  /* calls of one key each, and the digests */
#define CALLS_PER_ROW 24u
#define UNIT_BYTES 512u
#define DIGEST_BYTES 32u
#define ROW_BYTES (CALLS_PER_ROW * UNIT_BYTES)
#define HOLDER_BYTES (TEST_BYTES_MAX / 2)
#define HOLDERS_SKIP (TEST_BYTES_MAX / 2) /* where their output is, behind that of the rows */

struct together {
	struct yoke_key *key[ROWS]; /* the last is none */
	struct yoke_call holder[HOLDERS];
	struct yoke_call call[ROWS][CALLS_PER_ROW];
	atomic_t left;
	struct completion all;
};

static void one_ended(struct yoke_call *call)
{
	struct together *together = call->context;

	if (atomic_dec_and_test(&together->left))
		complete(&together->all);
}

static bool start(struct together *together, struct yoke_call *call)
{
	int error;

	call->timeout_ns = 0; /* calls with a deadline of their own do not join */
	call->cpu = yoke_cpu;
	call->complete = one_ended;
	call->context = together;
	atomic_inc(&together->left);
	error = yoke_submit(call);
	if (error)
		atomic_dec(&together->left);
	EXPECT_IS(error, 0);
	return true;
}

static void describe_row(struct yoke_call *call, struct test_memory *memory, struct together *together,
			 unsigned int row, u32 bytes)
{
	struct yoke_key *key = together->key[row];

	test_describe(call, memory, key ? YOKE_SERVICE_AES_ECB : YOKE_SERVICE_SHA256, key, bytes, false);
	call->in_skip = row * ROW_BYTES;
	call->out_skip = row * ROW_BYTES;
}

static bool submit_all(struct together *together, struct test_memory *memory)
{
	unsigned int i, row;

	for (i = 0; i < HOLDERS; i++) {
		test_describe(&together->holder[i], memory, YOKE_SERVICE_SHA256, NULL, HOLDER_BYTES, false);
		together->holder[i].out_skip = HOLDERS_SKIP + i * (HOLDER_BYTES / 4);
		if (!start(together, &together->holder[i]))
			return false;
	}
	for (i = 0; i < CALLS_PER_ROW; i++) {
		for (row = 0; row < ROWS; row++) {
			struct yoke_call *call = &together->call[row][i];

			describe_row(call, memory, together, row, UNIT_BYTES);
			call->in_skip += i * UNIT_BYTES;
			call->out_skip += i * (together->key[row] ? UNIT_BYTES : DIGEST_BYTES);
			if (!start(together, call))
				return false;
		}
	}
	return true;
}

/* Each call's result is its own, and some of them came with others in one entry. */
static bool row_is_right(struct together *together, struct test_memory *memory, unsigned int row)
{
	unsigned int i, joined = 0;
	struct yoke_call whole;

	describe_row(&whole, memory, together, row, ROW_BYTES);
	EXPECT_IS(test_expect(&whole, memory), 0);
	whole.produced = together->key[row] ? ROW_BYTES : CALLS_PER_ROW * DIGEST_BYTES;
	EXPECT(test_same(&whole, memory));
	for (i = 0; i < CALLS_PER_ROW; i++) {
		const struct yoke_call *call = &together->call[row][i];

		EXPECT_IS(call->status, 0);
		joined += call->joined && call->where != YOKE_WHERE_CALLER;
	}
	test_report("  %s %u: %u of %u calls joined others\n", together->key[row] ? "key" : "digests", row, joined,
		    CALLS_PER_ROW);
	EXPECT(joined);
	return true;
}

static bool make_keys(struct together *together)
{
	unsigned int row;
	u8 bytes[32];

	for (row = 0; row < KEYS; row++) {
		struct yoke_key *key;

		get_random_bytes(bytes, sizeof(bytes));
		key = yoke_key_create(YOKE_SERVICE_AES_ECB, bytes, sizeof(bytes));
		EXPECT(!IS_ERR(key));
		together->key[row] = key;
	}
	return true;
}

static bool come_together(struct test_memory *memory)
{
	struct together *together = kvzalloc(sizeof(*together), GFP_KERNEL);
	unsigned int row;
	bool good;

	EXPECT(together);
	init_completion(&together->all);
	atomic_set(&together->left, 1);
	good = make_keys(together) && submit_all(together, memory);
	if (!atomic_dec_and_test(&together->left))
		wait_for_completion(&together->all);
	for (row = 0; good && row < ROWS; row++)
		good = row_is_right(together, memory, row);
	for (row = 0; row < KEYS; row++)
		yoke_key_destroy(together->key[row]);
	kvfree(together);
	return good;
}

const struct test_case test_together[] = { { "calls of many keys", come_together }, {} };
