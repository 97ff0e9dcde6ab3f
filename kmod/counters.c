// SPDX-License-Identifier: GPL-2.0
/*
 * Counters are single atomic words: they are touched a few times per call, which takes microseconds, and a reader wants
 * a value that is right now. Errors are found under the core's lock, where nobody must wait for a console: a work prints
 * the last one.
 */
#include "counters.h"

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/ratelimit.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#define SENTENCE_BYTES 160

atomic64_t yoke_counter[YOKE_COUNTS];

static DEFINE_SPINLOCK(sentence_lock);
static char sentence[SENTENCE_BYTES];

void yoke_count_fallback(int error)
{
	switch (error) {
	case -ENODEV:
		yoke_count(YOKE_COUNT_FELL_NO_WORKER);
		break;
	case -EAGAIN:
		yoke_count(YOKE_COUNT_FELL_BREAKER);
		break;
	case -ENOBUFS:
		yoke_count(YOKE_COUNT_FELL_FULL);
		break;
	case -ENOKEY:
		yoke_count(YOKE_COUNT_FELL_KEY);
		break;
	case -EMSGSIZE:
	case -EINVAL:
		yoke_count(YOKE_COUNT_FELL_SIZE);
		break;
	case -ETIME:
		yoke_count(YOKE_COUNT_FELL_DEADLINE);
		break;
	case -EOWNERDEAD:
	case -ESTALE:
		yoke_count(YOKE_COUNT_FELL_LOST);
		break;
	case -EPROTO:
		yoke_count(YOKE_COUNT_FELL_PROTOCOL);
		break;
	default:
		yoke_count(YOKE_COUNT_FELL_ERROR);
		break;
	}
}

static void say(struct work_struct *work)
{
	static DEFINE_RATELIMIT_STATE(limit, 30 * HZ, 3);
	char text[SENTENCE_BYTES];

	yoke_last_error(text, sizeof(text));
	if (__ratelimit(&limit))
		pr_warn("%s\n", text);
}
static DECLARE_WORK(say_work, say);

void yoke_complain(const char *format, ...)
{
	char text[SENTENCE_BYTES];
	unsigned long flags;
	va_list args;

	va_start(args, format);
	vscnprintf(text, sizeof(text), format, args);
	va_end(args);
	spin_lock_irqsave(&sentence_lock, flags);
	strscpy(sentence, text, sizeof(sentence));
	spin_unlock_irqrestore(&sentence_lock, flags);
	schedule_work(&say_work);
}

void yoke_last_error(char *to, size_t bytes)
{
	unsigned long flags;

	spin_lock_irqsave(&sentence_lock, flags);
	strscpy(to, sentence, bytes);
	spin_unlock_irqrestore(&sentence_lock, flags);
}

void yoke_counters_exit(void)
{
	cancel_work_sync(&say_work);
}
