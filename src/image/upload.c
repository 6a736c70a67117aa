/*
 * The sending of blobs (distribution-spec, "Pushing blobs"). Each blob is a
 * small machine of steps; its exchange is used for one request after the other.
 * Where a large one stands is written down with each part, and taken up by a
 * later push; whatever goes wrong with that begins it anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "image/client_impl.h"
#include "image/upload.h"

#define WHOLE_MAX (UINT64_C(4) << 20) /* up to so much goes in one request */
#define PART_SIZE (UINT64_C(32) << 20)
#define PART_MAX (UINT64_C(1) << 30) /* a registry that wants larger parts gets what it wants until here */
#define FAILURES_MAX 6
#define ANSWER_MAX (64 * 1024)

static void
go(struct upload *u, enum upload_step step)
{
	u->step = step;
	exchange_start(&u->x);
}

static void
fail(struct upload *u, int rc, const struct err *e)
{
	u->step = UPLOAD_DONE;
	if (u->set->rc == 0) {
		u->set->rc = rc;
		u->set->err = *e;
	}
}

static void
tell(const struct upload *u)
{
	event_progress(u->set->remote->net->events, u->what, u->sent, u->size);
}

static void
finished(struct upload *u)
{
	u->step = UPLOAD_DONE;
	u->sent = u->size;
	upload_memory_drop(&u->memory);
	tell(u);
}

/* ---- requests -------------------------------------------------------------------- */

static void
ask_part(struct upload *u, struct exchange *x)
{
	uint64_t left = u->size - u->offset;

	u->part = left < u->part ? left : u->part;
	x->method = "PATCH";
	exchange_url(x, "%s", buf_cstr(&u->location));
	exchange_header(x, "Content-Type: application/octet-stream");
	exchange_header(x, "Content-Range: %llu-%llu", (unsigned long long)u->offset,
	    (unsigned long long)(u->offset + u->part - 1));
	x->body_fd = u->fd;
	x->body_offset = u->offset;
	x->body_size = u->part;
}

static void
ask_end(struct upload *u, struct exchange *x)
{
	char text[DIGEST_TEXT_LEN];

	x->method = "PUT";
	exchange_url(x, "%s", buf_cstr(&u->location));
	url_query(&x->url, "digest", digest_print(&u->digest, text));
	exchange_header(x, "Content-Type: application/octet-stream");
	if (u->offset < u->size) {
		x->body_fd = u->fd;
		x->body_offset = u->offset;
		x->body_size = u->size - u->offset;
	}
}

static void
ask_start(struct upload *u, struct exchange *x)
{
	char text[DIGEST_TEXT_LEN];

	x->method = "POST";
	exchange_url(x, "/v2/%s/blobs/uploads/", u->set->remote->name);
	if (u->from[0] != '\0') {
		url_query(&x->url, "mount", digest_print(&u->digest, text));
		url_query(&x->url, "from", u->from);
	} else if (u->digest.alg != DIGEST_SHA256) {
		url_query(&x->url, "digest-algorithm", digest_name(u->digest.alg));
	}
}

static int
prepare(void *arg, struct exchange *x, struct err *e)
{
	struct upload *u = arg;
	char text[DIGEST_TEXT_LEN];

	x->body = NULL;
	x->body_fd = -1;
	x->body_offset = x->body_size = 0;
	x->once = u->step == UPLOAD_PART || u->step == UPLOAD_END;
	switch (u->step) {
	case UPLOAD_ASK:
		x->method = "HEAD";
		exchange_url(x, "/v2/%s/blobs/%s", u->set->remote->name, digest_print(&u->digest, text));
		break;
	case UPLOAD_START:
		ask_start(u, x);
		break;
	case UPLOAD_PART:
		fault_point("image.push.part");
		ask_part(u, x);
		break;
	case UPLOAD_STATUS:
		x->method = "GET";
		exchange_url(x, "%s", buf_cstr(&u->location));
		break;
	case UPLOAD_END:
		fault_point("image.push.end");
		ask_end(u, x);
		break;
	case UPLOAD_DONE:
		break;
	}
	return 0;
}

/* ---- answers ---------------------------------------------------------------------- */

static int
take_location(struct upload *u, struct err *e)
{
	if (exchange_answer_header(&u->x, "Location") == NULL && u->location.len > 0)
		return 0;
	return exchange_location(&u->x, &u->location, e);
}

/* "0-N" or "bytes=0-N": N + 1 bytes are there; false when it says nothing of use. */
static bool
range_end(const struct upload *u, uint64_t *end)
{
	const char *range = exchange_answer_header(&u->x, "Range");
	unsigned long long last;
	int n = 0;

	if (range == NULL)
		return false;
	if (strncmp(range, "bytes=", 6) == 0)
		range += 6;
	if (sscanf(range, "0-%19llu%n", &last, &n) != 1 || range[n] != '\0')
		return false;
	*end = last + 1;
	return *end <= u->size;
}

static int
started(struct upload *u, struct err *e)
{
	const char *min = exchange_answer_header(&u->x, "OCI-Chunk-Min-Length");
	unsigned long long least;
	int rc;

	if (u->x.status == 201) {
		u->mounted = u->from[0] != '\0';
		u->was_there = true;
		finished(u);
		return 0;
	}
	if (u->from[0] != '\0')
		u->from[0] = '\0'; /* not mounted; if it has to begin again it does without */
	if ((rc = exchange_location(&u->x, &u->location, e)) < 0)
		return rc;
	u->offset = 0;
	u->part = PART_SIZE;
	if (min != NULL && sscanf(min, "%19llu", &least) == 1 && least > u->part)
		u->part = least < PART_MAX ? least : PART_MAX;
	upload_memory_put(&u->memory, &u->location);
	fault_point("image.push.started");
	go(u, u->size <= WHOLE_MAX ? UPLOAD_END : UPLOAD_PART);
	return 0;
}

static int
part_sent(struct upload *u, struct err *e)
{
	uint64_t end;
	int rc;

	if ((rc = take_location(u, e)) < 0)
		return rc;
	if (!range_end(u, &end))
		end = u->offset + u->part;
	if (end <= u->offset || end > u->offset + u->part)
		return err_set(e, E_INVAL, "registry %s: %s: it has taken another part than was sent",
		    client_host(u->set->remote->client), u->what);
	u->offset = end;
	u->failures = 0;
	upload_memory_put(&u->memory, &u->location);
	fault_point("image.push.part-sent");
	go(u, u->offset < u->size ? UPLOAD_PART : UPLOAD_END);
	return 0;
}

static int
status_told(struct upload *u, struct err *e)
{
	uint64_t end;
	int rc;

	if ((rc = take_location(u, e)) < 0)
		return rc;
	u->offset = range_end(u, &end) ? end : 0;
	/* "0-0" is what registries say of an upload without a byte, and we never send a part of one. */
	if (u->offset == 1)
		u->offset = 0;
	u->part = PART_SIZE;
	go(u, u->offset < u->size ? UPLOAD_PART : UPLOAD_END);
	return 0;
}

/* What an earlier push began is of no use: all of it again. */
static int
begin_anew(struct upload *u)
{
	u->resumed = false;
	u->offset = 0;
	u->location.len = 0;
	u->x.delay_ms = 0;
	go(u, UPLOAD_START);
	return 0;
}

/* A part or the end did not get through: how far did it get? */
static int
failed(struct upload *u, int rc)
{
	/* The registry was reached, and does not want it. */
	if (u->resumed && u->x.status >= 400 && u->x.status < 500 && u->x.status != 408 &&
	    u->x.status != 416 && u->x.status != 429)
		return begin_anew(u);
	int64_t delay = exchange_retry_delay(&u->x, ++u->failures);

	if (u->x.status == 416)
		delay = 0; /* another idea of where we are than ours */
	else if (u->x.status == 404 && u->step == UPLOAD_STATUS)
		delay = 0; /* it forgot the upload */
	if (delay < 0 || u->failures >= FAILURES_MAX)
		return rc;
	u->x.delay_ms = delay;
	go(u,
	    u->step == UPLOAD_STATUS || (u->step == UPLOAD_END && u->size <= WHOLE_MAX) ? UPLOAD_START
											: UPLOAD_STATUS);
	return 0;
}

static int
next(struct upload *u, int rc, struct err *e)
{
	switch (u->step) {
	case UPLOAD_ASK:
		if (rc == 0) {
			u->was_there = true;
			finished(u);
			return 0;
		}
		if (u->x.status != 404 && u->x.status != 405)
			return rc;
		u->resumed = upload_memory_get(&u->memory, &u->location);
		go(u, u->resumed ? UPLOAD_STATUS : UPLOAD_START);
		return 0;
	case UPLOAD_START:
		return rc < 0 ? rc : started(u, e);
	case UPLOAD_PART:
		return rc < 0 ? failed(u, rc) : part_sent(u, e);
	case UPLOAD_STATUS:
		return rc < 0 ? failed(u, rc) : status_told(u, e);
	case UPLOAD_END:
		if (rc < 0)
			return failed(u, rc);
		finished(u);
		return 0;
	case UPLOAD_DONE:
		break;
	}
	return rc;
}

static void
on_done(void *arg, struct exchange *x, int rc, struct err *e)
{
	struct upload *u = arg;

	rc = next(u, rc, e);
	if (rc < 0)
		fail(u, rc, e);
}

/* ---- the set ------------------------------------------------------------------------ */

static int
begin(struct upload *u, struct err *e)
{
	const struct exchange_ops ops = { .prepare = prepare, .done = on_done, .arg = u };
	int rc;

	u->fd = img_blob_open(u->set->store, &u->digest, NULL, e);
	if (u->fd < 0)
		return u->fd;
	buf_init(&u->location, URL_MAX);
	if (u->size > WHOLE_MAX)
		upload_memory_open(&u->memory, u->set->store, client_host(u->set->remote->client),
		    u->set->remote->name, &u->digest);
	if ((rc = exchange_init(&u->x, u->set->remote->client, &ops, ANSWER_MAX, e)) < 0)
		return rc;
	u->x.what = u->what;
	snprintf(u->x.scope, sizeof(u->x.scope), "%s", u->set->scope);
	go(u, UPLOAD_ASK);
	return 0;
}

static bool
is_over(const struct upload_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].step != UPLOAD_DONE)
			return false;
	return true;
}

static void
tell_all(struct upload_set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct upload *u = &s->v[i];
		uint64_t sent;

		if ((u->step != UPLOAD_PART && u->step != UPLOAD_END) || u->x.call == NULL)
			continue;
		sent = u->offset + http_sent(u->x.call);
		if (sent > u->sent && sent <= u->size) {
			u->sent = sent;
			tell(u);
		}
	}
}

static int
run(struct upload_set *s, struct err *e)
{
	int rc;

	for (size_t i = 0; i < s->n; i++)
		if ((rc = begin(&s->v[i], e)) < 0)
			return rc;
	while (!is_over(s) && s->rc == 0) {
		if ((rc = http_step(s->remote->http, NULL, 0, e)) < 0)
			return rc;
		tell_all(s);
	}
	if (s->rc < 0)
		*e = s->err;
	return s->rc;
}

int
upload_all(
    struct remote *r, struct img_store *store, const char *scope, struct upload *v, size_t n, struct err *e)
{
	struct upload_set s = { .remote = r, .store = store, .v = v, .n = n };
	int rc;

	snprintf(s.scope, sizeof(s.scope), "%s", scope);
	for (size_t i = 0; i < n; i++) {
		v[i].set = &s;
		v[i].fd = -1;
		v[i].memory = (struct upload_memory)UPLOAD_MEMORY_INIT;
	}
	rc = run(&s, e);
	for (size_t i = 0; i < n; i++) {
		exchange_fini(&v[i].x);
		buf_fini(&v[i].location);
		upload_memory_close(&v[i].memory);
		if (v[i].fd >= 0)
			close(take_fd(v[i].fd));
	}
	return rc;
}
