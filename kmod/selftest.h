/* SPDX-License-Identifier: GPL-2.0 */
#ifndef YOKE_SELFTEST_H
#define YOKE_SELFTEST_H

/* Tests the parts that need no worker, at every load. -EINVAL: a test failed, which the log names. */
int yoke_selftest(void);

#endif /* YOKE_SELFTEST_H */
