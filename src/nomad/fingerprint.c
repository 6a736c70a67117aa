/*
 * What the node can do, as the agent and its schedulers are told: found out by
 * a child now and then, sent when it has changed. Unhealthy is what no task
 * could be started with, and the text says what to do.
 */
#include <string.h>

#include "nomad/driver_impl.h"

#define PERIOD_MS 30000
#define ATTRS_MAX 64
#define PREFIX "driver.pot."

struct fingerprint {
	struct loop_timer *timer;
	struct work *work;
	char *last; /* what was sent, as text */
};

/* ---- the child --------------------------------------------------------------------------- */

struct look {
	struct kv *out;
	struct err *e;
	int rc;
	bool failed;
};

static void
put(struct look *l, const char *key, const char *value)
{
	if (l->rc == 0 && value[0] != '\0')
		l->rc = kv_set(l->out, key, value, l->e);
}

static int
on_config(void *arg, const struct pot_config_item *i)
{
	static const struct {
		const char *key, *attr;
	} rows[] = { { "root", PREFIX "root" }, { "storage_used", PREFIX "storage" },
		{ "network", PREFIX "network" }, { "network6", PREFIX "network6" },
		{ "network_stack", PREFIX "network_stack" } };

	for (size_t k = 0; k < ARRAY_LEN(rows); k++)
		if (strcmp(rows[k].key, i->key) == 0)
			put(arg, rows[k].attr, i->value);
	return ((struct look *)arg)->rc;
}

/* "kernel: overlayfs" is driver.pot.kernel.overlayfs. */
static void
feature_key(const char *check, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, PREFIX "kernel.");

	for (const char *s = check + strlen("kernel: "); *s != '\0' && n + 1 < size; s++)
		out[n++] = (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') ? *s
		    : *s >= 'A' && *s <= 'Z'                                    ? (char)(*s - 'A' + 'a')
										: '_';
	out[n] = '\0';
}

static int
on_finding(void *arg, const struct pot_finding *f)
{
	struct look *l = arg;
	AUTO_FINI(buf) struct buf why = BUF_INIT(4096);
	char key[128];
	bool installation = strcmp(f->check, "installation") == 0 || strcmp(f->check, "user") == 0;

	if (strncmp(f->check, "kernel: ", 8) == 0) {
		feature_key(f->check, key, sizeof(key));
		put(l, key, f->severity == POT_OK ? "true" : "false");
	}
	/* A pot that failed is no reason against others. */
	if (strncmp(f->check, "pot: ", 5) == 0)
		return l->rc;
	if (!l->failed && (f->severity == POT_FAIL || (installation && f->severity != POT_OK))) {
		l->failed = true;
		buf_fmt(&why, "%s: %s%s%s%s", f->check, f->text, f->remedy[0] != '\0' ? " (" : "", f->remedy,
		    f->remedy[0] != '\0' ? ")" : "");
		put(l, "unhealthy", buf_cstr(&why));
	}
	return l->rc;
}

static int
look_run(void *arg, struct say *s, struct pot_ctx *ctx, struct kv *out, struct err *e)
{
	struct look l = { out, e, 0, false };
	int rc;

	(void)arg;
	(void)s;
	rc = pot_config(ctx, on_config, &l, e);
	if (rc >= 0)
		rc = pot_doctor(ctx, on_finding, &l, e);
	return rc < 0 ? rc : l.rc;
}

/* ---- the driver --------------------------------------------------------------------------- */

static void
add(struct drv_attr *v, size_t *n, const char *name, const char *s)
{
	if (*n < ATTRS_MAX)
		v[(*n)++] = (struct drv_attr){ .name = name, .type = DRV_STRING, .s = s };
}

static void
add_bool(struct drv_attr *v, size_t *n, const char *name, bool b)
{
	if (*n < ATTRS_MAX)
		v[(*n)++] = (struct drv_attr){ .name = name, .type = DRV_BOOL, .b = b };
}

static void
send(struct drv *d, const struct kv *facts, const char *unhealthy)
{
	struct drv_attr v[ATTRS_MAX];
	struct drv_fingerprint f = { .attrs = v };
	size_t n = 0;

	add_bool(v, &n, "driver.pot", true);
	add(v, &n, PREFIX "version", POT_VERSION);
	add_bool(v, &n, PREFIX "volumes.enabled", d->conf.volumes);
	add_bool(v, &n, PREFIX "privileged.enabled", d->conf.allow_privileged);
	add(v, &n, PREFIX "networks", "host,none,public-bridge,private-bridge,alias");
	for (size_t i = 0; facts != NULL && i < facts->n; i++) {
		const struct kv_pair *p = &facts->v[i];

		if (strcmp(p->key, "unhealthy") == 0)
			continue;
		if (strcmp(p->value, "true") == 0 || strcmp(p->value, "false") == 0)
			add_bool(v, &n, p->key, p->value[0] == 't');
		else
			add(v, &n, p->key, p->value);
	}
	f.health = unhealthy == NULL ? DRV_HEALTHY : DRV_UNHEALTHY;
	f.description = unhealthy == NULL ? "Healthy" : unhealthy;
	f.nattrs = n;
	nomad_fingerprint(d->nomad, &f);
}

static void
look_done(void *arg, int rc, const struct kv *out, const struct err *e)
{
	struct drv *d = arg;
	struct fingerprint *f = d->fingerprint;
	AUTO_FINI(buf) struct buf text = BUF_INIT(256 * 1024), why = BUF_INIT(2048);
	const char *unhealthy = kv_get(out, "unhealthy");

	f->work = NULL;
	if (rc < 0) {
		buf_fmt(&why, "%s%s%s%s", e->msg, e->hint[0] != '\0' ? " (" : "", e->hint,
		    e->hint[0] != '\0' ? ")" : "");
		unhealthy = buf_cstr(&why);
	}
	kv_print(out, &text);
	buf_fmt(&text, "\n%s", unhealthy != NULL ? unhealthy : "");
	loop_timer_set(f->timer, PERIOD_MS);
	if (f->last != NULL && strcmp(f->last, buf_cstr(&text)) == 0)
		return;
	free(f->last);
	f->last = buf_take(&text);
	if (unhealthy != NULL)
		log_warn(d->log, "the node cannot run pots: %s", unhealthy);
	send(d, out, unhealthy);
}

static const struct work_ops look_ops = { look_run, NULL, look_done };

static void
on_timer(void *arg)
{
	struct drv *d = arg;
	struct err e = ERR_INIT;

	if (d->fingerprint->work == NULL && work_new(d, &look_ops, d, &d->fingerprint->work, &e) < 0) {
		log_warn(d->log, "the node cannot be looked at: %s", e.msg);
		loop_timer_set(d->fingerprint->timer, PERIOD_MS);
	}
}

void
fingerprint_begin(struct drv *d)
{
	if (d->fingerprint != NULL)
		return;
	if (!d->conf.enabled) {
		nomad_fingerprint(d->nomad,
		    &(struct drv_fingerprint){ .health = DRV_UNDETECTED, .description = "disabled" });
		return;
	}
	d->fingerprint = calloc(1, sizeof(*d->fingerprint));
	if (d->fingerprint != NULL)
		d->fingerprint->timer = loop_timer_new(d->loop, 0, on_timer, d);
}

void
fingerprint_end(struct drv *d)
{
	if (d->fingerprint == NULL)
		return;
	loop_timer_free(d->fingerprint->timer);
	if (d->fingerprint->work != NULL)
		work_forget(d->fingerprint->work);
	free(d->fingerprint->last);
	free(d->fingerprint);
	d->fingerprint = NULL;
}
