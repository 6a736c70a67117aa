/*
 * What all listeners are told: the fingerprint (the last one counts, and an
 * agent that is slow to read gets the newest when it has room) and the events
 * of tasks (each of them, within bounds).
 */
#include <stdlib.h>
#include <string.h>

#include "nomad/call.h"
#include "nomad/convert.h"

#define FINGERPRINT_MAX ((size_t)256 << 10)
#define EVENTS_KEPT 256
#define EVENT_ARENA ((size_t)64 << 10)

struct event {
	struct event *next;
	size_t len;
	uint8_t packed[];
};

struct feed {
	struct call *fingerprints, *events; /* who listens */
	struct buf fingerprint;             /* packed; empty: none yet */
	struct strv names;                  /* of attributes that have ever been sent */
	struct event *first, **last;        /* for whoever comes to listen */
	unsigned nkept;
};

struct feed *
feed_new(void)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	buf_init(&f->fingerprint, FINGERPRINT_MAX);
	f->names = (struct strv)STRV_INIT(4096);
	f->last = &f->first;
	return f;
}

static void
drop_first(struct feed *f)
{
	struct event *event = f->first;

	f->first = event->next;
	if (f->first == NULL)
		f->last = &f->first;
	f->nkept--;
	free(event);
}

void
feed_free(struct feed *f)
{
	if (f == NULL)
		return;
	while (f->first != NULL)
		drop_first(f);
	buf_fini(&f->fingerprint);
	strv_fini(&f->names);
	free(f);
}

static void
stop_listening(struct call *c, void *arg)
{
	struct call **at = arg;

	while (*at != NULL && *at != c)
		at = &(*at)->next_listener;
	if (*at == c)
		*at = c->next_listener;
	call_end(c, GRPC_CANCELLED, "");
}

static void
listen_to(struct call **list, struct call *c)
{
	c->next_listener = *list;
	*list = c;
	call_on_cancel(c, stop_listening, list);
}

/* ---- the fingerprint ------------------------------------------------------------ */

/* Now, or as soon as the last one is on its way. */
static void
send_fingerprint(struct call *c)
{
	const struct buf *b = &c->nomad->feed->fingerprint;

	c->is_stale = call_queued(c) > 0;
	if (!c->is_stale && b->len > 0)
		call_push_packed(c, b->data, b->len);
}

static void
room_for_fingerprint(struct call *c)
{
	if (c->is_stale)
		send_fingerprint(c);
}

void
feed_fingerprint(struct call *c)
{
	c->drained = room_for_fingerprint;
	listen_to(&c->nomad->feed->fingerprints, c);
	send_fingerprint(c);
	c->nomad->ops->fingerprint(c->nomad->drv);
}

static Pb__Attribute *
attribute_encode(struct arena *a, const struct drv_attr *attr)
{
	Pb__Attribute *m = arena_new(a, Pb__Attribute);

	if (m == NULL)
		return NULL;
	pb__attribute__init(m);
	if (attr->unit != NULL)
		m->unit = arena_text(a, attr->unit);
	switch (attr->type) {
	case DRV_STRING:
		m->value_case = PB__ATTRIBUTE__VALUE_STRING_VAL;
		m->string_val = arena_text(a, attr->s == NULL ? "" : attr->s);
		break;
	case DRV_BOOL:
		m->value_case = PB__ATTRIBUTE__VALUE_BOOL_VAL;
		m->bool_val = attr->b;
		break;
	case DRV_INT:
		m->value_case = PB__ATTRIBUTE__VALUE_INT_VAL;
		m->int_val = attr->i;
		break;
	case DRV_FLOAT:
		m->value_case = PB__ATTRIBUTE__VALUE_FLOAT_VAL;
		m->float_val = attr->f;
		break;
	}
	return m;
}

static void
add_attribute(struct arena *a, Pb__FingerprintResponse *m, const struct drv_attr *attr)
{
	Pb__FingerprintResponse__AttributesEntry *entry =
	    arena_new(a, Pb__FingerprintResponse__AttributesEntry);

	if (entry == NULL)
		return;
	pb__fingerprint_response__attributes_entry__init(entry);
	entry->key = arena_text(a, attr->name);
	entry->value = attribute_encode(a, attr);
	m->attributes[m->n_attributes++] = entry;
}

static bool
is_named(const struct drv_fingerprint *fp, const char *name)
{
	for (size_t i = 0; i < fp->nattrs; i++) {
		if (strcmp(fp->attrs[i].name, name) == 0)
			return true;
	}
	return false;
}

static bool
was_named(const struct feed *f, const char *name)
{
	for (size_t i = 0; i < f->names.n; i++) {
		if (strcmp(f->names.v[i], name) == 0)
			return true;
	}
	return false;
}

/* The agent forgets an attribute only when it is sent as an empty string. */
static void
add_attributes(struct feed *f, struct arena *a, Pb__FingerprintResponse *m, const struct drv_fingerprint *fp)
{
	m->attributes = arena_get(a, f->names.n + fp->nattrs, sizeof(*m->attributes));
	if (m->attributes == NULL)
		return;
	for (size_t i = 0; i < f->names.n; i++) {
		struct drv_attr none = { .name = f->names.v[i], .type = DRV_STRING, .s = "" };

		if (!is_named(fp, none.name))
			add_attribute(a, m, &none);
	}
	for (size_t i = 0; i < fp->nattrs; i++) {
		add_attribute(a, m, &fp->attrs[i]);
		if (!was_named(f, fp->attrs[i].name))
			strv_add(&f->names, fp->attrs[i].name);
	}
}

static bool
pack_fingerprint(struct feed *f, struct arena *a, const struct drv_fingerprint *fp)
{
	Pb__FingerprintResponse m = PB__FINGERPRINT_RESPONSE__INIT;
	AUTO_FREE uint8_t *packed = NULL;

	m.health = (Pb__FingerprintResponse__HealthState)fp->health;
	m.health_description = arena_text(a, fp->description == NULL ? "" : fp->description);
	add_attributes(f, a, &m, fp);
	packed =
	    a->failed || f->names.failed ? NULL : malloc(pb__fingerprint_response__get_packed_size(&m) + 1);
	if (packed == NULL)
		return false;
	buf_reset(&f->fingerprint);
	buf_add(&f->fingerprint, packed, pb__fingerprint_response__pack(&m, packed));
	return !f->fingerprint.failed;
}

void
nomad_fingerprint(struct nomad *n, const struct drv_fingerprint *fp)
{
	struct arena a;

	arena_init(&a, FINGERPRINT_MAX);
	if (!pack_fingerprint(n->feed, &a, fp))
		log_error(n->log, "the fingerprint is larger than memory allows: it is not sent");
	arena_fini(&a);
	for (struct call *c = n->feed->fingerprints; c != NULL; c = c->next_listener)
		send_fingerprint(c);
}

/* ---- events ------------------------------------------------------------------------ */

static void
keep(struct feed *f, const void *packed, size_t n)
{
	struct event *event = malloc(sizeof(*event) + n);

	if (event == NULL)
		return;
	if (f->nkept == EVENTS_KEPT)
		drop_first(f);
	event->next = NULL;
	event->len = n;
	memcpy(event->packed, packed, n);
	*f->last = event;
	f->last = &event->next;
	f->nkept++;
}

void
feed_events(struct call *c)
{
	struct feed *f = c->nomad->feed;

	listen_to(&f->events, c);
	while (f->first != NULL) {
		call_push_packed(c, f->first->packed, f->first->len);
		drop_first(f);
	}
}

static void
send_event(struct nomad *n, const uint8_t *packed, size_t len)
{
	struct feed *f = n->feed;

	if (f->events == NULL)
		keep(f, packed, len);
	for (struct call *c = f->events; c != NULL; c = c->next_listener) {
		if (call_queued(c) < QUEUE_MAX)
			call_push_packed(c, packed, len);
		else
			log_warn(n->log, "an event of a task is lost: the agent does not read them");
	}
}

void
nomad_event(struct nomad *n, const struct drv_event *event)
{
	AUTO_FREE uint8_t *packed = NULL;
	Pb__DriverTaskEvent *m;
	struct arena a;

	arena_init(&a, EVENT_ARENA);
	m = event_encode(&a, event);
	if (m != NULL && !a.failed)
		packed = malloc(pb__driver_task_event__get_packed_size(m) + 1);
	if (packed != NULL)
		send_event(n, packed, pb__driver_task_event__pack(m, packed));
	else
		log_warn(n->log, "an event of a task is lost: it is larger than memory allows");
	arena_fini(&a);
}
