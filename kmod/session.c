// SPDX-License-Identifier: GPL-2.0
/*
 * Sessions begin with an attachment and end by leaving, by death or by a fault. All three ends are the same: the
 * session is not yoke_core.session any more, and every call that it had is ended by the keeper. The arena goes its own
 * way (arena.c) when the file, and with it the last mapping, is gone.
 */
#include "session.h"

#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/ktime.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <uapi/yoke_ring.h>

#include "arena.h"
#include "core.h"
#include "counters.h"
#include "crypto.h"
#include "flight.h"
#include "key.h"
#include "room.h"

#define HOP_NS (10 * NSEC_PER_USEC)  /* until it was measured: two cache lines and a wake-up */
#define POKE_NS (20 * NSEC_PER_MSEC) /* the first hold of the breaker */

static u64 last_generation; /* guarded by the core's lock */

struct yoke_session *yoke_session_create(void)
{
	struct yoke_session *session = kzalloc(sizeof(*session), GFP_KERNEL);

	if (!session)
		return NULL;
	session->arena = yoke_arena_get();
	if (!session->arena) {
		kfree(session);
		return NULL;
	}
	session->worker = task_tgid_nr(current);
	session->hop_ns = HOP_NS;
	init_waitqueue_head(&session->orders);
	INIT_LIST_HEAD(&session->gathers);
	INIT_LIST_HEAD(&session->waits);
	INIT_LIST_HEAD(&session->issued);
	INIT_LIST_HEAD(&session->row);
	return session;
}

void yoke_session_destroy(struct yoke_session *session)
{
	yoke_session_leave(session);
	if (session->bell)
		eventfd_ctx_put(session->bell);
	yoke_arena_put(session->arena);
	kfree(session);
}

int yoke_session_attach(struct yoke_session *session, struct yoke_kernel_attach *attach)
{
	bool speaks = attach->magic == YOKE_ABI_MAGIC && attach->version == YOKE_KERNEL_VERSION &&
		      attach->abi_version == YOKE_ABI_VERSION;
	const u32 needed = YOKE_FEATURE_EXPRESS | YOKE_FEATURE_BULK;
	struct eventfd_ctx *bell;
	int error = 0;

	attach->version = YOKE_KERNEL_VERSION;
	attach->abi_version = YOKE_ABI_VERSION;
	if (!speaks || (attach->features & needed) != needed)
		return -EPROTO;
	if (attach->reserved)
		return -EINVAL;
	bell = eventfd_ctx_fdget(attach->bell);
	if (IS_ERR(bell))
		return PTR_ERR(bell);
	spin_lock_irq(&yoke_core.lock);
	if (session->state == YOKE_SESSION_OPEN) {
		session->state = YOKE_SESSION_ATTACHED;
		session->bell = bell;
		session->generation = ++last_generation;
	} else {
		error = -EALREADY;
	}
	spin_unlock_irq(&yoke_core.lock);
	if (error) {
		eventfd_ctx_put(bell);
		return error;
	}
	yoke_count(YOKE_COUNT_WORKERS);
	attach->features = needed;
	attach->generation = session->generation;
	attach->layout = session->arena->layout;
	return 0;
}

int yoke_session_serve(struct yoke_session *session)
{
	const struct yoke_status_page *status_untrusted = yoke_arena_status(session->arena);
	int error = 0;

	spin_lock_irq(&yoke_core.lock);
	if (session->state != YOKE_SESSION_ATTACHED) {
		error = -ENOTCONN;
	} else if (READ_ONCE(status_untrusted->magic) != YOKE_ABI_MAGIC ||
		   READ_ONCE(status_untrusted->version) != YOKE_ABI_VERSION) {
		error = -EPROTO;
	} else {
		unsigned int r;

		for (r = 0; r < YOKE_RINGS; r++)
			yoke_ring_init(&session->ring[r], session->arena, r, 0);
		session->state = YOKE_SESSION_SERVING;
		yoke_core.session = session;
		yoke_keys_order(session);
		yoke_keeper_kick();
	}
	spin_unlock_irq(&yoke_core.lock);
	if (!error)
		yoke_crypto_worker_came();
	return error;
}

static void fail_list(struct list_head *list, int status)
{
	struct yoke_flight *flight, *next;

	list_for_each_entry_safe(flight, next, list, link)
		yoke_flight_fail(flight, status);
}

/* Under the core's lock: nothing is submitted any more, everything in flight ends. */
static void end(struct yoke_session *session, enum yoke_session_state state, int status)
{
	session->state = state;
	yoke_core.session = NULL;
	fail_list(&session->gathers, status);
	fail_list(&session->waits, status);
	fail_list(&session->issued, status);
	yoke_room_fail(session, status);
	session->issued_count = 0;
	yoke_keys_forget();
	yoke_count(YOKE_COUNT_RETIRED);
	yoke_keeper_kick();
	yoke_session_wake_orders(session);
}

int yoke_session_leave(struct yoke_session *session)
{
	unsigned long flags;
	int error = 0;

	spin_lock_irqsave(&yoke_core.lock, flags);
	if (session->state == YOKE_SESSION_SERVING)
		end(session, YOKE_SESSION_LEFT, -EOWNERDEAD);
	else
		error = -ENOTCONN;
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	return error;
}

void yoke_session_fault(struct yoke_session *session, const char *why)
{
	if (session->state != YOKE_SESSION_SERVING)
		return;
	yoke_count(YOKE_COUNT_FAULTS);
	yoke_complain("the worker of generation %llu broke the protocol (%s) and is given nothing more; restart it",
		      session->generation, why);
	end(session, YOKE_SESSION_FAULTED, -EPROTO);
}

void yoke_session_wake_orders(struct yoke_session *session)
{
	wake_up_interruptible_poll(&session->orders, EPOLLIN | EPOLLRDNORM | EPOLLERR);
}

/* The eventfd is the worker's, who may have filled it: that is an edge all the same. */
static void signal_bell(struct yoke_session *session)
{
	if (!eventfd_signal_allowed())
		return;
	eventfd_signal(session->bell, 1);
	yoke_count(YOKE_COUNT_BELLS_RUNG);
}

void yoke_session_ring_bell(struct yoke_session *session, u32 rings)
{
	if ((rings & BIT(YOKE_RING_EXPRESS) && yoke_ring_asleep(&session->ring[YOKE_RING_EXPRESS])) ||
	    (rings & BIT(YOKE_RING_BULK) && yoke_ring_asleep(&session->ring[YOKE_RING_BULK])))
		signal_bell(session);
}

void yoke_session_poke(struct yoke_session *session, u64 now_ns)
{
	if (now_ns - session->poked_ns < POKE_NS)
		return;
	session->poked_ns = now_ns;
	signal_bell(session);
}

int yoke_session_bell(struct yoke_session *session)
{
	int error = 0;

	spin_lock_irq(&yoke_core.lock);
	if (yoke_core.session == session)
		yoke_keeper_kick();
	else
		error = -ENOTCONN;
	spin_unlock_irq(&yoke_core.lock);
	if (!error)
		yoke_count(YOKE_COUNT_BELLS_HEARD);
	return error;
}

int yoke_session_usable(struct yoke_session *session, u64 now_ns)
{
	const struct yoke_status_page *status_untrusted;
	u64 heartbeat_untrusted_ns;

	if (!session)
		return -ENODEV;
	status_untrusted = yoke_arena_status(session->arena);
	heartbeat_untrusted_ns = yoke_load_acquire64(&status_untrusted->heartbeat_ns);
	/* The heart may have beaten since the caller looked at the clock, which is no lie. */
	now_ns = max(now_ns, ktime_get_ns());
	if (!yoke_breaker_allows(&session->breaker, now_ns, heartbeat_untrusted_ns) ||
	    READ_ONCE(status_untrusted->fault))
		return -EAGAIN;
	return 0;
}
