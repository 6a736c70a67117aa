/*
 * Getting images, by pot-image as a child process (image_command.c), so that
 * what speaks with registries is not in the driver. Each image is fetched once however many
 * tasks want it; the fetching ends when the last of them gives up. A classic
 * image (URL, pot and tag) becomes a pot where the node's storage can take it
 * and the server has it, else the OCI image of that name is pulled.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/text.h"
#include "nomad/driver_impl.h"

#define LAYERS_MAX 256
#define WORDS_MAX (64u * 1024)
#define PROGRESS_MS 1000

struct layer {
	char what[100];
	uint64_t done, total;
};

/* One task that wants an image. */
struct puller {
	struct puller *next, **prev;
	struct pull *pull;
	struct image_want want;
	image_fn *fn;
	void *arg;
	struct loop_timer *deadline;
	int64_t timeout_ms;
};

struct pull {
	struct pull *next, **prev;
	struct drv *d;
	char *key;
	struct puller *pullers;
	bool classic; /* this attempt is for the classic files */
	pid_t pid;
	struct loop_child *child;
	struct loop_io *out_io, *err_io;
	int out, err;
	struct buf out_text, err_text;
	struct layer *layers;
	size_t nlayers;
	int percent;
	int64_t told_ms;
	char made[POT_NAME_LEN];
	struct err e, classic_error;
};

static int attempt(struct pull *, struct err *);

/* ---- what it tells ----------------------------------------------------------------------- */

/* Its reference, else, or where the files of the URL are meant, that without the credentials it may hold. */
static const char *
shown(const struct image_want *w, bool files, struct buf *out)
{
	const char *url = w->conf->url, *at, *host;

	if (w->ref[0] != '\0' && !files)
		return w->ref;
	host = strstr(url, "://");
	host = host == NULL ? url : host + 3;
	at = memchr(host, '@', strcspn(host, "/"));
	buf_fmt(out, "%.*s%s", (int)(host - url), url, at == NULL ? host : at + 1);
	return buf_cstr(out);
}

static void tell(const struct pull *p, const char *fmt, ...) PRINTF(2, 3);
static void
tell(const struct pull *p, const char *fmt, ...)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(4096);
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	for (const struct puller *w = p->pullers; w != NULL; w = w->next)
		task_event(p->d, w->want.task_id, w->want.alloc, w->want.name, "%s", buf_cstr(&b));
}

static void
on_progress(struct pull *p, const char *what, uint64_t done, uint64_t total)
{
	uint64_t all = 0, got = 0;
	int64_t now = text_monotonic_ms();
	size_t i = 0;
	int percent;

	while (i < p->nlayers && strncmp(p->layers[i].what, what, sizeof(p->layers[i].what) - 1) != 0)
		i++;
	if (i == p->nlayers) {
		if (i == LAYERS_MAX)
			return;
		snprintf(p->layers[i].what, sizeof(p->layers[i].what), "%s", what);
		p->nlayers++;
	}
	p->layers[i].done = done;
	p->layers[i].total = total;
	for (i = 0; i < p->nlayers; i++) {
		got += p->layers[i].done;
		all += p->layers[i].total;
	}
	percent = all == 0 ? 0 : (int)(got * 100 / all);
	if (percent <= p->percent || (p->told_ms != 0 && now - p->told_ms < PROGRESS_MS))
		return;
	p->percent = percent;
	p->told_ms = now;
	tell(p, "Pulling image %d %%", percent);
}

/* The name of an error as pot-image prints it, back to its code. */
static int
code_of(const char *text)
{
	for (int i = 1; text != NULL && i < E_COUNT; i++)
		if (strcmp(err_text((enum err_code)i), text) == 0)
			return i;
	return E_SYS;
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s == NULL ? "" : s;
}

static void
on_line(struct pull *p, const char *line, size_t n)
{
	json_t *o = json_loadb(line, n, 0, NULL);
	const char *event = text_of(o, "event");

	if (strcmp(event, "progress") == 0) {
		on_progress(p, text_of(o, "what"), (uint64_t)json_integer_value(json_object_get(o, "bytes")),
		    (uint64_t)json_integer_value(json_object_get(o, "total")));
	} else if (strcmp(event, "failed") == 0) {
		(void)err_set(&p->e, (enum err_code)code_of(text_of(o, "code")), "%s", text_of(o, "message"));
		(void)err_hint(&p->e, "%s", text_of(o, "hint"));
	} else if (event[0] == '\0' && p->classic) {
		snprintf(p->made, sizeof(p->made), "%s", text_of(o, "name"));
	}
	json_decref(o);
}

static void
take_lines(struct pull *p)
{
	size_t at = 0;
	const char *nl;

	while (p->out_text.len > at &&
	    (nl = memchr(p->out_text.data + at, '\n', p->out_text.len - at)) != NULL) {
		on_line(p, p->out_text.data + at, (size_t)(nl - p->out_text.data) - at);
		at = (size_t)(nl - p->out_text.data) + 1;
	}
	if (at > 0) {
		memmove(p->out_text.data, p->out_text.data + at, p->out_text.len - at);
		p->out_text.len -= at;
	}
}

static bool
read_some(int fd, struct buf *to)
{
	char data[8192];
	ssize_t n = read(fd, data, sizeof(data));

	if (n > 0 && to->len + (size_t)n <= WORDS_MAX)
		buf_add(to, data, (size_t)n);
	return n > 0 || (n < 0 && errno == EINTR);
}

static void
on_out(void *arg, short revents)
{
	struct pull *p = arg;

	(void)revents;
	if (!read_some(p->out, &p->out_text))
		loop_io_free(take_ptr(p->out_io));
	take_lines(p);
}

static void
on_err(void *arg, short revents)
{
	struct pull *p = arg;

	(void)revents;
	if (!read_some(p->err, &p->err_text))
		loop_io_free(take_ptr(p->err_io));
}

/* ---- the end ------------------------------------------------------------------------------ */

static void
attempt_fini(struct pull *p)
{
	loop_io_free(take_ptr(p->out_io));
	loop_io_free(take_ptr(p->err_io));
	fd_close(take_fd(p->out));
	fd_close(take_fd(p->err));
	buf_reset(&p->out_text);
	buf_reset(&p->err_text);
	p->nlayers = 0;
	p->percent = 0;
}

static void
pull_free(struct pull *p)
{
	attempt_fini(p);
	*p->prev = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	buf_fini(&p->out_text);
	buf_fini(&p->err_text);
	free(p->layers);
	free(p->key);
	free(p);
}

static void
puller_free(struct puller *w)
{
	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	loop_timer_free(w->deadline);
	free(w);
}

static void
finish(struct pull *p, int rc)
{
	/* Whoever comes from now on begins anew. */
	free(p->key);
	p->key = NULL;
	while (p->pullers != NULL) {
		image_fn *fn = p->pullers->fn;
		void *arg = p->pullers->arg;

		puller_free(p->pullers);
		fn(arg, rc, p->made, &p->e);
	}
	pull_free(p);
}

/* The last words of the program, where it gave no error of its own. */
static int
failure(struct pull *p, int status)
{
	AUTO_FINI(buf) struct buf name = BUF_INIT(4096);
	char *text, *nl;

	if (p->e.code == 0) {
		text = p->err_text.data;
		while (text != NULL && (nl = strchr(text, '\n')) != NULL && nl[1] != '\0')
			text = nl + 1;
		if (text != NULL && strncmp(text, "pot: ", 5) == 0)
			text += 5;
		if (WIFSIGNALED(status))
			(void)err_set(&p->e, E_SYS, "pot-image was killed by signal %d", WTERMSIG(status));
		else
			(void)err_set(&p->e, E_SYS, "%.*s", text == NULL ? 0 : (int)strcspn(text, "\n"),
			    text == NULL ? "" : text);
	}
	if (p->e.hint[0] == '\0')
		(void)err_hint(&p->e, "%s",
		    p->e.code == E_NOENT ? "push it there, or mend the name and the tag in the job"
					 : "is the registry up, and does this node reach it?");
	if (p->pullers != NULL)
		(void)err_wrap(&p->e, "image %s", shown(&p->pullers->want, false, &name));
	return -p->e.code;
}

static void
on_ended(void *arg, int status)
{
	struct pull *p = arg;
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	p->child = NULL;
	while (p->out_io != NULL)
		on_out(p, POLLIN);
	while (p->err_io != NULL)
		on_err(p, POLLIN);
	if (p->pullers == NULL) {
		pull_free(p);
		return;
	}
	if (!good && p->classic) {
		/* What a key was asked for is not taken without one. */
		bool signed_only = p->d->conf.pubkey != NULL;

		(void)failure(p, status);
		p->classic_error = p->e;
		if (p->pullers->want.ref[0] != '\0' && (!signed_only || p->e.code == E_NOENT)) {
			attempt_fini(p);
			p->e = (struct err)ERR_INIT;
			p->classic = false;
			if (attempt(p, &p->e) == 0)
				return;
		}
		finish(p, -p->e.code);
		return;
	}
	if (!good) {
		(void)failure(p, status);
		if (p->classic_error.code != 0) {
			char text[300];

			snprintf(text, sizeof(text), "%.299s", p->classic_error.msg);
			(void)err_wrap(&p->e, "neither the classic files (%s) nor", text);
		}
	}
	finish(p, good ? 0 : -p->e.code);
}

/* ---- the program ---------------------------------------------------------------------------- */

static _Noreturn void
child_run(const int fds[3], char *const *argv, char *const *envp)
{
	static const char failed[] = "pot: cannot execute pot-image\n";

	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			_exit(1);
	execve(argv[0], argv, envp);
	(void)!write(2, failed, sizeof(failed) - 1);
	_exit(127);
}

static int
run(struct pull *p, struct image_command *c, struct err *e)
{
	int out[2], err[2];

	if (pipe2(out, O_CLOEXEC) != 0)
		return err_sys(e, "cannot make a pipe");
	if (pipe2(err, O_CLOEXEC) != 0) {
		fd_close(out[0]);
		fd_close(out[1]);
		return err_sys(e, "cannot make a pipe");
	}
	p->out = out[0];
	p->err = err[0];
	p->pid = nomad_fork(p->d->nomad, (const int[]){ c->in, out[1], err[1] }, 3);
	if (p->pid == 0)
		child_run((const int[3]){ c->in, out[1], err[1] }, strv_argv(&c->argv), strv_argv(&c->env));
	fd_close(out[1]);
	fd_close(err[1]);
	if (p->pid < 0)
		return err_sys(e, "cannot make a process");
	p->child = loop_child_new(p->d->loop, p->pid, on_ended, p, e);
	p->out_io = loop_io_new(p->d->loop, p->out, POLLIN, on_out, p);
	p->err_io = loop_io_new(p->d->loop, p->err, POLLIN, on_err, p);
	if (p->child != NULL && p->out_io != NULL && p->err_io != NULL)
		return 0;
	(void)kill(p->pid, SIGKILL);
	if (p->child != NULL)
		loop_child_free(take_ptr(p->child));
	(void)waitpid(p->pid, NULL, 0);
	return err_nomem(e);
}

static int
attempt(struct pull *p, struct err *e)
{
	AUTO_FINI(buf) struct buf name = BUF_INIT(4096);
	struct image_command c = { STRV_INIT(4096), STRV_INIT(64), -1 };
	const struct image_want *w = &p->pullers->want;
	int rc = image_command(p->d, w, p->classic, &c, e);

	if (rc == 0) {
		const char *what = shown(w, p->classic, &name);

		tell(p, "Pulling image %s", what);
		log_info(p->d->log, "pulling image %s", what);
		rc = run(p, &c, e);
	}
	strv_fini(&c.argv);
	strv_fini(&c.env);
	fd_close(c.in);
	return rc;
}

/* ---- who wants what --------------------------------------------------------------------------- */

static void
leave(struct puller *w)
{
	struct pull *p = w->pull;

	puller_free(w);
	if (p->pullers != NULL)
		return;
	free(p->key);
	p->key = NULL;
	/* What it has of the layers stays for the next one; its end frees the rest. */
	if (p->child != NULL)
		(void)kill(p->pid, SIGTERM);
}

void
image_give_up(struct puller *w)
{
	leave(w);
}

static void
on_deadline(void *arg)
{
	struct puller *w = arg;
	image_fn *fn = w->fn;
	void *fn_arg = w->arg;
	AUTO_FINI(buf) struct buf name = BUF_INIT(4096);
	struct err e = ERR_INIT;

	(void)err_set(&e, E_TIMEOUT, "image %s was not here after %lld seconds",
	    shown(&w->want, false, &name), (long long)(w->timeout_ms / 1000));
	(void)err_hint(&e, "image_pull_timeout is for slow registries; what came is kept for the next try");
	leave(w);
	fn(fn_arg, -E_TIMEOUT, "", &e);
}

static int
on_config(void *arg, const struct pot_config_item *i)
{
	bool *zfs = arg;

	if (strcmp(i->key, "storage_used") == 0)
		*zfs = strcmp(i->value, "zfs") == 0;
	return 0;
}

bool
image_takes_classic(struct pot_ctx *ctx, const struct task_conf *c)
{
	bool zfs = false;

	if (c->form != IMAGE_CLASSIC || c->oci_only)
		return false;
	return pot_config(ctx, on_config, &zfs, NULL) >= 0 && zfs;
}

void
image_classic_pot(const struct task_conf *c, char out[static POT_NAME_LEN])
{
	int n = snprintf(out, POT_NAME_LEN, "%s_%s", c->pot, c->tag);

	if (n >= POT_NAME_LEN)
		out[0] = '\0';
	for (char *p = out; *p != '\0'; p++)
		if (*p == '.')
			*p = '_';
}

static char *
key_of(const struct image_want *w)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(64 * 1024);
	const struct task_conf *c = w->conf;

	buf_fmt(&b, "%d%d%d %s\n%s\n%s\n%s", c->verify, c->plain_http, c->tls_verify, w->ref,
	    c->auth_user == NULL ? "" : c->auth_user, c->auth_password == NULL ? "" : c->auth_password,
	    c->form == IMAGE_CLASSIC ? c->url : "");
	return buf_take(&b);
}

static struct pull *
pull_new(struct drv *d, char *key, const struct image_want *want, struct err *e)
{
	struct pull *p = calloc(1, sizeof(*p));
	struct pot_ctx *ctx;

	if (p == NULL || (p->layers = calloc(LAYERS_MAX, sizeof(*p->layers))) == NULL) {
		free(p);
		free(key);
		(void)err_nomem(e);
		return NULL;
	}
	p->d = d;
	p->key = key;
	p->out = p->err = -1;
	p->out_text.max = p->err_text.max = WORDS_MAX;
	p->prev = &d->pulls;
	p->next = d->pulls;
	if (p->next != NULL)
		p->next->prev = &p->next;
	d->pulls = p;
	p->classic =
	    want->ref[0] == '\0' || (drv_ctx(d, &ctx, NULL) == 0 && image_takes_classic(ctx, want->conf));
	return p;
}

int
image_pull(
    struct drv *d, const struct image_want *want, image_fn *fn, void *arg, struct puller **out, struct err *e)
{
	AUTO_FINI(buf) struct buf name = BUF_INIT(4096);
	char *key = key_of(want);
	struct pull *p = d->pulls;
	struct puller *w = calloc(1, sizeof(*w));
	bool begin;
	int rc = 0;

	if (key == NULL || w == NULL) {
		free(key);
		free(w);
		return err_nomem(e);
	}
	while (p != NULL && (p->key == NULL || strcmp(p->key, key) != 0))
		p = p->next;
	begin = p == NULL;
	if (begin && (p = pull_new(d, key, want, e)) == NULL) {
		free(w);
		return -E_NOMEM;
	}
	if (!begin)
		free(key);
	w->pull = p;
	w->want = *want;
	w->fn = fn;
	w->arg = arg;
	w->timeout_ms =
	    want->conf->pull_timeout_ms > 0 ? want->conf->pull_timeout_ms : d->conf.pull_timeout_ms;
	w->prev = &p->pullers;
	w->next = p->pullers;
	if (w->next != NULL)
		w->next->prev = &w->next;
	p->pullers = w;
	w->deadline = loop_timer_new(d->loop, w->timeout_ms, on_deadline, w);
	if (w->deadline == NULL)
		rc = err_nomem(e);
	else if (begin)
		rc = attempt(p, e);
	else
		task_event(d, want->task_id, want->alloc, want->name, "Pulling image %s (on its way already)",
		    shown(want, false, &name));
	if (rc < 0) {
		puller_free(w);
		if (begin)
			pull_free(p);
		return rc;
	}
	*out = w;
	return 0;
}

void
image_shutdown(struct drv *d)
{
	for (struct pull *p = d->pulls; p != NULL; p = p->next)
		if (p->child != NULL)
			(void)kill(p->pid, SIGTERM);
}

void
image_end(struct drv *d)
{
	while (d->pulls != NULL) {
		struct pull *p = d->pulls;

		loop_child_free(take_ptr(p->child));
		while (p->pullers != NULL)
			puller_free(p->pullers);
		pull_free(p);
	}
}
