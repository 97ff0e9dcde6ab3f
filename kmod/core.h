/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all parts of the module share: the lock that guards sessions, rings, flights and keys, and the session that is
 * served. The lock is held for about the time of writing one entry; no data is copied under it. It is taken with
 * interrupts off, since calls may be submitted anywhere.
 */
#ifndef YOKE_CORE_H
#define YOKE_CORE_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct yoke_call;
struct yoke_session;
struct workqueue_struct;

struct yoke_core {
	spinlock_t lock;
	struct yoke_session *session; /* that serves; NULL: none */
	struct list_head ending;      /* calls that the keeper is to end; their status is set */
	struct workqueue_struct *cpu_queue; /* for struct yoke_call.cpu */
};

extern struct yoke_core yoke_core;

/* The keeper: the thread that finds completions and deadlines and runs callbacks (keeper.c). */
int yoke_keeper_start(void);
void yoke_keeper_stop(void);
/* Under the core's lock: there is something to look at. */
void yoke_keeper_kick(void);
/* Under the core's lock: it looks at deadlines at this time at the latest. */
void yoke_keeper_expects(u64 deadline_ns);

/* Ends a call that is in nobody's list; its status is set. Not under the lock. @now_ns: its output is in place. */
void yoke_call_end(struct yoke_call *call, u64 now_ns);
/* The keeper submits a call again that has waited for room. False: there is still none, it goes on waiting. */
bool yoke_call_resume(struct yoke_call *call);

#endif /* YOKE_CORE_H */
