/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Flights: the private table of what the worker was given. A flight is one entry of a ring with the calls that share
 * it. It outlives calls that were not waited for: then it only keeps slot and memory until the completion comes.
 *
 *   FREE --> GATHERS --> ISSUED --> TAKEN --> FREE
 *       `--> WAITS ------^
 *
 * GATHERS: small calls of one key may join while others are under way. WAITS: for its key, or for a slot. TAKEN: its
 * completion was; who took it delivers the output.
 */
#ifndef YOKE_FLIGHT_H
#define YOKE_FLIGHT_H

#include <linux/list.h>
#include <linux/types.h>

#include <uapi/yoke.h>

struct yoke_arena;
struct yoke_buffer;
struct yoke_call;
struct yoke_key;
struct yoke_session;

enum yoke_flight_state {
	YOKE_FLIGHT_FREE,
	YOKE_FLIGHT_GATHERS,
	YOKE_FLIGHT_WAITS,
	YOKE_FLIGHT_ISSUED,
	YOKE_FLIGHT_TAKEN,
};

struct yoke_flight {
	struct list_head link; /* of the session's list for its state, or of the free ones */
	enum yoke_flight_state state;
	struct list_head calls;
	unsigned int filling;  /* calls whose input is being copied: not issued before */
	bool lost;             /* the session ended while calls were being filled */
	bool polled;           /* the caller looks for the completion, not the keeper */
	u8 flags;
	u8 ring;
	u16 service;
	struct yoke_key *key;
	u8 params[YOKE_PAYLOAD_BYTES];
	struct yoke_session *session; /* whose backlog it is part of; NULL: taken, or lost */
	struct yoke_arena *arena;
	struct yoke_buffer *own;        /* memory of calls that bring none; NULL: all comes with the call */
	struct yoke_buffer *in_buffer;  /* of a call that brings it */
	struct yoke_buffer *out_buffer;
	u64 in_offset;  /* in the arena */
	u64 out_offset;
	u64 aux_offset;
	u32 in_length;
	u32 aux_length;
	u32 in_room;
	u32 out_room;
	u32 produced;   /* expected bytes of output */
	u64 deadline_ns;
	u64 usual_deadline_ns; /* missing this one says something about the worker: it had most of the usual time */
	u64 position;
	u64 issued_ns;
	int status;     /* after the completion */
	struct yoke_completion completion;
};

#define YOKE_DEADLINE_SHARE 4u /* part of a deadline that may be spent behind others, and again waiting for room */

int yoke_flights_init(void);
void yoke_flights_exit(void);

/* Under the core's lock: */

/* Would a call be completed long before it is late, behind what is there? 0 or -ENOBUFS. */
int yoke_flights_admit(const struct yoke_session *session, const struct yoke_call *call);
/*
 * A flight for @call, new or shared; the call is in it, its input is not. -ENOBUFS, -ESTALE, -EINVAL. @polled: a flight
 * of its own whose completion the caller takes.
 */
struct yoke_flight *yoke_flight_join(struct yoke_session *session, struct yoke_call *call, u32 produced, bool polled);
/* The input of @call is in place, or could not be. False: the session is gone, the call is out of the flight. */
bool yoke_flight_filled(struct yoke_session *session, struct yoke_flight *flight, struct yoke_call *call, u64 now_ns);
/* Issues what waited for its turn, a key or a slot. May find that the session must end. */
void yoke_flights_advance(struct yoke_session *session, u64 now_ns);
/* The completion is there: takes and checks it. False: there is none. The flight is then in no list, its status set. */
bool yoke_flight_take(struct yoke_session *session, struct yoke_flight *flight);
/* Takes a call out of its flight. Of the last one the flight is dropped, or abandoned if it is in a ring. */
void yoke_flight_leave(struct yoke_session *session, struct yoke_call *call);
/* Ends the calls of a flight that is in no ring, or whose session ends. */
void yoke_flight_fail(struct yoke_flight *flight, int status);
/* No more calls may join it. */
void yoke_flight_close(struct yoke_flight *flight);
/* It is no part of the backlog any more. */
void yoke_flight_off_backlog(struct yoke_flight *flight);
/* Gives its memory back and frees it. */
void yoke_flight_drop(struct yoke_flight *flight);
static inline bool yoke_flight_abandoned(const struct yoke_flight *flight)
{
	return flight->state == YOKE_FLIGHT_ISSUED && list_empty(&flight->calls);
}

/* Not under the lock: */

/* Copies a call's input into its flight. */
void yoke_flight_fill(struct yoke_flight *flight, struct yoke_call *call);
/* Copies its output out; sets its results. Only while it is in a flight that was taken. */
void yoke_flight_deliver(struct yoke_flight *flight, struct yoke_call *call);

#endif /* YOKE_FLIGHT_H */
