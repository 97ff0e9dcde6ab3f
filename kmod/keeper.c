// SPDX-License-Identifier: GPL-2.0
/*
 * The keeper: one thread that finds completions, ends what is late and runs callbacks.
 *
 * PROBLEM. A completion is a line in memory. Somebody must look at it, and must not look when there is nothing to see;
 * on a machine with one processor the worker cannot write it while somebody looks.
 * MODEL. The keeper looks, spins for a while after the last thing that happened (not at all with one processor, and
 * never longer than the scheduler likes), then sets want_bell, looks once more and sleeps until the worker's bell, a
 * submission or a deadline. While it spins and the worker polls, a call costs no system call on either side.
 * TRADE-OFF. One thread copies all output, and the input of calls that have waited for room. That bounds the kernel's
 * share of the machine; what the CPU has to do itself when a worker fails is spread over all processors by a workqueue.
 */
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/scatterlist.h>

#include <uapi/yoke_ring.h>

#include "arena.h"
#include "core.h"
#include "counters.h"
#include "flight.h"
#include "params.h"
#include "room.h"
#include "session.h"
#include "trace.h"

#include <linux/yoke.h>

#define TAKEN_MOST 32u         /* flights between two looks at the scheduler */
#define LOOKS_PER_CLOCK 16u    /* pauses between two looks at the rings */
#define NEVER (~0ull)
#define FILLING_NS NSEC_PER_MSEC /* a late call that is just being submitted is looked at again after this time */
#define SLACK_NS (500 * NSEC_PER_USEC) /* of deadlines */

static struct task_struct *keeper;
static bool kicked;  /* these three are guarded by the core's lock */
static bool asleep;
static u64 next_deadline = NEVER;

void yoke_keeper_kick(void)
{
	kicked = true;
	if (asleep)
		wake_up_process(keeper);
}

void yoke_keeper_expects(u64 deadline_ns)
{
	if (deadline_ns >= next_deadline)
		return;
	next_deadline = deadline_ns;
	yoke_keeper_kick();
}

/* Moves flights whose completion is there to @taken. True if there may be more. */
static bool take_completions(struct list_head *taken, u64 now_ns)
{
	struct yoke_flight *flight, *next;
	struct yoke_session *session;
	unsigned int count = 0;

	spin_lock_irq(&yoke_core.lock);
	session = yoke_core.session;
	if (session) {
		list_for_each_entry_safe(flight, next, &session->issued, link) {
			if (flight->polled || !yoke_flight_take(session, flight))
				continue;
			list_add_tail(&flight->link, taken);
			if (yoke_core.session != session || ++count == TAKEN_MOST)
				break;
		}
	}
	if (yoke_core.session)
		yoke_flights_advance(yoke_core.session, now_ns);
	spin_unlock_irq(&yoke_core.lock);
	return count == TAKEN_MOST;
}

static void deliver(struct yoke_flight *flight, u64 now_ns)
{
	struct yoke_call *call, *next;
	LIST_HEAD(calls);

	/* Nobody else touches the list of a flight that was taken, nor its calls. */
	list_for_each_entry(call, &flight->calls, link) {
		call->stamps.seen = now_ns;
		yoke_flight_deliver(flight, call);
	}
	spin_lock_irq(&yoke_core.lock);
	list_for_each_entry(call, &flight->calls, link)
		call->flight = NULL;
	list_splice_init(&flight->calls, &calls);
	yoke_flight_drop(flight);
	spin_unlock_irq(&yoke_core.lock);
	now_ns = ktime_get_ns();
	list_for_each_entry_safe(call, next, &calls, link) {
		list_del(&call->link);
		yoke_call_end(call, now_ns);
	}
}

static bool reap(u64 now_ns)
{
	struct yoke_flight *flight, *next;
	LIST_HEAD(taken);
	bool any = false;
	bool more;

	do {
		more = take_completions(&taken, now_ns);
		list_for_each_entry_safe(flight, next, &taken, link) {
			deliver(flight, now_ns);
			any = true;
		}
		cond_resched();
		now_ns = ktime_get_ns();
	} while (more);
	return any;
}

static bool end_calls(void)
{
	struct yoke_call *call, *next;
	LIST_HEAD(calls);

	spin_lock_irq(&yoke_core.lock);
	list_splice_init(&yoke_core.ending, &calls);
	spin_unlock_irq(&yoke_core.lock);
	if (list_empty(&calls))
		return false;
	list_for_each_entry_safe(call, next, &calls, link) {
		list_del(&call->link);
		yoke_call_end(call, ktime_get_ns());
		cond_resched();
	}
	return true;
}

/* Calls that waited for room are submitted again, oldest first. */
static bool resume(void)
{
	struct yoke_call *call;
	bool any = false;

	do {
		spin_lock_irq(&yoke_core.lock);
		call = yoke_core.session ? yoke_room_next(yoke_core.session, ktime_get_ns()) : NULL;
		spin_unlock_irq(&yoke_core.lock);
		if (!call)
			return any;
		any = true;
		cond_resched();
	} while (yoke_call_resume(call));
	return any;
}

/* Did the worker have what it usually gets, but for what its first call may have waited for room? */
static void trip(struct yoke_session *session, const struct yoke_flight *flight, u64 now_ns)
{
	if (now_ns < flight->usual_deadline_ns || !yoke_breaker_miss(&session->breaker, now_ns))
		return;
	yoke_count(YOKE_COUNT_TRIPS);
	yoke_complain("the worker missed a deadline (service %u); the CPU does its work until its heart beats again",
		      flight->service);
}

/* Ends the calls of the flights in a list that are late; returns the earliest deadline of the others. */
static u64 expire_list(struct yoke_session *session, struct list_head *list, u64 now_ns)
{
	struct yoke_flight *flight, *next_flight;
	struct yoke_call *call, *next;
	u64 earliest = NEVER;

	list_for_each_entry_safe(flight, next_flight, list, link) {
		if (flight->polled || yoke_flight_abandoned(flight))
			continue;
		if (now_ns < flight->deadline_ns) {
			earliest = min(earliest, flight->deadline_ns);
			continue;
		}
		if (flight->filling) {
			earliest = min(earliest, now_ns + FILLING_NS);
			continue;
		}
		trip(session, flight, now_ns);
		list_for_each_entry_safe(call, next, &flight->calls, link) {
			bool last = list_is_singular(&flight->calls);

			yoke_flight_leave(session, call);
			call->status = -ETIME;
			list_add_tail(&call->link, &yoke_core.ending);
			if (last)
				break; /* the flight may be another's by now */
		}
	}
	return earliest;
}

static void expire(u64 now_ns)
{
	struct yoke_session *session;
	u64 earliest = NEVER;

	if (now_ns < READ_ONCE(next_deadline))
		return;
	spin_lock_irq(&yoke_core.lock);
	session = yoke_core.session;
	if (session) {
		earliest = min3(expire_list(session, &session->issued, now_ns),
				expire_list(session, &session->waits, now_ns),
				expire_list(session, &session->gathers, now_ns));
		earliest = min(earliest, yoke_room_expire(session, now_ns));
	}
	next_deadline = earliest;
	spin_unlock_irq(&yoke_core.lock);
}

/* Under the lock: is there a completion that the keeper is to take? @awaited: is there one to come? */
static bool look(struct yoke_session *session, bool *awaited)
{
	struct yoke_flight *flight;

	*awaited = false;
	list_for_each_entry(flight, &session->issued, link) {
		if (flight->polled)
			continue;
		*awaited = true;
		if (yoke_ring_peek(&session->ring[flight->ring], flight->position))
			return true;
	}
	return false;
}

static void want_bell(struct yoke_session *session, u32 wanted)
{
	yoke_store_release32(&yoke_arena_words(session->arena)->want_bell, wanted);
}

static void nap(void)
{
	ktime_t until = 0;
	bool found, awaited;

	spin_lock_irq(&yoke_core.lock);
	set_current_state(TASK_IDLE);
	asleep = true;
	found = kicked || !list_empty(&yoke_core.ending);
	if (yoke_core.session) {
		look(yoke_core.session, &awaited);
		if (awaited) {
			want_bell(yoke_core.session, 1);
			yoke_full_fence();
			found |= look(yoke_core.session, &awaited);
		}
	}
	if (next_deadline != NEVER)
		until = ns_to_ktime(next_deadline);
	spin_unlock_irq(&yoke_core.lock);
	if (!found && !kthread_should_stop()) {
		if (until)
			schedule_hrtimeout_range(&until, SLACK_NS, HRTIMER_MODE_ABS);
		else
			schedule();
	}
	__set_current_state(TASK_RUNNING);
	spin_lock_irq(&yoke_core.lock);
	asleep = false;
	kicked = false;
	if (yoke_core.session)
		want_bell(yoke_core.session, 0);
	spin_unlock_irq(&yoke_core.lock);
}

/* Anything that the keeper's spinning may see the end of? */
static bool worth_spinning(void)
{
	bool awaited = false;

	spin_lock_irq(&yoke_core.lock);
	if (yoke_core.session)
		look(yoke_core.session, &awaited);
	spin_unlock_irq(&yoke_core.lock);
	return awaited;
}

static int keep(void *unused)
{
	u64 last_ns = ktime_get_ns();

	while (!kthread_should_stop()) {
		u64 now_ns = ktime_get_ns();
		unsigned int i;

		expire(now_ns);
		if (reap(now_ns) | resume() | end_calls()) {
			last_ns = ktime_get_ns();
			continue;
		}
		if (now_ns - last_ns < yoke_spin_ns() && !need_resched() && worth_spinning()) {
			for (i = 0; i < LOOKS_PER_CLOCK; i++)
				cpu_relax();
			continue;
		}
		nap();
		last_ns = ktime_get_ns();
	}
	return 0;
}

int yoke_keeper_start(void)
{
	keeper = kthread_create(keep, NULL, "yoke");
	if (IS_ERR(keeper))
		return PTR_ERR(keeper);
	set_user_nice(keeper, MIN_NICE);
	wake_up_process(keeper);
	return 0;
}

void yoke_keeper_stop(void)
{
	kthread_stop(keeper);
}
