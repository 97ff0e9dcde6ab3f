// SPDX-License-Identifier: GPL-2.0
/*
 * yoke_test.ko: runs tests when it is told to, so that a script can start, kill and replace workers in between.
 *
 * /sys/kernel/debug/yoke_test/run      write `calls` (a worker serves), `alone` (none does), `lied` (one that lies or
 *                                      stops), `stress` (honest ones that may be killed and replaced),
 *                                      `together` (calls of many keys share entries), `room` (more calls at once than
 *                                      fit; a worker serves), `no_room` (the same with any worker), or what to
 *                                      measure: `spinning`, `waiting`, `callback`, `cpu`.
 *                                      EIO: a test failed; EINVAL: none of these
 * /sys/kernel/debug/yoke_test/report   what the last run said, a line for each test: ok NAME, FAILED NAME ..., figures
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "yoke_test.h"

#define REPORT_BYTES (64u << 10)
#define FIRST_BYTES 80u /* of the first element of a list */

static struct dentry *folder;
static DEFINE_MUTEX(running);
static char *report;
static size_t report_length;
static DEFINE_SPINLOCK(report_lock); /* threads of a test report as well */

void test_report(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	spin_lock(&report_lock);
	report_length += vscnprintf(report + report_length, REPORT_BYTES - report_length, format, arguments);
	spin_unlock(&report_lock);
	va_end(arguments);
}

bool test_failed(const char *where, int line, const char *what, s64 value)
{
	test_report("FAILED %s line %d: %s (%lld)\n", where, line, what, value);
	return false;
}

static void free_area(struct test_area *area)
{
	vfree(area->bytes);
	kvfree(area->sg);
}

static bool make_area(struct test_area *area, size_t bytes)
{
	unsigned int pages = DIV_ROUND_UP(bytes, PAGE_SIZE);
	unsigned int i;

	area->bytes = vmalloc(pages * PAGE_SIZE);
	area->sg = kvcalloc(pages + 1, sizeof(*area->sg), GFP_KERNEL);
	if (!area->bytes || !area->sg)
		return false;
	sg_init_table(area->sg, pages + 1);
	sg_set_page(&area->sg[0], vmalloc_to_page(area->bytes), FIRST_BYTES, 0);
	sg_set_page(&area->sg[1], vmalloc_to_page(area->bytes), PAGE_SIZE - FIRST_BYTES, FIRST_BYTES);
	for (i = 1; i < pages; i++)
		sg_set_page(&area->sg[i + 1], vmalloc_to_page(area->bytes + i * PAGE_SIZE), PAGE_SIZE, 0);
	get_random_bytes(area->bytes, pages * PAGE_SIZE);
	return true;
}

bool test_memory_make(struct test_memory *memory, size_t bytes)
{
	return make_area(&memory->in, bytes) && make_area(&memory->out, bytes) && make_area(&memory->expected, bytes) &&
	       make_area(&memory->aux, bytes);
}

void test_memory_free(struct test_memory *memory)
{
	free_area(&memory->in);
	free_area(&memory->out);
	free_area(&memory->expected);
	free_area(&memory->aux);
}

static bool run_cases(const struct test_case *cases, struct test_memory *memory)
{
	bool good = true;

	for (; cases->name; cases++) {
		if (cases->run(memory))
			test_report("ok %s\n", cases->name);
		else
			good = false;
		cond_resched();
	}
	return good;
}

static const struct test_case *cases_of(const char *name)
{
	static const struct {
		const char *name;
		const struct test_case *cases;
	} groups[] = {
		{ "calls", test_calls },       { "alone", test_alone },     { "lied", test_lied },
		{ "spinning", test_spinning }, { "waiting", test_waiting }, { "callback", test_callback },
		{ "cpu", test_cpu },           { "stress", test_stress },   { "together", test_together },
		{ "room", test_room },         { "no_room", test_no_room },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		if (sysfs_streq(name, groups[i].name))
			return groups[i].cases;
	}
	return NULL;
}

static ssize_t run_write(struct file *file, const char __user *text, size_t count, loff_t *offset)
{
	struct test_memory memory = {};
	const struct test_case *cases;
	char name[16] = "";
	ssize_t result = count;

	if (count >= sizeof(name) || copy_from_user(name, text, count))
		return -EINVAL;
	cases = cases_of(name);
	if (!cases)
		return -EINVAL;
	mutex_lock(&running);
	report_length = 0;
	if (!test_memory_make(&memory, TEST_BYTES_MAX + PAGE_SIZE))
		result = -ENOMEM;
	else if (!run_cases(cases, &memory))
		result = -EIO;
	test_memory_free(&memory);
	mutex_unlock(&running);
	return result;
}

static const struct file_operations run_operations = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = run_write,
	.llseek = noop_llseek,
};

static int report_show(struct seq_file *file, void *unused)
{
	mutex_lock(&running);
	seq_write(file, report, report_length);
	mutex_unlock(&running);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(report);

static int __init test_init(void)
{
	report = vzalloc(REPORT_BYTES);
	if (!report)
		return -ENOMEM;
	folder = debugfs_create_dir("yoke_test", NULL);
	debugfs_create_file("run", 0200, folder, NULL, &run_operations);
	debugfs_create_file("report", 0400, folder, NULL, &report_fops);
	return 0;
}

static void __exit test_exit(void)
{
	debugfs_remove(folder);
	vfree(report);
}

module_init(test_init);
module_exit(test_exit);

MODULE_DESCRIPTION("Tests of yoke.ko from inside the kernel");
MODULE_AUTHOR("The yoke authors");
MODULE_LICENSE("GPL");
