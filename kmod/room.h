/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls that wait for room: those that were refused since places or buffers are used up, or the worker has as much as
 * it can finish, of callers who can be made to wait (yoke_call.resumed; the backlog of the crypto API). Who was told to
 * wait hands over nothing more until his call has left the row, so it is as long as there are callers. It takes no
 * memory, since calls bring their own link. All of this is called under the core's lock.
 */
#ifndef YOKE_ROOM_H
#define YOKE_ROOM_H

#include <linux/types.h>

struct yoke_call;
struct yoke_session;

/*
 * @call waits; at the end of the row, or, if it has waited before, at its beginning. -EBUSY: it does. -ENOBUFS: nothing
 * is under way whose end would make room.
 */
int yoke_room_await(struct yoke_session *session, struct yoke_call *call);
/* The first of the row, out of it, if it is to be submitted again now; else NULL. */
struct yoke_call *yoke_room_next(struct yoke_session *session, u64 now_ns);
/* Something has ended: is that enough for those who wait? */
bool yoke_room_made(const struct yoke_session *session);
/* Out of the row. */
void yoke_room_leave(struct yoke_call *call);
/* Ends those who have waited long enough; returns when the next one has. */
u64 yoke_room_expire(struct yoke_session *session, u64 now_ns);
/* Ends all of them. */
void yoke_room_fail(struct yoke_session *session, int status);

#endif /* YOKE_ROOM_H */
