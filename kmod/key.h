/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Keys: the kernel's copy, and what the worker of the moment knows of it. A key goes to the worker when the first call
 * wants it, not before: a key whose calls stay on the CPU never leaves the kernel.
 */
#ifndef YOKE_KEY_H
#define YOKE_KEY_H

#include <linux/list.h>
#include <linux/types.h>

#include <uapi/yoke_kernel.h>

struct yoke_flight;
struct yoke_own_cipher;
struct yoke_session;

enum yoke_key_state {
	YOKE_KEY_UNKNOWN, /* to this worker */
	YOKE_KEY_ORDERED, /* ADD waits to be fetched */
	YOKE_KEY_SENT,    /* ADD was fetched and not answered */
	YOKE_KEY_READY,
	YOKE_KEY_REFUSED,
	YOKE_KEY_DOOMED,  /* nobody's any more; REMOVE waits to be fetched */
};

struct yoke_key {
	struct list_head link;  /* of all keys */
	struct list_head order; /* of the orders, when ORDERED or DOOMED */
	u64 handle;
	u16 service;
	u8 length;
	bool wanted; /* some call has used it: the next worker gets it at once */
	enum yoke_key_state state;
	u32 worker_key;
	struct yoke_flight *gathers; /* flight that further calls with this key may join */
	struct yoke_own_cipher *own; /* for yoke_cpu(); NULL: a crypto driver's key */
	u8 bytes[YOKE_KERNEL_KEY_BYTES_MAX];
};

/* Can a worker use a key of this length? */
bool yoke_key_fits(u16 service, unsigned int length);
/* A key without code of its own for yoke_cpu(). NULL: no memory. */
struct yoke_key *yoke_key_make(u16 service, const u8 *bytes, unsigned int length, gfp_t gfp);
/* Under the core's lock: a call wants it. 0, or -ENOKEY when the worker has refused it. */
int yoke_key_want(struct yoke_key *key, struct yoke_session *session);
/* Under the core's lock: a worker begins or ends to serve. It knows no key. */
void yoke_keys_forget(void);
/* Under the core's lock: gives the new worker the keys that its predecessor had. */
void yoke_keys_order(struct yoke_session *session);
bool yoke_keys_ordered(void);

/* The ioctls. */
int yoke_key_fetch(struct yoke_session *session, struct yoke_kernel_key_order *order);
int yoke_key_answer(struct yoke_session *session, const struct yoke_kernel_key_answer *answer);

#endif /* YOKE_KEY_H */
