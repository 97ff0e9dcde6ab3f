/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Parameters of the module, clamped to what the code can bear. Those that may change while it is loaded are read once
 * where they are used.
 */
#ifndef YOKE_PARAMS_H
#define YOKE_PARAMS_H

#include <linux/types.h>

#define YOKE_THRESHOLD_COST (-1) /* the cost model decides */

unsigned int yoke_arena_mib(void);
u64 yoke_deadline_ns(void);
u64 yoke_spin_ns(void); /* 0 where there is one processor: nobody could end the spin */
int yoke_threshold(void);
int yoke_priority(void);

#endif /* YOKE_PARAMS_H */
