// SPDX-License-Identifier: GPL-2.0
/*
 * What people and programs can read in /sys/class/misc/yoke, without rights and without a worker:
 *   state        none, serving, or barred: the worker has missed a deadline and not been heard of since
 *   generation   of the serving worker; 0: none
 *   worker       its process id; 0: none
 *   in_flight    entries that the worker has
 *   last_error   the last error in one sentence
 *   counters/    one number each; counters.h says what
 *   drivers/     one file for each crypto driver: requests done by the worker, by the CPU, and what of them while its
 *                self-test ran
 */
#include "attributes.h"

#include <linux/device.h>
#include <linux/ktime.h>
#include <linux/sysfs.h>

#include "core.h"
#include "counters.h"
#include "crypto.h"
#include "session.h"

static ssize_t state_show(struct device *device, struct device_attribute *attribute, char *text)
{
	const char *state = "none";

	spin_lock_irq(&yoke_core.lock);
	if (yoke_core.session)
		state = yoke_session_usable(yoke_core.session, ktime_get_ns()) ? "barred" : "serving";
	spin_unlock_irq(&yoke_core.lock);
	return sysfs_emit(text, "%s\n", state);
}
static DEVICE_ATTR_RO(state);

static ssize_t generation_show(struct device *device, struct device_attribute *attribute, char *text)
{
	u64 generation = 0;

	spin_lock_irq(&yoke_core.lock);
	if (yoke_core.session)
		generation = yoke_core.session->generation;
	spin_unlock_irq(&yoke_core.lock);
	return sysfs_emit(text, "%llu\n", generation);
}
static DEVICE_ATTR_RO(generation);

static ssize_t worker_show(struct device *device, struct device_attribute *attribute, char *text)
{
	pid_t worker = 0;

	spin_lock_irq(&yoke_core.lock);
	if (yoke_core.session)
		worker = yoke_core.session->worker;
	spin_unlock_irq(&yoke_core.lock);
	return sysfs_emit(text, "%d\n", worker);
}
static DEVICE_ATTR_RO(worker);

static ssize_t in_flight_show(struct device *device, struct device_attribute *attribute, char *text)
{
	u32 in_flight = 0;

	spin_lock_irq(&yoke_core.lock);
	if (yoke_core.session)
		in_flight = yoke_core.session->ring[0].in_flight + yoke_core.session->ring[1].in_flight;
	spin_unlock_irq(&yoke_core.lock);
	return sysfs_emit(text, "%u\n", in_flight);
}
static DEVICE_ATTR_RO(in_flight);

static ssize_t last_error_show(struct device *device, struct device_attribute *attribute, char *text)
{
	char sentence[192];

	yoke_last_error(sentence, sizeof(sentence));
	return sysfs_emit(text, "%s\n", sentence);
}
static DEVICE_ATTR_RO(last_error);

static struct attribute *general[] = {
	&dev_attr_state.attr,
	&dev_attr_generation.attr,
	&dev_attr_worker.attr,
	&dev_attr_in_flight.attr,
	&dev_attr_last_error.attr,
	NULL,
};

struct counter_attribute {
	struct device_attribute attribute;
	enum yoke_counter counter;
};

static ssize_t counter_show(struct device *device, struct device_attribute *attribute, char *text)
{
	const struct counter_attribute *counter = container_of(attribute, struct counter_attribute, attribute);

	return sysfs_emit(text, "%lld\n", atomic64_read(&yoke_counter[counter->counter]));
}

#define COUNTER_ATTRIBUTE(upper, lower) \
	{ .attribute = __ATTR(lower, 0444, counter_show, NULL), .counter = YOKE_COUNT_##upper },
static struct counter_attribute counter_attributes[] = { YOKE_COUNTERS(COUNTER_ATTRIBUTE) };

#define COUNTER_POINTER(upper, lower) &counter_attributes[YOKE_COUNT_##upper].attribute.attr,
static struct attribute *counters[] = { YOKE_COUNTERS(COUNTER_POINTER) NULL };

struct driver_attribute_of {
	struct device_attribute attribute;
	enum yoke_driver driver;
};

static ssize_t driver_show(struct device *device, struct device_attribute *attribute, char *text)
{
	const struct driver_attribute_of *of = container_of(attribute, struct driver_attribute_of, attribute);
	const struct yoke_driver_figures *figures = &yoke_driver_figures[of->driver];

	return sysfs_emit(text, "offloaded %lld\nfallen_back %lld\nself_test_offloaded %lld\n",
			  atomic64_read(&figures->offloaded), atomic64_read(&figures->fallen_back),
			  atomic64_read(&figures->self_test_offloaded));
}

#define DRIVER_ATTRIBUTE(upper, label)                                              \
	{                                                                                  \
		.attribute = { .attr = { .name = label, .mode = 0444 }, .show = driver_show }, \
		.driver = YOKE_DRIVER_##upper,                                             \
	},
static struct driver_attribute_of driver_attributes[] = { YOKE_DRIVERS(DRIVER_ATTRIBUTE) };

#define DRIVER_POINTER(upper, label) &driver_attributes[YOKE_DRIVER_##upper].attribute.attr,
static struct attribute *drivers[] = { YOKE_DRIVERS(DRIVER_POINTER) NULL };

static const struct attribute_group general_group = { .attrs = general };
static const struct attribute_group counters_group = { .name = "counters", .attrs = counters };
static const struct attribute_group drivers_group = { .name = "drivers", .attrs = drivers };

const struct attribute_group *yoke_attribute_groups[] = { &general_group, &counters_group, &drivers_group, NULL };
