/* See control.h. One command at a time; the socket is the owner's only (0600). */
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/await.h"
#include "base/file.h"
#include "base/text.h"
#include "registry/control.h"
#include "registry/gc.h"
#include "registry/socket.h"

#define NAME "control"
#define LINE_MS 5000

struct control {
	struct registry *registry;
	int fd, stop[2];
	pthread_t thread;
};

static void
print_finding(void *out, const char *digest, const char *what)
{
	fprintf(out, "%s: %s\n", digest, what);
}

static int
run_gc(struct registry *g, bool dry, FILE *out, struct err *e)
{
	struct gc_result r;
	char size[TEXT_SIZE_LEN];
	int rc = gc_run(g, dry, &r, e);

	if (rc < 0)
		return rc;
	text_size_print(r.bytes, size);
	fprintf(out,
	    "%s %" PRIu64 " blobs (%s), %" PRIu64 " untagged manifests, %" PRIu64 " links, %" PRIu64
	    " files without a row\n",
	    dry ? "would remove" : "removed", r.blobs, size, r.manifests, r.links, r.orphans);
	return 0;
}

static int
run_verify(struct registry *g, FILE *out, struct err *e)
{
	struct verify_result r;
	char size[TEXT_SIZE_LEN];
	int rc = verify_run(g, print_finding, out, &r, e);

	if (rc < 0)
		return rc;
	text_size_print(r.bytes, size);
	fprintf(out, "%" PRIu64 " blobs (%s) checked, %" PRIu64 " damaged, %" PRIu64 " missing\n", r.checked,
	    size, r.damaged, r.missing);
	if (r.damaged + r.missing == 0)
		return 0;
	err_set(e, E_CORRUPT, "%" PRIu64 " blobs are damaged or missing", r.damaged + r.missing);
	return err_hint(e, "push the images that have them again: that mends them");
}

int
control_run(struct registry *g, const char *command, FILE *out, struct err *e)
{
	if (strcmp(command, "gc") == 0)
		return run_gc(g, false, out, e);
	if (strcmp(command, "gc dry") == 0)
		return run_gc(g, true, out, e);
	if (strcmp(command, "verify") == 0)
		return run_verify(g, out, e);
	return err_set(e, E_USAGE, "'%.32s': not a command", command);
}

/* A line without its end; false when it does not come in time. */
static bool
read_line(int fd, char *line, size_t size)
{
	size_t n = 0;

	while (n < size - 1) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (await_fds(&p, 1, LINE_MS, NULL, NULL) <= 0 || read(fd, line + n, 1) != 1)
			return false;
		if (line[n] == '\n') {
			line[n] = '\0';
			return true;
		}
		n++;
	}
	return false;
}

static void
answer(struct control *c, int fd)
{
	char line[64];
	struct err e = ERR_INIT;
	FILE *out = fdopen(fd, "w");
	int rc;

	if (out == NULL) {
		fd_close(fd);
		return;
	}
	if (read_line(fd, line, sizeof(line))) {
		rc = control_run(c->registry, line, out, &e);
		if (rc < 0)
			fprintf(out, "failed %d %s%s%s%s\n", e.code, e.msg, e.hint[0] != '\0' ? " (" : "",
			    e.hint, e.hint[0] != '\0' ? ")" : "");
		else
			fprintf(out, "ok\n");
	}
	(void)fclose(out);
}

static void *
listen_for_commands(void *arg)
{
	struct control *c = arg;

	for (;;) {
		struct pollfd p[2] = { { .fd = c->fd, .events = POLLIN },
			{ .fd = c->stop[0], .events = POLLIN } };
		int fd;

		if (await_fds(p, 2, -1, NULL, NULL) < 0 || p[1].revents != 0)
			return NULL;
		fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			answer(c, fd);
	}
}

static int
bind_socket(struct control *c, struct err *e)
{
	const struct store *s = &c->registry->store;
	mode_t mask;
	int rc;

	(void)unlinkat(s->dirfd, NAME, 0);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return err_sys(e, "make the control socket");
	mask = umask(0177);
	rc = sock_bind_at(c->fd, s->dirfd, NAME);
	(void)umask(mask);
	if (rc < 0 || listen(c->fd, 8) < 0)
		return err_sys(e, "listen on the control socket");
	return 0;
}

int
control_start(struct registry *g, struct control **out, struct err *e)
{
	struct control *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return err_nomem(e);
	*c = (struct control){ .registry = g, .fd = -1, .stop = { -1, -1 } };
	rc = bind_socket(c, e);
	if (rc == 0 && pipe2(c->stop, O_CLOEXEC) < 0)
		rc = err_sys(e, "make a pipe");
	if (rc == 0 && (rc = pthread_create(&c->thread, NULL, listen_for_commands, c)) != 0)
		rc = err_sysno(e, rc, "start a thread");
	if (rc < 0) {
		fd_close(c->fd);
		fd_close(c->stop[0]);
		fd_close(c->stop[1]);
		free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void
control_stop(struct control *c)
{
	if (c == NULL)
		return;
	fd_close(c->stop[1]);
	pthread_join(c->thread, NULL);
	(void)unlinkat(c->registry->store.dirfd, NAME, 0);
	fd_close(c->fd);
	fd_close(c->stop[0]);
	free(c);
}

static int
connect_to(const char *dir, struct err *e)
{
	AUTO(fd) int dirfd = dir_open(AT_FDCWD, dir, e), fd = -1;

	if (dirfd < 0)
		return dirfd;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "make a socket");
	if (sock_connect_at(fd, dirfd, NAME) < 0) {
		if (errno == ECONNREFUSED || errno == ENOENT)
			return err_set(e, E_NOENT, "no pot-registry serves '%s'", dir);
		return err_sys(e, "reach the pot-registry that serves '%s'", dir);
	}
	return take_fd(fd);
}

int
control_ask(const char *dir, const char *command, FILE *out, struct err *e)
{
	AUTO(file) FILE *in = NULL;
	AUTO_FREE char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int fd = connect_to(dir, e);

	if (fd < 0)
		return fd;
	in = fdopen(fd, "r");
	if (in == NULL) {
		fd_close(fd);
		return err_nomem(e);
	}
	if (dprintf(fd, "%s\n", command) < 0)
		return err_sys(e, "ask the pot-registry that serves '%s'", dir);
	while ((n = getline(&line, &size, in)) > 0) {
		char *why;
		long code;

		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "ok") == 0)
			return 0;
		if (strncmp(line, "failed ", 7) == 0) {
			code = strtol(line + 7, &why, 10);
			return err_set(e, code > 0 && code < E_COUNT ? (enum err_code)code : E_SYS, "%s",
			    *why == ' ' ? why + 1 : why);
		}
		fprintf(out, "%s\n", line);
	}
	return err_set(e, E_SYS, "the pot-registry that serves '%s' gave no answer", dir);
}
