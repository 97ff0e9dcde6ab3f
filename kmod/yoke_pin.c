// SPDX-License-Identifier: GPL-2.0
/*
 * yoke_pin.ko: plays the driver whose device still writes to a worker's memory when the worker, and yoke.ko, are gone.
 * It knows nothing of yoke.ko, so that this can be removed while pages are pinned.
 *
 * /sys/kernel/debug/yoke_pin/command
 *   pin PID ADDRESS BYTES   pins that memory of a process for writing, for long (address in hexadecimal)
 *   witness MIB             takes that much memory and fills it with a pattern of its own
 *   write BYTE              fills the pinned pages
 *   check BYTE              EIO: the witness has changed, or shares a page with the pinned ones, or a pinned page does
 *                           not hold BYTE
 *   unpin                   lets go of everything
 */
#include <linux/debugfs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define PAGES_MAX (1u << 18)
#define WITNESS_PATTERN 0xc3

struct pages {
	struct page **page;
	unsigned long count;
};

static struct dentry *folder;
static DEFINE_MUTEX(lock);
static struct pages pinned;
static struct pages witness;

static void unpin(void)
{
	unsigned long i;

	if (pinned.count)
		unpin_user_pages_dirty_lock(pinned.page, pinned.count, true);
	for (i = 0; i < witness.count; i++)
		__free_page(witness.page[i]);
	kvfree(pinned.page);
	kvfree(witness.page);
	memset(&pinned, 0, sizeof(pinned));
	memset(&witness, 0, sizeof(witness));
}

static int pin_of(struct task_struct *task, unsigned long address, unsigned long count)
{
	struct mm_struct *mm = get_task_mm(task);
	long got;

	if (!mm)
		return -ESRCH;
	mmap_read_lock(mm);
	got = pin_user_pages_remote(mm, address, count, FOLL_WRITE | FOLL_LONGTERM, pinned.page, NULL, NULL);
	mmap_read_unlock(mm);
	mmput(mm);
	if (got < 0)
		return got;
	pinned.count = got;
	return got == count ? 0 : -EFAULT;
}

static int pin(pid_t number, unsigned long address, unsigned long bytes)
{
	unsigned long count = bytes >> PAGE_SHIFT;
	struct task_struct *task;
	struct pid *pid;
	int error;

	if (!count || count > PAGES_MAX || pinned.count)
		return -EINVAL;
	pid = find_get_pid(number);
	task = get_pid_task(pid, PIDTYPE_PID);
	put_pid(pid);
	if (!task)
		return -ESRCH;
	pinned.page = kvcalloc(count, sizeof(*pinned.page), GFP_KERNEL);
	error = pinned.page ? pin_of(task, address, count) : -ENOMEM;
	put_task_struct(task);
	if (error)
		unpin();
	return error;
}

static void fill(struct page *page, u8 byte)
{
	void *at = kmap_local_page(page);

	memset(at, byte, PAGE_SIZE);
	kunmap_local(at);
}

static bool holds(struct page *page, u8 byte)
{
	void *at = kmap_local_page(page);
	bool same = !memchr_inv(at, byte, PAGE_SIZE);

	kunmap_local(at);
	return same;
}

static int take_witness(unsigned long mib)
{
	unsigned long count = mib << (20 - PAGE_SHIFT);

	if (!count || count > PAGES_MAX || witness.count)
		return -EINVAL;
	witness.page = kvcalloc(count, sizeof(*witness.page), GFP_KERNEL);
	if (!witness.page)
		return -ENOMEM;
	for (; witness.count < count; witness.count++) {
		struct page *page = alloc_page(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);

		if (!page)
			return -ENOMEM;
		fill(page, WITNESS_PATTERN);
		witness.page[witness.count] = page;
	}
	return 0;
}

static int check(u8 byte)
{
	unsigned long i;

	if (!pinned.count || !witness.count)
		return -EINVAL;
	for (i = 0; i < pinned.count; i++) {
		if (!holds(pinned.page[i], byte))
			return -EIO;
	}
	/* A witness page that is also pinned would not hold its pattern. */
	for (i = 0; i < witness.count; i++) {
		if (!holds(witness.page[i], WITNESS_PATTERN))
			return -EIO;
	}
	return 0;
}

static int obey(const char *command)
{
	unsigned long address, bytes;
	unsigned int value;
	int number, i;

	if (sscanf(command, "pin %d %lx %lu", &number, &address, &bytes) == 3)
		return pin(number, address, bytes);
	if (sscanf(command, "witness %u", &value) == 1)
		return take_witness(value);
	if (sscanf(command, "write %u", &value) == 1) {
		for (i = 0; i < pinned.count; i++)
			fill(pinned.page[i], value);
		return pinned.count ? 0 : -EINVAL;
	}
	if (sscanf(command, "check %u", &value) == 1)
		return check(value);
	if (sysfs_streq(command, "unpin")) {
		unpin();
		return 0;
	}
	return -EINVAL;
}

static ssize_t command_write(struct file *file, const char __user *text, size_t count, loff_t *offset)
{
	char command[80] = "";
	int error;

	if (count >= sizeof(command) || copy_from_user(command, text, count))
		return -EINVAL;
	mutex_lock(&lock);
	error = obey(command);
	mutex_unlock(&lock);
	return error ?: count;
}

static const struct file_operations command_operations = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = command_write,
	.llseek = noop_llseek,
};

static int __init pin_init(void)
{
	folder = debugfs_create_dir("yoke_pin", NULL);
	debugfs_create_file("command", 0200, folder, NULL, &command_operations);
	return 0;
}

static void __exit pin_exit(void)
{
	debugfs_remove(folder);
	unpin();
}

module_init(pin_init);
module_exit(pin_exit);

MODULE_DESCRIPTION("Pins a process's memory beyond its death, to test yoke.ko");
MODULE_AUTHOR("The yoke authors");
MODULE_LICENSE("GPL");
