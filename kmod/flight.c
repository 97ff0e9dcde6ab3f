// SPDX-License-Identifier: GPL-2.0
/*
 * Making, filling and issuing flights; see flight.h. What happens to them afterwards is in flight_end.c.
 *
 * Joining works like Nagle's algorithm: as long as less than PIPELINE entries are under way, a call goes at once; the
 * ones behind it gather and go together when a completion has made room. So an idle worker costs no call any time, and
 * a busy one is given few large entries instead of many small ones.
 */
#include "flight.h"

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "arena.h"
#include "core.h"
#include "counters.h"
#include "key.h"
#include "params.h"
#include "plan.h"
#include "room.h"
#include "session.h"
#include "trace.h"

#include <linux/yoke.h>

#define FLIGHTS 1024u                      /* both rings full, and as many waiting */
#define PIPELINE 2u                        /* one executes, one is ready to */
#define PROBE_FLIGHTS 16u                  /* 1 MiB at most: 12 ms even for a worker that is emulated */
#define GATHER_BYTES YOKE_EXPRESS_BYTES_MAX /* of one flight: what the express ring takes */
#define JOIN_BYTES_MAX (GATHER_BYTES / 4)  /* longer calls are worth an entry of their own */

static struct yoke_flight *flights;
static LIST_HEAD(free_flights);
static struct yoke_flight *digests_gather; /* as struct yoke_key.gathers, for the service without keys */

static struct yoke_flight **gathering_place(struct yoke_key *key)
{
	return key ? &key->gathers : &digests_gather;
}

void yoke_flight_close(struct yoke_flight *flight)
{
	struct yoke_flight **place = gathering_place(flight->key);

	if (*place == flight)
		*place = NULL;
}

void yoke_flight_off_backlog(struct yoke_flight *flight)
{
	if (!flight->session)
		return;
	flight->session->backlog--;
	flight->session->backlog_bytes -= flight->in_length;
	flight->session = NULL;
}

/*
 * A queue as long as the deadline allows would make every call late. While the worker's pace is unknown a few entries
 * find it out.
 */
int yoke_flights_admit(const struct yoke_session *session, const struct yoke_call *call)
{
	u64 patience = max(call->timeout_ns, yoke_deadline_ns());
	u64 expected = (u64)session->backlog * session->pace.overhead_ns +
		       (session->backlog_bytes * session->pace.ns_per_kib >> 10);

	if (!session->backlog)
		return 0;
	if (session->pace.ns_per_kib <= 1 && session->backlog >= PROBE_FLIGHTS)
		return -ENOBUFS;
	return expected > patience / YOKE_DEADLINE_SHARE ? -ENOBUFS : 0;
}

void yoke_flight_drop(struct yoke_flight *flight)
{
	yoke_flight_off_backlog(flight);
	if (flight->state == YOKE_FLIGHT_GATHERS)
		yoke_flight_close(flight);
	yoke_buffer_put(flight->own);
	yoke_buffer_put(flight->in_buffer);
	yoke_buffer_put(flight->out_buffer);
	flight->own = NULL;
	flight->in_buffer = NULL;
	flight->out_buffer = NULL;
	flight->state = YOKE_FLIGHT_FREE;
	list_move_tail(&flight->link, &free_flights);
	if (yoke_core.session && yoke_room_made(yoke_core.session))
		yoke_keeper_kick();
}

static bool buffer_holds(const struct yoke_buffer *buffer, u32 skip, u32 bytes)
{
	u32 room = yoke_buffer_bytes(buffer);

	return skip <= room && bytes <= room - skip;
}

static bool overlap(const struct yoke_call *call, u32 produced)
{
	return call->in_buffer == call->out_buffer && call->in_buffer && produced && call->in_length &&
	       call->in_skip < call->out_skip + produced && call->out_skip < call->in_skip + call->in_length;
}

/* Memory for a flight that begins with @call. What the call does not bring is in one buffer: input, aux, output. */
static int give_memory(struct yoke_flight *flight, struct yoke_call *call)
{
	u32 in_room = call->in_buffer ? 0 : ALIGN(flight->in_room, YOKE_DATA_ALIGN);
	u32 aux_room = ALIGN(call->aux_length, YOKE_DATA_ALIGN);
	u64 room = (u64)in_room + aux_room + (call->out_buffer ? 0 : flight->out_room);
	u64 offset = flight->arena->layout.data;

	if (room > U32_MAX)
		return -ENOBUFS;
	if (room) {
		flight->own = yoke_buffer_take(flight->arena, room);
		if (!flight->own)
			return -ENOBUFS;
		offset = yoke_buffer_offset(flight->own);
	}
	flight->in_offset = offset;
	flight->aux_offset = offset + in_room;
	flight->out_offset = offset + in_room + aux_room;
	if (call->in_buffer) {
		flight->in_buffer = yoke_buffer_share(call->in_buffer);
		flight->in_offset = yoke_buffer_offset(call->in_buffer) + call->in_skip;
	}
	if (call->out_buffer) {
		flight->out_buffer = yoke_buffer_share(call->out_buffer);
		flight->out_offset = yoke_buffer_offset(call->out_buffer) + call->out_skip;
	}
	return 0;
}

static bool wants_company(const struct yoke_session *session, const struct yoke_call *call, bool polled)
{
	return !polled && !call->in_buffer && !call->out_buffer && call->in_length <= JOIN_BYTES_MAX &&
	       session->backlog >= PIPELINE && yoke_plan_joins(call);
}

static struct yoke_flight *begin(struct yoke_session *session, struct yoke_call *call, u32 produced, bool polled)
{
	struct yoke_flight *flight = list_first_entry_or_null(&free_flights, struct yoke_flight, link);
	bool gathers = wants_company(session, call, polled);
	int error = -ENOBUFS;

	if (!flight)
		return ERR_PTR(error);
	flight->lost = false;
	flight->polled = polled;
	flight->filling = 0;
	flight->service = call->service;
	flight->flags = call->flags;
	flight->key = call->key;
	flight->arena = session->arena;
	memcpy(flight->params, call->params.bytes, sizeof(flight->params));
	flight->in_length = 0;
	flight->aux_length = call->aux_length;
	flight->produced = 0;
	if (gathers) {
		flight->in_room = GATHER_BYTES;
		flight->out_room = yoke_plan_room(call, GATHER_BYTES);
		error = give_memory(flight, call);
	}
	if (error) {
		gathers = false;
		flight->in_room = call->in_length;
		flight->out_room = produced;
		error = give_memory(flight, call);
	}
	if (error)
		return ERR_PTR(error);
	flight->state = gathers ? YOKE_FLIGHT_GATHERS : YOKE_FLIGHT_WAITS;
	flight->session = session;
	session->backlog++;
	list_move_tail(&flight->link, gathers ? &session->gathers : &session->waits);
	if (gathers)
		*gathering_place(call->key) = flight;
	return flight;
}

static bool may_follow(const struct yoke_flight *flight, const struct yoke_call *call, u32 produced)
{
	return call->service == flight->service && !call->in_buffer && !call->out_buffer &&
	       call->in_length <= flight->in_room - flight->in_length &&
	       produced <= flight->out_room - flight->produced && flight->deadline_ns == flight->usual_deadline_ns &&
	       !call->timeout_ns && call->stamps.submitted + yoke_deadline_ns() >= flight->deadline_ns &&
	       yoke_plan_follows(call, flight->flags, flight->params, flight->in_length);
}

struct yoke_flight *yoke_flight_join(struct yoke_session *session, struct yoke_call *call, u32 produced, bool polled)
{
	struct yoke_flight *flight = polled ? NULL : *gathering_place(call->key);

	if ((call->in_buffer && call->in_buffer->arena != session->arena) ||
	    (call->out_buffer && call->out_buffer->arena != session->arena))
		return ERR_PTR(-ESTALE);
	if ((call->in_buffer && !buffer_holds(call->in_buffer, call->in_skip, call->in_length)) ||
	    (call->out_buffer && !buffer_holds(call->out_buffer, call->out_skip, produced)) || overlap(call, produced))
		return ERR_PTR(-EINVAL);
	if (flight && !may_follow(flight, call, produced)) {
		yoke_flight_close(flight); /* its turn comes as it is; others may gather behind @call */
		flight = NULL;
	}
	call->joined = flight;
	if (!flight) {
		flight = begin(session, call, produced, polled);
		if (IS_ERR(flight))
			return flight;
		flight->usual_deadline_ns = call->stamps.submitted + yoke_deadline_ns();
		flight->deadline_ns = call->timeout_ns ? call->stamps.submitted + call->timeout_ns :
							 flight->usual_deadline_ns;
		if (!polled)
			yoke_keeper_expects(flight->deadline_ns);
	}
	call->flight = flight;
	call->at_in = flight->in_length;
	call->at_out = flight->produced;
	call->produced = produced;
	call->filled = false;
	session->backlog_bytes += call->in_length;
	flight->in_length += call->in_length;
	flight->produced += produced;
	flight->filling++;
	list_add_tail(&call->link, &flight->calls);
	return flight;
}

void yoke_flight_fill(struct yoke_flight *flight, struct yoke_call *call)
{
	u8 *base = flight->arena->base;

	if (call->in_length && !call->in_buffer)
		sg_pcopy_to_buffer(call->in, sg_nents(call->in), base + flight->in_offset + call->at_in,
				   call->in_length, call->in_skip);
	if (call->aux_length)
		sg_pcopy_to_buffer(call->aux, sg_nents(call->aux), base + flight->aux_offset, call->aux_length, 0);
}

static u8 ring_for(const struct yoke_flight *flight)
{
	bool small = flight->in_length <= YOKE_EXPRESS_BYTES_MAX && flight->produced <= YOKE_EXPRESS_BYTES_MAX &&
		     flight->aux_length <= YOKE_EXPRESS_BYTES_MAX;

	return small ? YOKE_RING_EXPRESS : YOKE_RING_BULK;
}

/* -EAGAIN: no slot; -EPROTO: see yoke_ring_submit(). */
static int issue(struct yoke_session *session, struct yoke_flight *flight, u64 now_ns)
{
	struct yoke_submission entry = {
		.opcode = YOKE_OP_CALL,
		.flags = flight->flags,
		.service = flight->service,
		.object = flight->key ? flight->key->worker_key : 0,
		.in_offset = flight->in_offset,
		.out_offset = flight->out_offset,
		.in_length = flight->in_length,
		.out_length = flight->produced,
		.deadline_ns = flight->deadline_ns,
		.aux_offset = flight->aux_offset,
	};
	struct yoke_call *call;
	int error;

	flight->ring = ring_for(flight);
	error = yoke_ring_submit(&session->ring[flight->ring], &entry, flight->params, flight, &flight->position);
	if (error)
		return error;
	if (flight->state == YOKE_FLIGHT_GATHERS)
		yoke_flight_close(flight);
	flight->state = YOKE_FLIGHT_ISSUED;
	flight->issued_ns = now_ns;
	list_move_tail(&flight->link, &session->issued);
	session->issued_count++;
	list_for_each_entry(call, &flight->calls, link) {
		call->stamps.issued = now_ns;
		yoke_count(YOKE_COUNT_SUBMITTED);
	}
	yoke_count(YOKE_COUNT_ENTRIES);
	yoke_count_many(YOKE_COUNT_BYTES_IN, flight->in_length);
	trace_yoke_submit(session->generation, flight->ring, flight->position, flight->service, flight->in_length);
	return 0;
}

/* 0: it left the list that it was in. -EAGAIN: it stays. -EPROTO: the session must end. */
static int try_issue(struct yoke_session *session, struct yoke_flight *flight, u64 now_ns)
{
	if (flight->filling)
		return -EAGAIN;
	if (flight->key && flight->key->state == YOKE_KEY_REFUSED) {
		yoke_flight_fail(flight, -ENOKEY);
		return 0;
	}
	if (flight->key && flight->key->state != YOKE_KEY_READY)
		return -EAGAIN;
	return issue(session, flight, now_ns);
}

/* Returns -EPROTO when the session must end, else 0; @issued: the rings that got an entry, a bit each. */
static int advance_list(struct yoke_session *session, struct list_head *list, bool all, u64 now_ns, u32 *issued)
{
	struct yoke_flight *flight, *next;

	list_for_each_entry_safe(flight, next, list, link) {
		int error;

		if (!all && session->issued_count >= PIPELINE && flight->in_length < GATHER_BYTES)
			break;
		error = try_issue(session, flight, now_ns);
		if (error == -EPROTO)
			return error;
		if (!error)
			*issued |= BIT(flight->ring);
	}
	return 0;
}

void yoke_flights_advance(struct yoke_session *session, u64 now_ns)
{
	u32 issued = 0;

	if (advance_list(session, &session->waits, true, now_ns, &issued) ||
	    advance_list(session, &session->gathers, false, now_ns, &issued))
		yoke_session_fault(session, "a completion that nobody has asked for");
	else
		yoke_session_ring_bell(session, issued);
}

bool yoke_flight_filled(struct yoke_session *session, struct yoke_flight *flight, struct yoke_call *call, u64 now_ns)
{
	flight->filling--;
	if (flight->lost) {
		list_del(&call->link);
		call->flight = NULL;
		if (!flight->filling)
			yoke_flight_drop(flight);
		return false;
	}
	call->filled = true;
	yoke_flights_advance(session, now_ns);
	return true;
}

int yoke_flights_init(void)
{
	u32 i;

	flights = kvcalloc(FLIGHTS, sizeof(*flights), GFP_KERNEL);
	if (!flights)
		return -ENOMEM;
	for (i = 0; i < FLIGHTS; i++) {
		INIT_LIST_HEAD(&flights[i].calls);
		list_add_tail(&flights[i].link, &free_flights);
	}
	return 0;
}

void yoke_flights_exit(void)
{
	kvfree(flights);
}
