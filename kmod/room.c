// SPDX-License-Identifier: GPL-2.0
/*
 * See room.h. Those who wait go on when half of what was under way has ended: at every single end, each caller would be
 * woken for one call. Nobody waits longer than the part of his deadline that a call may spend behind others; then the
 * CPU does the call, and what is left of the deadline is the worker's if it got it in time.
 */
#include "room.h"

#include <linux/errno.h>
#include <linux/minmax.h>

#include "core.h"
#include "counters.h"
#include "flight.h"
#include "params.h"
#include "session.h"

#include <linux/yoke.h>

#define NEVER (~0ull)

static u64 until_ns(const struct yoke_call *call)
{
	return call->stamps.submitted + (call->timeout_ns ?: yoke_deadline_ns()) / YOKE_DEADLINE_SHARE;
}

int yoke_room_await(struct yoke_session *session, struct yoke_call *call)
{
	bool again = call->owed;
	bool first = list_empty(&session->row);

	if (!session->backlog && (again || first))
		return -ENOBUFS;
	if (again || first)
		session->row_below = session->backlog / 2;
	if (again)
		list_add(&call->link, &session->row);
	else
		list_add_tail(&call->link, &session->row);
	if (!again)
		yoke_count(YOKE_COUNT_WAITED);
	call->waits = true;
	call->owed = true;
	yoke_keeper_expects(until_ns(call));
	return -EBUSY;
}

bool yoke_room_made(const struct yoke_session *session)
{
	return !list_empty(&session->row) && session->backlog <= session->row_below;
}

void yoke_room_leave(struct yoke_call *call)
{
	list_del_init(&call->link);
	call->waits = false;
}

struct yoke_call *yoke_room_next(struct yoke_session *session, u64 now_ns)
{
	struct yoke_call *call = list_first_entry_or_null(&session->row, struct yoke_call, link);

	if (!call || (!yoke_room_made(session) && !yoke_session_usable(session, now_ns)))
		return NULL;
	yoke_room_leave(call);
	return call;
}

static void end(struct yoke_call *call, int status)
{
	call->waits = false;
	call->status = status;
	list_move_tail(&call->link, &yoke_core.ending);
}

u64 yoke_room_expire(struct yoke_session *session, u64 now_ns)
{
	struct yoke_call *call, *next;
	u64 earliest = NEVER;

	list_for_each_entry_safe(call, next, &session->row, link) {
		if (now_ns < until_ns(call))
			earliest = min(earliest, until_ns(call));
		else
			end(call, -ENOBUFS);
	}
	return earliest;
}

void yoke_room_fail(struct yoke_session *session, int status)
{
	struct yoke_call *call, *next;

	list_for_each_entry_safe(call, next, &session->row, link)
		end(call, status);
}
