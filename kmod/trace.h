/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints: /sys/kernel/tracing/events/yoke. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM yoke

#if !defined(YOKE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define YOKE_TRACE_H

#include <linux/tracepoint.h>

/* An entry went into a ring of the worker. */
TRACE_EVENT(yoke_submit,
	TP_PROTO(u64 generation, u8 ring, u64 position, u16 service, u32 bytes),
	TP_ARGS(generation, ring, position, service, bytes),
	TP_STRUCT__entry(
		__field(u64, generation)
		__field(u64, position)
		__field(u32, bytes)
		__field(u16, service)
		__field(u8, ring)
	),
	TP_fast_assign(
		__entry->generation = generation;
		__entry->position = position;
		__entry->bytes = bytes;
		__entry->service = service;
		__entry->ring = ring;
	),
	TP_printk("generation=%llu ring=%u position=%llu service=%u bytes=%u", __entry->generation, __entry->ring,
		  __entry->position, __entry->service, __entry->bytes)
);

/* A call has ended, wherever it was done. */
TRACE_EVENT(yoke_complete,
	TP_PROTO(u16 service, u32 bytes, int status, u8 where, u64 took_ns),
	TP_ARGS(service, bytes, status, where, took_ns),
	TP_STRUCT__entry(
		__field(u64, took_ns)
		__field(u32, bytes)
		__field(int, status)
		__field(u16, service)
		__field(u8, where)
	),
	TP_fast_assign(
		__entry->took_ns = took_ns;
		__entry->bytes = bytes;
		__entry->status = status;
		__entry->service = service;
		__entry->where = where;
	),
	TP_printk("service=%u bytes=%u status=%d where=%u took_ns=%llu", __entry->service, __entry->bytes,
		  __entry->status, __entry->where, __entry->took_ns)
);

/* The CPU does a call; why. */
TRACE_EVENT(yoke_fall_back,
	TP_PROTO(u16 service, u32 bytes, int reason),
	TP_ARGS(service, bytes, reason),
	TP_STRUCT__entry(
		__field(u32, bytes)
		__field(int, reason)
		__field(u16, service)
	),
	TP_fast_assign(
		__entry->bytes = bytes;
		__entry->reason = reason;
		__entry->service = service;
	),
	TP_printk("service=%u bytes=%u reason=%d", __entry->service, __entry->bytes, __entry->reason)
);

#endif /* YOKE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
