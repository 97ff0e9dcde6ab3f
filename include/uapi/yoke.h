/* SPDX-License-Identifier: Apache-2.0 OR (GPL-2.0 WITH Linux-syscall-note) */
/*
 * yoke.h: the binary interface between a client and the worker that serves it
 *
 * PROBLEM. A client (a process, later the Linux kernel) wants a service call to cost a few cache-line transfers, not a
 * system call. The two sides share memory, do not trust each other, and one of them may be a GPU behind PCIe that can
 * promise no more than single access to 16 aligned bytes and must never do a read-modify-write on host memory.
 *
 * MODEL. Two memory objects per session:
 *
 *   arena    sealed memfd, mapped read-write by both sides: rings, parameter lines, cancel words, client words, data.
 *            The worker never relies on what it finds there: it copies a line once, checks its copy, uses its copy.
 *   status   memfd that the client can only read (F_SEAL_FUTURE_WRITE): the words that only the worker writes and that
 *            the client relies on: bell, asleep, running, heartbeat, cost models.
 *
 * Every shared word has exactly one writer. All integers are little-endian.
 *
 * LINES. Entries, their parameters and their completions are 64-byte lines of four 16-byte quarters. Each quarter holds
 * 12 bytes of payload and, in its last four bytes, the lap tag of its slot, written last. A reader takes the line when
 * all four tags have the value that it expects; a torn or half-written line never matches. Position p (counted from 0
 * since the session began) lies in slot p % slots on lap p / slots; its tag is 1 + lap % 0xffffffff, so that fresh
 * (zeroed) memory matches nothing.
 *
 * RINGS. A session has two submission rings: EXPRESS for small calls, polled by the executive itself, and BULK for
 * everything else. The client submits position after position: parameter line first (if YOKE_FLAG_PARAMS), then the
 * entry. The executive takes positions strictly in order and completes them in any order. The completion of slot i
 * lands in completion slot i with the same tag. There is no shared head or tail.
 *
 *   state of a slot, as the client sees it:
 *
 *     FREE --submit--> SUBMITTED --executive takes it--> RUNNING --executive writes completion--> COMPLETED
 *      ^                                                                                             |
 *      +------------------------------------- client consumes the completion ------------------------+
 *
 *   If the client gives up waiting (deadline, cancel), the slot, its input and its output stay QUARANTINED, neither
 *   reused nor freed, until the completion is there or the worker's pidfd says that the worker is gone.
 *   A client whose next position falls on a slot that is still RUNNING or QUARANTINED writes an entry with opcode
 *   YOKE_OP_SKIP there (allowed once the executive has taken the slot's previous entry, which a completion of any later
 *   position proves). A SKIP is taken, never completed. Any other entry on a busy slot is a protocol fault.
 *
 * SLEEPING. Both directions use the same protocol: store my word, full fence, load the other's word.
 *   client to executive   write entry; fence; if status.ring[r].asleep: write 1 to the session's eventfd.
 *                         The executive, before it stops polling ring r: asleep = 1; fence; look at the ring once more.
 *   executive to client   write completion; fence; if client.want_bell: status.bell += 1, FUTEX_WAKE(status.bell).
 *                         The client, before it sleeps: seen = bell; want_bell = 1; fence; look at the completion once
 *                         more; FUTEX_WAIT(status.bell, seen).
 *
 * CANCEL. The client stores the tag of the position into arena.cancel[slot], then, as after an entry: fence; if asleep,
 * ring. The executive looks between chunks, and at pushes and pulls that wait whenever it looks at the ring.
 *
 * DEATH. status.ring[r].running[slot] holds the tag of the call whose execution has begun. When the worker dies, the
 * client repeats what had not begun; what had begun and has no completion is a suspect.
 *
 * TRADE-OFF. 16 of 64 bytes go to tags. In return a line needs no lock, no sequence counter, no second read, and works
 * over PCIe.
 */
#ifndef _UAPI_YOKE_H
#define _UAPI_YOKE_H

#include <linux/types.h>
#ifndef __KERNEL__
#include <stddef.h>
#endif

#define YOKE_ABI_MAGIC 0x656b6f79u /* "yoke", little-endian */
#define YOKE_ABI_VERSION 1u

/* Feature bits, negotiated when a session is opened: the reply holds the intersection. */
#define YOKE_FEATURE_EXPRESS (1u << 0)  /* the express ring is served */
#define YOKE_FEATURE_BULK (1u << 1)     /* the bulk ring is served */
#define YOKE_FEATURE_GRAPH (1u << 2)    /* YOKE_OP_PUSH and YOKE_OP_PULL are served */
#define YOKE_FEATURE_HANDOVER (1u << 3) /* an arena of a dead worker can be handed over */

#define YOKE_LINE_BYTES 64u
#define YOKE_PAYLOAD_BYTES 48u
#define YOKE_SLOTS_MIN 2u
#define YOKE_SLOTS_MAX 4096u                 /* bounds the private table of the executive: 4096 * 2 rings a session */
#define YOKE_EXPRESS_BYTES_MAX (64u * 1024u) /* an express call holds its executive thread: about 15 us of AES */
#define YOKE_CALL_BYTES_MAX (1u << 30)       /* input or output of one call */
#define YOKE_ARENA_BYTES_MIN (1u << 20)
#define YOKE_PAGE_BYTES 4096u
#define YOKE_DATA_ALIGN 64u                  /* allocation granule of the data area */
#define YOKE_SERVICES_MAX 32u                /* places in the cost table of the status page */

/* struct yoke_submission.opcode */
enum yoke_opcode {
	YOKE_OP_NONE = 0, /* never valid: zeroed memory is no entry */
	YOKE_OP_CALL = 1, /* object: key id or 0; output = service(input, params) */
	YOKE_OP_PUSH = 2, /* object: channel id; input becomes a datablock; completes when the channel has accepted it */
	YOKE_OP_PULL = 3, /* object: channel id; completes with a datablock copied to the output */
	YOKE_OP_SKIP = 4, /* passes over a slot that is still busy; never completed */
	YOKE_OP_MOVE = 5, /* object, aux_offset: channel ids; the next datablock of the one goes to the other, by reference */
};

/* struct yoke_submission.flags */
#define YOKE_FLAG_PARAMS (1u << 0)  /* the slot's parameter line is valid and carries the same tag */
#define YOKE_FLAG_DECRYPT (1u << 1) /* ciphers: decrypt instead of encrypt */
#define YOKE_FLAG_END (1u << 2)     /* push: end of stream; the input may be empty */
#define YOKE_FLAG_PEEK (1u << 3)    /* pull: leaves the datablock where it is */
#define YOKE_FLAG_DRAIN (1u << 4)   /* pull: drops all datablocks that wait; detail says how many */
#define YOKE_FLAG_NOWAIT (1u << 5)  /* push, pull, move: -ETIME where it would wait for room or a datablock */
#define YOKE_FLAGS_ALL                                                                                              \
	(YOKE_FLAG_PARAMS | YOKE_FLAG_DECRYPT | YOKE_FLAG_END | YOKE_FLAG_PEEK | YOKE_FLAG_DRAIN | YOKE_FLAG_NOWAIT)

/* Service ids. Never reused. */
enum yoke_service {
	YOKE_SERVICE_NONE = 0,
	YOKE_SERVICE_ECHO = 1,
	YOKE_SERVICE_AES_ECB = 2,
	YOKE_SERVICE_AES_CBC = 3,
	YOKE_SERVICE_AES_CTR = 4,
	YOKE_SERVICE_AES_XTS = 5,
	YOKE_SERVICE_AES_GCM = 6,
	YOKE_SERVICE_SHA256 = 7,
};

/* struct yoke_completion.status: 0 or one of these, negated. The values are Linux errno values. */
enum yoke_status_code {
	YOKE_OK = 0,
	YOKE_EIO = 5,          /* the executor failed and the call could not be repeated */
	YOKE_ENOMEM = 12,      /* a limit or the memory of the account is used up */
	YOKE_EACCES = 13,      /* the object belongs to somebody else */
	YOKE_EFAULT = 14,      /* an offset and length leave the arena's data area */
	YOKE_EINVAL = 22,      /* a member has a value that is never valid; detail names it */
	YOKE_EPIPE = 32,       /* push: the graph has ended */
	YOKE_ENOSYS = 38,      /* unknown opcode or service */
	YOKE_ETIME = 62,       /* the deadline passed before the call completed */
	YOKE_EPROTO = 71,      /* protocol fault: the session is no longer served */
	YOKE_EBADMSG = 74,     /* authentication failed (GCM); the output is zeroed */
	YOKE_EMSGSIZE = 90,    /* input too long for this ring, or output too short; out_length says what is needed */
	YOKE_ENOBUFS = 105,    /* too much in flight */
	YOKE_ENOKEY = 126,     /* no such key, or a key of another service */
	YOKE_ECANCELED = 125,  /* cancelled by the client or by the end of its graph */
	YOKE_ERESTART = 85,    /* the graph was restarted from its initial state; detail = datablocks lost */
	YOKE_ENODATA = 61,     /* pull: end of stream */
};

/* struct yoke_completion.detail of EINVAL, EFAULT, EMSGSIZE, ENOKEY: which member is wrong */
enum yoke_member {
	YOKE_MEMBER_NONE = 0,
	YOKE_MEMBER_OPCODE = 1,
	YOKE_MEMBER_FLAGS = 2,
	YOKE_MEMBER_SERVICE = 3,
	YOKE_MEMBER_OBJECT = 4,
	YOKE_MEMBER_INPUT = 5,
	YOKE_MEMBER_OUTPUT = 6,
	YOKE_MEMBER_AUX = 7,
	YOKE_MEMBER_PARAMS = 8,
	YOKE_MEMBER_OVERLAP = 9, /* output overlaps input or aux */
	YOKE_MEMBER_SLOT = 10,   /* entry on a busy slot */
};

/* struct yoke_completion.where: what executed the call */
enum yoke_where {
	YOKE_WHERE_NONE = 0,   /* not executed */
	YOKE_WHERE_CALLER = 1, /* host code in the calling process */
	YOKE_WHERE_CPU = 2,    /* host code or OpenCL in the worker */
	YOKE_WHERE_CUDA = 3,   /* a CUDA device, ordinary launch */
	YOKE_WHERE_NSK = 4,    /* a CUDA device, the non-stop kernel */
};

/* struct yoke_completion.why: why it ran there */
enum yoke_why {
	YOKE_WHY_NONE = 0,
	YOKE_WHY_ASKED = 1,   /* the caller asked for this place */
	YOKE_WHY_COST = 2,    /* the cost model expects this place to be the fastest */
	YOKE_WHY_ONLY = 3,    /* no other place can execute the call */
	YOKE_WHY_LOST = 4,    /* the worker died; the call was repeated here */
	YOKE_WHY_BARRED = 5,  /* the account is barred from the device, or no worker can be had */
};

/* One quarter of a line: 12 bytes of payload, then the tag in the upper half of @high. */
struct yoke_quarter {
	__u64 low;
	__u64 high;
};

struct yoke_line {
	struct yoke_quarter quarter[4];
};

/*
 * Payload of an entry. Offsets count bytes from the start of the arena; ranges must lie in the data area.
 * Input and aux may overlap each other; output overlaps neither.
 */
struct yoke_submission {
	__u8 opcode;       /* enum yoke_opcode */
	__u8 flags;        /* YOKE_FLAG_* */
	__u16 service;     /* enum yoke_service; 0 for push and pull */
	__u32 object;      /* key id or channel id; 0: none */
	__u64 in_offset;
	__u64 out_offset;
	__u32 in_length;   /* bytes */
	__u32 out_length;  /* bytes that the output range can take */
	__u64 deadline_ns; /* CLOCK_MONOTONIC; 0: none */
	__u64 aux_offset;  /* second input, its length is in the parameters (AES-GCM: IV, then AAD); move: destination channel */
};

/* Payload of a completion. */
struct yoke_completion {
	__s32 status;     /* 0 or -enum yoke_status_code */
	__u8 where;       /* enum yoke_where */
	__u8 why;         /* enum yoke_why */
	__u8 signal;      /* pull: YOKE_SIGNAL_* that travelled with the datablock */
	__u8 reserved;
	__u64 out_length; /* bytes written; with EMSGSIZE the bytes needed */
	__u64 queued_ns;  /* from taken to begun */
	__u64 run_ns;     /* from begun to done */
	__u64 detail;     /* enum yoke_member or a count, see the status code; pull and move: extents 0 and 1, 32 bits each */
	__u64 sequence;   /* pull: number of the datablock in its channel, from 0 */
};

/* Control signals: what travels with a datablock beside its bytes. */
#define YOKE_SIGNAL_END (1u << 0)             /* pull: the last datablock of the stream; pushed as YOKE_FLAG_END */
#define YOKE_SIGNAL_BEGIN (1u << 1)           /* begin of a stream */
#define YOKE_SIGNAL_ITERATION_BEGIN (1u << 2) /* first run of an iteration */
#define YOKE_SIGNAL_ITERATION_END (1u << 3)   /* last run of an iteration */
#define YOKE_SIGNAL_DROP (1u << 4)            /* without content: ptasks pass it on instead of running */
#define YOKE_SIGNAL_USER_1 (1u << 5)
#define YOKE_SIGNAL_USER_2 (1u << 6)
#define YOKE_SIGNALS_PUSHABLE (YOKE_SIGNAL_BEGIN | YOKE_SIGNAL_DROP | YOKE_SIGNAL_USER_1 | YOKE_SIGNAL_USER_2 | \
			       YOKE_SIGNAL_ITERATION_BEGIN | YOKE_SIGNAL_ITERATION_END)

/* Parameters, as payload of the slot's parameter line. Bytes not named are zero. */
struct yoke_params_aes_iv { /* CBC, CTR: iv is the IV or the initial counter block (big-endian counter) */
	__u8 iv[16];
	__u8 zero[32];
};

struct yoke_params_aes_xts { /* IEEE 1619: unit n of the call is encrypted with tweak start + n (128 bits, little-endian) */
	__u8 start[16];
	__u32 unit;     /* bytes of a data unit, 16 .. 2^24; the last unit may be shorter, but not under 16 */
	__u8 zero[28];
};

struct yoke_params_aes_gcm { /* aux = IV then AAD; the tag follows the ciphertext (output to encrypt, input to decrypt) */
	__u32 iv_length;  /* bytes, 1 .. 128 (1024 bits, as OpenSSL) */
	__u32 aad_length; /* bytes */
	__u32 tag_length; /* bytes, 4, 8, 12 .. 16 */
	__u8 zero[36];
};

struct yoke_params_sha256 { /* digests of in_length / message consecutive messages; 0: one message of in_length bytes */
	__u32 message;
	__u8 zero[44];
};

struct yoke_params_push { /* push: what goes with the datablock; without parameters: no signals, extents of the template */
	__u64 extent[3]; /* variable port: extents, at most the template's; all 0: from the length, in whole rows if possible */
	__u32 signals;   /* YOKE_SIGNALS_PUSHABLE */
	__u8 zero[20];
};

/*
 * Place of one ring in the arena and in the status page. All arrays have @slots elements; @slots is a power of two.
 */
struct yoke_ring_layout {
	__u32 slots;
	__u32 reserved;
	__u64 submission; /* arena: struct yoke_line[slots], written by the client */
	__u64 params;     /* arena: struct yoke_line[slots], written by the client */
	__u64 completion; /* arena: struct yoke_line[slots], written by the executive */
	__u64 cancel;     /* arena: __u32[slots], written by the client */
	__u64 running;    /* status: __u32[slots], written by the executive */
};

enum yoke_ring_id { YOKE_RING_EXPRESS = 0, YOKE_RING_BULK = 1, YOKE_RINGS = 2 };

/* Where everything lies: the answer to opening a session. Both sides keep a private copy. */
struct yoke_layout {
	__u32 magic;
	__u32 version;
	__u32 features;
	__u32 reserved;
	__u64 arena_bytes;
	__u64 status_bytes;
	__u64 client;      /* arena: struct yoke_client_words */
	__u64 data;        /* arena: first byte of the data area, which ends at arena_bytes */
	struct yoke_ring_layout ring[YOKE_RINGS];
};

/* The words that the client writes, on a cache line of their own. */
struct yoke_client_words {
	__u32 want_bell;
	__u32 reserved[15];
};

/* Cost of a call as t = overhead + bytes * per_kib / 1024; see yoke_cost.h. */
struct yoke_cost {
	__u32 overhead_ns;
	__u32 ns_per_kib; /* 0: not measured */
};

struct yoke_ring_status {
	__u32 asleep; /* the client must ring */
	__u32 reserved[15];
};

/* Start of the status page; the running tables follow at the offsets of struct yoke_ring_layout. */
struct yoke_status_page {
	__u32 magic;
	__u32 version;
	__u32 worker_pid;
	__u32 fault;        /* enum yoke_member of the protocol fault that ended the session's service; 0: served */
	__u64 session;
	__u64 heartbeat_ns; /* CLOCK_MONOTONIC, coarse; written by a thread of the worker */
	__u8 pad0[32];
	__u32 bell;         /* futex */
	__u32 pad1[15];
	struct yoke_ring_status ring[YOKE_RINGS];
	struct yoke_cost cost[YOKE_SERVICES_MAX]; /* of the fastest place in the worker, by service id */
};

#if defined(__cplusplus)
#define YOKE_ABI_ASSERT(what) static_assert(what, #what)
#elif defined(__KERNEL__)
#include <linux/build_bug.h>
#define YOKE_ABI_ASSERT(what) static_assert(what)
#else
#define YOKE_ABI_ASSERT(what) _Static_assert(what, #what)
#endif
#define YOKE_ABI_AT(type, member, offset) YOKE_ABI_ASSERT(offsetof(struct type, member) == (offset))
#define YOKE_ABI_SIZE(type, bytes) YOKE_ABI_ASSERT(sizeof(struct type) == (bytes))

YOKE_ABI_SIZE(yoke_quarter, 16);
YOKE_ABI_AT(yoke_quarter, low, 0);
YOKE_ABI_AT(yoke_quarter, high, 8);
YOKE_ABI_SIZE(yoke_line, YOKE_LINE_BYTES);
YOKE_ABI_AT(yoke_line, quarter, 0);
YOKE_ABI_SIZE(yoke_submission, YOKE_PAYLOAD_BYTES);
YOKE_ABI_AT(yoke_submission, opcode, 0);
YOKE_ABI_AT(yoke_submission, flags, 1);
YOKE_ABI_AT(yoke_submission, service, 2);
YOKE_ABI_AT(yoke_submission, object, 4);
YOKE_ABI_AT(yoke_submission, in_offset, 8);
YOKE_ABI_AT(yoke_submission, out_offset, 16);
YOKE_ABI_AT(yoke_submission, in_length, 24);
YOKE_ABI_AT(yoke_submission, out_length, 28);
YOKE_ABI_AT(yoke_submission, deadline_ns, 32);
YOKE_ABI_AT(yoke_submission, aux_offset, 40);
YOKE_ABI_SIZE(yoke_completion, YOKE_PAYLOAD_BYTES);
YOKE_ABI_AT(yoke_completion, status, 0);
YOKE_ABI_AT(yoke_completion, where, 4);
YOKE_ABI_AT(yoke_completion, why, 5);
YOKE_ABI_AT(yoke_completion, signal, 6);
YOKE_ABI_AT(yoke_completion, reserved, 7);
YOKE_ABI_AT(yoke_completion, out_length, 8);
YOKE_ABI_AT(yoke_completion, queued_ns, 16);
YOKE_ABI_AT(yoke_completion, run_ns, 24);
YOKE_ABI_AT(yoke_completion, detail, 32);
YOKE_ABI_AT(yoke_completion, sequence, 40);
YOKE_ABI_SIZE(yoke_params_aes_iv, YOKE_PAYLOAD_BYTES);
YOKE_ABI_AT(yoke_params_aes_iv, iv, 0);
YOKE_ABI_AT(yoke_params_aes_iv, zero, 16);
YOKE_ABI_SIZE(yoke_params_aes_xts, YOKE_PAYLOAD_BYTES);
YOKE_ABI_AT(yoke_params_aes_xts, start, 0);
YOKE_ABI_AT(yoke_params_aes_xts, unit, 16);
YOKE_ABI_AT(yoke_params_aes_xts, zero, 20);
YOKE_ABI_SIZE(yoke_params_aes_gcm, YOKE_PAYLOAD_BYTES);
YOKE_ABI_AT(yoke_params_aes_gcm, iv_length, 0);
YOKE_ABI_AT(yoke_params_aes_gcm, aad_length, 4);
YOKE_ABI_AT(yoke_params_aes_gcm, tag_length, 8);
YOKE_ABI_AT(yoke_params_aes_gcm, zero, 12);
YOKE_ABI_SIZE(yoke_params_sha256, YOKE_PAYLOAD_BYTES);
YOKE_ABI_AT(yoke_params_sha256, message, 0);
YOKE_ABI_AT(yoke_params_sha256, zero, 4);
YOKE_ABI_SIZE(yoke_params_push, YOKE_PAYLOAD_BYTES);
YOKE_ABI_AT(yoke_params_push, extent, 0);
YOKE_ABI_AT(yoke_params_push, signals, 24);
YOKE_ABI_AT(yoke_params_push, zero, 28);
YOKE_ABI_SIZE(yoke_ring_layout, 48);
YOKE_ABI_AT(yoke_ring_layout, slots, 0);
YOKE_ABI_AT(yoke_ring_layout, reserved, 4);
YOKE_ABI_AT(yoke_ring_layout, submission, 8);
YOKE_ABI_AT(yoke_ring_layout, params, 16);
YOKE_ABI_AT(yoke_ring_layout, completion, 24);
YOKE_ABI_AT(yoke_ring_layout, cancel, 32);
YOKE_ABI_AT(yoke_ring_layout, running, 40);
YOKE_ABI_SIZE(yoke_layout, 144);
YOKE_ABI_AT(yoke_layout, magic, 0);
YOKE_ABI_AT(yoke_layout, version, 4);
YOKE_ABI_AT(yoke_layout, features, 8);
YOKE_ABI_AT(yoke_layout, reserved, 12);
YOKE_ABI_AT(yoke_layout, arena_bytes, 16);
YOKE_ABI_AT(yoke_layout, status_bytes, 24);
YOKE_ABI_AT(yoke_layout, client, 32);
YOKE_ABI_AT(yoke_layout, data, 40);
YOKE_ABI_AT(yoke_layout, ring, 48);
YOKE_ABI_SIZE(yoke_client_words, 64);
YOKE_ABI_AT(yoke_client_words, want_bell, 0);
YOKE_ABI_AT(yoke_client_words, reserved, 4);
YOKE_ABI_SIZE(yoke_cost, 8);
YOKE_ABI_AT(yoke_cost, overhead_ns, 0);
YOKE_ABI_AT(yoke_cost, ns_per_kib, 4);
YOKE_ABI_SIZE(yoke_ring_status, 64);
YOKE_ABI_AT(yoke_ring_status, asleep, 0);
YOKE_ABI_AT(yoke_ring_status, reserved, 4);
YOKE_ABI_SIZE(yoke_status_page, 64 + 64 + 128 + 8 * YOKE_SERVICES_MAX);
YOKE_ABI_AT(yoke_status_page, magic, 0);
YOKE_ABI_AT(yoke_status_page, version, 4);
YOKE_ABI_AT(yoke_status_page, worker_pid, 8);
YOKE_ABI_AT(yoke_status_page, fault, 12);
YOKE_ABI_AT(yoke_status_page, session, 16);
YOKE_ABI_AT(yoke_status_page, heartbeat_ns, 24);
YOKE_ABI_AT(yoke_status_page, pad0, 32);
YOKE_ABI_AT(yoke_status_page, bell, 64);
YOKE_ABI_AT(yoke_status_page, pad1, 68);
YOKE_ABI_AT(yoke_status_page, ring, 128);
YOKE_ABI_AT(yoke_status_page, cost, 256);

#endif /* _UAPI_YOKE_H */
