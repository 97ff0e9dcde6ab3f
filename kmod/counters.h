/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What happened how often, and the last error in words; both shown in sysfs (attributes.c).
 */
#ifndef YOKE_COUNTERS_H
#define YOKE_COUNTERS_H

#include <linux/atomic.h>
#include <linux/types.h>

/* Name, and what is counted. */
#define YOKE_COUNTERS(count)                                                                        \
	count(SUBMITTED, submitted)                  /* calls that the worker was given */          \
	count(OFFLOADED, offloaded)                  /* calls whose result came from the worker */  \
	count(ENTRIES, entries)                      /* entries for them: fewer if calls joined */  \
	count(BYTES_IN, bytes_in)                                                                   \
	count(BYTES_OUT, bytes_out)                                                                 \
	count(FELL_COST, fell_back_cost)             /* the CPU was expected to be faster */        \
	count(FELL_NO_WORKER, fell_back_no_worker)                                                  \
	count(FELL_BREAKER, fell_back_breaker)       /* no heartbeat since a missed deadline */     \
	count(FELL_FULL, fell_back_full)             /* places or buffers were used up */           \
	count(FELL_KEY, fell_back_key)               /* refused by the worker, or of no use to it */\
	count(FELL_SIZE, fell_back_size)             /* too long for the arena */                   \
	count(FELL_DEADLINE, fell_back_deadline)                                                    \
	count(FELL_LOST, fell_back_lost)             /* the worker went while it had the call */    \
	count(FELL_ERROR, fell_back_error)           /* the worker reported an error */             \
	count(FELL_PROTOCOL, fell_back_protocol)     /* the worker broke the protocol */            \
	count(WAITED, waited)                        /* calls that had to wait for room */          \
	count(CANCELLED, cancelled)                                                                 \
	count(LATE, late)                            /* completions that nobody waited for */       \
	count(TRIPS, breaker_trips)                                                                 \
	count(FAULTS, session_faults)                                                               \
	count(WORKERS, workers)                      /* attached since the module was loaded */     \
	count(RETIRED, arenas_retired)                                                              \
	count(PAGES_LEFT_TO_HOLDERS, pages_left_to_holders)                                         \
	count(BELLS_RUNG, bells_rung)                /* eventfd signals: the worker slept */        \
	count(BELLS_HEARD, bells_heard)              /* ioctls: the kernel slept */                 \
	count(KEYS_SENT, keys_sent)                                                                 \
	count(KEYS_REFUSED, keys_refused)

enum yoke_counter {
#define YOKE_COUNTER_ENUM(upper, lower) YOKE_COUNT_##upper,
	YOKE_COUNTERS(YOKE_COUNTER_ENUM)
#undef YOKE_COUNTER_ENUM
	YOKE_COUNTS
};

extern atomic64_t yoke_counter[YOKE_COUNTS];

static inline void yoke_count_many(enum yoke_counter which, u64 how_many)
{
	atomic64_add(how_many, &yoke_counter[which]);
}

static inline void yoke_count(enum yoke_counter which)
{
	atomic64_inc(&yoke_counter[which]);
}

/* Counts the reason why a call is not done by the worker. */
void yoke_count_fallback(int error);

/* The last error, in one sentence, for people; also goes to the log, rate limited. Any context. */
__printf(1, 2) void yoke_complain(const char *format, ...);
/* Copies the sentence, "" when there is none. */
void yoke_last_error(char *to, size_t bytes);
/* Nobody complains any more. */
void yoke_counters_exit(void);

#endif /* YOKE_COUNTERS_H */
