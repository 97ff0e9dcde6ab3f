/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of linux/yoke.h from inside the kernel: what the files of yoke_test.ko share.
 */
#ifndef YOKE_TEST_H
#define YOKE_TEST_H

#include <linux/scatterlist.h>
#include <linux/yoke.h>

#define TEST_BYTES_MAX (1u << 20)

/* Memory of a test: two areas of input, two of output, reached through lists of single pages. */
struct test_area {
	u8 *bytes;
	struct scatterlist *sg; /* the first element is shorter, so that lists do not begin on a boundary */
};

struct test_memory {
	struct test_area in;
	struct test_area out;      /* by the call */
	struct test_area expected; /* by the kernel's own code */
	struct test_area aux;
};

/* Areas of @bytes each, filled at random. False: no memory; free it all the same. */
bool test_memory_make(struct test_memory *memory, size_t bytes);
void test_memory_free(struct test_memory *memory);

/* Adds a line to the report. */
__printf(1, 2) void test_report(const char *format, ...);
/* Reports a failure; evaluates to false. */
bool test_failed(const char *where, int line, const char *what, s64 value);

#define EXPECT(what)                                                                                \
	do {                                                                                        \
		if (!(what))                                                                        \
			return test_failed(__func__, __LINE__, #what, 0);                           \
	} while (0)
#define EXPECT_IS(value, wanted)                                                                    \
	do {                                                                                        \
		s64 value_ = (value);                                                               \
		if (value_ != (wanted))                                                             \
			return test_failed(__func__, __LINE__, #value " == " #wanted, value_);      \
	} while (0)

/* A call of a service on @memory; keys and parameters of the test's own. @bytes of input. */
void test_describe(struct yoke_call *call, struct test_memory *memory, u16 service, struct yoke_key *key, u32 bytes,
		   bool decrypt);
/* What the kernel's own code makes of @call's input is in memory->expected. 0 or -errno. */
int test_expect(const struct yoke_call *call, struct test_memory *memory);
bool test_same(const struct yoke_call *call, const struct test_memory *memory);

struct test_case {
	const char *name;
	bool (*run)(struct test_memory *memory);
};

extern const struct test_case test_calls[];   /* with a worker that serves */
extern const struct test_case test_alone[];   /* without any */
extern const struct test_case test_lied[];    /* with one that lies or stops: results are right all the same */
extern const struct test_case test_stress[];  /* with honest workers that are killed and replaced */
extern const struct test_case test_together[]; /* with a worker whose deadline is long: who comes late does not join */
extern const struct test_case test_room[];    /* with a worker that serves and a long deadline */
extern const struct test_case test_no_room[]; /* any worker: calls that wait for room end all the same */
/* These measure, each one way of calling: what system calls it took is the difference of the module's counters. */
extern const struct test_case test_spinning[];
extern const struct test_case test_waiting[];
extern const struct test_case test_callback[];
extern const struct test_case test_cpu[];

#endif /* YOKE_TEST_H */
