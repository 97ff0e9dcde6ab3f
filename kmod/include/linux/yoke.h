/* SPDX-License-Identifier: GPL-2.0 */
/*
 * yoke.h: services of the worker, called by kernel code
 *
 * PROBLEM. Kernel code has a pure function to compute (a cipher, a digest) that somebody else may compute faster: the
 * worker of the account `kernel`, a user-space process with a GPU. That process can die, stop or lie, and the caller
 * may be the very code that this process needs to make progress (a disk that its memory is written to).
 *
 * MODEL. A struct yoke_call belongs to the caller and describes one call; yoke_submit() hands it over, its callback
 * gives it back, exactly once. Input and output are either the caller's own memory (scatterlists: copied into and out
 * of the arena) or buffers of the arena (no copy). A call can name a function that computes the same on the CPU: then
 * it ends with a result whatever the worker does.
 *
 * PROMISES
 *   - Every submitted call ends: with its result, a typed error, or at its deadline (50 ms unless it says otherwise).
 *   - Nothing here allocates memory, except where a function says that it may sleep. When places or buffers are used
 *     up, yoke_submit() refuses at once, or lets the call wait in a row that takes no memory, as the caller chose.
 *   - Nothing that a worker writes is used as an address, a length or the name of a call. What is believed is the
 *     content of the output: who cannot have that must not use a worker.
 *   - After a call has ended, its memory and struct are the caller's again. A worker that still writes does so into the
 *     arena, which nobody else gets meanwhile.
 *
 * CONTEXTS
 *   function                                    may be called from
 *   yoke_key_create, yoke_key_destroy           process context, may sleep
 *   yoke_call_wait                              process context, sleeps
 *   yoke_submit, yoke_cancel, yoke_buffer_*     everywhere but NMI; yoke_submit copies in_length bytes
 *   yoke_call_spin                              process context and softirq; never sleeps, and takes no longer than
 *                                               its bound and the CPU code together
 *   callbacks                                   run in process context with softirqs disabled, on a thread of the
 *                                               module; must not sleep; may submit
 *   struct yoke_call.cpu                        runs in process context on a workqueue that reclaim may wait for, may
 *                                               sleep; from yoke_call_spin in the caller's context
 */
#ifndef _LINUX_YOKE_H
#define _LINUX_YOKE_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/scatterlist.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include <uapi/yoke.h>

struct yoke_buffer;
struct yoke_flight;
struct yoke_key;

/* Moments of a call, CLOCK_MONOTONIC in ns; 0: never came to it. */
struct yoke_stamps {
	u64 submitted; /* yoke_submit() was entered */
	u64 issued;    /* its entry is in the ring */
	u64 seen;      /* its completion was found */
	u64 done;      /* its output is in place, the callback follows */
	u64 queued_ns; /* the worker's word: from taken to begun */
	u64 run_ns;    /* the worker's word: from begun to done */
};

/**
 * struct yoke_call - one call of a service
 * @service: enum yoke_service
 * @flags: YOKE_FLAG_DECRYPT, YOKE_FLAG_PARAMS
 * @key: for ciphers, else NULL
 * @params: as the service wants them, with YOKE_FLAG_PARAMS
 * @in: input; @in_skip bytes of the list are passed over
 * @out: output; may be the same memory as @in
 * @aux: second input (AES-GCM: IV, then AAD), @aux_length bytes
 * @in_buffer: instead of @in: input in the arena, from @in_skip on
 * @out_buffer: instead of @out: output in the arena, from @out_skip on; another range than the input's
 * @in_skip: see @in
 * @in_length: bytes
 * @out_skip: see @out
 * @out_length: bytes of room
 * @aux_length: bytes
 * @timeout_ns: from yoke_submit() to the end at the latest; 0: the module's default
 * @complete: called once when the call has ended; NULL only for yoke_call_wait() and yoke_call_spin()
 * @resumed: called once before @complete if yoke_submit() has answered -EBUSY: the call does not wait for room any more,
 *	     and the caller may submit others. NULL: the call is refused with -ENOBUFS instead
 * @cpu: computes the same on the CPU and returns 0 or -errno, or -EINPROGRESS when it will call yoke_call_done()
 *	 itself;
 *	 NULL: the call ends with an error instead. yoke_cpu() does for every service that this header's calls can name.
 * @context: the caller's
 * @status: result: 0; -EBADMSG (GCM: wrong tag); -EOWNERDEAD: the worker left or died; -ETIME: the deadline;
 *	    -ECANCELED; -ENOBUFS: it has waited for room in vain, a quarter of its time; -ENOKEY: the worker does not
 *	    take the key; -EPROTO: the worker answered what none may answer; or what the worker reported (-EIO,
 *	    -ENOMEM, ...)
 * @produced: result: bytes of output
 * @where: result: enum yoke_where; YOKE_WHERE_CALLER: @cpu did it
 * @why: result: enum yoke_why
 * @stamps: result: when what happened
 *
 * Zero it (yoke_call_init()), fill in what the service wants, hand it over. Everything below "private" is the module's.
 */
struct yoke_call {
	u16 service;
	u8 flags;
	struct yoke_key *key;
	union {
		struct yoke_params_aes_iv iv;
		struct yoke_params_aes_xts xts;
		struct yoke_params_aes_gcm gcm;
		struct yoke_params_sha256 sha256;
		u8 bytes[YOKE_PAYLOAD_BYTES];
	} params;
	struct scatterlist *in;
	struct scatterlist *out;
	struct scatterlist *aux;
	struct yoke_buffer *in_buffer;
	struct yoke_buffer *out_buffer;
	u32 in_skip;
	u32 in_length;
	u32 out_skip;
	u32 out_length;
	u32 aux_length;
	u64 timeout_ns;
	void (*complete)(struct yoke_call *call);
	void (*resumed)(struct yoke_call *call);
	int (*cpu)(struct yoke_call *call);
	void *context;

	int status;
	u32 produced;
	u8 where;
	u8 why;
	struct yoke_stamps stamps;

	/* private: */
	struct yoke_flight *flight;  /* guarded by the module's lock; NULL: with the caller, or about to end */
	struct list_head link;       /* of the flight's calls, of calls that wait for room, or of calls that end */
	bool waits;                  /* for room: it is in that list */
	bool owed;                   /* @resumed is still to be called */
	u32 at_in;                   /* where in the flight's input and output */
	u32 at_out;
	bool filled;                 /* its input is in the flight */
	bool joined;                 /* shares an entry with calls before it */
	struct work_struct work;     /* of @cpu */
	struct completion ended;
};

/**
 * yoke_call_init() - make a call with nothing in it
 * @call: to initialise
 */
void yoke_call_init(struct yoke_call *call);

/**
 * yoke_available() - is there a worker to submit to?
 *
 * Return: true while a worker serves and answers; a hint, since that may change at any time.
 */
bool yoke_available(void);

/**
 * yoke_worthwhile() - does the cost model expect the worker to be faster than the CPU?
 * @service: enum yoke_service
 * @bytes: of input
 *
 * Compares what the worker published, with what is queued in front, to what this CPU's code was measured to take.
 * Module parameter `threshold` overrides it. The API's calls are not subject to it: who submits has decided.
 *
 * Return: true if it is worth submitting.
 */
bool yoke_worthwhile(u16 service, u32 bytes);

/**
 * yoke_submit() - start a call
 * @call: filled in; @complete must be set
 *
 * Return: 0: the callback will be called, once. -EBUSY (with @resumed only): so will it, but the call has to wait for
 * room, for a quarter of its time at most; whoever gets this submits nothing more before @resumed was called.
 * Otherwise no callback will be called, and nothing has happened: -EINVAL: a member has
 * a value that is never valid; -EMSGSIZE: too long, or too little room for the output; -ENODEV: no worker; -EAGAIN: the
 * worker missed a deadline and has shown no heartbeat since; -ENOBUFS: places or buffers are used up; -ENOKEY: the
 * worker does not take the key; -ESTALE: a buffer is of an arena that has been retired; -EOWNERDEAD: the worker went
 * meanwhile.
 */
int yoke_submit(struct yoke_call *call);

/**
 * yoke_cancel() - end a call now
 * @call: that was submitted and may have ended
 *
 * Its callback runs (soon, on its own thread) with -ECANCELED, or with the result if that was quicker; @cpu is not
 * called. The worker is asked to stop; its memory stays quarantined until it has.
 *
 * Return: true if the call will end with -ECANCELED.
 */
bool yoke_cancel(struct yoke_call *call);

/**
 * yoke_call_wait() - make a call and sleep until it has ended
 * @call: filled in; @complete is not used
 *
 * Spins for the predicted time first, unless there is one CPU only. What yoke_submit() would refuse @cpu does, if it is
 * set.
 *
 * Return: @status of the call, or what yoke_submit() refused it with.
 */
int yoke_call_wait(struct yoke_call *call);

/**
 * yoke_call_spin() - make a call without sleeping
 * @call: filled in; @complete is not used; @cpu must be set
 * @bound_ns: how long to spin at most
 *
 * The worker may need this very CPU, so what it has not done within the bound is left to it (its output is discarded)
 * and done by @cpu.
 *
 * Return: @status of the call; what yoke_submit() refuses @cpu does. -EINVAL: wrong members.
 */
int yoke_call_spin(struct yoke_call *call, u64 bound_ns);

/**
 * yoke_call_done() - end a call whose @cpu returned -EINPROGRESS
 * @call: that call
 * @status: 0 or -errno
 *
 * Any context that softirqs are disabled in.
 */
void yoke_call_done(struct yoke_call *call, int status);

/**
 * yoke_cpu() - the kernel's own code for every service, as @cpu of a call
 * @call: filled in; its key must come from yoke_key_create()
 *
 * Never sleeps, but serialises AES-GCM calls of one key and then returns -EBUSY where it would have to wait.
 *
 * Return: 0 or -errno.
 */
int yoke_cpu(struct yoke_call *call);

/**
 * yoke_key_create() - make a key for a service
 * @service: enum yoke_service of a cipher
 * @bytes: of the key
 * @length: 16 or 32; for AES-XTS 32 or 64
 *
 * The key goes to the worker with the first call that uses it, and again to each worker after that. May sleep.
 *
 * Return: the key, or an ERR_PTR: -EINVAL, -ENOMEM, or what the kernel's own cipher says.
 */
struct yoke_key *yoke_key_create(u16 service, const u8 *bytes, unsigned int length);

/**
 * yoke_key_destroy() - wipe a key
 * @key: no call that uses it is in flight; NULL does nothing
 *
 * Wiped here at once, and by the worker as soon as it fetches the order. May sleep.
 */
void yoke_key_destroy(struct yoke_key *key);

/**
 * yoke_buffer_get() - take memory of the arena, for calls without a copy
 * @bytes: rounded up to pages
 *
 * The worker can read and write it at any time, and keeps it with its arena: after the worker is gone, calls that use
 * the buffer are refused with -ESTALE. Its content must not be relied on in more than one reading.
 *
 * Return: the buffer, or NULL: no worker, or no room.
 */
struct yoke_buffer *yoke_buffer_get(u32 bytes);

/**
 * yoke_buffer_put() - give a buffer back
 * @buffer: may still be used by calls in flight; NULL does nothing
 */
void yoke_buffer_put(struct yoke_buffer *buffer);

/**
 * yoke_buffer_data() - where the buffer lies in the kernel's address space
 * @buffer: that buffer
 *
 * Return: its first byte; it is contiguous in virtual memory, of single pages in physical memory.
 */
void *yoke_buffer_data(struct yoke_buffer *buffer);

/**
 * yoke_buffer_sg() - the same memory as a scatterlist
 * @buffer: that buffer
 *
 * Return: a list that lives as long as the buffer.
 */
struct scatterlist *yoke_buffer_sg(struct yoke_buffer *buffer);

#endif /* _LINUX_YOKE_H */
