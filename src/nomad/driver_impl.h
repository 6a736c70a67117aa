/*
 * Inside of the driver half: what its files share. One struct drv holds
 * everything; a task is in its list from StartTask or RecoverTask to
 * DestroyTask. All of it lives in the one thread of the loop; what takes
 * longer is a struct work, a child process.
 */
#ifndef NOMAD_DRIVER_IMPL_H
#define NOMAD_DRIVER_IMPL_H

#include <pot.h>

#include "base/buf.h"
#include "base/kv.h"
#include "nomad/config.h"
#include "nomad/driver.h"

#define POT_NAME_LEN 64
#define EVENT_EVERY_MS 3000 /* progress in a task's history, at most so often */

/* A call that waits for the end of a task, or of something else. */
struct waiter {
	struct waiter *next, **prev;
	struct call *call;
};

enum task_state { TASK_RUNNING, TASK_EXITED };

struct task {
	struct task *next, **prev;
	struct drv *d;
	char *id, *alloc, *name;
	char pot[POT_NAME_LEN];
	enum task_state state;
	bool keep_failed;
	char *image;    /* of the images' own names; "": none */
	char *net_addr; /* told to the agent; "": none */
	bool net_advertise;
	struct kv ports;
	char *user, *workdir; /* of commands executed in it; "" */
	int64_t started_ns, completed_ns;
	struct {
		int32_t code, signal;
		bool oom;
		char error[512];
	} exit;
	struct loop_end *end;
	struct waiter *waiters;
	struct stats *stats; /* running TaskStats calls */
	unsigned execs;
};

struct drv {
	struct nomad *nomad;
	struct loop *loop;
	struct log *log;
	struct agent_conf conf;
	bool begun, leaving;
	struct pot_ctx *ctx; /* or NULL: not opened yet */
	uint64_t total_mhz;  /* of the node, as the agent counts it; 0: not told */
	unsigned ncores;
	char *node_id; /* as tasks tell it; NULL: none yet */
	struct task *tasks;
	struct starting *starting;
	struct work *works;
	unsigned nstarts; /* start workers that run */
	struct pull *pulls;
	struct fingerprint *fingerprint;
	struct gc *gc;
};

/* ---- driver_work.c: child processes that work for the driver ------------------------ */

struct work;
struct say; /* the child's side */

/*
 * In the child: a context of its own, and where results go. What is put into out and the error reach the parent.
 * A SIGTERM from work_cancel makes libpot's calls and work_wait end with E_INTR.
 */
typedef int work_fn(void *arg, struct say *, struct pot_ctx *, struct kv *out, struct err *);
struct work_ops {
	work_fn *run; /* child */
	void (*told)(
	    void *arg, const char *text, int fd); /* parent: by say_…; fd -1 or the receiver's; or NULL */
	/* Parent, once, last. rc as run's, or negative when the child died. */
	void (*done)(void *arg, int rc, const struct kv *out, const struct err *);
};
#define WORK_FDS 3
/* ops and arg live at least until done. keep: fds that the child has besides (-1: none), or NULL. */
int work_new_with(struct drv *, const struct work_ops *, void *arg, const int keep[WORK_FDS], struct work **,
    struct err *) MUST_CHECK;
static inline MUST_CHECK int
work_new(struct drv *d, const struct work_ops *ops, void *arg, struct work **out, struct err *e)
{
	return work_new_with(d, ops, arg, NULL, out, e);
}
void work_cancel(struct work *);
/* The driver ends: each is done as far as it is concerned, and no new one begins. */
void work_end_all(struct drv *);
/* done and told are called no more; the child goes on, or not. */
void work_forget(struct work *);

/* In the child. These end it when the driver has died: nobody wants the work then. */
void say_text(struct say *, const char *fmt, ...) PRINTF(2, 3);
void say_fd(struct say *, const char *text, int fd);
const volatile bool *say_cancel(const struct say *);

/* ---- task.c ---------------------------------------------------------------------- */

/* The pot of a task, from its id alone; alloc gets the allocation's part of the id, or "". */
void task_pot_name(const char *id, char pot[static POT_NAME_LEN]);
void task_alloc_of(const char *id, char alloc[static 64]);
struct task *task_find(struct drv *, const char *id);
struct task *task_new(struct drv *, const char *id, const char *alloc, const char *name, struct err *);
void task_free(struct task *);
/* Its pot runs: watches for its end; or has ended already. */
int task_watch(struct task *, struct err *) MUST_CHECK;
void task_exit_get(const struct task *, struct drv_exit *);
/* Record for recovery, and back. */
int task_record_put(const struct task *, struct buf *, struct err *) MUST_CHECK;
int task_record_get(struct task *, const void *, size_t, struct err *) MUST_CHECK;
struct task_override {
	struct drv_net_override o;
	struct drv_port *ports;
};
/* NULL: it has none. The caller frees ->ports. */
const struct drv_net_override *task_override(const struct task *, struct task_override *);
void task_event(struct drv *, const char *id, const char *alloc, const char *name, const char *fmt, ...)
    PRINTF(5, 6);

struct waiter *waiter_new(struct waiter **list, struct call *);
void waiter_free(struct waiter *);

/* The rest are operations of driver.h. */
void task_wait(struct drv *, struct call *, const char *id);
void task_inspect(struct drv *, struct call *, const char *id);
/* task_start.c */
void task_start(struct drv *, struct call *, const struct drv_task *);
/* task_stop.c */
void task_stop(struct drv *, struct call *, const char *id, int64_t timeout_ms, const char *signal);
void task_destroy(struct drv *, struct call *, const char *id, bool force);
/* Removes the pot of a task that nobody asks for any more. */
void task_discard(struct drv *, const char *id);
void task_signal(struct drv *, struct call *, const char *id, const char *signal);
/* task_exec.c */
void task_exec(struct drv *, struct call *, const struct drv_exec *);
/* task_stats.c */
void task_stats(struct drv *, struct call *, const char *id, int64_t interval_ms);
void task_stats_end(struct task *);
/* recover.c */
void recover(struct drv *, struct call *, const struct drv_handle *);

/* task_make.c, in the child: makes the pot and starts it. Fills out (the record's keys). */
struct starting;
int task_make(void *, struct say *, struct pot_ctx *, struct kv *out, struct err *);

/* One StartTask under way. */
struct starting {
	struct starting *next, **prev;
	struct drv *d;
	struct call *call;
	const struct drv_task *task;
	struct task_conf conf;
	char pot[POT_NAME_LEN], bridge[POT_NAME_LEN]; /* bridge: of the allocation, "" none */
	char image[POT_REF_TEXT];                     /* as OCI reference */
	char imported[POT_NAME_LEN];                  /* the pot that a classic image became, "" none */
	unsigned tries;
	bool pulled, cancelled, counted;
	struct work *work;
	struct puller *pull;
};

/* ---- image.c: getting images, each once however many tasks want it ----------------- */

struct puller;
struct image_want {
	const char *task_id, *alloc, *name; /* for events */
	const struct task_conf *conf;
	const char *ref;
};
/* imported: see struct starting. */
typedef void image_fn(void *arg, int rc, const char *imported, const struct err *);
int image_pull(struct drv *, const struct image_want *, image_fn *, void *arg, struct puller **,
    struct err *) MUST_CHECK;
/* image_command.c: the program that does it, what it is told, and its standard input. */
struct image_command {
	struct strv argv, env;
	int in;
};
int image_command(
    struct drv *, const struct image_want *, bool classic, struct image_command *, struct err *) MUST_CHECK;
/* Classic files: does the task take them, and this node's storage? The pot that they become, "" when its name is too long. */
bool image_takes_classic(struct pot_ctx *, const struct task_conf *);
void image_classic_pot(const struct task_conf *, char out[static POT_NAME_LEN]);
/* fn is called no more; the pull ends when nobody wants it. */
void image_give_up(struct puller *);
void image_shutdown(struct drv *);
/* After it: frees. */
void image_end(struct drv *);

/* ---- net.c ---------------------------------------------------------------------- */

/* The bridge of an allocation. */
void net_bridge_name(const char *alloc, char out[static POT_NAME_LEN]);
bool net_bridge_is_ours(const char *name);
/* In a child: exists afterwards. */
int net_bridge_need(struct pot_ctx *, const char *name, unsigned hosts, struct err *) MUST_CHECK;
/* In a child: gone, unless a pot is on it. */
void net_bridge_release(struct pot_ctx *, const char *name);
void net_create(struct drv *, struct call *, const char *alloc, const char *hostname);
void net_destroy(struct drv *, struct call *, const char *alloc, const struct drv_net_isolation *);

/* ---- fingerprint.c, gc.c ------------------------------------------------------------ */

void fingerprint_begin(struct drv *);
void fingerprint_end(struct drv *);
void gc_begin(struct drv *);
void gc_end(struct drv *);
/* A task with this image has gone. */
void gc_image(struct drv *, const char *image);

/* driver.c: the context, opened when it is first needed. */
int drv_ctx(struct drv *, struct pot_ctx **, struct err *) MUST_CHECK;
int drv_open(
    struct drv *, struct pot_ctx **, const volatile bool *cancel, struct pot_events, struct err *) MUST_CHECK;

#endif
