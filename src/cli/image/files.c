/* What pot save and load do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/image/verbs.h"

/*
 * A regular file appears whole or not at all: written beside its place under a
 * name of its own, then renamed. Anything else (a pipe, a device) is written to.
 */
struct output {
	int fd;
	const char *path;
	char *tmp; /* NULL: fd is the place itself */
};

static int
output_open(struct output *o, const char *path, struct err *e)
{
	struct stat st;

	*o = (struct output){ -1, path, NULL };
	if (path == NULL || strcmp(path, "-") == 0) {
		o->fd = dup(STDOUT_FILENO);
		return o->fd < 0 ? err_sys(e, "standard output") : 0;
	}
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		o->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return o->fd < 0 ? err_sys(e, "cannot write %s", path) : 0;
	}
	if (asprintf(&o->tmp, "%s.XXXXXX", path) < 0) {
		o->tmp = NULL;
		return err_nomem(e);
	}
	o->fd = mkostemp(o->tmp, O_CLOEXEC);
	return o->fd < 0 ? err_sys(e, "cannot write %s", path) : 0;
}

/* rc: how the writing went. */
static int
output_close(struct output *o, int rc, struct err *e)
{
	mode_t mask = umask(0);

	umask(mask);
	if (rc == 0 && o->tmp != NULL && (fchmod(o->fd, 0666 & ~mask) != 0 || fsync(o->fd) != 0))
		rc = err_sys(e, "writing %s", o->path);
	if (rc == 0 && o->tmp != NULL && rename(o->tmp, o->path) != 0)
		rc = err_sys(e, "writing %s", o->path);
	if (rc < 0 && o->tmp != NULL && o->fd >= 0)
		unlink(o->tmp);
	fd_close(o->fd);
	free(o->tmp);
	return rc;
}

int
image_save(struct cli *cli, const struct args *a, struct err *e)
{
	struct output out;
	const char *path = args_value(a, "output");
	int rc;

	if ((path == NULL || strcmp(path, "-") == 0) && isatty(STDOUT_FILENO))
		return args_usage(a, e, "an archive is not written to a terminal; give -o FILE");
	rc = output_open(&out, path, e);
	if (rc == 0)
		rc = pot_image_save(cli->ctx, (const char *const *)a->rest, out.fd, e);
	return output_close(&out, rc, e);
}

struct loaded {
	struct cli *cli;
	json_t *names;
};

static int
each(void *arg, const char *name)
{
	struct loaded *l = arg;

	events_end(l->cli);
	if (l->cli->json)
		json_array_append_new(l->names, js_string(name));
	else
		puts(name);
	return 0;
}

int
image_load(struct cli *cli, const struct args *a, struct err *e)
{
	const char *path = args_value(a, "input");
	struct loaded l = { cli, cli->json ? json_array() : NULL };
	AUTO(fd) int fd = -1;
	int rc;

	if (path == NULL && isatty(STDIN_FILENO))
		return args_usage(a, e, "an archive is not typed; give -i FILE");
	fd = path == NULL || strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
						    : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		rc = err_sys(e, "cannot read %s", path != NULL ? path : "standard input");
	else
		rc = pot_image_load(cli->ctx, fd, args_value(a, "tag"), each, &l, e);
	if (rc == 0 && cli->json)
		rc = js_print(json_incref(l.names), e);
	json_decref(l.names);
	return rc;
}
