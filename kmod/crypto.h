/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The crypto drivers. They are registered, from a workqueue, when the first worker serves, so that the kernel's
 * self-test of each passes through it, and stay until the module goes.
 */
#ifndef YOKE_CRYPTO_H
#define YOKE_CRYPTO_H

#include <linux/atomic.h>
#include <linux/types.h>

/* Names; in the order of registration. */
#define YOKE_DRIVERS(driver)           \
	driver(ECB, "ecb-aes-yoke")    \
	driver(CTR, "ctr-aes-yoke")    \
	driver(XTS, "xts-aes-yoke")    \
	driver(GCM, "gcm-aes-yoke")    \
	driver(SHA256, "sha256-yoke")

enum yoke_driver {
#define YOKE_DRIVER_ENUM(upper, label) YOKE_DRIVER_##upper,
	YOKE_DRIVERS(YOKE_DRIVER_ENUM)
#undef YOKE_DRIVER_ENUM
	YOKE_DRIVER_COUNT
};

struct yoke_driver_figures {
	atomic64_t offloaded;           /* requests whose result came from the worker */
	atomic64_t fallen_back;         /* requests that the CPU has done */
	atomic64_t self_test_offloaded; /* of the offloaded, during the self-test */
};

extern struct yoke_driver_figures yoke_driver_figures[YOKE_DRIVER_COUNT];

void yoke_crypto_worker_came(void);
void yoke_crypto_exit(void);

/* crypto_skcipher.c, crypto_aead.c, crypto_ahash.c: @priority is that of the crypto API. */
int yoke_skcipher_register(enum yoke_driver driver, int priority);
void yoke_skcipher_unregister(enum yoke_driver driver);
int yoke_aead_register(int priority);
void yoke_aead_unregister(void);
int yoke_ahash_register(int priority);
void yoke_ahash_unregister(void);

#endif /* YOKE_CRYPTO_H */
