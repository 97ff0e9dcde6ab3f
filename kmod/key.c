// SPDX-License-Identifier: GPL-2.0
/*
 * See key.h. A key that is destroyed while the worker has it is wiped at once and stays as an order to remove it,
 * which is freed when the worker fetches it or goes.
 */
#include "key.h"

#include <linux/err.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "core.h"
#include "counters.h"
#include "own_cipher.h"
#include "session.h"

#include <linux/yoke.h>

static LIST_HEAD(keys);   /* both guarded by the core's lock */
static LIST_HEAD(orders);
static u64 last_handle;

bool yoke_key_fits(u16 service, unsigned int length)
{
	unsigned int keys_of_it = service == YOKE_SERVICE_AES_XTS ? 2 : 1;

	return length == 16 * keys_of_it || length == 32 * keys_of_it;
}

struct yoke_key *yoke_key_make(u16 service, const u8 *bytes, unsigned int length, gfp_t gfp)
{
	struct yoke_key *key = kzalloc(sizeof(*key), gfp);
	unsigned long flags;

	if (!key)
		return NULL;
	INIT_LIST_HEAD(&key->order);
	key->service = service;
	key->length = length;
	memcpy(key->bytes, bytes, length);
	spin_lock_irqsave(&yoke_core.lock, flags);
	key->handle = ++last_handle;
	list_add_tail(&key->link, &keys);
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	return key;
}

struct yoke_key *yoke_key_create(u16 service, const u8 *bytes, unsigned int length)
{
	struct yoke_own_cipher *own;
	struct yoke_key *key;

	if (!yoke_key_fits(service, length))
		return ERR_PTR(-EINVAL);
	own = yoke_own_cipher_create(service, bytes, length);
	if (IS_ERR(own))
		return ERR_CAST(own);
	key = yoke_key_make(service, bytes, length, GFP_KERNEL);
	if (!key) {
		yoke_own_cipher_destroy(own);
		return ERR_PTR(-ENOMEM);
	}
	key->own = own;
	return key;
}
EXPORT_SYMBOL_GPL(yoke_key_create);

void yoke_key_destroy(struct yoke_key *key)
{
	struct yoke_own_cipher *own;
	unsigned long flags;

	if (!key)
		return;
	own = key->own;
	spin_lock_irqsave(&yoke_core.lock, flags);
	list_del(&key->link);
	memzero_explicit(key->bytes, sizeof(key->bytes));
	if (key->state == YOKE_KEY_READY && yoke_core.session) {
		key->state = YOKE_KEY_DOOMED;
		list_add_tail(&key->order, &orders);
		yoke_session_wake_orders(yoke_core.session);
		key = NULL;
	} else {
		list_del(&key->order);
	}
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	yoke_own_cipher_destroy(own);
	kfree(key);
}
EXPORT_SYMBOL_GPL(yoke_key_destroy);

static void order(struct yoke_key *key)
{
	key->state = YOKE_KEY_ORDERED;
	list_add_tail(&key->order, &orders);
}

int yoke_key_want(struct yoke_key *key, struct yoke_session *session)
{
	key->wanted = true;
	if (key->state == YOKE_KEY_REFUSED)
		return -ENOKEY;
	if (key->state == YOKE_KEY_UNKNOWN) {
		order(key);
		yoke_session_wake_orders(session);
	}
	return 0;
}

void yoke_keys_forget(void)
{
	struct yoke_key *key, *next;

	list_for_each_entry_safe(key, next, &orders, order) {
		list_del_init(&key->order);
		if (key->state == YOKE_KEY_DOOMED)
			kfree(key);
	}
	list_for_each_entry(key, &keys, link) {
		key->state = YOKE_KEY_UNKNOWN;
		key->gathers = NULL;
	}
}

void yoke_keys_order(struct yoke_session *session)
{
	struct yoke_key *key;

	list_for_each_entry(key, &keys, link) {
		if (key->wanted)
			order(key);
	}
	if (!list_empty(&orders))
		yoke_session_wake_orders(session);
}

bool yoke_keys_ordered(void)
{
	return !list_empty(&orders);
}

int yoke_key_fetch(struct yoke_session *session, struct yoke_kernel_key_order *order)
{
	struct yoke_key *key;
	int error = 0;

	memset(order, 0, sizeof(*order));
	spin_lock_irq(&yoke_core.lock);
	if (session->state == YOKE_SESSION_FAULTED)
		error = -EPROTO;
	else if (yoke_core.session != session)
		error = -ENOTCONN;
	else if (list_empty(&orders))
		error = -EAGAIN;
	if (error) {
		spin_unlock_irq(&yoke_core.lock);
		return error;
	}
	key = list_first_entry(&orders, struct yoke_key, order);
	list_del_init(&key->order);
	order->service = key->service;
	order->handle = key->handle;
	if (key->state == YOKE_KEY_DOOMED) {
		order->op = YOKE_KERNEL_KEY_REMOVE;
		order->worker_key = key->worker_key;
	} else {
		order->op = YOKE_KERNEL_KEY_ADD;
		order->length = key->length;
		memcpy(order->bytes, key->bytes, key->length);
		key->state = YOKE_KEY_SENT;
		key = NULL;
		yoke_count(YOKE_COUNT_KEYS_SENT);
	}
	spin_unlock_irq(&yoke_core.lock);
	kfree(key);
	return 0;
}

int yoke_key_answer(struct yoke_session *session, const struct yoke_kernel_key_answer *answer)
{
	struct yoke_key *key;
	int error = -ENOENT;
	u16 service = 0;

	if (answer->status > 0 || answer->status < -MAX_ERRNO || (!answer->status && !answer->worker_key))
		return -EINVAL;
	spin_lock_irq(&yoke_core.lock);
	if (yoke_core.session != session) {
		spin_unlock_irq(&yoke_core.lock);
		return -ENOTCONN;
	}
	list_for_each_entry(key, &keys, link) {
		if (key->handle != answer->handle || key->state != YOKE_KEY_SENT)
			continue;
		key->state = answer->status ? YOKE_KEY_REFUSED : YOKE_KEY_READY;
		key->worker_key = answer->worker_key;
		service = key->service;
		error = 0;
		break;
	}
	if (!error)
		yoke_keeper_kick();
	spin_unlock_irq(&yoke_core.lock);
	if (!error && answer->status) {
		yoke_count(YOKE_COUNT_KEYS_REFUSED);
		yoke_complain("the worker refused key %llu of service %u with error %d; its calls stay on the CPU",
			      answer->handle, service, -answer->status);
	}
	return error;
}
