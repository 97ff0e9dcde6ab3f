// SPDX-License-Identifier: GPL-2.0
/*
 * Registration. The crypto API tests a driver while it is being registered and waits for the test, which needs a worker
 * and time, so neither the worker's ioctl nor loading the module can do it. While it runs everything goes to the
 * worker, whatever the cost model says: a test that the CPU passes proves nothing. Should the worker be lost in the
 * middle, the rest is registered with the next one. A driver whose test did not reach a worker says so in its
 * attribute and in the log: it cannot be taken back, since somebody may use it already.
 */
#include "crypto.h"

#include <linux/module.h>
#include <linux/workqueue.h>

#include "choice.h"
#include "core.h"
#include "params.h"

#include <linux/yoke.h>

#define AGAIN_JIFFIES (HZ / 10)

struct yoke_driver_figures yoke_driver_figures[YOKE_DRIVER_COUNT];

static bool registered[YOKE_DRIVER_COUNT]; /* the work's, then of yoke_crypto_exit() */

static void register_all(struct work_struct *work);
static DECLARE_DELAYED_WORK(register_work, register_all);

static const char *const labels[] = {
#define LABEL(upper, label) label,
	YOKE_DRIVERS(LABEL)
};

static int register_one(enum yoke_driver driver)
{
	int priority = yoke_priority();

	switch (driver) {
	case YOKE_DRIVER_GCM:
		return yoke_aead_register(priority);
	case YOKE_DRIVER_SHA256:
		return yoke_ahash_register(priority);
	default:
		return yoke_skcipher_register(driver, priority);
	}
}

static void unregister_one(enum yoke_driver driver)
{
	switch (driver) {
	case YOKE_DRIVER_GCM:
		yoke_aead_unregister();
		break;
	case YOKE_DRIVER_SHA256:
		yoke_ahash_unregister();
		break;
	default:
		yoke_skcipher_unregister(driver);
		break;
	}
}

static bool is_served(void)
{
	bool served;

	spin_lock_irq(&yoke_core.lock);
	served = yoke_core.session;
	spin_unlock_irq(&yoke_core.lock);
	return served;
}

static void register_all(struct work_struct *work)
{
	enum yoke_driver driver;

	for (driver = 0; driver < YOKE_DRIVER_COUNT; driver++) {
		struct yoke_driver_figures *figures = &yoke_driver_figures[driver];
		s64 before = atomic64_read(&figures->offloaded);
		int error;

		if (registered[driver])
			continue;
		if (!yoke_available()) {
			if (is_served()) /* barred for a while */
				queue_delayed_work(system_unbound_wq, &register_work, AGAIN_JIFFIES);
			return;
		}
		yoke_choice_offload_all(true);
		error = register_one(driver);
		yoke_choice_offload_all(false);
		if (error) {
			pr_err("%s cannot be registered: error %d\n", labels[driver], -error);
			continue;
		}
		atomic64_set(&figures->self_test_offloaded, atomic64_read(&figures->offloaded) - before);
		registered[driver] = true;
		if (!atomic64_read(&figures->self_test_offloaded))
			pr_warn("the self-test of %s did not reach the worker; load the module anew to repeat it\n",
				labels[driver]);
	}
}

void yoke_crypto_worker_came(void)
{
	queue_delayed_work(system_unbound_wq, &register_work, 0);
}

void yoke_crypto_exit(void)
{
	enum yoke_driver driver;

	cancel_delayed_work_sync(&register_work);
	for (driver = YOKE_DRIVER_COUNT; driver-- > 0;) {
		if (registered[driver])
			unregister_one(driver);
	}
}
