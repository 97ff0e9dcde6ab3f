/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CPU or worker? The worker's costs come from its status page, the CPU's are measured here whenever it does the work.
 */
#ifndef YOKE_CHOICE_H
#define YOKE_CHOICE_H

#include <linux/types.h>

struct yoke_call;

/* One measured call on the CPU. Any context. */
void yoke_choice_learn_cpu(u16 service, u32 bytes, u64 took_ns);
/* How long the worker says that a call takes; 0 when it does not know. */
u64 yoke_choice_expected_ns(const struct yoke_call *call);
/* While the crypto drivers are tested everything goes to the worker. */
void yoke_choice_offload_all(bool all);
bool yoke_choice_offloads_all(void);

#endif /* YOKE_CHOICE_H */
