// SPDX-License-Identifier: GPL-2.0
/*
 * Every function of linux/yoke.h, each result compared with the kernel's own code for the same input.
 */
#include <linux/bottom_half.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/preempt.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/timer.h>

#include "yoke_test.h"

#define SKIP_BYTES 123u
#define MANY 200u
#define SECOND_NS ((u64)NSEC_PER_SEC)
/* No test is about time: deadlines that a slow machine keeps. */
#define LONG_NS (20 * SECOND_NS)

static const u32 sizes[] = { 16, 496, 512, 4096, 4112, 65536, 262144, TEST_BYTES_MAX };

static const struct {
	u16 service;
	u8 key_bytes;
	const char *name;
} services[] = {
	{ YOKE_SERVICE_ECHO, 0, "echo" },
	{ YOKE_SERVICE_AES_ECB, 16, "aes-ecb 128" },
	{ YOKE_SERVICE_AES_ECB, 32, "aes-ecb 256" },
	{ YOKE_SERVICE_AES_CTR, 32, "aes-ctr" },
	{ YOKE_SERVICE_AES_XTS, 32, "aes-xts 128" },
	{ YOKE_SERVICE_AES_XTS, 64, "aes-xts 256" },
	{ YOKE_SERVICE_AES_GCM, 16, "aes-gcm" },
	{ YOKE_SERVICE_SHA256, 0, "sha256" },
};

void test_describe(struct yoke_call *call, struct test_memory *memory, u16 service, struct yoke_key *key, u32 bytes,
		   bool decrypt)
{
	yoke_call_init(call);
	call->service = service;
	call->key = key;
	call->flags = decrypt ? YOKE_FLAG_DECRYPT : 0;
	call->in = memory->in.sg;
	call->in_length = bytes;
	call->out = memory->out.sg;
	call->out_length = bytes;
	call->timeout_ns = LONG_NS;
	switch (service) {
	case YOKE_SERVICE_AES_CTR:
		call->flags |= YOKE_FLAG_PARAMS;
		memset(call->params.iv.iv, 0xff, 15); /* carries over all its bytes */
		break;
	case YOKE_SERVICE_AES_XTS:
		call->flags |= YOKE_FLAG_PARAMS;
		memset(call->params.xts.start, 0xff, 8);
		call->params.xts.unit = 512;
		break;
	case YOKE_SERVICE_AES_GCM:
		call->flags |= YOKE_FLAG_PARAMS;
		call->params.gcm.iv_length = 12;
		call->params.gcm.aad_length = 20;
		call->params.gcm.tag_length = 16;
		call->aux = memory->aux.sg;
		call->aux_length = 32;
		call->out_length = decrypt ? bytes - 16 : bytes + 16;
		break;
	case YOKE_SERVICE_SHA256:
		call->flags |= YOKE_FLAG_PARAMS;
		call->params.sha256.message = bytes % 512 ? 0 : 512;
		call->out_length = max(bytes / 16, 32u);
		break;
	default:
		break;
	}
}

int test_expect(const struct yoke_call *call, struct test_memory *memory)
{
	struct yoke_call own = *call;

	own.in_buffer = NULL;
	own.out_buffer = NULL;
	own.in = memory->in.sg;
	own.in_skip = call->in_buffer ? 0 : call->in_skip;
	own.out = memory->expected.sg;
	own.out_skip = 0;
	return yoke_cpu(&own);
}

bool test_same(const struct yoke_call *call, const struct test_memory *memory)
{
	return call->produced && !memcmp(memory->out.bytes + call->out_skip, memory->expected.bytes, call->produced);
}

static struct yoke_key *make_key(u16 service, unsigned int bytes)
{
	u8 key[64];

	if (!bytes)
		return NULL;
	get_random_bytes(key, sizeof(key));
	return yoke_key_create(service, key, bytes);
}

/* Until the worker has finished what earlier tests have abandoned; false: it has not in a long time. */
static bool settle(struct test_memory *memory)
{
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		struct yoke_call call;

		test_describe(&call, memory, YOKE_SERVICE_ECHO, NULL, 2 * YOKE_EXPRESS_BYTES_MAX, false);
		call.timeout_ns = 0; /* refused while the queue is long */
		if (!yoke_call_wait(&call))
			return true;
		msleep(20);
	}
	return false;
}

static bool one_call(struct test_memory *memory, u16 service, struct yoke_key *key, u32 bytes)
{
	struct yoke_call call;

	test_describe(&call, memory, service, key, bytes, false);
	EXPECT_IS(yoke_call_wait(&call), 0);
	EXPECT(call.where != YOKE_WHERE_CALLER && call.where != YOKE_WHERE_NONE);
	EXPECT(call.stamps.submitted && call.stamps.submitted <= call.stamps.issued &&
	       call.stamps.issued <= call.stamps.seen && call.stamps.seen <= call.stamps.done);
	EXPECT_IS(test_expect(&call, memory), 0);
	EXPECT(test_same(&call, memory));
	if (service == YOKE_SERVICE_ECHO || service == YOKE_SERVICE_SHA256)
		return true;
	/* And back, in place. */
	memcpy(memory->expected.bytes, memory->in.bytes, bytes);
	bytes = call.produced;
	test_describe(&call, memory, service, key, bytes, true);
	call.in = memory->out.sg;
	EXPECT_IS(yoke_call_wait(&call), 0);
	EXPECT(call.where != YOKE_WHERE_CALLER);
	EXPECT(test_same(&call, memory));
	return true;
}

static bool waits(struct test_memory *memory)
{
	unsigned int s, n;

	EXPECT(settle(memory));
	for (s = 0; s < ARRAY_SIZE(services); s++) {
		struct yoke_key *key = make_key(services[s].service, services[s].key_bytes);

		EXPECT(!IS_ERR(key));
		for (n = 0; n < ARRAY_SIZE(sizes); n++) {
			if (!one_call(memory, services[s].service, key, sizes[n])) {
				test_report("  with %s of %u bytes\n", services[s].name, sizes[n]);
				yoke_key_destroy(key);
				return false;
			}
		}
		yoke_key_destroy(key);
	}
	return true;
}

static bool skips(struct test_memory *memory)
{
	struct yoke_call call;

	memset(memory->out.bytes, 0x5a, 8192);
	test_describe(&call, memory, YOKE_SERVICE_ECHO, NULL, 4096, false);
	call.in_skip = SKIP_BYTES;
	call.out_skip = 2 * SKIP_BYTES;
	EXPECT_IS(yoke_call_wait(&call), 0);
	EXPECT_IS(call.produced, 4096);
	EXPECT(!memcmp(memory->out.bytes + 2 * SKIP_BYTES, memory->in.bytes + SKIP_BYTES, 4096));
	EXPECT(memory->out.bytes[2 * SKIP_BYTES - 1] == 0x5a && memory->out.bytes[2 * SKIP_BYTES + 4096] == 0x5a);
	return true;
}

static bool wrong_members(struct test_memory *memory)
{
	struct yoke_key *key = make_key(YOKE_SERVICE_AES_ECB, 16);
	struct yoke_call call;
	bool good = false;

	EXPECT(!IS_ERR(key));
	EXPECT_IS(PTR_ERR(make_key(YOKE_SERVICE_AES_ECB, 24)), -EINVAL);
	EXPECT_IS(PTR_ERR(make_key(YOKE_SERVICE_AES_XTS, 16)), -EINVAL);
	EXPECT_IS(PTR_ERR(make_key(YOKE_SERVICE_SHA256, 32)), -EINVAL);
	test_describe(&call, memory, YOKE_SERVICE_ECHO, NULL, 64, false);
	EXPECT_IS(yoke_submit(&call), -EINVAL); /* no callback */
	EXPECT_IS(yoke_call_spin(&call, 1), -EINVAL); /* no CPU code */
	call.service = 99;
	EXPECT_IS(yoke_call_wait(&call), -EINVAL);
	test_describe(&call, memory, YOKE_SERVICE_ECHO, key, 64, false);
	EXPECT_IS(yoke_call_wait(&call), -EINVAL);
	test_describe(&call, memory, YOKE_SERVICE_AES_ECB, NULL, 64, false);
	EXPECT_IS(yoke_call_wait(&call), -EINVAL);
	test_describe(&call, memory, YOKE_SERVICE_AES_ECB, key, 63, false);
	EXPECT_IS(yoke_call_wait(&call), -EINVAL);
	test_describe(&call, memory, YOKE_SERVICE_AES_ECB, key, 64, false);
	call.out_length = 63;
	EXPECT_IS(yoke_call_wait(&call), -EMSGSIZE);
	test_describe(&call, memory, YOKE_SERVICE_AES_ECB, key, 64, false);
	call.flags = 0x80;
	EXPECT_IS(yoke_call_wait(&call), -EINVAL);
	test_describe(&call, memory, YOKE_SERVICE_ECHO, NULL, 64, false);
	call.in_skip = 2 * TEST_BYTES_MAX; /* behind the end of the list */
	EXPECT_IS(yoke_call_wait(&call), -EINVAL);
	good = true;
	yoke_key_destroy(key);
	yoke_key_destroy(NULL);
	return good;
}

static bool wrong_tag(struct test_memory *memory)
{
	struct yoke_key *key = make_key(YOKE_SERVICE_AES_GCM, 32);
	struct yoke_call call;
	int status;

	EXPECT(!IS_ERR(key));
	test_describe(&call, memory, YOKE_SERVICE_AES_GCM, key, 4096, true);
	status = yoke_call_wait(&call);
	yoke_key_destroy(key);
	EXPECT_IS(status, -EBADMSG);
	return true;
}

/* Many calls at a time. */
struct many {
	struct yoke_call call[MANY];
	atomic_t ended[MANY];
	atomic_t left;
	struct completion all;
	bool bad_context;
};

static void one_ended(struct yoke_call *call)
{
	struct many *many = call->context;

	if (!in_softirq() || irqs_disabled())
		many->bad_context = true;
	atomic_inc(&many->ended[call - many->call]);
	if (atomic_dec_and_test(&many->left))
		complete(&many->all);
}

static struct many *make_many(void)
{
	struct many *many = kvzalloc(sizeof(*many), GFP_KERNEL);

	if (many) {
		init_completion(&many->all);
		atomic_set(&many->left, 1);
	}
	return many;
}

/* False: a callback did not come, or came twice. */
static bool await_many(struct many *many, unsigned int submitted)
{
	unsigned int i;

	if (!atomic_dec_and_test(&many->left))
		EXPECT(wait_for_completion_timeout(&many->all, 60 * HZ));
	msleep(20); /* for one too many */
	for (i = 0; i < submitted; i++)
		EXPECT_IS(atomic_read(&many->ended[i]), 1);
	EXPECT(!many->bad_context);
	return true;
}

static bool start_one(struct many *many, unsigned int i)
{
	struct yoke_call *call = &many->call[i];

	call->complete = one_ended;
	call->context = many;
	atomic_inc(&many->left);
	if (!yoke_submit(call))
		return true;
	atomic_dec(&many->left);
	return false;
}

static bool callbacks(struct test_memory *memory)
{
	struct yoke_key *key = make_key(YOKE_SERVICE_AES_ECB, 32);
	struct many *many = make_many();
	unsigned int i, submitted = 0;
	struct yoke_call whole;
	bool good = false;

	EXPECT(settle(memory));
	EXPECT(many && !IS_ERR(key));
	for (i = 0; i < MANY; i++) {
		test_describe(&many->call[i], memory, YOKE_SERVICE_AES_ECB, key, 512, false);
		many->call[i].in_skip = i * 512;
		many->call[i].out_skip = i * 512;
		many->call[i].timeout_ns = 0;
		many->call[i].cpu = yoke_cpu;
		if (!start_one(many, i))
			break;
		submitted++;
	}
	if (await_many(many, submitted)) {
		test_describe(&whole, memory, YOKE_SERVICE_AES_ECB, key, submitted * 512, false);
		good = submitted && !test_expect(&whole, memory) &&
		       !memcmp(memory->out.bytes, memory->expected.bytes, submitted * 512);
		for (i = 0; i < submitted; i++)
			good &= many->call[i].status == 0;
	}
	yoke_key_destroy(key);
	kvfree(many);
	return good ? true : test_failed(__func__, __LINE__, "right results", submitted);
}

static bool cancels(struct test_memory *memory)
{
	struct many *many = make_many();
	unsigned int i, submitted = 0, cancelled = 0;
	bool good = true;

	EXPECT(settle(memory));
	EXPECT(many);
	for (i = 0; i < 8; i++) {
		test_describe(&many->call[i], memory, YOKE_SERVICE_SHA256, NULL, TEST_BYTES_MAX / 8, false);
		many->call[i].out_skip = i * 8192;
		many->call[i].cpu = yoke_cpu;
		if (!start_one(many, i))
			break;
		submitted++;
	}
	for (i = 0; i < submitted; i++) {
		bool will_be = yoke_cancel(&many->call[i]);

		cancelled += will_be;
		good &= !yoke_cancel(&many->call[i]) || !will_be; /* once only */
	}
	good &= await_many(many, submitted);
	for (i = 0; i < submitted; i++) {
		good &= many->call[i].status == 0 || many->call[i].status == -ECANCELED;
		cancelled -= many->call[i].status == -ECANCELED;
	}
	kvfree(many);
	EXPECT(good && submitted);
	EXPECT_IS(cancelled, 0);
	return true;
}

static bool deadlines(struct test_memory *memory)
{
	struct yoke_call call;

	EXPECT(settle(memory));
	test_describe(&call, memory, YOKE_SERVICE_SHA256, NULL, TEST_BYTES_MAX, false);
	call.params.sha256.message = 0;
	call.timeout_ns = 1;
	EXPECT_IS(yoke_call_wait(&call), -ETIME);
	EXPECT(settle(memory));
	test_describe(&call, memory, YOKE_SERVICE_SHA256, NULL, TEST_BYTES_MAX, false);
	call.timeout_ns = 1;
	call.cpu = yoke_cpu;
	EXPECT_IS(yoke_call_wait(&call), 0);
	EXPECT_IS(call.where, YOKE_WHERE_CALLER);
	EXPECT_IS(test_expect(&call, memory), 0);
	EXPECT(test_same(&call, memory));
	return true;
}

static bool spins(struct test_memory *memory)
{
	struct yoke_key *key = make_key(YOKE_SERVICE_AES_XTS, 64);
	struct yoke_call call;
	unsigned int i;
	int status;

	EXPECT(settle(memory));
	EXPECT(!IS_ERR(key));
	for (i = 0; i < 64; i++) {
		test_describe(&call, memory, YOKE_SERVICE_AES_XTS, key, 4096, false);
		call.cpu = yoke_cpu;
		/* As if the caller held locks that the worker's progress depends on. */
		if (i % 4 == 1)
			preempt_disable();
		if (i % 4 == 2)
			local_bh_disable();
		status = yoke_call_spin(&call, i % 8 ? 200 * NSEC_PER_USEC : 0);
		if (i % 4 == 1)
			preempt_enable();
		if (i % 4 == 2)
			local_bh_enable();
		if (status || test_expect(&call, memory) || !test_same(&call, memory))
			break;
	}
	yoke_key_destroy(key);
	EXPECT_IS(i, 64);
	return true;
}

static struct many *timed;
static struct test_memory *timed_memory;
static bool timed_submitted;
static DECLARE_COMPLETION(timed_ran);

static void on_timer(struct timer_list *timer)
{
	test_describe(&timed->call[0], timed_memory, YOKE_SERVICE_ECHO, NULL, 4096, false);
	timed_submitted = start_one(timed, 0);
	test_describe(&timed->call[1], timed_memory, YOKE_SERVICE_ECHO, NULL, 4096, false);
	timed->call[1].out_skip = 8192;
	timed->call[1].cpu = yoke_cpu;
	timed->call[1].status = yoke_call_spin(&timed->call[1], 100 * NSEC_PER_USEC);
	complete(&timed_ran);
}
static DEFINE_TIMER(timer, on_timer);

static bool softirqs(struct test_memory *memory)
{
	bool good;

	EXPECT(settle(memory));
	timed = make_many();
	timed_memory = memory;
	EXPECT(timed);
	memset(memory->out.bytes, 0, 16384);
	reinit_completion(&timed_ran);
	mod_timer(&timer, jiffies + 1);
	wait_for_completion(&timed_ran);
	del_timer_sync(&timer);
	good = await_many(timed, timed_submitted) && timed_submitted && !timed->call[0].status &&
	       !timed->call[1].status && !memcmp(memory->out.bytes, memory->in.bytes, 4096) &&
	       !memcmp(memory->out.bytes + 8192, memory->in.bytes, 4096);
	kvfree(timed);
	EXPECT(good);
	return true;
}

static bool buffers(struct test_memory *memory)
{
	struct yoke_buffer *in = yoke_buffer_get(8192);
	struct yoke_buffer *out = yoke_buffer_get(8193);
	struct yoke_call call;

	EXPECT(settle(memory));
	EXPECT(in && out);
	memcpy(yoke_buffer_data(in), memory->in.bytes, 8192);
	test_describe(&call, memory, YOKE_SERVICE_SHA256, NULL, 4096, false);
	call.in_buffer = in;
	call.out_buffer = out;
	call.out_skip = 64;
	EXPECT_IS(yoke_call_wait(&call), 0);
	EXPECT_IS(test_expect(&call, memory), 0);
	EXPECT(!memcmp(yoke_buffer_data(out) + 64, memory->expected.bytes, call.produced));
	EXPECT_IS(sg_nents(yoke_buffer_sg(out)), 3);
	/* By the CPU, in the same buffers. */
	memset(yoke_buffer_data(out), 0, 8192);
	EXPECT_IS(yoke_cpu(&call), 0);
	EXPECT(!memcmp(yoke_buffer_data(out) + 64, memory->expected.bytes, 256));
	call.in_skip = 4097;
	EXPECT_IS(yoke_call_wait(&call), -EINVAL); /* beyond its end */
	call.in_skip = 0;
	call.in_buffer = out;
	EXPECT_IS(yoke_call_wait(&call), -EINVAL); /* overlap */
	call.in_skip = 4096;
	EXPECT_IS(yoke_call_wait(&call), 0); /* another part of the same buffer */
	yoke_buffer_put(in);
	yoke_buffer_put(out);
	yoke_buffer_put(NULL);
	EXPECT(!yoke_buffer_get(0));
	EXPECT(!yoke_buffer_get(U32_MAX));
	return true;
}

static bool is_available(struct test_memory *memory)
{
	EXPECT(yoke_available());
	return true;
}

const struct test_case test_calls[] = {
	{ "a worker is there", is_available },
	{ "waiting calls of every service", waits },
	{ "parts of lists", skips },
	{ "wrong members", wrong_members },
	{ "wrong tags", wrong_tag },
	{ "callbacks", callbacks },
	{ "cancelling", cancels },
	{ "deadlines", deadlines },
	{ "spinning", spins },
	{ "softirqs", softirqs },
	{ "buffers without copies", buffers },
	{}
};

/* Each service with CPU code: right whatever the worker does, or without one. */
static bool right_by_cpu(struct test_memory *memory, bool by_cpu_only)
{
	unsigned int s;

	for (s = 0; s < ARRAY_SIZE(services); s++) {
		struct yoke_key *key = make_key(services[s].service, services[s].key_bytes);
		struct yoke_call call;
		int status;

		EXPECT(!IS_ERR(key));
		test_describe(&call, memory, services[s].service, key, 4096, false);
		call.timeout_ns = 0;
		call.cpu = yoke_cpu;
		status = yoke_call_wait(&call) ?: test_expect(&call, memory);
		if (!status && (!test_same(&call, memory) || (by_cpu_only && call.where != YOKE_WHERE_CALLER)))
			status = -EIO;
		yoke_key_destroy(key);
		if (status)
			test_report("  with %s\n", services[s].name);
		EXPECT_IS(status, 0);
	}
	return true;
}

static bool nobody_there(struct test_memory *memory)
{
	struct yoke_call call;

	EXPECT(!yoke_available());
	EXPECT(!yoke_buffer_get(4096));
	test_describe(&call, memory, YOKE_SERVICE_ECHO, NULL, 64, false);
	EXPECT_IS(yoke_call_wait(&call), -ENODEV);
	call.cpu = yoke_cpu;
	EXPECT_IS(yoke_call_spin(&call, SECOND_NS), 0);
	EXPECT_IS(call.where, YOKE_WHERE_CALLER);
	return right_by_cpu(memory, true);
}

const struct test_case test_alone[] = {
	{ "calls without a worker", nobody_there },
	{}
};

static bool lied_to(struct test_memory *memory)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		if (!right_by_cpu(memory, false))
			return false;
	}
	return true;
}

/* A call without CPU code ends as well, with a typed error or the result. */
static bool ends_all_the_same(struct test_memory *memory)
{
	struct many *many = make_many();
	unsigned int i, submitted = 0;
	bool good = true;

	EXPECT(many);
	for (i = 0; i < 32; i++) {
		test_describe(&many->call[i], memory, YOKE_SERVICE_ECHO, NULL, 512, false);
		many->call[i].out_skip = i * 512;
		many->call[i].timeout_ns = 0;
		if (!start_one(many, i))
			break;
		submitted++;
	}
	good = await_many(many, submitted);
	for (i = 0; i < submitted; i++) {
		int status = many->call[i].status;

		good &= status == 0 || status == -ETIME || status == -EPROTO || status == -EOWNERDEAD || status == -EIO;
	}
	kvfree(many);
	EXPECT(good);
	return true;
}

const struct test_case test_lied[] = {
	{ "results that the CPU stands for", lied_to },
	{ "calls end all the same", ends_all_the_same },
	{}
};
