/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage.h: programs that are stages of a shell pipeline
 *
 * A stage reads records from its standard input and writes records to its standard output; or only one of them. What
 * it does with a record is a kernel, a graph of the account's worker, or a function of the program. Between two stages of one
 * account the records need not go through the pipe (docs/stage.md); with YOKE_STAGE=pipe in the environment they always do.
 *
 * A stream begins with one line of ASCII, at most 4096 bytes with its newline:
 *
 *     YOKESTREAM 1 u16 640x480 fixed unit=0.001 focal_x=585.6
 *
 * version, element type, extents (the fastest first; trailing ones may be left out), "fixed" or "variable", then parameters. A
 * parameter is an identifier of C (at most 63 bytes), '=', and 1 to 255 printable characters without blanks. Words are separated
 * by one blank. Then come the records, packed and little-endian. A fixed record has the bytes of its template; a variable one
 * begins with its length in bytes (8 bytes, little-endian), at most the bytes of the template and whole elements.
 *
 * Every function returns 0 on success and -errno on failure; yoke_stage_error() then holds one sentence. One thread uses a
 * stage at a time; a child of fork uses the descriptors like any other writer or reader, but not the stage (-ECHILD).
 * A reader that is gone raises SIGPIPE, as with write(2); where that is ignored: -EPIPE.
 */
#ifndef YOKE_STAGE_H
#define YOKE_STAGE_H

#include <yoke/yoke.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef struct yoke_stage yoke_stage;

#define YOKE_STAGE_SOURCE (1u << 0) /* reads nothing */
#define YOKE_STAGE_SINK (1u << 1)   /* writes nothing */
#define YOKE_STAGE_BYTES (1u << 2)  /* streams without header and records: plain bytes on both sides */

/* How to open a stage. Zero-initialise; zero members take the default. The descriptors stay the caller's. */
struct yoke_stage_options {
	uint32_t flags;     /* YOKE_STAGE_* */
	int32_t input;      /* descriptor to read; default 0, the standard input */
	int32_t output;     /* descriptor to write; default 1, the standard output */
	uint32_t reserved;
	const char *socket; /* path of yoked's socket; default as in struct yoke_options */
};

/* What the records of a stream are. */
struct yoke_stream {
	struct yoke_template template_; /* stride is 0: rows are packed */
	uint8_t variable;               /* 1: records have a length, at most the bytes of the template */
	uint8_t reserved[7];
};

/*
 * Opens a stage; on failure *stage is NULL and the sentence is in yoke_stage_error(NULL). -EBADF: a descriptor is not
 * open; -EINVAL: flags, or records are to come from a terminal or go to one.
 */
int yoke_stage_open(yoke_stage **stage, const struct yoke_stage_options *options);

/* Closes the stage, its graph and its session, but no descriptor of the caller's. NULL is allowed. */
void yoke_stage_close(yoke_stage *stage);

/* Sentence for the last failure on @stage, or of this thread's last yoke_stage_open when NULL. Never NULL. */
const char *yoke_stage_error(const yoke_stage *stage);

/*
 * Waits for the header of the input; again: tells the same. -ENODATA: the input ends before a header; -EPROTO: what comes is no
 * such stream; -EINVAL: the stage is a source.
 */
int yoke_stage_input(yoke_stage *stage, struct yoke_stream *stream);

/* Value of a parameter of the input's header; NULL where it has none of that name. Valid as long as the stage. */
const char *yoke_stage_parameter(const yoke_stage *stage, const char *name);

/* Sets a parameter of the output's header; those of the input are passed on. @value NULL: leaves it out. -EINVAL, -E2BIG. */
int yoke_stage_set_parameter(yoke_stage *stage, const char *name, const char *value);

/*
 * Says what the records of the output are, once. The header of a source goes out at once, that of another stage before its first
 * record does or it waits for one: when the kernel or graph has been accepted, with the first read or write, or at the end. So a stage
 * whose kernel is refused has no stream. -EPIPE; -EALREADY: it has been said; -EINVAL: no such template, or a sink; -E2BIG.
 */
int yoke_stage_output(yoke_stage *stage, const struct yoke_stream *stream);

/*
 * Reads the next record into @record and its bytes into @length (may be NULL). -ENODATA: end of the stream; -EPROTO: the stream
 * ends within a record, or a length is not allowed; -EMSGSIZE: the record has more than @room bytes (it can be read again).
 * Reads the header first if nobody has.
 * With YOKE_STAGE_BYTES: reads what there is, at least one byte and at most @room. -EAGAIN: nothing has come for about 50 ms, or a
 * signal came.
 */
int yoke_stage_read(yoke_stage *stage, void *record, size_t room, size_t *length);

/*
 * Writes a record. -EINVAL: no header has been written, or @length is not what the stream's template allows; -EPIPE.
 * With YOKE_STAGE_BYTES: any bytes. -EINTR: a signal came, and how much was written is not known.
 */
int yoke_stage_write(yoke_stage *stage, const void *record, size_t length);

/*
 * Memory for a record that is to be made and written next, where yoke_stage_write need not copy it: in the arena once the stage has
 * joined the next one. Joins it if it can, so to be called for each record anew, after yoke_stage_output; any other memory is as
 * right, but costs a copy. Valid until a record has been written, the next call of this function, yoke_stage_session or
 * yoke_stage_run. -EINVAL: no record of the output has @bytes, or there is no header; -EPIPE.
 */
int yoke_stage_room(yoke_stage *stage, size_t bytes, void **room);

/*
 * Ends the output: nothing more is written, and a reader that has joined has taken what a pipe would not hold. yoke_stage_run and
 * yoke_stage_close do that, too, but the latter cannot say -EPIPE.
 */
int yoke_stage_end(yoke_stage *stage);

/*
 * The session with the worker, opened at the first use, in whose arena @bytes can be allocated; for yoke_stage_graph. NULL on
 * failure, with the sentence in yoke_stage_error(). @bytes counts at the first use only; room for the stage's own records is
 * added, so both headers must be known: to be called after yoke_stage_output.
 * A source has no graph, but records that lie in this arena are written without a copy once the stage has joined the next one. It may
 * call this before yoke_stage_output, to learn whether it has frames at all, say; @bytes must then have room for one record more.
 */
yoke_session *yoke_stage_session(yoke_stage *stage, uint64_t bytes);

/* A name for a graph of this stage, "/stage-PID-N", unique in the account. */
const char *yoke_stage_graph_name(yoke_stage *stage);

/*
 * Makes @kernel what the stage does: one input record to one output record. Arguments name the ports "in" and "out", in any order,
 * or are constants. To be called after yoke_stage_output. The compiler is given, beside kernel->options,
 * -D YOKE_PARAMETER_name=value for each parameter of the output, or else of the input, that is a number, YOKE_IN_EXTENT_0 to _2 and
 * YOKE_OUT_EXTENT_0 to _2. Geometry all 0: the extents of the input.
 * Errors of yoke_stage_session and yoke_open_ptask; -EINVAL: variable records.
 */
int yoke_stage_kernel(yoke_stage *stage, const struct yoke_kernel *kernel, const struct yoke_argument *arguments,
                      size_t argument_count);

/*
 * Makes a graph what the stage does: it was opened, but not run, in yoke_stage_session() as yoke_stage_graph_name(), and has
 * nothing unconnected but the in port @in and the out port @out ("ptask:port"), whose templates are those of the streams. One record
 * in, one record out. To be called after yoke_stage_output. -EINVAL and the errors of yoke_open_channel and yoke_run_graph.
 */
int yoke_stage_graph(yoke_stage *stage, const char *in, const char *out);

/*
 * Runs the kernel or graph over all records until the end of the input. Results are written in order, each as soon as it is
 * there. -EINVAL: there is no kernel or graph; errors of yoke_stage_read, yoke_stage_write, yoke_push and yoke_pull.
 */
int yoke_stage_run(yoke_stage *stage);

/*
 * A cutter divides bytes into datablocks of a port, as yoke push and the endpoints of graphs do: they are datablock after
 * datablock, or what a stage has written, whose header must fit the port and is no data. The caller reads: the cutter says where the
 * next bytes go and how many at most.
 */
typedef struct yoke_cutter yoke_cutter;

/* Zero-initialise. */
struct yoke_cutter_options {
	const char *input;              /* what sentences call the input */
	const char *port;               /* and the port, "/graph/ptask:port" */
	const char *raw_option;         /* and what a user gives so that @raw is set */
	struct yoke_template template_; /* of the port */
	uint8_t variable;               /* 1: datablocks may be shorter, by whole elements */
	uint8_t raw;                    /* 1: what looks like a header is data */
	uint8_t reserved[6];
};

enum yoke_cut {
	YOKE_CUT_OVER = 0,  /* the input is over; *length bytes in the room, if not 0, are its last datablock */
	YOKE_CUT_READ = 1,  /* read up to *length bytes to *to, then call yoke_cutter_took */
	YOKE_CUT_WHOLE = 2, /* the room holds a datablock of *length bytes */
};

/* On failure *cutter is NULL. -EINVAL: a name is missing, or no such template; -EMSGSIZE. */
int yoke_cutter_open(yoke_cutter **cutter, const struct yoke_cutter_options *options);
void yoke_cutter_close(yoke_cutter *cutter); /* NULL is allowed */

/*
 * What comes next (enum yoke_cut). @room has the bytes of the template and is the same until a datablock is whole. -EPROTO: the input
 * ends in the middle of a datablock, or has a header that is cut off or says something else than the port.
 */
int yoke_cutter_next(yoke_cutter *cutter, void *room, void **to, size_t *length);

/* So many bytes came; 0: the input is over. */
void yoke_cutter_took(yoke_cutter *cutter, size_t count);

/* Sentence for the last failure on @cutter, or of this thread's last yoke_cutter_open when NULL. Never NULL. */
const char *yoke_cutter_error(const yoke_cutter *cutter);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif /* YOKE_STAGE_H */
