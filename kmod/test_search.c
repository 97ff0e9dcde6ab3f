// SPDX-License-Identifier: GPL-2.0
/*
 * Where in this machine's memory do some bytes lie? For tests that a key is wiped, in the kernel as in processes: looks
 * through all pages of RAM, also those that are free, by /proc/kcore.
 *
 * usage: test_search HEX
 * HEX is the complement of the bytes, so that this program, whose own memory is searched as well, does not have them.
 * Prints the physical address of each place; exits with 0.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEEDLE_MAX 64
#define CHUNK (1 << 20)

static uint8_t complement[NEEDLE_MAX];
static size_t length;
static uint8_t chunk[CHUNK + NEEDLE_MAX]; /* behind the end of one: the beginning of the next */

static void die(const char *what)
{
	fprintf(stderr, "test_search: %s: %s\n", what, strerror(errno));
	exit(1);
}

static bool is_here(const uint8_t *at)
{
	size_t i;

	for (i = 0; i < length; i++) {
		if ((at[i] ^ complement[i]) != 0xff)
			return false;
	}
	return true;
}

static void look(uint64_t physical, size_t begins, size_t bytes)
{
	const uint8_t *at = chunk;
	const uint8_t *end = chunk + begins;

	while (at < end) {
		at = memchr(at, complement[0] ^ 0xff, (size_t)(end - at));
		if (!at)
			return;
		if ((size_t)(at - chunk) + length <= bytes && is_here(at))
			printf("%llx\n", (unsigned long long)(physical + (uint64_t)(at - chunk)));
		at++;
	}
}

static void search(int core, const Elf64_Phdr *part)
{
	uint64_t done;

	for (done = 0; done < part->p_filesz; done += CHUNK) {
		uint64_t left = part->p_filesz - done;
		size_t begins = left < CHUNK ? left : CHUNK;
		size_t bytes = left < sizeof(chunk) ? left : sizeof(chunk);

		if (pread(core, chunk, bytes, (off_t)(part->p_offset + done)) != (ssize_t)bytes)
			die("cannot read /proc/kcore");
		look(part->p_paddr + done, begins, bytes);
		explicit_bzero(chunk, sizeof(chunk));
	}
}

int main(int count, char **arguments)
{
	int core = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr header;
	unsigned int i;

	if (count != 2 || strlen(arguments[1]) > 2 * NEEDLE_MAX) {
		fprintf(stderr, "usage: test_search HEX\n");
		return 2;
	}
	for (; sscanf(arguments[1] + 2 * length, "%2hhx", &complement[length]) == 1; length++)
		;
	if (core < 0 || pread(core, &header, sizeof(header), 0) != sizeof(header))
		die("cannot read /proc/kcore");
	for (i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr part;

		if (pread(core, &part, sizeof(part), (off_t)(header.e_phoff + i * sizeof(part))) != sizeof(part))
			die("cannot read the table of /proc/kcore");
		if (part.p_type == PT_LOAD && part.p_paddr != (Elf64_Addr)-1) /* -1: not RAM, or mapped once more */
			search(core, &part);
	}
	return 0;
}
