/*
 * Inside the protocol half: a call as gRPC has it, and the program's state.
 * What the driver half may do with a call is in driver.h.
 */
#ifndef NOMAD_CALL_H
#define NOMAD_CALL_H

#include <driver.pb-c.h>
#include <plugin.pb-c.h>

#include "nomad/arena.h"
#include "nomad/driver.h"
#include "nomad/h2.h"

/* Statuses of gRPC (grpc/doc/statuscodes.md) that have no row among our own errors, or are named here. */
enum {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
};

/* The longest message, and all that may be on its way in at once. */
#define MESSAGE_MAX ((size_t)32 << 20)
#define MESSAGES_MAX ((size_t)96 << 20)
/* What may wait for an agent that does not read, on one stream. */
#define QUEUE_MAX ((size_t)128 << 10)

struct method {
	const char *path;
	const ProtobufCMessageDescriptor *request;
	/* The one request of a call; or, when it is `open`, each message of the agent's stream. It is in the call's arena
	   (streams: valid for the time of the call only). */
	void (*run)(struct call *, const void *request);
	bool is_open;                       /* the agent's half stays open: any number of messages */
	bool is_stream;                     /* ours does: any number of answers */
	void (*half_closed)(struct call *); /* is_open: it has no more; NULL: of no interest */
};

enum call_state {
	CALL_READING, /* the request is not whole yet */
	CALL_RUNNING, /* it is somebody's, who will end it */
};

struct exec;
struct call {
	struct nomad *nomad;
	struct h2_stream *stream; /* NULL: the agent has given it up, or is told that it failed */
	const struct method *method;
	enum call_state state;
	bool is_cancelled, is_paused;
	struct call *next, **link; /* of all */
	struct loop_timer *deadline;
	struct buf in;     /* the message that comes in, with its prefix */
	size_t unconsumed; /* bytes that came while it was paused */
	struct arena arena;
	/* Whoever has it: the driver half, or one of our own. */
	void (*on_cancel)(struct call *, void *arg);
	void *cancel_arg, *arg;
	/* Ours. */
	const void *request;            /* as decoded, when it is still needed */
	struct value *config;           /* of the task that it is about */
	void (*drained)(struct call *); /* its queue is empty */
	struct exec *exec;
	struct call *next_listener;
	bool is_stale; /* what it was sent last is not the newest */
};

void exec_free(struct exec *);

/* What all who listen are told: the fingerprint, and the events of tasks (feed.c). */
struct feed;
struct feed *feed_new(void);
void feed_free(struct feed *);
void feed_fingerprint(struct call *); /* the call listens from now on */
void feed_events(struct call *);

struct server;
struct nomad {
	struct loop *loop;
	struct log *log;
	const struct drv_ops *ops;
	struct drv *drv;
	struct call *calls;
	struct call *current; /* whose message runs now; NULL when it is over */
	bool is_used;         /* Init has been called: this is no launch to look only */
	bool is_leaving;      /* the process ends as soon as what is queued has been sent */
	size_t buffered;      /* bytes of messages that are not whole */
	struct feed *feed;
	void (*end)(struct nomad *); /* ends the process, when what is queued has been sent */
	struct server *server;       /* of whom `end` is */
};

/* All but the server's sockets. drv is made. */
int nomad_init(struct nomad *, struct loop *, struct log *, const struct drv_ops *, struct err *) MUST_CHECK;
/* nomad_leave, and frees all. Connections are closed before. */
void nomad_fini(struct nomad *);
/* The process is about to end: tells the driver, and gives up every call. Those that come from now on are refused. */
void nomad_leave(struct nomad *);

/* The methods by their paths: NULL: not one of ours. */
const struct method *method_find(const char *path);

/* For h2.h, of which nomad_calls takes these; the first argument of open is the connection's, see server.c. */
void *call_open(struct nomad *, struct h2_stream *, const struct h2_request *);
void call_data(void *call, const uint8_t *, size_t);
void call_half_closed(void *call);
void call_closed(void *call);
void call_drained(void *call);

/* A message to the agent, if it is still there; without memory the agent sees the call fail. */
void call_push(struct call *, const ProtobufCMessage *);
/* The same for bytes that are packed already. */
void call_push_packed(struct call *, const void *, size_t);
/* The answer, and the end, of a unary call. */
void call_reply(struct call *, const ProtobufCMessage *);
/* The end, with a status; the call is gone afterwards. */
void call_end(struct call *, int status, const char *message);
/* Bytes that wait for the agent. */
size_t call_queued(const struct call *);
/* Of an open call: no more messages, please; those on their way (a window) still come. */
void call_pause(struct call *, bool);
/* As if the agent had given it up. */
void call_give_up(struct call *);
/* The same, and the agent is told why. */
void call_abort(struct call *, int status, const char *message);

#endif
