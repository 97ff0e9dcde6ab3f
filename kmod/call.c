// SPDX-License-Identifier: GPL-2.0
/*
 * Calls: the functions of linux/yoke.h, and the one way in which every call ends.
 *
 * Two kinds of waiting: most calls are the keeper's to end. A caller that spins takes its completion itself, which
 * saves a hop; its flight is marked `polled` and the keeper leaves it alone until the caller gives up.
 */
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched.h>

#include <linux/yoke.h>

#include "arena.h"
#include "choice.h"
#include "core.h"
#include "counters.h"
#include "flight.h"
#include "key.h"
#include "params.h"
#include "plan.h"
#include "room.h"
#include "session.h"
#include "trace.h"

/* How a call is submitted: by one who takes its completion himself, or who can (or cannot) be made to wait for room. */
enum manner { POLLED, PATIENT, IMPATIENT };

static void run_cpu(struct work_struct *work)
{
	struct yoke_call *call = container_of(work, struct yoke_call, work);
	int status = call->cpu(call);

	if (status == -EINPROGRESS)
		return;
	local_bh_disable();
	yoke_call_done(call, status);
	local_bh_enable();
}

void yoke_call_init(struct yoke_call *call)
{
	memset(call, 0, sizeof(*call));
	INIT_LIST_HEAD(&call->link);
	INIT_WORK(&call->work, run_cpu);
	init_completion(&call->ended);
}
EXPORT_SYMBOL_GPL(yoke_call_init);

/* The results of a call that the CPU has done. */
static void done_by_cpu(struct yoke_call *call, int reason, int status)
{
	call->where = YOKE_WHERE_CALLER;
	call->why = reason == -EOWNERDEAD || reason == -ETIME ? YOKE_WHY_LOST : YOKE_WHY_BARRED;
	call->status = status;
	if (status || yoke_plan(call, &call->produced))
		call->produced = 0;
	call->stamps.done = ktime_get_ns();
	trace_yoke_complete(call->service, call->in_length, status, call->where,
			    call->stamps.done - call->stamps.submitted);
}

void yoke_call_done(struct yoke_call *call, int status)
{
	done_by_cpu(call, call->status, status);
	call->complete(call);
}
EXPORT_SYMBOL_GPL(yoke_call_done);

static bool cpu_takes_over(const struct yoke_call *call)
{
	return call->status && call->status != -ECANCELED && call->cpu;
}

/* Its caller, who was told to wait, may go on. Before its callback: both are the keeper's. */
static void pay_debt(struct yoke_call *call)
{
	if (!call->owed)
		return;
	call->owed = false;
	local_bh_disable();
	call->resumed(call);
	local_bh_enable();
}

void yoke_call_end(struct yoke_call *call, u64 now_ns)
{
	pay_debt(call);
	if (cpu_takes_over(call)) {
		yoke_count_fallback(call->status);
		trace_yoke_fall_back(call->service, call->in_length, call->status);
		queue_work(yoke_core.cpu_queue, &call->work);
		return;
	}
	call->stamps.done = now_ns;
	trace_yoke_complete(call->service, call->in_length, call->status, call->where, now_ns - call->stamps.submitted);
	local_bh_disable();
	call->complete(call);
	local_bh_enable();
}

static bool sg_holds(struct scatterlist *sg, u32 skip, u32 bytes)
{
	return !bytes || !sg || sg_nents_for_len(sg, (u64)skip + bytes) >= 0;
}

static int check(const struct yoke_call *call, u32 *produced)
{
	int error = yoke_plan(call, produced);

	if (error)
		return error;
	if (!sg_holds(call->in_buffer ? NULL : call->in, call->in_skip, call->in_length) ||
	    !sg_holds(call->out_buffer ? NULL : call->out, call->out_skip, *produced) ||
	    !sg_holds(call->aux, 0, call->aux_length))
		return -EINVAL;
	return 0;
}

/* Under the core's lock: a flight for the call. -EBUSY: it waits for room. Who waits already goes first. */
static struct yoke_flight *join(struct yoke_session *session, struct yoke_call *call, u32 produced, enum manner manner,
				u64 now_ns)
{
	int error = yoke_session_usable(session, now_ns);
	struct yoke_flight *flight;

	if (error == -EAGAIN)
		yoke_session_poke(session, now_ns);
	if (error)
		return ERR_PTR(error);
	if (manner == PATIENT && !call->owed && !list_empty(&session->row))
		return ERR_PTR(yoke_room_await(session, call));
	error = yoke_flights_admit(session, call);
	if (!error && call->key)
		error = yoke_key_want(call->key, session);
	flight = error ? ERR_PTR(error) : yoke_flight_join(session, call, produced, manner == POLLED);
	if (flight == ERR_PTR(-ENOBUFS) && manner == PATIENT)
		flight = ERR_PTR(yoke_room_await(session, call));
	return flight;
}

static int submit(struct yoke_call *call, enum manner manner)
{
	struct yoke_session *session;
	struct yoke_flight *flight;
	unsigned long flags;
	u64 now_ns = ktime_get_ns();
	u32 produced;
	int error;

	if (!call->owed)
		call->stamps = (struct yoke_stamps){ .submitted = now_ns };
	error = check(call, &produced);
	if (error)
		return error;
	spin_lock_irqsave(&yoke_core.lock, flags);
	session = yoke_core.session;
	flight = join(session, call, produced, manner, now_ns);
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	if (IS_ERR(flight))
		return PTR_ERR(flight);
	yoke_flight_fill(flight, call);
	now_ns = ktime_get_ns();
	spin_lock_irqsave(&yoke_core.lock, flags);
	if (yoke_flight_filled(session, flight, call, now_ns)) {
		if (manner != POLLED)
			yoke_keeper_kick();
	} else {
		error = -EOWNERDEAD;
	}
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	return error;
}

int yoke_submit(struct yoke_call *call)
{
	if (!call->complete)
		return -EINVAL;
	return submit(call, call->resumed ? PATIENT : IMPATIENT);
}
EXPORT_SYMBOL_GPL(yoke_submit);

bool yoke_call_resume(struct yoke_call *call)
{
	int error = submit(call, PATIENT);

	if (error == -EBUSY)
		return false;
	if (!error) {
		pay_debt(call);
		return true;
	}
	call->status = error;
	yoke_call_end(call, ktime_get_ns());
	return true;
}

bool yoke_cancel(struct yoke_call *call)
{
	struct yoke_session *session;
	struct yoke_flight *flight;
	unsigned long flags;
	bool last = false;

	spin_lock_irqsave(&yoke_core.lock, flags);
	session = yoke_core.session;
	flight = call->flight;
	if (!call->waits &&
	    (!flight || flight->state == YOKE_FLIGHT_TAKEN || !call->filled || flight->polled)) {
		spin_unlock_irqrestore(&yoke_core.lock, flags);
		return false;
	}
	if (call->waits) {
		yoke_room_leave(call);
	} else {
		last = flight->state == YOKE_FLIGHT_ISSUED && list_is_singular(&flight->calls);
		yoke_flight_leave(session, call);
	}
	if (last) {
		yoke_ring_cancel(&session->ring[flight->ring], flight->position);
		yoke_session_ring_bell(session, BIT(flight->ring));
	}
	call->status = -ECANCELED;
	list_add_tail(&call->link, &yoke_core.ending);
	yoke_count(YOKE_COUNT_CANCELLED);
	yoke_keeper_kick();
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	return true;
}
EXPORT_SYMBOL_GPL(yoke_cancel);

enum polled { POLL_NOTHING, POLL_TAKEN, POLL_ENDED };

/* One look for the completion of a polled flight. */
static enum polled poll_once(struct yoke_call *call)
{
	enum polled result = POLL_NOTHING;
	struct yoke_session *session;
	struct yoke_flight *flight;
	unsigned long flags;
	u64 now_ns = ktime_get_ns();

	spin_lock_irqsave(&yoke_core.lock, flags);
	session = yoke_core.session;
	flight = call->flight;
	if (!flight) {
		result = POLL_ENDED; /* the session has, and set the status */
	} else if (flight->state == YOKE_FLIGHT_ISSUED && yoke_flight_take(session, flight)) {
		result = POLL_TAKEN;
		if (yoke_core.session)
			yoke_flights_advance(yoke_core.session, now_ns);
	}
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	if (result != POLL_TAKEN)
		return result;
	call->stamps.seen = now_ns;
	yoke_flight_deliver(flight, call);
	spin_lock_irqsave(&yoke_core.lock, flags);
	list_del_init(&call->link);
	call->flight = NULL;
	yoke_flight_drop(flight);
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	call->stamps.done = ktime_get_ns();
	trace_yoke_complete(call->service, call->in_length, call->status, call->where,
			    call->stamps.done - call->stamps.submitted);
	return POLL_ENDED;
}

/* True if the call has ended. */
static bool spin(struct yoke_call *call, u64 bound_ns)
{
	u64 begin = ktime_get_ns();

	do {
		if (poll_once(call) == POLL_ENDED)
			return true;
		cpu_relax();
	} while (ktime_get_ns() - begin < bound_ns);
	return false;
}

/* The CPU does what the worker did not, in the caller's context. */
static int fall_back(struct yoke_call *call, int reason)
{
	int status;

	yoke_count_fallback(reason);
	trace_yoke_fall_back(call->service, call->in_length, reason);
	status = call->cpu(call);
	done_by_cpu(call, reason, status);
	return status;
}

/* A refused call whose members are wrong is not the CPU's either. */
static bool is_wrong(const struct yoke_call *call)
{
	u32 produced;

	return check(call, &produced) != 0;
}

int yoke_call_spin(struct yoke_call *call, u64 bound_ns)
{
	unsigned long flags;
	int error;

	if (!call->cpu)
		return -EINVAL;
	error = submit(call, POLLED);
	if (error)
		return is_wrong(call) ? error : fall_back(call, error);
	if (!spin(call, bound_ns)) {
		spin_lock_irqsave(&yoke_core.lock, flags);
		if (call->flight) {
			yoke_flight_leave(yoke_core.session, call);
			call->status = -ETIME;
		}
		spin_unlock_irqrestore(&yoke_core.lock, flags);
	}
	return call->status ? fall_back(call, call->status) : 0;
}
EXPORT_SYMBOL_GPL(yoke_call_spin);

static void wake_waiter(struct yoke_call *call)
{
	complete(&call->ended);
}

/* From now on the keeper ends it. False: it has ended. */
static bool hand_to_keeper(struct yoke_call *call)
{
	unsigned long flags;
	bool in_flight;

	spin_lock_irqsave(&yoke_core.lock, flags);
	in_flight = call->flight;
	if (in_flight) {
		call->flight->polled = false;
		yoke_keeper_expects(call->flight->deadline_ns);
		yoke_keeper_kick();
	}
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	return in_flight;
}

int yoke_call_wait(struct yoke_call *call)
{
	u64 spin_ns = yoke_spin_ns();
	int error;

	call->complete = wake_waiter;
	reinit_completion(&call->ended);
	error = submit(call, spin_ns ? POLLED : IMPATIENT);
	if (!error && spin_ns && (spin(call, min(spin_ns, yoke_choice_expected_ns(call))) || !hand_to_keeper(call))) {
		error = call->status;
	} else if (!error) {
		wait_for_completion(&call->ended);
		return call->status;
	}
	if (!error || !call->cpu || is_wrong(call))
		return error;
	yoke_count_fallback(error);
	trace_yoke_fall_back(call->service, call->in_length, error);
	call->status = error;
	queue_work(yoke_core.cpu_queue, &call->work);
	wait_for_completion(&call->ended);
	return call->status;
}
EXPORT_SYMBOL_GPL(yoke_call_wait);

bool yoke_available(void)
{
	unsigned long flags;
	bool available;

	spin_lock_irqsave(&yoke_core.lock, flags);
	available = !yoke_session_usable(yoke_core.session, ktime_get_ns());
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	return available;
}
EXPORT_SYMBOL_GPL(yoke_available);

struct yoke_buffer *yoke_buffer_get(u32 bytes)
{
	struct yoke_buffer *buffer = NULL;
	unsigned long flags;

	spin_lock_irqsave(&yoke_core.lock, flags);
	if (yoke_core.session)
		buffer = yoke_buffer_take(yoke_core.session->arena, bytes);
	spin_unlock_irqrestore(&yoke_core.lock, flags);
	return buffer;
}
EXPORT_SYMBOL_GPL(yoke_buffer_get);
