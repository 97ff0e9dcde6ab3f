// SPDX-License-Identifier: GPL-2.0
/*
 * yoke_cpu(): the kernel's own code for a call, from and into the memory that the call names.
 */
#include <crypto/scatterwalk.h>
#include <crypto/sha2.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/ktime.h>
#include <linux/string.h>

#include <linux/yoke.h>

#include "choice.h"
#include "key.h"
#include "own_cipher.h"
#include "plan.h"

#define PIECE_BYTES 256u /* on the stack */

static void echo(struct scatterlist *in, struct scatterlist *out, u32 bytes)
{
	u8 piece[PIECE_BYTES];
	u32 done, now;

	for (done = 0; done < bytes; done += now) {
		now = min(PIECE_BYTES, bytes - done);
		scatterwalk_map_and_copy(piece, in, done, now, 0);
		scatterwalk_map_and_copy(piece, out, done, now, 1);
	}
}

static void digests(const struct yoke_call *call, struct scatterlist *in, struct scatterlist *out)
{
	u32 message = call->params.sha256.message ?: call->in_length;
	u8 digest[SHA256_DIGEST_SIZE];
	u8 piece[PIECE_BYTES];
	u32 begin = 0;
	u32 n = 0;

	if (!call->in_length && call->params.sha256.message)
		return;
	do {
		struct sha256_state state;
		u32 done, now;

		sha256_init(&state);
		for (done = 0; done < message; done += now) {
			now = min(PIECE_BYTES, message - done);
			scatterwalk_map_and_copy(piece, in, begin + done, now, 0);
			sha256_update(&state, piece, now);
		}
		sha256_final(&state, digest);
		scatterwalk_map_and_copy(digest, out, n++ * sizeof(digest), sizeof(digest), 1);
		begin += message;
	} while (begin < call->in_length);
}

int yoke_cpu(struct yoke_call *call)
{
	struct scatterlist *in = call->in_buffer ? yoke_buffer_sg(call->in_buffer) : call->in;
	struct scatterlist *out = call->out_buffer ? yoke_buffer_sg(call->out_buffer) : call->out;
	struct scatterlist in_rest[2], out_rest[2];
	u64 begin = ktime_get_ns();
	u32 produced;
	int status;

	status = yoke_plan(call, &produced);
	if (status)
		return status;
	if (in)
		in = scatterwalk_ffwd(in_rest, in, call->in_skip);
	if (out)
		out = scatterwalk_ffwd(out_rest, out, call->out_skip);
	if (call->service == YOKE_SERVICE_ECHO)
		echo(in, out, call->in_length);
	else if (call->service == YOKE_SERVICE_SHA256)
		digests(call, in, out);
	else if (call->key->own)
		status = yoke_own_cipher_run(call->key->own, call, in, out);
	else
		return -EOPNOTSUPP;
	if (!status)
		yoke_choice_learn_cpu(call->service, call->in_length, ktime_get_ns() - begin);
	return status;
}
EXPORT_SYMBOL_GPL(yoke_cpu);
