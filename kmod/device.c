// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/yoke, as uapi/yoke_kernel.h describes it: one opener at a time. What an ioctl was given is copied once, and what
 * it answers is copied out only after everything is decided.
 */
#include "device.h"

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/uaccess.h>

#include "arena.h"
#include "attributes.h"
#include "core.h"
#include "key.h"
#include "session.h"

static DEFINE_MUTEX(opening);
static bool in_use; /* guarded by `opening` */

static int open(struct inode *inode, struct file *file)
{
	struct yoke_session *session = NULL;
	int error = 0;

	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		return -EPERM;
	mutex_lock(&opening);
	if (in_use)
		error = -EBUSY;
	else
		session = yoke_session_create();
	if (session)
		in_use = true;
	else if (!error)
		error = -ENOMEM;
	mutex_unlock(&opening);
	file->private_data = session;
	return error ?: nonseekable_open(inode, file);
}

static int release(struct inode *inode, struct file *file)
{
	yoke_session_destroy(file->private_data);
	mutex_lock(&opening);
	in_use = false;
	mutex_unlock(&opening);
	return 0;
}

static int map(struct file *file, struct vm_area_struct *vma)
{
	struct yoke_session *session = file->private_data;
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	bool attached;

	spin_lock_irq(&yoke_core.lock);
	attached = session->state == YOKE_SESSION_ATTACHED || session->state == YOKE_SESSION_SERVING;
	spin_unlock_irq(&yoke_core.lock);
	if (!attached)
		return -ENOTCONN;
	if (offset != YOKE_KERNEL_MAP_ARENA && offset != YOKE_KERNEL_MAP_STATUS)
		return -EINVAL;
	return yoke_arena_map(session->arena, vma, offset == YOKE_KERNEL_MAP_STATUS);
}

static long attach(struct yoke_session *session, void __user *argument)
{
	struct yoke_kernel_attach attach;
	int error;

	if (copy_from_user(&attach, argument, sizeof(attach)))
		return -EFAULT;
	error = yoke_session_attach(session, &attach);
	if (error && error != -EPROTO)
		return error;
	return copy_to_user(argument, &attach, sizeof(attach)) ? -EFAULT : error;
}

static long key_order(struct yoke_session *session, void __user *argument)
{
	struct yoke_kernel_key_order order;
	int error = yoke_key_fetch(session, &order);

	if (!error && copy_to_user(argument, &order, sizeof(order)))
		error = -EFAULT;
	memzero_explicit(&order, sizeof(order));
	return error;
}

static long key_answer(struct yoke_session *session, const void __user *argument)
{
	struct yoke_kernel_key_answer answer;

	if (copy_from_user(&answer, argument, sizeof(answer)))
		return -EFAULT;
	return yoke_key_answer(session, &answer);
}

static long control(struct file *file, unsigned int command, unsigned long argument)
{
	struct yoke_session *session = file->private_data;

	switch (command) {
	case YOKE_KERNEL_ATTACH:
		return attach(session, (void __user *)argument);
	case YOKE_KERNEL_SERVE:
		return yoke_session_serve(session);
	case YOKE_KERNEL_LEAVE:
		return yoke_session_leave(session);
	case YOKE_KERNEL_BELL:
		return yoke_session_bell(session);
	case YOKE_KERNEL_KEY_ORDER:
		return key_order(session, (void __user *)argument);
	case YOKE_KERNEL_KEY_ANSWER:
		return key_answer(session, (void __user *)argument);
	default:
		return -ENOTTY;
	}
}

static __poll_t poll(struct file *file, poll_table *table)
{
	struct yoke_session *session = file->private_data;
	__poll_t events = 0;

	poll_wait(file, &session->orders, table);
	spin_lock_irq(&yoke_core.lock);
	if (session->state == YOKE_SESSION_FAULTED)
		events = EPOLLERR;
	else if (yoke_core.session == session && yoke_keys_ordered())
		events = EPOLLIN | EPOLLRDNORM;
	spin_unlock_irq(&yoke_core.lock);
	return events;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = open,
	.release = release,
	.mmap = map,
	.unlocked_ioctl = control,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = poll,
	.llseek = no_llseek,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "yoke",
	.fops = &operations,
	.mode = 0600,
	.groups = yoke_attribute_groups,
};

int yoke_device_register(void)
{
	return misc_register(&device);
}

void yoke_device_unregister(void)
{
	misc_deregister(&device);
}
