// SPDX-License-Identifier: GPL-2.0
/*
 * gcm(aes) by the worker. A wrong tag that the worker reports is looked at once more by the CPU driver: a worker whose
 * memory was spoilt would otherwise look like an attacker on the wire. That it calls a tag right which is wrong cannot
 * be found out without doing its work.
 */
#include <crypto/aes.h>
#include <crypto/gcm.h>
#include <crypto/internal/aead.h>
#include <linux/module.h>

#include "crypto_request.h"
#include "key.h"

struct transformation {
	struct crypto_aead *cpu;
	struct yoke_key *key; /* NULL: the worker has no cipher for such a key */
};

struct request {
	struct yoke_call call;
	struct scatterlist aux[2]; /* IV, then what the request's source begins with: AAD */
	u8 iv[GCM_AES_IV_SIZE];
	bool decrypt;
	struct aead_request cpu; /* last: the driver's own context follows */
};

static int cpu_crypt(struct request *ours)
{
	return ours->decrypt ? crypto_aead_decrypt(&ours->cpu) : crypto_aead_encrypt(&ours->cpu);
}

static void cpu_prepare(struct aead_request *request, u32 flags, crypto_completion_t done, void *data)
{
	struct transformation *transformation = crypto_aead_ctx(crypto_aead_reqtfm(request));
	struct request *ours = aead_request_ctx(request);

	aead_request_set_tfm(&ours->cpu, transformation->cpu);
	aead_request_set_callback(&ours->cpu, flags, done, data);
	aead_request_set_crypt(&ours->cpu, request->src, request->dst, request->cryptlen, request->iv);
	aead_request_set_ad(&ours->cpu, request->assoclen);
}

static void cpu_done(struct crypto_async_request *base, int status)
{
	struct aead_request *request = base->data;
	struct request *ours = aead_request_ctx(request);

	if (status != -EINPROGRESS) /* which only says that it left the backlog */
		yoke_call_done(&ours->call, status);
}

/* struct yoke_call.cpu */
static int on_cpu(struct yoke_call *call)
{
	struct aead_request *request = call->context;
	struct request *ours = aead_request_ctx(request);
	u64 begin_ns = ktime_get_ns();

	cpu_prepare(request, CRYPTO_TFM_REQ_MAY_BACKLOG, cpu_done, request);
	return yoke_request_on_cpu(call, cpu_crypt(ours), begin_ns);
}

static void ended(struct yoke_call *call)
{
	struct aead_request *request = call->context;

	yoke_request_ended(call, YOKE_DRIVER_GCM);
	request->base.complete(&request->base, call->status);
}

/* It was in the backlog. */
static void resumed(struct yoke_call *call)
{
	struct aead_request *request = call->context;

	request->base.complete(&request->base, -EINPROGRESS);
}

static void describe(struct request *ours, struct aead_request *request, struct transformation *transformation)
{
	unsigned int tag = crypto_aead_authsize(crypto_aead_reqtfm(request));
	struct yoke_call *call = &ours->call;

	yoke_call_init(call);
	call->service = YOKE_SERVICE_AES_GCM;
	call->key = transformation->key;
	call->flags = YOKE_FLAG_PARAMS | (ours->decrypt ? YOKE_FLAG_DECRYPT : 0);
	call->params.gcm.iv_length = GCM_AES_IV_SIZE;
	call->params.gcm.aad_length = request->assoclen;
	call->params.gcm.tag_length = tag;
	memcpy(ours->iv, request->iv, GCM_AES_IV_SIZE);
	sg_init_table(ours->aux, request->assoclen ? 2 : 1);
	sg_set_buf(&ours->aux[0], ours->iv, GCM_AES_IV_SIZE);
	if (request->assoclen)
		sg_chain(ours->aux, 2, request->src);
	call->aux = ours->aux;
	call->aux_length = GCM_AES_IV_SIZE + request->assoclen;
	call->in = request->src;
	call->in_skip = request->assoclen;
	call->in_length = request->cryptlen;
	call->out = request->dst;
	call->out_skip = request->assoclen;
	call->out_length = request->cryptlen + (ours->decrypt ? 0 : tag);
	call->complete = ended;
	call->resumed = request->base.flags & CRYPTO_TFM_REQ_MAY_BACKLOG ? resumed : NULL;
	call->cpu = on_cpu;
	call->context = request;
}

static int crypt(struct aead_request *request, bool decrypt)
{
	struct transformation *transformation = crypto_aead_ctx(crypto_aead_reqtfm(request));
	struct request *ours = aead_request_ctx(request);
	u64 begin_ns;
	int status;

	ours->decrypt = decrypt;
	describe(ours, request, transformation);
	status = yoke_request_offload(&ours->call, YOKE_DRIVER_GCM, transformation->key);
	if (status)
		return status;
	begin_ns = ktime_get_ns();
	cpu_prepare(request, request->base.flags, request->base.complete, request->base.data);
	status = cpu_crypt(ours);
	if (!status)
		yoke_choice_learn_cpu(YOKE_SERVICE_AES_GCM, request->cryptlen, ktime_get_ns() - begin_ns);
	return status;
}

static int encrypt(struct aead_request *request)
{
	return crypt(request, false);
}

static int decrypt(struct aead_request *request)
{
	return crypt(request, true);
}

static int setkey(struct crypto_aead *tfm, const u8 *bytes, unsigned int length)
{
	struct transformation *transformation = crypto_aead_ctx(tfm);
	struct yoke_key *key = NULL;
	int error;

	crypto_aead_clear_flags(transformation->cpu, CRYPTO_TFM_REQ_MASK);
	crypto_aead_set_flags(transformation->cpu, crypto_aead_get_flags(tfm) & CRYPTO_TFM_REQ_MASK);
	error = crypto_aead_setkey(transformation->cpu, bytes, length);
	if (error)
		return error;
	if (yoke_key_fits(YOKE_SERVICE_AES_GCM, length)) {
		key = yoke_key_make(YOKE_SERVICE_AES_GCM, bytes, length, GFP_ATOMIC);
		if (!key)
			return -ENOMEM;
	}
	yoke_key_destroy(transformation->key);
	transformation->key = key;
	return 0;
}

static int setauthsize(struct crypto_aead *tfm, unsigned int bytes)
{
	struct transformation *transformation = crypto_aead_ctx(tfm);

	return crypto_gcm_check_authsize(bytes) ?: crypto_aead_setauthsize(transformation->cpu, bytes);
}

static int init_tfm(struct crypto_aead *tfm)
{
	struct transformation *transformation = crypto_aead_ctx(tfm);
	struct crypto_aead *cpu = crypto_alloc_aead("gcm(aes)", 0, YOKE_CPU_DRIVER_MASK);

	if (IS_ERR(cpu))
		return PTR_ERR(cpu);
	transformation->cpu = cpu;
	transformation->key = NULL;
	crypto_aead_set_reqsize(tfm, sizeof(struct request) + crypto_aead_reqsize(cpu));
	return 0;
}

static void exit_tfm(struct crypto_aead *tfm)
{
	struct transformation *transformation = crypto_aead_ctx(tfm);

	yoke_key_destroy(transformation->key);
	crypto_free_aead(transformation->cpu);
}

static struct aead_alg algorithm = {
	.base.cra_name = "gcm(aes)",
	.base.cra_driver_name = "gcm-aes-yoke",
	.base.cra_flags = YOKE_DRIVER_FLAGS,
	.base.cra_blocksize = 1,
	.base.cra_ctxsize = sizeof(struct transformation),
	.base.cra_module = THIS_MODULE,
	.ivsize = GCM_AES_IV_SIZE,
	.maxauthsize = AES_BLOCK_SIZE,
	.chunksize = AES_BLOCK_SIZE,
	.setkey = setkey,
	.setauthsize = setauthsize,
	.encrypt = encrypt,
	.decrypt = decrypt,
	.init = init_tfm,
	.exit = exit_tfm,
};

int yoke_aead_register(int priority)
{
	algorithm.base.cra_priority = priority;
	return crypto_register_aead(&algorithm);
}

void yoke_aead_unregister(void)
{
	crypto_unregister_aead(&algorithm);
}
