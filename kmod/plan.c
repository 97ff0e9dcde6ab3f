// SPDX-License-Identifier: GPL-2.0
/*
 * The same rules as the services' own (they plan each call again); arithmetic in 64 bits, so that no length that fits
 * the ABI overflows.
 */
#include "plan.h"

#include <linux/errno.h>
#include <linux/string.h>
#include <asm/unaligned.h>

#include <linux/yoke.h>

#define BLOCK_BYTES 16u
#define DIGEST_BYTES 32u
#define GCM_IV_BYTES_MAX 128u

static int plan_gcm(const struct yoke_call *call, u64 *produced)
{
	const struct yoke_params_aes_gcm *gcm = &call->params.gcm;

	if (gcm->iv_length < 1 || gcm->iv_length > GCM_IV_BYTES_MAX || gcm->tag_length < 4 || gcm->tag_length > 16)
		return -EINVAL;
	if ((u64)gcm->iv_length + gcm->aad_length != call->aux_length || !call->aux)
		return -EINVAL;
	if (call->flags & YOKE_FLAG_DECRYPT) {
		if (call->in_length < gcm->tag_length)
			return -EINVAL;
		*produced = call->in_length - gcm->tag_length;
	} else {
		*produced = (u64)call->in_length + gcm->tag_length;
	}
	return 0;
}

static int plan_xts(const struct yoke_call *call)
{
	u32 unit = call->params.xts.unit;
	u32 last;

	if (unit < BLOCK_BYTES || unit > 1u << 24)
		return -EINVAL;
	last = call->in_length % unit;
	return last && last < BLOCK_BYTES ? -EINVAL : 0;
}

static int plan_service(const struct yoke_call *call, u64 *produced)
{
	*produced = call->in_length;
	switch (call->service) {
	case YOKE_SERVICE_ECHO:
		return call->flags & YOKE_FLAG_DECRYPT ? -EINVAL : 0;
	case YOKE_SERVICE_AES_ECB:
	case YOKE_SERVICE_AES_CBC:
		return call->in_length % BLOCK_BYTES ? -EINVAL : 0;
	case YOKE_SERVICE_AES_CTR:
		return 0;
	case YOKE_SERVICE_AES_XTS:
		return plan_xts(call);
	case YOKE_SERVICE_AES_GCM:
		return plan_gcm(call, produced);
	case YOKE_SERVICE_SHA256:
		if (call->params.sha256.message && call->in_length % call->params.sha256.message)
			return -EINVAL;
		*produced = yoke_plan_room(call, call->in_length);
		return call->flags & YOKE_FLAG_DECRYPT ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static bool needs_key(u16 service)
{
	return service >= YOKE_SERVICE_AES_ECB && service <= YOKE_SERVICE_AES_GCM;
}

int yoke_plan(const struct yoke_call *call, u32 *produced)
{
	u64 bytes;
	int error;

	if (call->flags & ~(YOKE_FLAG_PARAMS | YOKE_FLAG_DECRYPT) || !!call->key != needs_key(call->service))
		return -EINVAL;
	if (call->service >= YOKE_SERVICE_AES_CBC && call->service <= YOKE_SERVICE_AES_GCM &&
	    !(call->flags & YOKE_FLAG_PARAMS))
		return -EINVAL;
	if (call->aux_length && call->service != YOKE_SERVICE_AES_GCM)
		return -EINVAL;
	error = plan_service(call, &bytes);
	if (error)
		return error;
	if (bytes && !call->out && !call->out_buffer)
		return -EINVAL;
	if (call->in_length && !call->in && !call->in_buffer)
		return -EINVAL;
	if (bytes > YOKE_CALL_BYTES_MAX || call->in_length > YOKE_CALL_BYTES_MAX || bytes > call->out_length)
		return -EMSGSIZE;
	*produced = bytes;
	return 0;
}

bool yoke_plan_joins(const struct yoke_call *call)
{
	switch (call->service) {
	case YOKE_SERVICE_AES_ECB:
		return true;
	case YOKE_SERVICE_AES_XTS:
		return call->in_length && call->in_length % call->params.xts.unit == 0;
	case YOKE_SERVICE_SHA256:
		return (call->flags & YOKE_FLAG_PARAMS) && call->params.sha256.message >= DIGEST_BYTES;
	default:
		return false;
	}
}

bool yoke_plan_follows(const struct yoke_call *call, u8 flags, const void *params, u32 in_length)
{
	const struct yoke_params_aes_xts *xts = params;
	u64 low;

	if (!yoke_plan_joins(call) || call->flags != flags)
		return false;
	switch (call->service) {
	case YOKE_SERVICE_AES_ECB:
		return true;
	case YOKE_SERVICE_AES_XTS:
		if (xts->unit != call->params.xts.unit)
			return false;
		low = get_unaligned_le64(xts->start) + in_length / xts->unit;
		return low >= in_length / xts->unit && low == get_unaligned_le64(call->params.xts.start) &&
		       !memcmp(xts->start + 8, call->params.xts.start + 8, 8);
	default:
		return !memcmp(params, call->params.bytes, YOKE_PAYLOAD_BYTES);
	}
}

u32 yoke_plan_room(const struct yoke_call *call, u32 in_length)
{
	u32 message = call->params.sha256.message;

	if (call->service == YOKE_SERVICE_SHA256)
		return message ? min_t(u64, (u64)in_length / message * DIGEST_BYTES, U32_MAX) : DIGEST_BYTES;
	return in_length;
}
