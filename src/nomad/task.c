/*
 * Tasks: what the driver knows of each from its start or recovery to its
 * destruction, the names of their pots, the record that the agent keeps for
 * recovery, and who waits for their end.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/proc.h"
#include "base/text.h"
#include "nomad/driver_impl.h"

#define RECORD_MAX (256u * 1024)
#define ALLOC_LEN 36 /* of a UUID as text */
#define INVOCATION_LEN 8

/* ---- names ------------------------------------------------------------------------------ */

/* FNV-1a: names must come out the same in every version. */
static uint64_t
hash_of(const char *s)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
	return h;
}

/* The letters that a pot's name may have; true when nothing had to be changed. */
static bool
clean(const char *s, size_t n, char *out, size_t max)
{
	bool same = n <= max && n > 0 && isalnum((unsigned char)s[0]);
	size_t len = 0;

	for (size_t i = 0; i < n && len < max; i++) {
		unsigned char c = (unsigned char)s[i];
		bool ok = c < 0x80 && (isalnum(c) || c == '_' || c == '-');

		same = same && ok;
		if (len == 0 && !(c < 0x80 && isalnum(c)))
			continue;
		out[len++] = ok ? (char)c : '-';
	}
	out[len] = '\0';
	return same;
}

static bool
is_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)s[i]))
			return false;
	return true;
}

/* ALLOCATION/TASK/INVOCATION, the first a UUID, the last 8 hexadecimal digits. */
static bool
is_usual(const char *id, const char **task, size_t *ntask)
{
	size_t len = strlen(id);

	if (len < ALLOC_LEN + 3 + INVOCATION_LEN || id[ALLOC_LEN] != '/' ||
	    id[len - INVOCATION_LEN - 1] != '/' || !is_hex(id + len - INVOCATION_LEN, INVOCATION_LEN))
		return false;
	for (size_t i = 0; i < ALLOC_LEN; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? id[i] != '-' : !isxdigit((unsigned char)id[i]))
			return false;
	*task = id + ALLOC_LEN + 1;
	*ntask = len - ALLOC_LEN - INVOCATION_LEN - 2;
	return true;
}

/* TASK_INVOCATION_ALLOCATION, as the old driver called it, where that is a name. */
void
task_pot_name(const char *id, char pot[static POT_NAME_LEN])
{
	const size_t room = POT_NAME_LEN - 1 - ALLOC_LEN - INVOCATION_LEN - 2;
	char task[POT_NAME_LEN];
	const char *name;
	size_t n;

	if (is_usual(id, &name, &n)) {
		if (!clean(name, n, task, room)) {
			char copy[64];

			/* What two names have in common when their letters are changed is told apart. */
			(void)clean(name, n, task, room - 5);
			snprintf(copy, sizeof(copy), "%.12s%s%04x", task[0] != '\0' ? task : "t",
			    task[0] != '\0' ? "-" : "", (unsigned)(hash_of(id) & 0xffff));
			snprintf(task, sizeof(task), "%s", copy);
		}
		snprintf(pot, POT_NAME_LEN, "%.17s_%.8s_%.36s", task, id + strlen(id) - INVOCATION_LEN, id);
		return;
	}
	(void)clean(id, strlen(id), task, 40);
	snprintf(pot, POT_NAME_LEN, "%.40s_%016llx", task[0] != '\0' ? task : "t",
	    (unsigned long long)hash_of(id));
}

void
task_alloc_of(const char *id, char alloc[static 64])
{
	const char *task;
	size_t n;

	alloc[0] = '\0';
	if (is_usual(id, &task, &n))
		snprintf(alloc, 64, "%.36s", id);
}

/* ---- the list --------------------------------------------------------------------------- */

struct task *
task_find(struct drv *d, const char *id)
{
	for (struct task *t = d->tasks; t != NULL; t = t->next)
		if (strcmp(t->id, id) == 0)
			return t;
	return NULL;
}

struct task *
task_new(struct drv *d, const char *id, const char *alloc, const char *name, struct err *e)
{
	struct task *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		(void)err_nomem(e);
		return NULL;
	}
	t->d = d;
	t->id = strdup(id);
	t->alloc = strdup(alloc);
	t->name = strdup(name);
	t->prev = &d->tasks;
	t->next = d->tasks;
	if (t->next != NULL)
		t->next->prev = &t->next;
	d->tasks = t;
	if (t->id == NULL || t->alloc == NULL || t->name == NULL) {
		task_free(t);
		(void)err_nomem(e);
		return NULL;
	}
	task_pot_name(id, t->pot);
	return t;
}

void
task_free(struct task *t)
{
	struct drv_exit x;

	task_exit_get(t, &x);
	task_stats_end(t);
	while (t->waiters != NULL) {
		struct call *c = t->waiters->call;

		waiter_free(t->waiters);
		call_exited(c, &x);
	}
	*t->prev = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	loop_end_free(t->end);
	kv_fini(&t->ports);
	free(t->id);
	free(t->alloc);
	free(t->name);
	free(t->image);
	free(t->net_addr);
	free(t->user);
	free(t->workdir);
	free(t);
}

void
task_event(struct drv *d, const char *id, const char *alloc, const char *name, const char *fmt, ...)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(4096);
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	nomad_event(d->nomad,
	    &(struct drv_event){
		.task_id = id, .alloc_id = alloc, .task_name = name, .message = buf_cstr(&b) });
}

/* ---- waiting for the end ---------------------------------------------------------------- */

static void
waiter_cancelled(struct call *c, void *arg)
{
	waiter_free(arg);
	call_done(c);
}

struct waiter *
waiter_new(struct waiter **list, struct call *c)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->call = c;
	w->prev = list;
	w->next = *list;
	if (w->next != NULL)
		w->next->prev = &w->next;
	*list = w;
	call_on_cancel(c, waiter_cancelled, w);
	return w;
}

void
waiter_free(struct waiter *w)
{
	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	free(w);
}

void
task_exit_get(const struct task *t, struct drv_exit *x)
{
	*x = (struct drv_exit){ t->exit.code, t->exit.signal, t->exit.oom, t->exit.error };
}

/* The run is over and cleaned up: what the shim wrote down counts. */
static void
task_ended(struct task *t)
{
	struct err e = ERR_INIT;
	struct pot_exit x = { 0 };
	struct pot_ctx *ctx;
	struct drv_exit out;
	int rc = drv_ctx(t->d, &ctx, &e);

	if (rc == 0)
		rc = pot_last_exit(ctx, t->pot, &x, &e);
	t->state = TASK_EXITED;
	t->completed_ns = rc == 0 && x.time_ns != 0 ? x.time_ns : text_now_ns();
	if (rc < 0 || !x.known) {
		t->exit.code = 255;
		snprintf(t->exit.error, sizeof(t->exit.error),
		    "the exit status of pot %s is not known: %.400s", t->pot,
		    rc < 0                    ? e.msg
			: x.reason[0] != '\0' ? x.reason
					      : "it was interrupted");
	} else {
		t->exit.code = x.status;
		t->exit.signal = x.signal;
		t->exit.oom = x.oom_kills > 0 && x.status != 0;
		if (x.oom_kills > 0)
			task_event(t->d, t->id, t->alloc, t->name,
			    "Out of memory: the kernel killed %u of its processes; raise memory or "
			    "memory_max",
			    x.oom_kills);
	}
	log_with(t->d->log, LOG_LEVEL_INFO, "task has ended", "task_id", t->id, "pot", t->pot, NULL);
	task_exit_get(t, &out);
	task_stats_end(t);
	while (t->waiters != NULL) {
		struct call *c = t->waiters->call;

		waiter_free(t->waiters);
		call_on_cancel(c, NULL, NULL);
		call_exited(c, &out);
	}
}

static void
on_end(void *arg)
{
	struct task *t = arg;

	t->end = NULL;
	task_ended(t);
}

int
task_watch(struct task *t, struct err *e)
{
	struct proc_id id;
	struct pot_ctx *ctx;
	int rc = drv_ctx(t->d, &ctx, e);

	if (rc == 0)
		rc = pot_runner(ctx, t->pot, &id.pid, &id.start, e);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		task_ended(t);
		return 0;
	}
	t->state = TASK_RUNNING;
	t->end = loop_end_new(t->d->loop, &id, on_end, t, e);
	return t->end == NULL ? -E_NOMEM : 0;
}

void
task_wait(struct drv *d, struct call *c, const char *id)
{
	struct task *t = task_find(d, id);
	struct err e = ERR_INIT;
	struct drv_exit x;

	if (t == NULL) {
		err_set(&e, E_NOENT, "task not found");
		call_fail(c, &e, false);
	} else if (t->state == TASK_EXITED) {
		task_exit_get(t, &x);
		call_exited(c, &x);
	} else if (waiter_new(&t->waiters, c) == NULL) {
		(void)err_nomem(&e);
		call_fail(c, &e, true);
	}
}

/* ---- the record for recovery ------------------------------------------------------------- */

int
task_record_put(const struct task *t, struct buf *b, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	char started[24];
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "format", "1" },
		{ "id", t->id },
		{ "alloc", t->alloc },
		{ "name", t->name },
		{ "pot", t->pot },
		{ "started", started },
		{ "image", t->image },
		{ "user", t->user },
		{ "workdir", t->workdir },
		{ "address", t->net_addr },
		{ "advertise", t->net_advertise ? "yes" : "no" },
		{ "keep_failed", t->keep_failed ? "yes" : "no" },
	};
	int rc = 0;

	snprintf(started, sizeof(started), "%lld", (long long)t->started_ns);
	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		if (rows[i].value != NULL)
			rc = kv_add(&kv, rows[i].key, rows[i].value, e);
	for (size_t i = 0; i < t->ports.n && rc == 0; i++) {
		rc = kv_add(&kv, "label", t->ports.v[i].key, e);
		if (rc == 0)
			rc = kv_add(&kv, "port", t->ports.v[i].value, e);
	}
	if (rc < 0)
		return rc;
	kv_print(&kv, b);
	return buf_check(b, "the record of the task", e);
}

static int
set(char **to, const struct kv *kv, const char *key, struct err *e)
{
	const char *s = kv_get(kv, key);

	free(*to);
	*to = strdup(s == NULL ? "" : s);
	return *to == NULL ? err_nomem(e) : 0;
}

static bool
is_yes(const struct kv *kv, const char *key)
{
	const char *s = kv_get(kv, key);

	return s != NULL && strcmp(s, "yes") == 0;
}

/* From the record, or from what the making of the pot has told: the same keys. */
int
task_record_get(struct task *t, const void *data, size_t len, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	const char *label, *port, *started;
	size_t at = 0, to = 0;
	int rc = len > RECORD_MAX ? err_set(e, E_LIMIT, "the record of the task is too long")
				  : kv_parse(&kv, data, len, "record of the task", e);

	if (rc == 0)
		rc = set(&t->image, &kv, "image", e);
	if (rc == 0)
		rc = set(&t->user, &kv, "user", e);
	if (rc == 0)
		rc = set(&t->workdir, &kv, "workdir", e);
	if (rc == 0)
		rc = set(&t->net_addr, &kv, "address", e);
	t->net_advertise = is_yes(&kv, "advertise");
	t->keep_failed = is_yes(&kv, "keep_failed");
	started = kv_get(&kv, "started");
	t->started_ns = started == NULL ? 0 : strtoll(started, NULL, 10);
	while (rc == 0 && (label = kv_next(&kv, "label", &at)) != NULL &&
	    (port = kv_next(&kv, "port", &to)) != NULL)
		rc = kv_add(&t->ports, label, port, e);
	return rc;
}

const struct drv_net_override *
task_override(const struct task *t, struct task_override *o)
{
	o->ports = NULL;
	if (t->net_addr == NULL || t->net_addr[0] == '\0')
		return NULL;
	o->ports = calloc(t->ports.n + 1, sizeof(*o->ports));
	o->o = (struct drv_net_override){ .addr = t->net_addr, .auto_advertise = t->net_advertise };
	for (size_t i = 0; o->ports != NULL && i < t->ports.n; i++)
		o->ports[o->o.nports++] = (struct drv_port){ .label = t->ports.v[i].key,
			.value = (int32_t)strtol(t->ports.v[i].value, NULL, 10),
			.host_ip = "" };
	o->o.ports = o->ports;
	return &o->o;
}

void
task_inspect(struct drv *d, struct call *c, const char *id)
{
	struct task *t = task_find(d, id);
	struct err e = ERR_INIT;
	struct task_override o = { 0 };
	struct drv_kv attrs[3];
	struct drv_status s;

	if (t == NULL) {
		err_set(&e, E_NOENT, "task not found");
		call_fail(c, &e, false);
		return;
	}
	attrs[0] = (struct drv_kv){ "pot", t->pot };
	attrs[1] = (struct drv_kv){ "image", t->image != NULL ? t->image : "" };
	attrs[2] = (struct drv_kv){ "address", t->net_addr != NULL ? t->net_addr : "" };
	s = (struct drv_status){ .id = t->id,
		.name = t->name,
		.state = t->state == TASK_RUNNING ? DRV_TASK_RUNNING : DRV_TASK_EXITED,
		.started_ns = t->started_ns,
		.completed_ns = t->completed_ns,
		.attributes = { ARRAY_LEN(attrs), attrs },
		.net = task_override(t, &o) };
	task_exit_get(t, &s.exit);
	call_status(c, &s);
	free(o.ports);
}
