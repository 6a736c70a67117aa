/* What pot build does. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/image/steps.h"
#include "cli/image/verbs.h"

#define SECRETS_MAX 64
#define SECRET_BYTES (1024 * 1024)
#define WEEK_NS (7 * INT64_C(86400) * 1000000000)

/* Lists and secrets of the options; what args points into. */
struct taken {
	char **names, **args, **labels, **allow, **flavour_dirs, **flavour_args, **insecure;
	struct pot_build_secret secrets[SECRETS_MAX];
	struct buf values[SECRETS_MAX];
	char *ids[SECRETS_MAX];
	size_t nsecrets;
};

static void
taken_fini(struct taken *t)
{
	char **lists[] = { t->names, t->args, t->labels, t->allow, t->flavour_dirs, t->flavour_args,
		t->insecure };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		free(lists[i]);
	for (size_t i = 0; i < t->nsecrets; i++) {
		buf_fini(&t->values[i]);
		free(t->ids[i]);
	}
}
DEFINE_AUTO_FINI(taken, struct taken)

/* ---- secrets ----------------------------------------------------------------------------------------- */

static int
read_secret(const char *file, struct buf *b, struct err *e)
{
	AUTO(fd) int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc = fd < 0 ? err_sys(e, "cannot read the secret %s", file) : fd_read_all(fd, b, e);

	return rc < 0 ? rc : buf_check(b, "a secret", e);
}

static int
from_env(const char *name, struct buf *b, struct err *e)
{
	const char *value = getenv(name);

	if (value == NULL)
		return err_set(e, E_NOENT, "there is no variable %s for a secret", name);
	buf_str(b, value);
	return buf_check(b, "a secret", e);
}

/* "id=NAME[,src=FILE|,env=VARIABLE][,type=…]" */
static int
take_secret(const struct args *a, char *spec, struct taken *t, struct err *e)
{
	const char *id = NULL, *src = NULL, *env = NULL;
	struct buf *b = &t->values[t->nsecrets];
	char *rest = spec, *part;
	int rc;

	if (t->nsecrets == SECRETS_MAX)
		return args_usage(a, e, "more than %d secrets", SECRETS_MAX);
	while ((part = strsep(&rest, ",")) != NULL) {
		if (strncmp(part, "id=", 3) == 0)
			id = part + 3;
		else if (strncmp(part, "src=", 4) == 0)
			src = part + 4;
		else if (strncmp(part, "source=", 7) == 0)
			src = part + 7;
		else if (strncmp(part, "env=", 4) == 0)
			env = part + 4;
		else if (strncmp(part, "type=", 5) != 0)
			return args_usage(a, e, "'--secret': id=NAME,src=FILE or id=NAME,env=VARIABLE");
	}
	if (id == NULL || id[0] == '\0' || (src != NULL && env != NULL))
		return args_usage(a, e, "'--secret': id=NAME,src=FILE or id=NAME,env=VARIABLE");
	*b = (struct buf)BUF_INIT(SECRET_BYTES);
	t->ids[t->nsecrets] = strdup(id);
	t->nsecrets++;
	if (t->ids[t->nsecrets - 1] == NULL)
		return err_nomem(e);
	rc = src != NULL ? read_secret(src, b, e) : from_env(env != NULL ? env : id, b, e);
	t->secrets[t->nsecrets - 1] =
	    (struct pot_build_secret){ t->ids[t->nsecrets - 1], buf_cstr(b), b->len };
	return rc;
}

static int
take_secrets(const struct args *a, struct taken *t, struct err *e)
{
	AUTO_FREE char **specs = args_values(a, "secret");
	int rc = specs == NULL ? err_nomem(e) : 0;

	for (char **s = specs; rc == 0 && *s != NULL; s++) {
		AUTO_FREE char *spec = strdup(*s);

		rc = spec == NULL ? err_nomem(e) : take_secret(a, spec, t, e);
	}
	return rc;
}

/* ---- options ----------------------------------------------------------------------------------------- */

static int
take_lists(const struct args *a, struct taken *t, struct err *e)
{
	if ((t->names = args_values(a, "tag")) == NULL || (t->args = args_values(a, "build-arg")) == NULL ||
	    (t->labels = args_values(a, "label")) == NULL || (t->allow = args_values(a, "allow")) == NULL ||
	    (t->flavour_dirs = args_values(a, "flavour-dir")) == NULL ||
	    (t->flavour_args = args_values(a, "flavour-arg")) == NULL)
		return err_nomem(e);
	for (char **v = t->labels; *v != NULL; v++)
		if (strchr(*v, '=') == NULL)
			return args_usage(a, e, "'--label %s': NAME=VALUE", *v);
	return 0;
}

static int
take_all(const struct args *a, struct taken *t, struct pot_build_args *in, struct err *e)
{
	const char *jobs = args_value(a, "jobs");
	uint64_t n = 0;
	int rc = take_lists(a, t, e);

	if (rc == 0)
		rc = take_secrets(a, t, e);
	if (rc == 0)
		rc = net_args(a, &in->net, &t->insecure, e);
	if (rc == 0 && jobs != NULL)
		rc = text_uint(jobs, 1, 64, &n, "--jobs", e);
	in->context = a->rest[0];
	in->potfile = args_value(a, "file");
	in->names = (const char *const *)t->names;
	in->args = (const char *const *)t->args;
	in->labels = (const char *const *)t->labels;
	in->allow = (const char *const *)t->allow;
	in->flavour_dirs = (const char *const *)t->flavour_dirs;
	in->flavour_args = (const char *const *)t->flavour_args;
	in->target = args_value(a, "target");
	in->platform = args_value(a, "platform");
	in->network = args_value(a, "network");
	in->secrets = t->secrets;
	in->nsecrets = t->nsecrets;
	in->no_cache = args_has(a, "no-cache");
	in->squash = args_has(a, "squash");
	in->verify = args_has(a, "verify");
	in->jobs = (unsigned)n;
	return rc;
}

static enum steps_mode
mode_of(const struct cli *cli, const struct args *a)
{
	const char *progress = args_value(a, "progress");

	if (progress != NULL && strcmp(progress, "json") == 0)
		return STEPS_JSON;
	if (cli->quiet)
		return STEPS_QUIET;
	if (progress != NULL && strcmp(progress, "plain") == 0)
		return STEPS_PLAIN;
	/* A shell on a failed step has the terminal for itself. */
	if (args_has(a, "debug"))
		return STEPS_PLAIN;
	if (progress != NULL && strcmp(progress, "tty") == 0)
		return STEPS_TTY;
	return cli->err_tty ? STEPS_TTY : STEPS_PLAIN;
}

/* ---- build ------------------------------------------------------------------------------------------- */

static void
show_excerpt(void *arg, const char *text)
{
	struct steps *s = arg;

	events_end(s->cli);
	fputs(text, stderr);
}

/* In the process of the step. */
static int
debug(void *arg, struct pot_process *p, struct err *e)
{
	int status;

	(void)arg;
	fflush(NULL);
	return tty_run(p, true, &status, e);
}

static int
show_result(struct cli *cli, const struct pot_build_result *r, enum steps_mode mode, struct err *e)
{
	json_t *o;

	if (!cli->json && mode != STEPS_JSON) {
		puts(r->id);
		return 0;
	}
	o = json_pack("{s:o, s:o, s:i, s:i, s:i, s:I}", "id", js_string(r->id), "name",
	    js_text_or_null(r->name), "steps", (int)r->steps, "cached", (int)r->cached, "layers",
	    (int)r->layers, "size_bytes", (json_int_t)r->size);
	if (mode != STEPS_JSON)
		return js_print(o, e);
	json_object_set_new(o, "event", json_string("result"));
	return js_print_line(o, e);
}

static int
build(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FINI(taken) struct taken t = { .nsecrets = 0 };
	AUTO_FINI(steps) struct steps steps = { .cli = cli };
	struct pot_build_args in = { .fn = steps_tell, .arg = &steps, .excerpt = show_excerpt };
	struct pot_build_result r;
	int rc = take_all(a, &t, &in, e);

	if (rc != 0)
		return rc;
	if (args_has(a, "debug")) {
		if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
			return args_usage(a, e, "'--debug' needs a terminal");
		in.debug = debug;
		in.jobs = 1;
		tty_size(&in.rows, &in.cols);
	}
	steps_init(&steps, cli, mode_of(cli, a));
	rc = pot_build(cli->ctx, &in, &r, e);
	events_end(cli);
	return rc < 0 ? rc : show_result(cli, &r, steps.mode, e);
}

/* ---- prune ------------------------------------------------------------------------------------------- */

static int
prune_args(const struct args *a, struct pot_build_prune_args *in, struct err *e)
{
	const char *keep = args_value(a, "keep-storage"), *filter = args_value(a, "filter");
	int rc;

	in->all = args_has(a, "all");
	in->dry_run = args_has(a, "dry-run");
	in->keep = UINT64_MAX;
	if (keep != NULL && (rc = text_size(keep, &in->keep, "--keep-storage", e)) < 0)
		return rc;
	if (filter != NULL && strncmp(filter, "until=", 6) != 0)
		return args_usage(a, e, "'--filter': until=TIME");
	if (filter != NULL)
		return text_time(filter + 6, &in->before_ns, "--filter", e);
	if (!in->all && keep == NULL)
		in->before_ns = text_now_ns() - WEEK_NS;
	return 0;
}

static int
prune(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_build_prune_args in = { .all = false };
	struct pot_build_pruned out;
	char size[TEXT_SIZE_LEN];
	int rc = prune_args(a, &in, e);

	if (rc != 0 || (rc = pot_build_prune(cli->ctx, &in, &out, e)) < 0)
		return rc;
	events_end(cli);
	if (cli->json)
		return js_print(json_pack("{s:i, s:i, s:I}", "steps", (int)out.steps, "caches",
				    (int)out.mounts, "bytes", (json_int_t)out.bytes),
		    e);
	text_size_print(out.bytes, size);
	if (!cli->quiet)
		printf("%s%u steps, %u caches of mounts, %s\n", in.dry_run ? "would go: " : "", out.steps,
		    out.mounts, size);
	return 0;
}

int
image_build(struct cli *cli, const struct args *a, struct err *e)
{
	static const char *const of_prune[] = { "all", "keep-storage", "filter", "dry-run" };

	if (strcmp(a->rest[0], "prune") == 0)
		return prune(cli, a, e);
	for (size_t i = 0; i < ARRAY_LEN(of_prune); i++)
		if (args_has(a, of_prune[i]))
			return args_usage(a, e, "'--%s' is for 'pot build prune'", of_prune[i]);
	return build(cli, a, e);
}
