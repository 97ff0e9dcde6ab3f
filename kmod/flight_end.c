// SPDX-License-Identifier: GPL-2.0
/*
 * How flights end. A completion was written by somebody who is not to be trusted: it is copied once, and the copy is
 * compared with what this flight expects. A completion that no honest worker writes ends the whole session, since one who
 * breaks the protocol once must not be given the next call.
 */
#include "flight.h"

#include <linux/ktime.h>
#include <linux/scatterlist.h>

#include <uapi/yoke_cost.h>

#include "arena.h"
#include "core.h"
#include "counters.h"
#include "session.h"

#include <linux/yoke.h>

/* The status codes that the ABI knows for calls. */
static bool is_status(s32 status)
{
	switch (-(s64)status) {
	case YOKE_OK:
	case YOKE_EIO:
	case YOKE_ENOMEM:
	case YOKE_EACCES:
	case YOKE_EFAULT:
	case YOKE_EINVAL:
	case YOKE_ENOSYS:
	case YOKE_ETIME:
	case YOKE_EPROTO:
	case YOKE_EBADMSG:
	case YOKE_EMSGSIZE:
	case YOKE_ENOBUFS:
	case YOKE_ENOKEY:
	case YOKE_ECANCELED:
		return true;
	default:
		return false;
	}
}

/* NULL: a completion that this flight may have; else what is wrong with it. */
static const char *fault_of(const struct yoke_flight *flight, const struct yoke_completion *completion)
{
	if (!is_status(completion->status))
		return "a status that is none";
	if (completion->where == YOKE_WHERE_CALLER || completion->where > YOKE_WHERE_NSK ||
	    completion->why > YOKE_WHY_BARRED)
		return "a place that is none of a worker";
	if (completion->status == 0 && completion->out_length != flight->produced)
		return "a length that the call cannot have";
	if (completion->status == -YOKE_EBADMSG && flight->service != YOKE_SERVICE_AES_GCM)
		return "a wrong tag of a cipher without tags";
	return NULL;
}

static int status_of(const struct yoke_completion *completion)
{
	if (completion->status == -YOKE_ECANCELED || completion->status == -YOKE_EPROTO)
		return -EIO; /* ours are not told from the worker's by a number */
	return completion->status;
}

/*
 * What one more flight in the queue costs: the time since the completion before. The completion of a flight that nobody
 * was in front of includes waking the worker, which a queue pays once: it teaches the cost of the hop, but of the pace,
 * once that is known, only that the worker is faster than it was taken to be.
 */
static void learn_pace(struct yoke_session *session, const struct yoke_flight *flight, u64 run_untrusted_ns)
{
	bool alone = flight->issued_ns >= session->completed_ns;
	u64 now_ns = ktime_get_ns();
	u64 took_ns = now_ns - max(session->completed_ns, flight->issued_ns);

	if (alone)
		session->hop_ns = yoke_cost_approach(session->hop_ns, took_ns - min(run_untrusted_ns, took_ns));
	if (!alone || session->pace.ns_per_kib <= 1 || took_ns < yoke_cost_ns(session->pace, flight->in_length))
		session->pace = yoke_cost_learn(session->pace, flight->in_length, took_ns);
	session->completed_ns = now_ns;
}

bool yoke_flight_take(struct yoke_session *session, struct yoke_flight *flight)
{
	struct yoke_completion completion_untrusted;
	const char *fault;

	if (!yoke_ring_take(&session->ring[flight->ring], flight->position, &completion_untrusted))
		return false;
	if (list_empty(&flight->calls))
		yoke_count(YOKE_COUNT_LATE);
	else
		session->issued_count--;
	learn_pace(session, flight, completion_untrusted.run_ns);
	yoke_flight_off_backlog(flight);
	list_del_init(&flight->link);
	flight->state = YOKE_FLIGHT_TAKEN;
	fault = fault_of(flight, &completion_untrusted);
	if (fault) {
		flight->status = -EPROTO;
		yoke_session_fault(session, fault);
		return true;
	}
	flight->completion = completion_untrusted;
	flight->status = status_of(&completion_untrusted);
	if (!list_empty(&flight->calls) && flight->status != -ETIME)
		yoke_breaker_success(&session->breaker);
	return true;
}

void yoke_flight_deliver(struct yoke_flight *flight, struct yoke_call *call)
{
	u64 spent = ktime_get_ns() - flight->issued_ns;

	call->status = flight->status;
	if (call->status) {
		call->produced = 0;
		call->where = YOKE_WHERE_NONE;
		return;
	}
	call->where = flight->completion.where;
	call->why = flight->completion.why;
	call->stamps.queued_ns = min_t(u64, flight->completion.queued_ns, spent);
	call->stamps.run_ns = min_t(u64, flight->completion.run_ns, spent);
	if (call->produced && !call->out_buffer)
		sg_pcopy_from_buffer(call->out, sg_nents(call->out), flight->arena->base + flight->out_offset + call->at_out,
				     call->produced, call->out_skip);
	yoke_count(YOKE_COUNT_OFFLOADED);
	yoke_count_many(YOKE_COUNT_BYTES_OUT, call->produced);
}

void yoke_flight_leave(struct yoke_session *session, struct yoke_call *call)
{
	struct yoke_flight *flight = call->flight;

	list_del(&call->link);
	call->flight = NULL;
	call->produced = 0;
	if (!list_empty(&flight->calls))
		return;
	if (flight->state != YOKE_FLIGHT_ISSUED) {
		yoke_flight_drop(flight);
		return;
	}
	flight->polled = false; /* the keeper waits for its completion now */
	yoke_keeper_kick();
	session->issued_count--;
}

void yoke_flight_fail(struct yoke_flight *flight, int status)
{
	struct yoke_call *call, *next;

	list_for_each_entry_safe(call, next, &flight->calls, link) {
		if (!call->filled)
			continue; /* whoever fills it finds out */
		call->status = status;
		call->produced = 0;
		list_del(&call->link);
		WRITE_ONCE(call->flight, NULL);
		if (!flight->polled)
			list_add_tail(&call->link, &yoke_core.ending);
	}
	yoke_keeper_kick();
	if (flight->filling) {
		yoke_flight_close(flight);
		flight->lost = true;
		yoke_flight_off_backlog(flight);
		flight->state = YOKE_FLIGHT_WAITS;
		list_del_init(&flight->link);
		return;
	}
	yoke_flight_drop(flight);
}
