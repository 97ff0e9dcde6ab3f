/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel knows of services: how much a call will write, so that a worker's word about it can be checked, and
 * which calls may share an entry.
 */
#ifndef YOKE_PLAN_H
#define YOKE_PLAN_H

#include <linux/types.h>

#include <uapi/yoke.h>

struct yoke_call;

/* Checks members of a call. Returns 0 and sets @produced to the bytes that it will write, else -EINVAL or -EMSGSIZE. */
int yoke_plan(const struct yoke_call *call, u32 *produced);

/* May calls of this kind share an entry at all? */
bool yoke_plan_joins(const struct yoke_call *call);
/*
 * May @call follow in the same entry, behind @in_length bytes of calls that began with @flags and @params? All are of
 * one service and one key.
 */
bool yoke_plan_follows(const struct yoke_call *call, u8 flags, const void *params, u32 in_length);

/* Longest digest, tag or other output of @in_length bytes of input of this kind of call. */
u32 yoke_plan_room(const struct yoke_call *call, u32 in_length);

#endif /* YOKE_PLAN_H */
