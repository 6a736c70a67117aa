/* pot run: a pot from an image, made and started. */
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include "base/host.h"
#include "base/proc.h"
#include "cli/cli.h"

extern char **environ; /* FreeBSD's headers do not declare it */

enum policy { POLICY_MISSING, POLICY_ALWAYS, POLICY_NEVER };

struct run {
	struct cli *cli;
	const struct args *a;
	const char *image;
	char name[64];
	struct network_args net;
	struct walls_args walls;
	struct limit_args limits;
	char **env;
	bool created;
};

/* "web-3fa29c": what is a name of the image's last part, and what nobody else will have. */
static int
choose_name(const char *image, char out[static 64], struct err *e)
{
	const char *last = strrchr(image, '/') != NULL ? strrchr(image, '/') + 1 : image;
	unsigned random;
	size_t n = 0;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, "cannot get random bytes");
	for (; *last != '\0' && *last != ':' && *last != '@' && n < 40; last++)
		out[n++] = isalnum((unsigned char)*last) ? *last : '-';
	while (n > 0 && out[n - 1] == '-')
		n--;
	if (n == 0)
		out[n++] = 'p';
	snprintf(out + n, 64 - n, "-%06x", random & 0xffffff);
	return 0;
}

/* pot-image pull IMAGE, with our terminal; its words are ours. */
static int
pull(const struct run *r, struct err *e)
{
	char program[PATH_MAX], verb[] = "pull";
	AUTO_FINI(strv) struct strv argv = STRV_INIT(64);
	struct proc_spec spec = PROC_SPEC_INIT;
	const char *config = args_value(r->a, "config");
	int rc = host_find_program("pot-image", host_libexec(), program, sizeof(program), e);

	if (rc < 0)
		return rc;
	strv_add(&argv, program);
	strv_add(&argv, "--root");
	strv_add(&argv, pot_root(r->cli->ctx));
	if (config != NULL) {
		strv_add(&argv, "--config");
		strv_add(&argv, config);
	}
	if (r->cli->quiet)
		strv_add(&argv, "--quiet");
	for (size_t i = 0; i < r->cli->verbose; i++)
		strv_add(&argv, "-v");
	strv_add(&argv, verb);
	strv_add(&argv, r->image);
	if ((rc = strv_check(&argv, "words", e)) < 0)
		return rc;
	spec.argv = (const char *const *)strv_argv(&argv);
	spec.envp = (const char *const *)environ;
	spec.fd_err = STDERR_FILENO;
	spec.cancel = signals_cancel();
	rc = proc_run(&spec, NULL, e);
	if (rc < 0 && rc != -E_INTR) {
		/* It has told why. */
		r->cli->told = true;
		return rc;
	}
	return rc;
}

static int
create(struct run *r, struct err *e)
{
	struct pot_create_args in = {
		.name = r->name,
		.image = r->image,
		.level = -1,
		.env = (const char *const *)r->env,
		.args = r->a->nrest > 1 ? (const char *const *)r->a->rest + 1 : NULL,
	};
	int rc = network_args_get(r->a, &in, &r->net, e);

	if (rc == 0)
		rc = walls_args_get(r->a, &r->walls, &in.walls, e);
	if (rc == 0)
		rc = limit_args_get(r->a, &r->limits, e);
	in.limits = r->limits.v;
	in.nlimits = r->limits.n;
	if (rc == 0)
		rc = pot_create(r->cli->ctx, &in, e);
	r->created = rc == 0;
	return rc;
}

static enum policy
policy_of(const struct args *a)
{
	const char *text = args_value(a, "image-policy");

	if (text == NULL || strcmp(text, "missing") == 0)
		return POLICY_MISSING;
	return strcmp(text, "always") == 0 ? POLICY_ALWAYS : POLICY_NEVER;
}

static int
get_image(struct run *r, struct err *e)
{
	enum policy policy = policy_of(r->a);
	int rc;

	if (policy == POLICY_ALWAYS)
		return pull(r, e);
	rc = pot_image_exists(r->cli->ctx, r->image, e);
	if (rc == 1)
		return 0;
	if (rc < 0 || policy == POLICY_NEVER || !pot_image_is_remote(r->image)) {
		if (rc == 0)
			rc = err_set(e, E_NOENT, "there is no image %s on this node", r->image);
		return rc;
	}
	return pull(r, e);
}

/* SRC:DST[:OPTION,…] with the options ro and idmap. */
static int
add_mount(struct run *r, const char *text, struct err *e)
{
	AUTO_FREE char *copy = strdup(text);
	struct pot_mount m = { .source = copy };
	char *rest = copy, *options, *word;

	if (copy == NULL)
		return err_nomem(e);
	(void)strsep(&rest, ":");
	m.target = strsep(&rest, ":");
	options = rest;
	if (m.source[0] == '\0' || m.target == NULL || m.target[0] == '\0')
		return args_usage(r->a, e, "--mount '%.64s': not SOURCE:TARGET[:ro]", text);
	while ((word = strsep(&options, ",")) != NULL) {
		if (strcmp(word, "ro") == 0)
			m.read_only = true;
		else if (strcmp(word, "idmap") == 0)
			m.idmap = true;
		else
			return args_usage(
			    r->a, e, "--mount '%.64s': '%.32s' is neither ro nor idmap", text, word);
	}
	return pot_mount_in(r->cli->ctx, r->name, &m, e);
}

static int
add_mounts(struct run *r, struct err *e)
{
	AUTO_FREE char **mounts = args_values(r->a, "mount");
	int rc = mounts == NULL ? err_nomem(e) : 0;

	for (char **m = mounts; rc == 0 && *m != NULL; m++)
		rc = add_mount(r, *m, e);
	return rc;
}

static int
start_attached(struct run *r, int *status, struct err *e)
{
	struct pot_start_args in = { .attach = true };
	struct pot_process proc = { 0, -1 };
	int signals, rc = pot_start(r->cli->ctx, r->name, &in, &proc, e);

	if (rc != 0)
		return rc;
	if ((signals = signals_to_fd(false, e)) < 0)
		return signals;
	fflush(stdout);
	return pot_attach(r->cli->ctx, r->name, &proc, STDOUT_FILENO, STDERR_FILENO, signals, status, e);
}

static int
start_detached(struct run *r, struct err *e)
{
	struct pot_start_args in = { .attach = false };
	int rc = pot_start(r->cli->ctx, r->name, &in, NULL, e);

	if (rc == 0 && !r->cli->quiet)
		puts(r->name);
	return rc;
}

/* ---- with our descriptors, or a terminal of its own ------------------------------ */

static int
make_terminal(int *master, int *slave, struct err *e)
{
	struct winsize ws = { 0 };
	char name[64];

	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*master < 0 || grantpt(*master) != 0 || unlockpt(*master) != 0 ||
	    ptsname_r(*master, name, sizeof(name)) != 0 ||
	    (*slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
		return err_sys(e, "cannot make a terminal");
	tty_size(&ws.ws_row, &ws.ws_col);
	(void)ioctl(*master, TIOCSWINSZ, &ws);
	return 0;
}

/* A child that ends as the pot does: what tty_run and signals_to_child can watch. */
static int
wait_in_child(struct run *r, pid_t *pid, struct err *e)
{
	struct pot_exit x;

	fflush(NULL);
	*pid = fork();
	if (*pid < 0)
		return err_sys(e, "cannot make a process");
	if (*pid > 0)
		return 0;
	signals_die();
	_exit(pot_wait(r->cli->ctx, r->name, &x, NULL) == 0 ? x.status & 255 : EXIT_OWN_FAILURE);
}

/* A signal that ended our child was meant for the pot. */
static int
pass_on(struct run *r, int *status, struct err *e)
{
	struct pot_info *info = NULL;
	struct pot_exit x;
	int rc = pot_info(r->cli->ctx, r->name, 0, &info, e);
	bool runs = rc == 0 && (info->summary.state == POT_RUNNING || info->summary.state == POT_PAUSED);

	pot_info_free(info);
	if (rc != 0 || !runs || *status <= 128)
		return rc;
	if ((rc = pot_kill(r->cli->ctx, r->name, *status - 128, e)) == 0 &&
	    (rc = pot_wait(r->cli->ctx, r->name, &x, e)) == 0)
		*status = x.status;
	return rc;
}

static int
start_with_fds(struct run *r, int *status, struct err *e)
{
	/* Our own terminal is never a pot's: it could read it, and change it, for as long as it likes. */
	bool tty =
	    args_has(r->a, "tty") || isatty(STDIN_FILENO) || isatty(STDOUT_FILENO) || isatty(STDERR_FILENO);
	AUTO(fd) int slave = -1;
	int fds[3] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO }, master = -1;
	struct pot_start_args in = { .fds = fds };
	struct pot_process proc = { 0, -1 };
	int rc = tty ? make_terminal(&master, &slave, e) : 0;

	if (tty)
		fds[0] = fds[1] = fds[2] = slave;
	if (rc == 0)
		rc = pot_start(r->cli->ctx, r->name, &in, NULL, e);
	fd_close(take_fd(slave));
	if (rc == 0)
		rc = wait_in_child(r, &proc.pid, e);
	if (rc != 0) {
		fd_close(master);
		return rc;
	}
	proc.fd = master;
	if (tty) {
		rc = tty_run(&proc, args_has(r->a, "interactive") || isatty(STDIN_FILENO), status, e);
	} else {
		signals_to_child(proc.pid);
		rc = pot_exec_wait(&proc, status, e);
	}
	signals_to_child(0);
	return rc != 0 ? rc : pass_on(r, status, e);
}

static int
start(struct run *r, int *status, struct err *e)
{
	if (args_has(r->a, "detach"))
		return start_detached(r, e);
	if (args_has(r->a, "interactive") || args_has(r->a, "tty"))
		return start_with_fds(r, status, e);
	return start_attached(r, status, e);
}

static int
check(const struct args *a, struct err *e)
{
	AUTO_FREE char **env = args_values(a, "env");
	int rc = args_exclusive(a, "detach", "rm", e);

	if (rc == 0)
		rc = args_exclusive(a, "detach", "interactive", e);
	if (rc == 0)
		rc = args_exclusive(a, "detach", "tty", e);
	for (char **v = env; rc == 0 && v != NULL && *v != NULL; v++)
		if (strchr(*v, '=') == NULL || **v == '=')
			rc = args_usage(a, e, "-e '%.64s': not NAME=VALUE", *v);
	return rc;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct run r = { .cli = cli,
		.a = a,
		.image = a->rest[0],
		.env = args_values(a, "env"),
		.walls = WALLS_ARGS_INIT };
	int status = 0, rc = r.env == NULL ? err_nomem(e) : check(a, e);

	if (rc == 0 && args_has(a, "pot"))
		snprintf(r.name, sizeof(r.name), "%s", args_value(a, "pot"));
	else if (rc == 0)
		rc = choose_name(r.image, r.name, e);
	if (rc == 0)
		rc = get_image(&r, e);
	if (rc == 0)
		rc = create(&r, e);
	if (rc == 0)
		rc = add_mounts(&r, e);
	if (rc == 0)
		rc = start(&r, &status, e);
	/* A pot that never ran is of no use to anybody; one with --rm has had its time. */
	if (r.created && (rc < 0 || args_has(a, "rm"))) {
		struct err own = ERR_INIT;

		if (pot_destroy(cli->ctx, r.name, true, &own) < 0)
			print_error(cli, &own);
	}
	network_args_fini(&r.net);
	walls_args_fini(&r.walls);
	limit_args_fini(&r.limits);
	free(r.env);
	return rc != 0 ? rc : status;
}

static const struct opt opts[] = {
	{ "pot", 'p', "NAME", 0, "name of the pot; without it one is made from the image's" },
	{ "rm", 0, NULL, 0, "remove the pot when it has ended" },
	{ "detach", 'd', NULL, 0, "return when it runs, and print its name" },
	{ "interactive", 'i', NULL, 0, "pass standard input; at a terminal also -t" },
	{ "tty", 't', NULL, 0, "give the command a terminal, joined to this one" },
	{ "env", 'e', "NAME=VALUE", OPT_MANY, "set a variable, on top of the image's" },
	{ "mount", 0, "SRC:DST[:OPTION]", OPT_MANY,
	    "mount a directory or file of the host; options: ro,idmap" },
	{ "image-policy", 0, "always|missing|never", 0, "when to pull the image (missing)" },
	NETWORK_OPTS_AS(0, 0),
	WALLS_OPTS,
	LIMIT_OPTS,
	OPT_END,
};

const struct cmd cmd_run = {
	.name = "run",
	.group = "Running",
	.summary = "make a pot from an image and start it",
	.text =
	    "Makes a pot from an image, which is pulled when it is not here, and starts it: the words "
	    "behind\n"
	    "the image in place of the image's own command. Stays with its output and exits with its "
	    "status,\n"
	    "unless -d is given. INT TERM HUP QUIT USR1 USR2 are passed on. A pot that could not be started\n"
	    "is removed again.",
	.args = "IMAGE [COMMAND...]",
	.min = 1,
	.max = -1,
	.flags = CMD_ROOT | CMD_TAIL | CMD_TAIL_FIRST | CMD_STATUS,
	.opts = opts,
	.example = "pot run --rm -e LANG=C web:1.0 /bin/true",
	.run = run,
};
