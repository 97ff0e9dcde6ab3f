// SPDX-License-Identifier: GPL-2.0
/*
 * Parameters: /sys/module/yoke/parameters. README.md explains when to touch which.
 */
#include "params.h"

#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/time64.h>

#define ARENA_MIB_MIN 2u    /* rings, and a few of the longest express calls */
#define ARENA_MIB_MAX 1024u /* a worker pins it all */
#define DEADLINE_MS_MAX 10000u
#define SPIN_US_MAX 1000u

static unsigned int arena_mib = 16;
module_param(arena_mib, uint, 0444);
MODULE_PARM_DESC(arena_mib, "size of each of the two arenas in MiB, 2 to 1024 (default 16)");

static unsigned int deadline_ms = 50;
module_param(deadline_ms, uint, 0644);
MODULE_PARM_DESC(deadline_ms, "after this time a call falls back to the CPU, 1 to 10000 (default 50)");

static unsigned int spin_us = 50;
module_param(spin_us, uint, 0644);
MODULE_PARM_DESC(spin_us, "how long to poll for a completion before sleeping, 0 to 1000 (default 50)");

static int threshold = YOKE_THRESHOLD_COST;
module_param(threshold, int, 0644);
MODULE_PARM_DESC(threshold, "crypto requests of so many bytes go to the worker; -1: the cost model decides (default)");

static int priority = 50;
module_param(priority, int, 0444);
MODULE_PARM_DESC(priority, "of the crypto drivers; the CPU's have 100 to 500 (default 50: only by driver name)");

unsigned int yoke_arena_mib(void)
{
	return clamp(arena_mib, ARENA_MIB_MIN, ARENA_MIB_MAX);
}

u64 yoke_deadline_ns(void)
{
	return (u64)clamp(READ_ONCE(deadline_ms), 1u, DEADLINE_MS_MAX) * NSEC_PER_MSEC;
}

u64 yoke_spin_ns(void)
{
	if (num_online_cpus() == 1)
		return 0;
	return (u64)min(READ_ONCE(spin_us), SPIN_US_MAX) * NSEC_PER_USEC;
}

int yoke_threshold(void)
{
	return READ_ONCE(threshold);
}

int yoke_priority(void)
{
	return clamp(priority, 1, 100000);
}
