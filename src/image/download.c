/*
 * A plain file from a server, see download.h. Nothing is checked of it here but its size; redirects never
 * lead from https to http, nor from a server that was named as insecure to another. What broke off is gone on
 * with after a while, as in exchange.c.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "image/client_impl.h"
#include "image/download.h"

#define REDIRECTS_MAX 5
#define PROGRESS_BYTES (64 * 1024) /* after so many more the attempts count from the beginning again */

struct download {
	const struct download_args *args;
	int fd;
	uint64_t have;
	bool body;    /* the answer is the file */
	bool refused; /* there is no body, and that is fine */
	bool judged;  /* it was us who ended it: what was answered, or what came, is not right */
	int rc;
	unsigned attempt; /* without much progress in between */
	int64_t delay_ms; /* before the next one; -1: it makes no sense */
	struct err err;
	char next[URL_MAX]; /* redirected to, or "" */
};

static bool
is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The server gives the whole of it. */
static int
begin_anew(struct download *d, struct err *e)
{
	d->have = 0;
	if (ftruncate(d->fd, 0) != 0 || lseek(d->fd, 0, SEEK_SET) != 0)
		return err_sys(e, "%s", d->args->what);
	return 0;
}

/* "bytes FIRST-LAST/TOTAL": what comes must begin where what is there ends. */
static int
continues(const struct download *d, struct http_call *call, struct err *e)
{
	const char *range = http_header(call, "Content-Range");
	unsigned long long first;

	if (range != NULL && sscanf(range, "bytes %llu-", &first) == 1 && first == d->have)
		return 0;
	return err_set(e, E_SYS, "%s: the server gives another part than was asked for", d->args->what);
}

static int
look_at_head(struct download *d, struct http_call *call, struct err *e)
{
	const char *to = http_header(call, "Location");
	long status = http_status(call);

	d->body = status == 200 || (status == 206 && d->have > 0);
	d->refused = false;
	if (d->args->head != NULL && !is_redirect(status)) {
		int rc = d->args->head(d->args->arg, call, e);

		d->refused = rc > 0;
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	if (status == 206 && d->have > 0)
		return continues(d, call, e);
	if (status == 200)
		return d->have == 0 ? 0 : begin_anew(d, e);
	if (is_redirect(status) && to != NULL && strlen(to) < sizeof(d->next)) {
		snprintf(d->next, sizeof(d->next), "%s", to);
		return 0;
	}
	if (status == 404)
		return err_set(e, E_NOENT, "%s: the server does not have it", d->args->what);
	/* What is there is no beginning of what the server has. */
	if (status == 416)
		return err_set(
		    e, E_CORRUPT, "%s: the server's is shorter than what was fetched", d->args->what);
	return err_set(e, E_SYS, "%s: the server answers with status %ld", d->args->what, status);
}

static int
on_head(void *arg, struct http_call *call, struct err *e)
{
	struct download *d = arg;
	int rc = look_at_head(d, call, e);

	d->judged = rc < 0;
	return rc;
}

static int
take_data(struct download *d, const void *data, size_t n, struct err *e)
{
	if (!d->body)
		return 0;
	if (n > d->args->max - d->have)
		return err_set(e, E_LIMIT, "%s: it is larger than %llu bytes", d->args->what,
		    (unsigned long long)d->args->max);
	d->have += n;
	event_progress(d->args->events, d->args->what, d->have, d->args->total);
	return fd_write_all(d->fd, data, n, d->args->what, e);
}

static int
on_data(void *arg, const void *data, size_t n, struct err *e)
{
	struct download *d = arg;
	int rc = take_data(d, data, n, e);

	d->judged = rc < 0;
	return rc;
}

static void
on_done(void *arg, struct http_call *call, int rc, struct err *e)
{
	struct download *d = arg;

	d->rc = rc;
	if (rc < 0)
		d->delay_ms = client_retry_delay(call, d->judged ? 0 : rc, ++d->attempt);
	if (rc < 0 && e != NULL)
		d->err = *e;
}

/* One request and its answer. */
static int
ask(struct http *h, struct download *d, const char *url, struct err *e)
{
	const struct http_sink sink = { on_head, on_data, on_done, d };
	char range[48], *ranged[] = { range, NULL };
	const struct http_request req = { .method = "GET",
		.url = url,
		.headers = d->have > 0 ? ranged : d->args->headers,
		.body_fd = -1,
		.insecure = d->args->insecure,
		.delay_ms = d->delay_ms > 0 ? d->delay_ms : 0 };
	struct http_call *call = NULL;
	int rc = http_call_new(&call, h, &sink, e);

	snprintf(range, sizeof(range), "Range: bytes=%llu-", (unsigned long long)d->have);
	d->judged = d->body = false;
	d->rc = 0;
	d->delay_ms = -1;
	if (rc == 0)
		rc = http_start(call, &req, e);
	while (rc == 0 && http_is_busy(h))
		rc = http_step(h, NULL, 0, e);
	if (call != NULL)
		http_call_free(call);
	if (rc == 0 && d->rc < 0) {
		rc = d->rc;
		if (e != NULL)
			*e = d->err;
		/* What the wire says of itself does not name the file. */
		if (strncmp(d->err.msg, d->args->what, strlen(d->args->what)) != 0)
			err_wrap(e, "%s", d->args->what);
	}
	return rc;
}

/* From the beginning of the way again: where a redirect led may have ended. */
static int
follow(struct http *h, struct download *d, struct err *e)
{
	const char *first = d->args->url;
	AUTO_FINI(buf) struct buf url = BUF_INIT(URL_MAX), next = BUF_INIT(URL_MAX);
	int rc = 0;

	buf_str(&url, first);
	for (int i = 0; i <= REDIRECTS_MAX; i++) {
		rc = buf_check(&url, "URL", e);
		d->next[0] = '\0';
		if (rc == 0)
			rc = ask(h, d, url.data, e);
		if (rc < 0 || d->body || d->refused)
			return rc;
		buf_reset(&next);
		rc = url_join(url.data, d->next, &next, e);
		if (rc == 0 && url_is_https(url.data) && !url_is_https(buf_cstr(&next)))
			rc = err_set(e, E_SYS, "%s: the server sends us away from https", d->args->what);
		/* That the first one was named as insecure says nothing of another. */
		if (rc == 0 && d->args->insecure && !url_same_origin(first, buf_cstr(&next)))
			rc = err_set(e, E_SYS, "%s: an insecure server sends us elsewhere", d->args->what);
		if (rc < 0)
			return rc;
		buf_reset(&url);
		buf_str(&url, buf_cstr(&next));
	}
	return err_set(e, E_SYS, "%s: more than %d redirects", d->args->what, REDIRECTS_MAX);
}

int
download_file(struct http *h, const struct download_args *args, int fd, uint64_t have, struct err *e)
{
	struct download d = { .args = args, .fd = fd, .have = have };

	for (;;) {
		uint64_t before = d.have;
		int rc;

		if (d.attempt == 0)
			d.delay_ms = 0;
		rc = follow(h, &d, e);
		if (rc == 0 || d.delay_ms < 0)
			return rc;
		if (d.have >= before + PROGRESS_BYTES)
			d.attempt = 0;
		if (e != NULL)
			*e = (struct err)ERR_INIT;
	}
}
