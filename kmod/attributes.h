/* SPDX-License-Identifier: GPL-2.0 */
#ifndef YOKE_ATTRIBUTES_H
#define YOKE_ATTRIBUTES_H

struct attribute_group;

/* Of the device, in /sys/class/misc/yoke. */
extern const struct attribute_group *yoke_attribute_groups[];

#endif /* YOKE_ATTRIBUTES_H */
