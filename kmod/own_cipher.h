/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's own cipher behind a key of linux/yoke.h: made ready with the key, so that using it allocates nothing. */
#ifndef YOKE_OWN_CIPHER_H
#define YOKE_OWN_CIPHER_H

#include <linux/types.h>

struct scatterlist;
struct yoke_call;
struct yoke_own_cipher;

/* May sleep. An ERR_PTR: what the crypto API says. */
struct yoke_own_cipher *yoke_own_cipher_create(u16 service, const u8 *key, unsigned int length);
void yoke_own_cipher_destroy(struct yoke_own_cipher *own);
/* The ciphers' part of yoke_cpu(). Never sleeps. */
int yoke_own_cipher_run(struct yoke_own_cipher *own, struct yoke_call *call, struct scatterlist *in,
			struct scatterlist *out);

#endif /* YOKE_OWN_CIPHER_H */
