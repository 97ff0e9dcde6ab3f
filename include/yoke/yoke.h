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

/* In listings of yoked: the account of the Linux kernel. Every other account is a user's uid. */
#define YOKE_ACCOUNT_KERNEL 4294967294u

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
#define YOKE_OPEN_NOTICES (1u << 1) /* says on the standard error what yoke_open waits for, where that is long */

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
	uint32_t extent[2];     /* pull, move: extents of the datablock in its first two dimensions; else 0 */
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

/* YOKE_IN_OUT: the kernel changes the datablock that comes in, and it goes on; an end of two channels. */
enum yoke_direction { YOKE_IN = 1, YOKE_OUT = 2, YOKE_IN_OUT = 3 };

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

/* ---- The same with everything that graphs can do (docs/graph.md); zero-initialise these structures ---- */

#define YOKE_PORT_STICKY (1u << 0)     /* in: keeps its last datablock until another one comes */
#define YOKE_PORT_INIT (1u << 1)       /* in, in-out: makes its first datablock (with a back edge) or all (without channel) itself */
#define YOKE_PORT_HOLD (1u << 2)       /* in: keeps its datablock until another input has brought an end of iteration */
#define YOKE_PORT_VARIABLE (1u << 3)   /* datablocks may be shorter than the template, by whole elements */
#define YOKE_PORT_DESCRIPTOR (1u << 4) /* out: tells bytes and extents of the datablocks of port @of; no argument */

/* What the runtime reads from the datablocks of an in port, which is then no argument. */
enum yoke_meta {
	YOKE_META_NONE = 0,
	YOKE_META_SIZE = 1,       /* first element: number of elements of the datablock that port @of, an out port, makes */
	YOKE_META_ITERATIONS = 2, /* first element: how often the ptask runs on what its other ports hold */
};

struct yoke_port {
	struct yoke_template form;
	uint32_t direction;     /* enum yoke_direction */
	uint32_t flags;         /* YOKE_PORT_* */
	uint32_t meta;          /* enum yoke_meta */
	uint32_t initial_bytes; /* bytes at @initial: those of one element; 0: zeros */
	const void *initial;    /* YOKE_PORT_INIT: the element that fills the datablock */
	const char *of;         /* meta size, descriptor: another port of the ptask, in full or what follows the colon; else NULL */
};

/* One form of a ptask's code. The device takes the first that it can run. */
struct yoke_form {
	const char *form;        /* "opencl" (NULL), "cuda", "ptx", "cubin", "service", "client" (see yoke_serve_function) */
	const char *source;      /* the program; NULL for a service and a function of the client */
	size_t source_bytes;     /* of the program; 0: text that ends with a NUL character */
	const char *source_name; /* for compiler messages; may be NULL */
	const char *function;    /* the kernel function; a service: its name, "sha256" */
	const char *options;     /* compiler options, may be NULL */
	uint64_t geometry[3];    /* work items per dimension; all 0: estimated */
	const char *geometry_from[3]; /* estimate: "first-input" (NULL), "largest-input", "first-output", or a port */
	uint64_t local[3];       /* work-group size; all 0: chosen by the runtime */
	const void *params;      /* service: struct yoke_params_*, 48 bytes, or NULL */
	const yoke_key *key;     /* service: key of this session, or NULL */
	uint32_t flags;          /* service: YOKE_FLAG_DECRYPT */
	uint32_t reserved;
};

/* What a kernel function is given of a port. */
enum yoke_tells {
	YOKE_TELLS_DATABLOCK = 0, /* its datablock */
	YOKE_TELLS_COUNT = 1,     /* number of elements of that datablock, u32 */
	YOKE_TELLS_EXTENT = 2,    /* u32x4: its extents, then its number of elements */
};

struct yoke_ptask_argument {
	const char *port;   /* as in struct yoke_argument; NULL for a constant */
	const void *bytes;
	size_t length;
	uint32_t tells;     /* enum yoke_tells */
	uint32_t reserved;
};

struct yoke_ptask {
	const struct yoke_form *forms; /* 1 to 9 */
	size_t form_count;
	const struct yoke_ptask_argument *arguments;
	size_t argument_count;
	uint64_t deadline_ns; /* a run that takes longer fails the graph; 0: none */
	uint32_t priority;    /* 1 to 10; 0: the default, 5 (yoke_set_ptask_prio knows 0 as well) */
	uint32_t reserved;
};

/* What stands at the outer end of a channel instead of push and pull; served by the worker. */
enum yoke_endpoint { YOKE_ENDPOINT_NONE = 0, YOKE_ENDPOINT_FILE, YOKE_ENDPOINT_FIFO, YOKE_ENDPOINT_SOCKET, YOKE_ENDPOINT_V4L2, YOKE_ENDPOINT_UINPUT };

#define YOKE_CHANNEL_BACK (1u << 0)   /* back edge: may close a circle */
#define YOKE_CHANNEL_REPEAT (1u << 1) /* endpoint file: from the beginning again at its end */
#define YOKE_CHANNEL_RAW (1u << 2)    /* endpoint file, FIFO or socket to read: what looks like the header of a stage's output is data */

struct yoke_channel {
	const char *source;           /* port, or NULL: the outside */
	const char *destination;      /* port, or NULL: the outside */
	const char *source_when;      /* predicate of what enters, "on begin|end"; NULL: always */
	const char *destination_when; /* predicate of what leaves; the rest is dropped; NULL: always */
	const char *path;             /* of the endpoint; a relative one begins at the working directory of this process */
	uint32_t endpoint;            /* enum yoke_endpoint */
	uint32_t capacity;            /* datablocks; 0: default 8 */
	uint32_t flags;               /* YOKE_CHANNEL_* */
	uint32_t reserved;
};

/*
 * Opens graph @name. @persist: one that is created outlives this session; it ends by yoke_terminate_graph. @mode, of one
 * that is created, says what other sessions of the account may do: 0400 pull and look, 0200 push and change, 0100 run and
 * terminate; 0: the default, 0700.
 */
int yoke_open_graph_as(yoke_session *session, const char *name, int persist, uint32_t mode);
/* As yoke_open_port. -EINVAL names what does not fit: flags of another direction, a meta port of no integers, ... */
int yoke_open_port_as(yoke_session *session, const char *name, const struct yoke_port *port);
/*
 * As yoke_open_ptask. -EINVAL too for a form that lacks something or has what it must not have, and for a key
 * of another session; -ENOTSUP: no form that the device runs; -ENOKEY: a service that needs a key of this session.
 */
int yoke_open_ptask_as(yoke_session *session, const char *name, const struct yoke_ptask *ptask);
/* As yoke_open_channel. -EINVAL too for a predicate or an endpoint that does not fit. @id may be NULL. */
int yoke_open_channel_as(yoke_session *session, const char *name, const struct yoke_channel *channel, uint32_t *id);

/* Sets the priority, 0 (least) to 10, of a ptask, or of all ptasks of a graph. -ENOENT, -EACCES, -EINVAL. */
int yoke_set_ptask_prio(yoke_session *session, const char *name, uint32_t priority);
/*
 * Says why a graph does not move: *json gets [{"object", "reason", "sentence", "channel", "follows"}], to be freed with
 * free(); it is empty when the graph can move or has nothing to do. The causes come first ("follows" is false), then what
 * merely follows from them; "channel" is null where none is meant. -ENOENT: no such graph.
 */
int yoke_graph_why(yoke_session *session, const char *name, char **json);

/*
 * Opens or creates a pipe: a channel that belongs to no graph and to every session that has opened it; the last of them
 * takes it along. @name is in the namespace of graphs ("/pipe-1-2"); @variable: datablocks may be shorter than the template;
 * @capacity in datablocks, 0: default 8. All push into it and pull from it. -EEXIST: there is one with another template.
 * -EAGAIN: the last of its sessions is closing it; open it again.
 */
int yoke_open_pipe(yoke_session *session, const char *name, const struct yoke_template *form, int variable, uint32_t capacity,
		   uint32_t *id);
int yoke_close_pipe(yoke_session *session, const char *name);

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
 * Checks such a file as far as only a worker can: opens everything under another name, so that kernels are compiled and
 * their arguments compared, and takes it away again. A graph of the file's name that runs meanwhile is left alone.
 * Errors as yoke_load_graph.
 */
int yoke_build_graph(yoke_session *session, const char *path);

/*
 * Push and pull of datablocks in arena memory; same rules as yoke_call_sync, but for a worker's death: they are not repeated.
 * -ERESTART says, once per death, that the graph was opened again and has begun in its initial state (result->detail:
 * datablocks that this session had pushed and not pulled); -EIO that it has failed, could not be opened again, or
 * that its kernels were the death of two workers (yoke_error says which). -ENOENT: no channel of
 * this session. flags: YOKE_FLAG_END; YOKE_FLAG_NOWAIT: -ETIME where there is no room, which the worker says itself,
 * while a short deadline may also pass before a busy worker has looked. The worker keeps the deadline, and a call that it
 * ends with -ETIME has moved nothing; where it says nothing for two seconds more, the call ends with -ETIME all the same, and
 * whether the datablock was moved is not known.
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

/* How to push; zero-initialise. */
struct yoke_push_options {
	uint64_t extent[3];  /* variable port: extents, at most the template's; all 0: from the length, in whole rows if possible */
	uint64_t timeout_ns; /* from now; 0: none */
	uint32_t signals;    /* YOKE_SIGNALS_PUSHABLE: control signals that go with the datablock */
	uint32_t flags;      /* YOKE_FLAG_END, YOKE_FLAG_NOWAIT */
};

/* As yoke_push. @options may be NULL. -EINVAL: a signal that cannot be pushed. */
int yoke_push_with(yoke_session *session, uint32_t channel, const void *data, size_t length,
		   const struct yoke_push_options *options, struct yoke_result *result);
int yoke_submit_push_with(yoke_session *session, uint32_t channel, const void *data, size_t length,
			  const struct yoke_push_options *options, yoke_callback callback, void *user, yoke_ticket *ticket);
/*
 * As yoke_pull. @flags: YOKE_FLAG_PEEK leaves the datablock where it is; YOKE_FLAG_DRAIN drops all datablocks that wait,
 * without waiting for one, and result->detail says how many (@data may be NULL). -EINVAL: both. YOKE_FLAG_NOWAIT: -ETIME
 * where there is no datablock.
 */
int yoke_pull_with(yoke_session *session, uint32_t channel, void *data, size_t length, uint32_t flags, uint64_t timeout_ns,
		   struct yoke_result *result);
int yoke_submit_pull_with(yoke_session *session, uint32_t channel, void *data, size_t length, uint32_t flags,
			  uint64_t timeout_ns, yoke_callback callback, void *user, yoke_ticket *ticket);
/*
 * Takes the next datablock of channel @from, which is pulled, and gives it to channel @to, which is pushed: by reference, no
 * byte comes to this process. Waits for a datablock and for room, and takes nothing before there is room. -ENODATA: the
 * stream has ended, and so has that of @to. -EINVAL: different templates.
 */
int yoke_move(yoke_session *session, uint32_t from, uint32_t to, uint64_t timeout_ns, struct yoke_result *result);
int yoke_submit_move(yoke_session *session, uint32_t from, uint32_t to, uint64_t timeout_ns, yoke_callback callback, void *user,
		     yoke_ticket *ticket);

/* ---- Ptasks that are functions of this process ---- */

/* A datablock in the hands of such a function. */
struct yoke_datablock {
	const char *port;   /* its port, in full */
	void *data;
	size_t length;      /* bytes. Output: those of the template; the function of a variable port may make it less */
	uint64_t extent[3]; /* output: set it together with length, or set it to zeros for whole rows */
	uint32_t signals;   /* YOKE_SIGNAL_*. Output: those of all inputs; the function may add some that can be pushed */
	uint32_t reserved;
};

/*
 * Makes the outputs from the inputs, each in the order of the ptask's arguments. An in-out port is among both, with one
 * memory. Returns 0, or -errno, which ends its outputs' streams and is what yoke_dispatch then returns. May use the session
 * as callbacks may.
 */
typedef int (*yoke_function)(void *user, const struct yoke_datablock *inputs, size_t input_count,
			     struct yoke_datablock *outputs, size_t output_count);

/*
 * Serves ptask "/graph/ptask" of form "client" by @function. This session must have opened the ptask, its ports and all their
 * channels before. Inputs are pulled, the function is called and outputs are pushed from inside yoke_dispatch (and other
 * functions that run callbacks) of this session, each counting as a callback: call yoke_dispatch as long as the graph is to
 * move. The end of any input's stream ends the outputs' streams. A datablock with YOKE_SIGNAL_DROP is passed on
 * without calling the function. After a worker's death the function goes on with the restarted graph.
 * -ENOENT: the session does not know the ptask; -EINVAL: it is no function of a client, or has a port that is sticky, held,
 * meta, descriptor or without a single forward channel; -EBUSY: it is served already; -ENOMEM: no room in the arena.
 */
int yoke_serve_function(yoke_session *session, const char *ptask, yoke_function function, void *user);

/* ---- The daemon ---- */

/*
 * Terminates graph @name, if it is there, and forgets it: what is kept of one that persists is removed, where
 * yoke_terminate_graph keeps its definition for yoke_run_graph. -ENOENT: there is neither a graph nor a definition.
 */
int yoke_remove_graph(yoke_session *session, const char *name);
/*
 * Reads a graph file (docs/graph.md) without a worker: *json gets the control messages that would open it, an array of
 * objects, the first one "open_graph" (docs/control.md), to be freed with free(). As yoke_check_graph otherwise; the
 * sentence is in yoke_error(NULL).
 */
int yoke_describe_graph(const char *path, char **json);

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
