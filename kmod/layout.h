/* SPDX-License-Identifier: GPL-2.0 */
#ifndef YOKE_LAYOUT_H
#define YOKE_LAYOUT_H

#include <uapi/yoke.h>

#define YOKE_SLOTS 256u /* of each ring: more than a worker takes at a time, few enough to look through */

/* Layout for an arena of @arena_bytes (whole pages, at least YOKE_ARENA_BYTES_MIN). */
void yoke_layout_make(struct yoke_layout *layout, u64 arena_bytes, u32 features);

#endif /* YOKE_LAYOUT_H */
