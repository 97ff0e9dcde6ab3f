/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A session: what one opener of /dev/yoke has, from open to the end of its last mapping.
 */
#ifndef YOKE_SESSION_H
#define YOKE_SESSION_H

#include <linux/list.h>
#include <linux/wait.h>

#include <uapi/yoke_kernel.h>

#include "breaker.h"
#include "ring.h"

struct eventfd_ctx;
struct yoke_arena;

enum yoke_session_state {
	YOKE_SESSION_OPEN,
	YOKE_SESSION_ATTACHED,
	YOKE_SESSION_SERVING, /* it is yoke_core.session */
	YOKE_SESSION_LEFT,
	YOKE_SESSION_FAULTED, /* the worker broke the protocol */
};

struct yoke_session {
	enum yoke_session_state state; /* guarded by the core's lock, as all below */
	struct yoke_arena *arena;
	struct eventfd_ctx *bell;
	u64 generation;
	pid_t worker; /* who opened the device */
	wait_queue_head_t orders; /* poll(): key orders, or the end */
	struct yoke_ring ring[YOKE_RINGS];
	struct yoke_breaker breaker;
	u64 poked_ns;             /* when a barred worker was last rung */
	struct list_head gathers; /* flights by state */
	struct list_head waits;
	struct list_head issued;
	u32 issued_count;         /* of those that are not abandoned */
	u32 backlog;              /* flights of all three lists */
	u64 backlog_bytes;
	struct list_head row;     /* calls that wait for room (room.h) */
	u32 row_below;            /* they go on when the backlog is not above this */
	struct yoke_cost pace;    /* how fast the worker was seen to complete, whatever it says */
	u64 completed_ns;         /* when it last did */
	u32 hop_ns;               /* what a call that nobody is in front of takes besides its execution */
};

struct yoke_session *yoke_session_create(void);
void yoke_session_destroy(struct yoke_session *session);
int yoke_session_attach(struct yoke_session *session, struct yoke_kernel_attach *attach);
int yoke_session_serve(struct yoke_session *session);
/* The worker leaves or is gone: everything in flight ends. -ENOTCONN: it did not serve. */
int yoke_session_leave(struct yoke_session *session);
int yoke_session_bell(struct yoke_session *session);

/* Under the core's lock: */
void yoke_session_fault(struct yoke_session *session, const char *why);
void yoke_session_wake_orders(struct yoke_session *session);
/* @rings: those that the worker must look at, BIT(enum yoke_ring_id) each; rings if it sleeps on one of them. */
void yoke_session_ring_bell(struct yoke_session *session, u32 rings);
/* A call was refused since the worker is barred: rings it now and then, since a worker that sleeps beats seldom. */
void yoke_session_poke(struct yoke_session *session, u64 now_ns);
/* May calls be submitted? 0, -ENODEV or -EAGAIN. */
int yoke_session_usable(struct yoke_session *session, u64 now_ns);

#endif /* YOKE_SESSION_H */
