// SPDX-License-Identifier: GPL-2.0
/*
 * Synchronous ciphers of the crypto API. Block ciphers work with a request on the stack; AEADs have none, so a key has
 * one request, which one caller at a time may use.
 */
#include "own_cipher.h"

#include <crypto/aead.h>
#include <crypto/scatterwalk.h>
#include <crypto/skcipher.h>
#include <linux/err.h>
#include <linux/slab.h>
#include <asm/unaligned.h>

#include <linux/yoke.h>

#include "plan.h"

#define NOT_OURS (CRYPTO_ALG_NEED_FALLBACK | CRYPTO_ALG_ALLOCATES_MEMORY)
#define IV_BYTES 16u
#define GCM_IV_BYTES 12u
#define AAD_BYTES_MAX 512u /* headers of packets are shorter */

struct yoke_own_cipher {
	struct crypto_sync_skcipher *block;
	struct crypto_aead *aead;
	struct aead_request *request; /* of @aead */
	unsigned long busy;           /* bit 0: @request and @aad are in use */
	u8 aad[AAD_BYTES_MAX];
};

static const char *name_of(u16 service)
{
	switch (service) {
	case YOKE_SERVICE_AES_ECB:
		return "ecb(aes)";
	case YOKE_SERVICE_AES_CBC:
		return "cbc(aes)";
	case YOKE_SERVICE_AES_CTR:
		return "ctr(aes)";
	case YOKE_SERVICE_AES_XTS:
		return "xts(aes)";
	default:
		return NULL;
	}
}

static int make_aead(struct yoke_own_cipher *own, const u8 *key, unsigned int length)
{
	struct crypto_aead *aead = crypto_alloc_aead("gcm(aes)", 0, NOT_OURS | CRYPTO_ALG_ASYNC);

	if (IS_ERR(aead))
		return PTR_ERR(aead);
	own->aead = aead;
	own->request = aead_request_alloc(aead, GFP_KERNEL);
	if (!own->request)
		return -ENOMEM;
	aead_request_set_callback(own->request, 0, NULL, NULL);
	return crypto_aead_setkey(aead, key, length);
}

static int make_block(struct yoke_own_cipher *own, const char *name, const u8 *key, unsigned int length)
{
	struct crypto_sync_skcipher *block = crypto_alloc_sync_skcipher(name, 0, NOT_OURS);

	if (IS_ERR(block))
		return PTR_ERR(block);
	own->block = block;
	return crypto_sync_skcipher_setkey(block, key, length);
}

struct yoke_own_cipher *yoke_own_cipher_create(u16 service, const u8 *key, unsigned int length)
{
	struct yoke_own_cipher *own;
	int error;

	if (service != YOKE_SERVICE_AES_GCM && !name_of(service))
		return ERR_PTR(-EINVAL);
	own = kzalloc(sizeof(*own), GFP_KERNEL);
	if (!own)
		return ERR_PTR(-ENOMEM);
	error = service == YOKE_SERVICE_AES_GCM ? make_aead(own, key, length) :
						  make_block(own, name_of(service), key, length);
	if (error) {
		yoke_own_cipher_destroy(own);
		return ERR_PTR(error);
	}
	return own;
}

void yoke_own_cipher_destroy(struct yoke_own_cipher *own)
{
	if (!own)
		return;
	aead_request_free(own->request);
	if (own->aead)
		crypto_free_aead(own->aead);
	if (own->block)
		crypto_free_sync_skcipher(own->block);
	kfree(own);
}

static int run_block(struct crypto_sync_skcipher *block, bool decrypt, struct scatterlist *in, struct scatterlist *out,
		     u32 bytes, u8 *iv)
{
	SYNC_SKCIPHER_REQUEST_ON_STACK(request, block);
	int status;

	skcipher_request_set_sync_tfm(request, block);
	skcipher_request_set_callback(request, 0, NULL, NULL);
	skcipher_request_set_crypt(request, in, out, bytes, iv);
	status = decrypt ? crypto_skcipher_decrypt(request) : crypto_skcipher_encrypt(request);
	skcipher_request_zero(request);
	return status;
}

/* Unit by unit, each with the tweak that follows. */
static int run_xts(struct crypto_sync_skcipher *block, const struct yoke_call *call, struct scatterlist *in,
		   struct scatterlist *out)
{
	u64 low = get_unaligned_le64(call->params.xts.start);
	u64 high = get_unaligned_le64(call->params.xts.start + 8);
	u32 done = 0;
	int status = 0;

	while (done < call->in_length && !status) {
		u32 bytes = min(call->params.xts.unit, call->in_length - done);
		struct scatterlist in_rest[2], out_rest[2];
		u8 tweak[IV_BYTES];

		put_unaligned_le64(low, tweak);
		put_unaligned_le64(high, tweak + 8);
		status = run_block(block, call->flags & YOKE_FLAG_DECRYPT, scatterwalk_ffwd(in_rest, in, done),
				   scatterwalk_ffwd(out_rest, out, done), bytes, tweak);
		done += bytes;
		if (!++low)
			high++;
	}
	return status;
}

/* A list of the AAD's copy and, if there is more, @rest. */
static struct scatterlist *behind_aad(struct yoke_own_cipher *own, struct scatterlist head[2], u32 aad_length,
				      struct scatterlist *rest)
{
	if (!aad_length)
		return rest;
	sg_init_table(head, rest ? 2 : 1);
	sg_set_buf(&head[0], own->aad, aad_length);
	if (rest)
		sg_chain(head, 2, rest);
	return head;
}

/*
 * The AEAD interface wants AAD and text in one list, a call has them apart: a copy of the AAD is put in front. What the
 * crypto API does not offer (an IV of other than 12 bytes) only a worker can do.
 */
static int run_aead(struct yoke_own_cipher *own, const struct yoke_call *call, struct scatterlist *in,
		    struct scatterlist *out)
{
	const struct yoke_params_aes_gcm *gcm = &call->params.gcm;
	bool decrypt = call->flags & YOKE_FLAG_DECRYPT;
	struct scatterlist in_head[2], out_head[2];
	u8 iv[GCM_IV_BYTES];
	int status;

	if (gcm->iv_length != GCM_IV_BYTES || gcm->aad_length > AAD_BYTES_MAX)
		return -EOPNOTSUPP;
	if (test_and_set_bit_lock(0, &own->busy))
		return -EBUSY;
	scatterwalk_map_and_copy(iv, call->aux, 0, sizeof(iv), 0);
	if (gcm->aad_length)
		scatterwalk_map_and_copy(own->aad, call->aux, sizeof(iv), gcm->aad_length, 0);
	status = crypto_aead_setauthsize(own->aead, gcm->tag_length);
	if (!status) {
		aead_request_set_crypt(own->request, behind_aad(own, in_head, gcm->aad_length, in),
				       behind_aad(own, out_head, gcm->aad_length, out), call->in_length, iv);
		aead_request_set_ad(own->request, gcm->aad_length);
		status = decrypt ? crypto_aead_decrypt(own->request) : crypto_aead_encrypt(own->request);
	}
	clear_bit_unlock(0, &own->busy);
	return status;
}

int yoke_own_cipher_run(struct yoke_own_cipher *own, struct yoke_call *call, struct scatterlist *in,
			struct scatterlist *out)
{
	u8 iv[IV_BYTES];

	if (own->aead)
		return run_aead(own, call, in, out);
	if (call->service == YOKE_SERVICE_AES_XTS)
		return run_xts(own->block, call, in, out);
	memcpy(iv, call->params.iv.iv, sizeof(iv));
	return run_block(own->block, call->flags & YOKE_FLAG_DECRYPT, in, out, call->in_length, iv);
}
