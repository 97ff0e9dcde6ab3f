/* SPDX-License-Identifier: GPL-2.0 */
#ifndef YOKE_DEVICE_H
#define YOKE_DEVICE_H

int yoke_device_register(void);
void yoke_device_unregister(void);

#endif /* YOKE_DEVICE_H */
