// SPDX-License-Identifier: GPL-2.0
/*
 * ecb(aes), ctr(aes) and xts(aes) by the worker. Each transformation has a CPU driver with the same key, for what the
 * worker does not get (short requests, 192-bit keys) and for what it does not finish.
 */
#include <crypto/aes.h>
#include <crypto/internal/skcipher.h>
#include <crypto/xts.h>
#include <linux/module.h>
#include <asm/unaligned.h>

#include "crypto_request.h"
#include "key.h"

struct transformation {
	struct crypto_skcipher *cpu;
	struct yoke_key *key; /* NULL: the worker has no cipher for such a key */
	enum yoke_driver driver;
	u16 service;
};

struct request {
	struct yoke_call call;
	bool decrypt;
	struct skcipher_request cpu; /* last: the driver's own context follows */
};

struct driver {
	struct skcipher_alg algorithm;
	enum yoke_driver driver;
	u16 service;
};

static int cpu_crypt(struct request *ours)
{
	return ours->decrypt ? crypto_skcipher_decrypt(&ours->cpu) : crypto_skcipher_encrypt(&ours->cpu);
}

static void cpu_prepare(struct skcipher_request *request, u32 flags, crypto_completion_t done, void *data)
{
	struct transformation *transformation = crypto_skcipher_ctx(crypto_skcipher_reqtfm(request));
	struct request *ours = skcipher_request_ctx(request);

	skcipher_request_set_tfm(&ours->cpu, transformation->cpu);
	skcipher_request_set_callback(&ours->cpu, flags, done, data);
	skcipher_request_set_crypt(&ours->cpu, request->src, request->dst, request->cryptlen, request->iv);
}

static void cpu_done(struct crypto_async_request *base, int status)
{
	struct skcipher_request *request = base->data;
	struct request *ours = skcipher_request_ctx(request);

	if (status != -EINPROGRESS) /* which only says that it left the backlog */
		yoke_call_done(&ours->call, status);
}

/* struct yoke_call.cpu */
static int on_cpu(struct yoke_call *call)
{
	struct skcipher_request *request = call->context;
	struct request *ours = skcipher_request_ctx(request);
	u64 begin_ns = ktime_get_ns();

	cpu_prepare(request, CRYPTO_TFM_REQ_MAY_BACKLOG, cpu_done, request);
	return yoke_request_on_cpu(call, cpu_crypt(ours), begin_ns);
}

/* The counter behind the last block, as the crypto API wants it: big-endian, 128 bits. */
static void advance_counter(u8 *iv, u32 blocks)
{
	u64 low = get_unaligned_be64(iv + 8);

	put_unaligned_be64(low + blocks, iv + 8);
	if (low + blocks < low)
		put_unaligned_be64(get_unaligned_be64(iv) + 1, iv);
}

static void ended(struct yoke_call *call)
{
	struct skcipher_request *request = call->context;
	struct transformation *transformation = crypto_skcipher_ctx(crypto_skcipher_reqtfm(request));

	if (!call->status && call->where != YOKE_WHERE_CALLER && call->service == YOKE_SERVICE_AES_CTR)
		advance_counter(request->iv, DIV_ROUND_UP(request->cryptlen, AES_BLOCK_SIZE));
	yoke_request_ended(call, transformation->driver);
	request->base.complete(&request->base, call->status);
}

/* It was in the backlog. */
static void resumed(struct yoke_call *call)
{
	struct skcipher_request *request = call->context;

	request->base.complete(&request->base, -EINPROGRESS);
}

static void describe(struct yoke_call *call, struct skcipher_request *request, struct transformation *transformation,
		     bool decrypt)
{
	yoke_call_init(call);
	call->service = transformation->service;
	call->key = transformation->key;
	call->flags = decrypt ? YOKE_FLAG_DECRYPT : 0;
	call->in = request->src;
	call->out = request->dst;
	call->in_length = request->cryptlen;
	call->out_length = request->cryptlen;
	call->complete = ended;
	call->resumed = request->base.flags & CRYPTO_TFM_REQ_MAY_BACKLOG ? resumed : NULL;
	call->cpu = on_cpu;
	call->context = request;
	if (call->service == YOKE_SERVICE_AES_CTR) {
		call->flags |= YOKE_FLAG_PARAMS;
		memcpy(call->params.iv.iv, request->iv, AES_BLOCK_SIZE);
	} else if (call->service == YOKE_SERVICE_AES_XTS) {
		call->flags |= YOKE_FLAG_PARAMS;
		memcpy(call->params.xts.start, request->iv, AES_BLOCK_SIZE);
		call->params.xts.unit = request->cryptlen;
	}
}

static int crypt(struct skcipher_request *request, bool decrypt)
{
	struct transformation *transformation = crypto_skcipher_ctx(crypto_skcipher_reqtfm(request));
	struct request *ours = skcipher_request_ctx(request);
	u64 begin_ns;
	int status = 0;

	ours->decrypt = decrypt;
	describe(&ours->call, request, transformation, decrypt);
	if (request->cryptlen)
		status = yoke_request_offload(&ours->call, transformation->driver, transformation->key);
	if (status)
		return status;
	begin_ns = ktime_get_ns();
	cpu_prepare(request, request->base.flags, request->base.complete, request->base.data);
	status = cpu_crypt(ours);
	if (!status)
		yoke_choice_learn_cpu(transformation->service, request->cryptlen, ktime_get_ns() - begin_ns);
	return status;
}

static int encrypt(struct skcipher_request *request)
{
	return crypt(request, false);
}

static int decrypt(struct skcipher_request *request)
{
	return crypt(request, true);
}

static int setkey(struct crypto_skcipher *tfm, const u8 *bytes, unsigned int length)
{
	struct transformation *transformation = crypto_skcipher_ctx(tfm);
	struct yoke_key *key = NULL;
	int error;

	crypto_skcipher_clear_flags(transformation->cpu, CRYPTO_TFM_REQ_MASK);
	crypto_skcipher_set_flags(transformation->cpu, crypto_skcipher_get_flags(tfm) & CRYPTO_TFM_REQ_MASK);
	error = crypto_skcipher_setkey(transformation->cpu, bytes, length);
	if (error)
		return error;
	if (yoke_key_fits(transformation->service, length)) {
		key = yoke_key_make(transformation->service, bytes, length, GFP_ATOMIC);
		if (!key)
			return -ENOMEM;
	}
	yoke_key_destroy(transformation->key);
	transformation->key = key;
	return 0;
}

static int init_tfm(struct crypto_skcipher *tfm)
{
	const struct driver *driver = container_of(crypto_skcipher_alg(tfm), struct driver, algorithm);
	struct transformation *transformation = crypto_skcipher_ctx(tfm);
	struct crypto_skcipher *cpu =
		crypto_alloc_skcipher(driver->algorithm.base.cra_name, 0, YOKE_CPU_DRIVER_MASK);

	if (IS_ERR(cpu))
		return PTR_ERR(cpu);
	transformation->cpu = cpu;
	transformation->key = NULL;
	transformation->driver = driver->driver;
	transformation->service = driver->service;
	crypto_skcipher_set_reqsize(tfm, sizeof(struct request) + crypto_skcipher_reqsize(cpu));
	return 0;
}

static void exit_tfm(struct crypto_skcipher *tfm)
{
	struct transformation *transformation = crypto_skcipher_ctx(tfm);

	yoke_key_destroy(transformation->key);
	crypto_free_skcipher(transformation->cpu);
}

#define ALGORITHM(name, label, block, keys, iv)                                                     \
	{                                                                                           \
		.base.cra_name = name,                                                              \
		.base.cra_driver_name = label,                                                      \
		.base.cra_flags = YOKE_DRIVER_FLAGS,                                                \
		.base.cra_blocksize = block,                                                        \
		.base.cra_ctxsize = sizeof(struct transformation),                                  \
		.base.cra_module = THIS_MODULE,                                                     \
		.min_keysize = (keys) * AES_MIN_KEY_SIZE,                                           \
		.max_keysize = (keys) * AES_MAX_KEY_SIZE,                                           \
		.ivsize = iv,                                                                       \
		.chunksize = AES_BLOCK_SIZE,                                                        \
		.setkey = setkey,                                                                   \
		.encrypt = encrypt,                                                                 \
		.decrypt = decrypt,                                                                 \
		.init = init_tfm,                                                                       \
		.exit = exit_tfm,                                                                       \
	}

static struct driver drivers[] = {
	[YOKE_DRIVER_ECB] = {
		.algorithm = ALGORITHM("ecb(aes)", "ecb-aes-yoke", AES_BLOCK_SIZE, 1, 0),
		.driver = YOKE_DRIVER_ECB,
		.service = YOKE_SERVICE_AES_ECB,
	},
	[YOKE_DRIVER_CTR] = {
		.algorithm = ALGORITHM("ctr(aes)", "ctr-aes-yoke", 1, 1, AES_BLOCK_SIZE),
		.driver = YOKE_DRIVER_CTR,
		.service = YOKE_SERVICE_AES_CTR,
	},
	[YOKE_DRIVER_XTS] = {
		.algorithm = ALGORITHM("xts(aes)", "xts-aes-yoke", AES_BLOCK_SIZE, 2, AES_BLOCK_SIZE),
		.driver = YOKE_DRIVER_XTS,
		.service = YOKE_SERVICE_AES_XTS,
	},
};

int yoke_skcipher_register(enum yoke_driver driver, int priority)
{
	drivers[driver].algorithm.base.cra_priority = priority;
	return crypto_register_skcipher(&drivers[driver].algorithm);
}

void yoke_skcipher_unregister(enum yoke_driver driver)
{
	crypto_unregister_skcipher(&drivers[driver].algorithm);
}
