/* SPDX-License-Identifier: Apache-2.0 OR (GPL-2.0 WITH Linux-syscall-note) */
/*
 * yoke_kernel.h: /dev/yoke, where the kernel is the client and the worker of the account `kernel` serves it
 *
 * PROBLEM. Code in the kernel calls services. It must not notice which process executes them, must lose nothing when
 * that process dies or stops, and must believe nothing that it says. The worker, on the other hand, should serve the
 * kernel with the code that serves any client.
 *
 * MODEL. One session, as uapi/yoke.h defines it, with the roles of that header: the kernel is the client, the opener of
 * /dev/yoke is the worker. Same layout, lines, rings, opcodes, status codes, cancel words, running table, sleeping
 * protocol. What differs is who owns the memory and how the two reach each other:
 *
 *   a client's session                            here
 *   the worker makes arena and status page        the kernel does, of single pages; the worker maps both read-write
 *   the client maps the status page read-only     the kernel only reads it (each word once, then checks its copy)
 *   layout in the answer to open_session          in struct yoke_kernel_attach
 *   an eventfd made by the worker, which the      the same: its descriptor goes into the attachment, the kernel
 *     client writes and the worker watches          signals it; the worker watches it edge-triggered, never reads it
 *   FUTEX_WAKE(status.bell) wakes the client      ioctl YOKE_KERNEL_BELL wakes the kernel
 *   create_key, destroy_key by message            key orders, fetched and answered by ioctl
 *   the client hangs up                           never; the worker leaves or dies
 *
 * WHO MAY. The mode of the device node decides (0600 root, unless the administrator gives it to somebody). Besides:
 *
 *   open()   EBUSY   another process has it open: also one that is dying, until its last mapping is gone. Try again.
 *            EPERM   not opened for reading and writing
 *            ENOMEM  no arena is left: both are still held by drivers for workers that are gone, and no memory could be
 *                    had for a third. Try again later.
 *
 * The descriptor cannot usefully be shared: arena mappings are not inherited over fork.
 *
 * LIFE, as the worker sees it:
 *
 *   fd = open("/dev/yoke", O_RDWR | O_CLOEXEC)
 *   ioctl(fd, YOKE_KERNEL_ATTACH, &attach)         versions, bell; returns layout, generation
 *   arena  = mmap(NULL, layout.arena_bytes,  PROT_READ | PROT_WRITE, MAP_SHARED, fd, YOKE_KERNEL_MAP_ARENA)
 *   status = mmap(NULL, layout.status_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, YOKE_KERNEL_MAP_STATUS)
 *   fill the status page's magic, version, worker_pid and session, set asleep of both rings, write a first heartbeat:
 *     what a worker does for any session (session_memory, Executive::add_session). Both mappings begin as zeroes.
 *   ioctl(fd, YOKE_KERNEL_SERVE)                   the kernel checks the page's magic and version, and may submit now
 *   poll fd for POLLIN: key orders                 the rings are served meanwhile, from the moment of SERVE
 *   ioctl(fd, YOKE_KERNEL_LEAVE)                   optional: a worker that ends in order says so and is given nothing
 *                                                  more; what is in flight is completed by the kernel at once
 *   munmap, close
 *
 * Keys come only after SERVE; entries that need a key come only after the key's order was answered.
 *
 * BELLS. Both directions keep the protocol "store my word, full fence, load the other's word", so while both sides are
 * awake no system call is made at all:
 *
 *   kernel to worker   entry; fence; if status.ring[r].asleep != 0: the kernel signals the attached eventfd
 *   worker to kernel   completion; fence; if the arena's client.want_bell != 0: status.bell += 1 and
 *                      ioctl(fd, YOKE_KERNEL_BELL). Any thread; it never blocks and cannot fail on a worker that
 *                      serves. A bell that nobody wanted does no harm.
 *
 * KEYS. The kernel keeps its keys and hands them to each worker anew. poll() says POLLIN while there are orders:
 *
 *   ioctl(fd, YOKE_KERNEL_KEY_ORDER, &order)   the next order, EAGAIN when there is none
 *     op ADD:     service, length, bytes: make the key (Executive::add_key), wipe this structure, then answer
 *     op REMOVE:  worker_key is the number from the answer to ADD: remove the key. No answer.
 *   ioctl(fd, YOKE_KERNEL_KEY_ANSWER, &answer) handle of the order; status 0 and the worker's own number of the key,
 *                                              which entries then carry in `object`; or a negative errno: the kernel
 *                                              executes what needs this key with its own code
 *
 * An order that was not answered stays unanswered: its key is not used. A handle is never reused. The worker wipes
 * every key when it leaves.
 *
 * HEARTBEAT. status.heartbeat_ns (CLOCK_MONOTONIC, ns), at least every YOKE_KERNEL_HEARTBEAT_NS. A heartbeat from the
 * future counts as none. When a request misses its deadline, the kernel stops submitting until it sees a heartbeat that
 * is younger than the miss; each miss in a row doubles how long it waits at least. Meanwhile it rings the bell now and
 * then, so that a worker that sleeps beats at once.
 *
 * DEATH, LEAVING, MISBEHAVIOUR. When the last reference to the file is gone (a death: the mappings go first), or with
 * LEAVE, the kernel retires the arena: it completes what is in flight with its own code or a typed error and gives the
 * next worker another arena, with positions from 0. Pages of the retired one are reused once nobody else holds them. A
 * page that a driver has pinned stays what it is, also when the module is removed, until it is unpinned.
 * Completions are checked against the kernel's private table: slot, tag, status code, place, length. One that no worker
 * may write faults the session: nothing more is submitted to this worker, KEY_ORDER answers EPROTO, and poll() says
 * POLLERR. The worker can only close and be started anew.
 *
 * TRADE-OFF. One worker at a time and one arena for the whole kernel, so two workers cannot share the load. In return
 * there is one private table, and nothing to look up on the path of a request.
 */
#ifndef _UAPI_YOKE_KERNEL_H
#define _UAPI_YOKE_KERNEL_H

#include "yoke.h"

#include <linux/ioctl.h>

#define YOKE_KERNEL_DEVICE "/dev/yoke"
#define YOKE_KERNEL_VERSION 1u

/*
 * Offsets for mmap(). Mappings are whole (the length that the layout says), shared, not executable: else EINVAL.
 * ENOTCONN: not attached, or left. They stay until the worker unmaps them, also after LEAVE or a fault.
 */
#define YOKE_KERNEL_MAP_ARENA 0ull
#define YOKE_KERNEL_MAP_STATUS (1ull << 40) /* behind the largest arena */

#define YOKE_KERNEL_KEY_BYTES_MAX 64u           /* AES-256-XTS */
#define YOKE_KERNEL_HEARTBEAT_NS 3000000000ull  /* three idle beats of a worker */

/*
 * struct yoke_kernel_attach - ioctl YOKE_KERNEL_ATTACH, once per open file
 *
 * EPROTO: magic, version or abi_version is none that the module speaks; version and abi_version then hold what it does
 * speak. EBADF, EINVAL: @bell is no eventfd. EALREADY: attached before.
 */
struct yoke_kernel_attach {
	__u32 magic;       /* in: YOKE_ABI_MAGIC */
	__u32 version;     /* in, out: YOKE_KERNEL_VERSION */
	__u32 abi_version; /* in, out: YOKE_ABI_VERSION */
	__s32 bell;        /* in: eventfd that the kernel signals; it keeps a reference of its own */
	__u32 features;    /* in: YOKE_FEATURE_* that the worker serves; out: those that the kernel uses */
	__u32 reserved;    /* 0 */
	__u64 generation;  /* out: number of this attachment since the module was loaded, from 1 */
	struct yoke_layout layout; /* out: the one that every worker computes for these sizes (ring::make_layout) */
};

enum yoke_kernel_key_op {
	YOKE_KERNEL_KEY_ADD = 1,
	YOKE_KERNEL_KEY_REMOVE = 2,
};

/* ioctl YOKE_KERNEL_KEY_ORDER. EAGAIN: none; ENOTCONN: before SERVE or after LEAVE; EPROTO: the session is faulted. */
struct yoke_kernel_key_order {
	__u32 op;         /* enum yoke_kernel_key_op */
	__u32 service;    /* enum yoke_service */
	__u64 handle;     /* the kernel's number of the key; never 0 */
	__u32 worker_key; /* REMOVE: the worker's number of the key; ADD: 0 */
	__u32 length;     /* ADD: bytes of the key; REMOVE: 0 */
	__u8 bytes[YOKE_KERNEL_KEY_BYTES_MAX];
};

/*
 * ioctl YOKE_KERNEL_KEY_ANSWER. ENOENT: no such ADD awaits an answer (its key may have been removed meanwhile: the
 * worker removes it as well). EINVAL: @status is positive, or it is 0 and @worker_key too.
 */
struct yoke_kernel_key_answer {
	__u64 handle;
	__s32 status;     /* 0 or a negative errno */
	__u32 worker_key; /* status 0: the number that entries carry in `object`; never 0 */
};

#define YOKE_KERNEL_IOCTL 'Y'
#define YOKE_KERNEL_ATTACH _IOWR(YOKE_KERNEL_IOCTL, 0x60, struct yoke_kernel_attach)
/* ENOTCONN: not attached, serves already, or left; EPROTO: no magic in the status page, or another version there. */
#define YOKE_KERNEL_SERVE _IO(YOKE_KERNEL_IOCTL, 0x61)
#define YOKE_KERNEL_LEAVE _IO(YOKE_KERNEL_IOCTL, 0x62) /* ENOTCONN: not attached, or left before */
#define YOKE_KERNEL_BELL _IO(YOKE_KERNEL_IOCTL, 0x63)  /* ENOTCONN: not serving */
#define YOKE_KERNEL_KEY_ORDER _IOR(YOKE_KERNEL_IOCTL, 0x64, struct yoke_kernel_key_order)
#define YOKE_KERNEL_KEY_ANSWER _IOW(YOKE_KERNEL_IOCTL, 0x65, struct yoke_kernel_key_answer)

YOKE_ABI_SIZE(yoke_kernel_attach, 32 + 144);
YOKE_ABI_AT(yoke_kernel_attach, bell, 12);
YOKE_ABI_AT(yoke_kernel_attach, features, 16);
YOKE_ABI_AT(yoke_kernel_attach, generation, 24);
YOKE_ABI_AT(yoke_kernel_attach, layout, 32);
YOKE_ABI_SIZE(yoke_kernel_key_order, 24 + YOKE_KERNEL_KEY_BYTES_MAX);
YOKE_ABI_AT(yoke_kernel_key_order, handle, 8);
YOKE_ABI_AT(yoke_kernel_key_order, worker_key, 16);
YOKE_ABI_AT(yoke_kernel_key_order, bytes, 24);
YOKE_ABI_SIZE(yoke_kernel_key_answer, 16);
YOKE_ABI_AT(yoke_kernel_key_answer, status, 8);

#endif /* _UAPI_YOKE_KERNEL_H */
