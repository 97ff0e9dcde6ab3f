/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yoke.h: the C interface of libyoke
 *
 * A session connects one thread of a process with the worker of its account. Data lives in the session's arena
 * (yoke_alloc), calls name ranges of it, and a call's result comes back in the same memory. Buffers outside the arena are
 * accepted where the call then runs in the caller; to run in the worker, they must be in the arena.
 *
 * Every function returns 0 (or a count, where said) on success and -errno on failure; yoke_error() then holds one
 * sentence that names the object and the remedy. Unless said otherwise:
 *   -EINVAL   an argument is never valid             -ECHILD  the process forked since the session was opened
 *   -EPROTO   the worker refuses the session         -ENOTCONN no worker can be reached
 *
 * One thread uses a session at a time. Threads open their own; opening costs two messages and one mapping.
 *
 * After fork() the child's sessions fail with -ECHILD; yoke_close() there only gives memory back. The arena stays mapped in
 * the child and shared with the parent until then.
 */
#ifndef YOKE_YOKE_H
#define YOKE_YOKE_H

#include <stddef.h>
#include <stdint.h>

#include <uapi/yoke.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#define YOKE_VERSION_MAJOR 0
#define YOKE_VERSION_MINOR 1
#define YOKE_VERSION_PATCH 0

typedef struct yoke_session yoke_session;
typedef struct yoke_key yoke_key;

/* Version of the library at run time, "major.minor.patch". */
const char *yoke_version(void);

/* ---- Sessions ---- */

/* How to open a session. Zero-initialise; zero members take the default. */
struct yoke_options {
	const char *socket;     /* path of yoked's socket; default: $YOKE_SOCKET, the system's, the user's (started on demand) */
	uint64_t arena_bytes;   /* size of the arena; default 64 MiB */
	uint32_t express_slots; /* power of two; default 256 */
	uint32_t bulk_slots;    /* power of two; default 256 */
	uint32_t flags;         /* YOKE_OPEN_* */
};

#define YOKE_OPEN_LOCAL (1u << 0) /* no worker: every call runs in the caller; yoke_alloc gives plain memory */

/*
 * Opens a session. @options may be NULL. On failure *session is NULL and the sentence is in yoke_error(NULL)
 * (per thread). Errors: -ENOTCONN no yoked reachable and none could be started; -EACCES not permitted; -EBUSY the
 * account is barred for a time after too many deaths of its worker; -ENOBUFS a limit of the account is reached.
 */
int yoke_open(yoke_session **session, const struct yoke_options *options);

/* Cancels what is in flight, gives the memory back and closes. Callbacks are not called any more. NULL is allowed. */
void yoke_close(yoke_session *session);

/* Sentence for the last failure on @session, or of this thread's last yoke_open when NULL. Never NULL. */
const char *yoke_error(const yoke_session *session);

/* What is known of the session at the moment. */
struct yoke_session_info {
	uint32_t session;     /* number given by the worker */
	uint32_t worker_pid;
	uint64_t arena_bytes;
	uint64_t arena_free;  /* bytes of the data area neither allocated nor quarantined */
	uint64_t quarantined; /* bytes that an executor may still write */
	uint64_t reconnects;  /* deaths of the worker survived */
	uint64_t repeated;    /* calls repeated because of them */
	uint64_t in_flight;   /* calls submitted and not completed */
	uint64_t fallbacks;   /* calls that ran in the caller because no worker could be had */
};
int yoke_info(yoke_session *session, struct yoke_session_info *info);

/* ---- Memory ---- */

/* Allocates @bytes (> 0) of the arena, aligned to 64 bytes. -ENOMEM: the arena has no such room. */
int yoke_alloc(yoke_session *session, size_t bytes, void **memory);

/*
 * Frees memory of yoke_alloc; NULL is allowed. Memory that an executor may still write is quarantined first and becomes
 * free when that executor is done. -EINVAL: not such memory.
 */
int yoke_free(yoke_session *session, void *memory);

/* ---- Keys ---- */

/*
 * Makes a key for the services of one family ("aes-ecb", "aes-cbc", "aes-ctr", "aes-xts", "aes-gcm", by service id).
 * The bytes travel to the worker in a sealed descriptor; @bytes can be wiped after the call.
 * -EKEYREJECTED: length not 16 or 32 (XTS: 32 or 64), or XTS with equal halves. -ENOSYS: service takes no key.
 */
int yoke_key_create(yoke_session *session, uint16_t service, const void *bytes, size_t length, yoke_key **key);

/* Destroys a key, here and in the worker, and wipes it. Calls in flight that use it still complete. NULL is allowed. */
int yoke_key_destroy(yoke_session *session, yoke_key *key);

/* ---- Calls ---- */

enum yoke_place {
	YOKE_PLACE_AUTO = 0,   /* the cost model chooses */
	YOKE_PLACE_CALLER = 1, /* host code in this process */
	YOKE_PLACE_WORKER = 2, /* through the rings */
};

/* One call: out = service(in, aux, params, key). Zero-initialise. */
struct yoke_call {
	uint16_t service;       /* enum yoke_service */
	uint8_t flags;          /* YOKE_FLAG_DECRYPT */
	uint8_t place;          /* enum yoke_place */
	uint32_t reserved;
	const yoke_key *key;    /* NULL for services without */
	const void *in;
	size_t in_length;       /* bytes */
	void *out;
	size_t out_length;      /* bytes that fit at out */
	const void *aux;        /* second input (AES-GCM: IV then AAD), else NULL */
	size_t aux_length;      /* bytes */
	const void *params;     /* struct yoke_params_*, 48 bytes, or NULL */
	uint64_t timeout_ns;    /* from now; 0: none */
};

/* How a call ended. queued_ns and run_ns are 0 where nobody measured them. */
struct yoke_result {
	int32_t status;         /* 0 or -errno: see enum yoke_status_code */
	uint8_t where;          /* enum yoke_where */
	uint8_t why;            /* enum yoke_why */
	uint8_t signal;         /* pull: YOKE_SIGNAL_* */
	uint8_t reserved;
	uint64_t out_length;    /* bytes written; with -EMSGSIZE the bytes needed */
	uint64_t queued_ns;
	uint64_t run_ns;
	uint64_t detail;        /* enum yoke_member, or a count */
	uint64_t sequence;      /* pull: number of the datablock */
};

/*
 * Executes a call and waits for its end. @result may be NULL. Returns result->status.
 * Output that overlaps input or aux is refused with -EINVAL; see yoke_call_inplace.
 * In place YOKE_PLACE_WORKER, memory outside the arena is refused with -EFAULT; YOKE_PLACE_AUTO runs such a call here.
 * A call whose worker died before it was begun is repeated there; one that was executing is repeated once, in the caller.
 * After -ETIME the output is quarantined: its content is undefined and may change until yoke_info says that nothing is
 * quarantined.
 * -EBUSY: the call would write memory that is quarantined, or read memory that a quarantined call may still write.
 */
int yoke_call_sync(yoke_session *session, const struct yoke_call *call, struct yoke_result *result);

/* The same for callers whose output is their input (out == in allowed): bounces through memory of its own. */
int yoke_call_inplace(yoke_session *session, const struct yoke_call *call, struct yoke_result *result);

/* A call in flight. 0 is no ticket. Valid until its end has been reported (by callback or by yoke_wait). */
typedef uint64_t yoke_ticket;
typedef void (*yoke_callback)(void *user, yoke_ticket ticket, const struct yoke_result *result);

/*
 * Submits a call and returns. With @callback, its end is reported from inside yoke_dispatch, yoke_wait or any
 * synchronous function of the same session, on the thread that called that. Without, by yoke_wait.
 * -EAGAIN: as many calls in flight as the ring has slots. Place YOKE_PLACE_CALLER executes before it returns.
 */
int yoke_submit(yoke_session *session, const struct yoke_call *call, yoke_callback callback, void *user,
                yoke_ticket *ticket);

/*
 * Waits for the end of @ticket at most @timeout_ns (0: look only; UINT64_MAX: for ever). Returns 0 when it has ended (its
 * status is in @result), -EAGAIN when the time is over (the call goes on), -ENOENT when there is no such ticket.
 */
int yoke_wait(yoke_session *session, yoke_ticket ticket, uint64_t timeout_ns, struct yoke_result *result);

/* Runs callbacks of ended calls; waits for the first at most @timeout_ns. Returns the number of callbacks run. */
int yoke_dispatch(yoke_session *session, uint64_t timeout_ns);

/* Asks for an early end; the call ends with -ECANCELED unless it completes first. -ENOENT: no such ticket. */
int yoke_cancel(yoke_session *session, yoke_ticket ticket);

/* ---- Graphs: objects of the account, named /graph, /graph/ptask, /graph/ptask:port, /graph/channel ---- */

/*
 * Element type, extent and stride of the datablocks of a port. extent[0] is the fastest dimension; unused extents are 1.
 * stride is bytes per element of dimension 1 (one row); 0: packed.
 */
struct yoke_template {
	char type[16];       /* "u8", "u16", "i32", "f32", "f32x4", ...: scalar, optionally x2 x3 x4 x8 x16 */
	uint64_t extent[3];
	uint64_t stride;
};

enum yoke_direction { YOKE_IN = 1, YOKE_OUT = 2 };

/* Where the code of a ptask comes from. */
struct yoke_kernel {
	const char *source;      /* OpenCL C text */
	const char *source_name; /* for compiler messages, e.g. the file name; may be NULL */
	const char *function;    /* name of the kernel function */
	const char *options;     /* compiler options, may be NULL */
	uint64_t geometry[3];    /* work items per dimension; all 0: from the first input's template */
	uint64_t local[3];       /* work-group size; all 0: chosen by the runtime */
};

/* One argument of the kernel function, in order: a port, or a constant. */
struct yoke_argument {
	const char *port;   /* port of the ptask, in full or what follows the colon; NULL for a constant */
	const void *bytes;  /* constant: value */
	size_t length;      /* constant: bytes, at most 64 */
};

/* Opens graph @name ("/depth"), creating it if there is none. -EACCES, -ENOBUFS, -EINVAL (name). */
int yoke_open_graph(yoke_session *session, const char *name);
/* Opens or creates port "/graph/ptask:port". -EEXIST: there is one with another direction or template. */
int yoke_open_port(yoke_session *session, const char *name, int direction, const struct yoke_template *template_);
/*
 * Opens or creates ptask "/graph/ptask" that runs @kernel over @arguments. Its ports must have been opened before.
 * Compiles the kernel: -ENOEXEC with the compiler's messages in yoke_error().
 */
int yoke_open_ptask(yoke_session *session, const char *name, const struct yoke_kernel *kernel,
                    const struct yoke_argument *arguments, size_t argument_count);
/*
 * Opens or creates channel "/graph/channel" from @source to @destination, each the name of a port or NULL for the
 * outside (push or pull); @capacity in datablocks, 0: default 8. *id is what push and pull take.
 * -EINVAL template mismatch or both ends outside, -EBUSY port already connected, -ENOENT no such port.
 */
int yoke_open_channel(yoke_session *session, const char *name, const char *source, const char *destination,
                      uint32_t capacity, uint32_t *id);
/* Starts the graph. -EINVAL with the name of what is missing (an unconnected port, an undeclared cycle). */
int yoke_run_graph(yoke_session *session, const char *name);
/* Ends and removes the graph; pushes and pulls in flight end with -ECANCELED. */
int yoke_terminate_graph(yoke_session *session, const char *name);

/*
 * Opens a graph described in a TOML file (docs/graph.md) and everything in it; does not run it.
 * -ENOENT, -EINVAL with line and column, and the errors of the functions above. @name gets the graph's name.
 */
int yoke_load_graph(yoke_session *session, const char *path, char *name, size_t name_bytes);
/*
 * Checks such a file without a worker, kernels included only as far as their files exist. @message, if not NULL, gets the
 * graph's name when the file is right, else one sentence, cut to @message_bytes.
 */
int yoke_check_graph(const char *path, char *message, size_t message_bytes);

/*
 * Push and pull of datablocks in arena memory; same rules as yoke_call_sync, but for a worker's death: they are not repeated.
 * -ERESTART says, once per death, that the graph was opened again and has begun in its initial state (result->detail:
 * datablocks that this session had pushed and not pulled); -EIO that it could not be opened again. -ENOENT: no channel of
 * this session. flags: YOKE_FLAG_END.
 */
int yoke_push(yoke_session *session, uint32_t channel, const void *data, size_t length, uint8_t flags,
              uint64_t timeout_ns, struct yoke_result *result);
/* -ENODATA: end of stream. */
int yoke_pull(yoke_session *session, uint32_t channel, void *data, size_t length, uint64_t timeout_ns,
              struct yoke_result *result);
/* The same, asynchronous; see yoke_submit. */
int yoke_submit_push(yoke_session *session, uint32_t channel, const void *data, size_t length, uint8_t flags,
                     uint64_t timeout_ns, yoke_callback callback, void *user, yoke_ticket *ticket);
int yoke_submit_pull(yoke_session *session, uint32_t channel, void *data, size_t length, uint64_t timeout_ns,
                     yoke_callback callback, void *user, yoke_ticket *ticket);

/* ---- The daemon ---- */

/*
 * Asks yoked (docs/control.md: "status", "list", ...) with a JSON object as text and gives its JSON answer, to be freed
 * with free(). @socket may be NULL. Does not start a daemon unless @autostart. -ENOTCONN: none runs.
 */
int yoke_ask_daemon(const char *socket, int autostart, const char *request, char **answer);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif /* YOKE_YOKE_H */
