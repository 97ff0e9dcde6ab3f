// SPDX-License-Identifier: GPL-2.0
/*
 * yoke.ko: the kernel calls services of a worker. README.md says what for; linux/yoke.h is what other modules see,
 * uapi/yoke_kernel.h what the worker sees.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/workqueue.h>

#include "arena.h"
#include "core.h"
#include "counters.h"
#include "crypto.h"
#include "device.h"
#include "flight.h"
#include "selftest.h"

struct yoke_core yoke_core = {
	.lock = __SPIN_LOCK_UNLOCKED(yoke_core.lock),
	.ending = LIST_HEAD_INIT(yoke_core.ending),
};

static int __init yoke_init(void)
{
	int error;

	error = yoke_arenas_init();
	if (error)
		goto no_arenas;
	error = yoke_flights_init();
	if (error)
		goto no_flights;
	error = yoke_selftest();
	if (error)
		goto no_selftest;
	/* Writeback may wait for this queue. */
	yoke_core.cpu_queue = alloc_workqueue("yoke_cpu", WQ_MEM_RECLAIM | WQ_HIGHPRI | WQ_CPU_INTENSIVE, 0);
	error = -ENOMEM;
	if (!yoke_core.cpu_queue)
		goto no_cpu_queue;
	error = yoke_keeper_start();
	if (error)
		goto no_keeper;
	error = yoke_device_register();
	if (error)
		goto no_device;
	return 0;

no_device:
	yoke_keeper_stop();
no_keeper:
	destroy_workqueue(yoke_core.cpu_queue);
no_cpu_queue:
no_selftest:
	yoke_flights_exit();
no_flights:
	yoke_arenas_exit();
no_arenas:
	yoke_counters_exit();
	return error;
}

static void __exit yoke_exit(void)
{
	yoke_device_unregister();
	yoke_crypto_exit();
	yoke_keeper_stop();
	destroy_workqueue(yoke_core.cpu_queue);
	yoke_flights_exit();
	yoke_arenas_exit();
	yoke_counters_exit();
}

module_init(yoke_init);
module_exit(yoke_exit);

MODULE_DESCRIPTION("Services of a GPU worker for the kernel");
MODULE_AUTHOR("The yoke authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
