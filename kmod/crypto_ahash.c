// SPDX-License-Identifier: GPL-2.0
/*
 * sha256 by the worker: whole messages (digest, or init and finup). A message in pieces is hashed by the CPU driver as
 * it comes, since the pieces are not there any more when the last one is: what a request keeps is the CPU driver's
 * state.
 */
#include <crypto/internal/hash.h>
#include <crypto/sha2.h>
#include <linux/module.h>

#include "crypto_request.h"

struct transformation {
	struct crypto_ahash *cpu;
};

struct request {
	struct yoke_call call;
	struct scatterlist digest_sg;
	u8 digest[SHA256_DIGEST_SIZE];
	bool fresh; /* nothing was hashed since init */
	struct ahash_request cpu; /* last: the driver's own context follows */
};

static struct ahash_request *cpu_prepare(struct ahash_request *request, u32 flags, crypto_completion_t done, void *data)
{
	struct transformation *transformation = crypto_ahash_ctx(crypto_ahash_reqtfm(request));
	struct request *ours = ahash_request_ctx(request);

	ahash_request_set_tfm(&ours->cpu, transformation->cpu);
	ahash_request_set_callback(&ours->cpu, flags, done, data);
	ahash_request_set_crypt(&ours->cpu, request->src, request->result, request->nbytes);
	return &ours->cpu;
}

static struct ahash_request *cpu_pass_on(struct ahash_request *request)
{
	return cpu_prepare(request, request->base.flags, request->base.complete, request->base.data);
}

static void cpu_done(struct crypto_async_request *base, int status)
{
	struct ahash_request *request = base->data;
	struct request *ours = ahash_request_ctx(request);

	if (status != -EINPROGRESS) /* which only says that it left the backlog */
		yoke_call_done(&ours->call, status);
}

/* struct yoke_call.cpu */
static int on_cpu(struct yoke_call *call)
{
	struct ahash_request *request = call->context;
	u64 begin_ns = ktime_get_ns();
	int status = crypto_ahash_digest(cpu_prepare(request, CRYPTO_TFM_REQ_MAY_BACKLOG, cpu_done, request));

	return yoke_request_on_cpu(call, status, begin_ns);
}

static void ended(struct yoke_call *call)
{
	struct ahash_request *request = call->context;
	struct request *ours = ahash_request_ctx(request);

	if (!call->status && call->where != YOKE_WHERE_CALLER)
		memcpy(request->result, ours->digest, sizeof(ours->digest));
	yoke_request_ended(call, YOKE_DRIVER_SHA256);
	request->base.complete(&request->base, call->status);
}

/* It was in the backlog. */
static void resumed(struct yoke_call *call)
{
	struct ahash_request *request = call->context;

	request->base.complete(&request->base, -EINPROGRESS);
}

static void describe(struct request *ours, struct ahash_request *request)
{
	struct yoke_call *call = &ours->call;

	yoke_call_init(call);
	call->service = YOKE_SERVICE_SHA256;
	call->flags = YOKE_FLAG_PARAMS;
	call->params.sha256.message = request->nbytes;
	sg_init_one(&ours->digest_sg, ours->digest, sizeof(ours->digest));
	call->in = request->src;
	call->in_length = request->nbytes;
	call->out = &ours->digest_sg;
	call->out_length = sizeof(ours->digest);
	call->complete = ended;
	call->resumed = request->base.flags & CRYPTO_TFM_REQ_MAY_BACKLOG ? resumed : NULL;
	call->cpu = on_cpu;
	call->context = request;
}

static int digest(struct ahash_request *request)
{
	struct request *ours = ahash_request_ctx(request);
	u64 begin_ns;
	int status = 0;

	describe(ours, request);
	if (request->nbytes)
		status = yoke_request_offload(&ours->call, YOKE_DRIVER_SHA256, true);
	if (status)
		return status;
	begin_ns = ktime_get_ns();
	status = crypto_ahash_digest(cpu_pass_on(request));
	if (!status)
		yoke_choice_learn_cpu(YOKE_SERVICE_SHA256, request->nbytes, ktime_get_ns() - begin_ns);
	return status;
}

static int init(struct ahash_request *request)
{
	struct request *ours = ahash_request_ctx(request);

	ours->fresh = true;
	return crypto_ahash_init(cpu_pass_on(request));
}

static int update(struct ahash_request *request)
{
	struct request *ours = ahash_request_ctx(request);

	ours->fresh = false;
	return crypto_ahash_update(cpu_pass_on(request));
}

static int final(struct ahash_request *request)
{
	return crypto_ahash_final(cpu_pass_on(request));
}

static int finup(struct ahash_request *request)
{
	struct request *ours = ahash_request_ctx(request);

	return ours->fresh ? digest(request) : crypto_ahash_finup(cpu_pass_on(request));
}

static int export(struct ahash_request *request, void *state)
{
	return crypto_ahash_export(cpu_pass_on(request), state);
}

static int import(struct ahash_request *request, const void *state)
{
	struct request *ours = ahash_request_ctx(request);

	ours->fresh = false;
	return crypto_ahash_import(cpu_pass_on(request), state);
}

static int init_tfm(struct crypto_ahash *tfm)
{
	struct transformation *transformation = crypto_ahash_ctx(tfm);
	/* A state that is exported must be whole when init() and update() return. */
	struct crypto_ahash *cpu = crypto_alloc_ahash("sha256", 0, YOKE_CPU_DRIVER_MASK | CRYPTO_ALG_ASYNC);

	if (IS_ERR(cpu))
		return PTR_ERR(cpu);
	if (crypto_ahash_statesize(cpu) > crypto_ahash_statesize(tfm)) {
		crypto_free_ahash(cpu);
		return -EINVAL;
	}
	transformation->cpu = cpu;
	crypto_ahash_set_reqsize(tfm, sizeof(struct request) + crypto_ahash_reqsize(cpu));
	return 0;
}

static void exit_tfm(struct crypto_ahash *tfm)
{
	struct transformation *transformation = crypto_ahash_ctx(tfm);

	crypto_free_ahash(transformation->cpu);
}

static struct ahash_alg algorithm = {
	.halg.base.cra_name = "sha256",
	.halg.base.cra_driver_name = "sha256-yoke",
	.halg.base.cra_flags = YOKE_DRIVER_FLAGS,
	.halg.base.cra_blocksize = SHA256_BLOCK_SIZE,
	.halg.base.cra_ctxsize = sizeof(struct transformation),
	.halg.base.cra_module = THIS_MODULE,
	.halg.digestsize = SHA256_DIGEST_SIZE,
	.halg.statesize = sizeof(struct sha256_state),
	.init = init,
	.update = update,
	.final = final,
	.finup = finup,
	.digest = digest,
	.export = export,
	.import = import,
	.init_tfm = init_tfm,
	.exit_tfm = exit_tfm,
};

int yoke_ahash_register(int priority)
{
	algorithm.halg.base.cra_priority = priority;
	return crypto_register_ahash(&algorithm);
}

void yoke_ahash_unregister(void)
{
	crypto_unregister_ahash(&algorithm);
}
