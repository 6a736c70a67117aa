/*
 * The program pot: global options, the check for root, opening the
 * installation, the verb, the exit status. Knows no verb by name.
 */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"

const struct opt opt_globals[] = {
	{ "root", 0, "DIR", OPT_DIR, "use the separate installation under DIR (or POT_ROOT)" },
	{ "config", 0, "FILE", OPT_FILE, "read this configuration file (or POT_CONFIG)" },
	{ "format", 0, "table|json", 0, "show for people (table) or for programs (json)" },
	{ "quiet", 'q', NULL, 0, "names only; no progress, no information" },
	{ "verbose", 'v', NULL, 0, "tell what is done; show more" },
	{ "no-color", 0, NULL, 0, "no colour (as without a terminal, or with NO_COLOR set)" },
	{ "help", 'h', NULL, 0, "show help and do nothing else" },
	{ "version", 0, NULL, OPT_SOLO, "show the version and do nothing else" },
	OPT_END,
};

static bool
wants_colour(const struct args *a)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (args_has(a, "no-color") || (no != NULL && no[0] != '\0'))
		return false;
	return isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

static void
cli_init(struct cli *cli, const struct args *a)
{
	const char *format = args_value(a, "format");

	memset(cli, 0, sizeof(*cli));
	cli->json = format != NULL && strcmp(format, "json") == 0;
	cli->quiet = args_has(a, "quiet");
	cli->verbose = args_count(a, "verbose");
}

static int
open_installation(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_open_args open = {
		.root = args_value(a, "root"),
		.config = args_value(a, "config"),
		.events = events_of(cli),
		.cancel = signals_cancel(),
	};

	if ((a->cmd->flags & CMD_ROOT) != 0 && geteuid() != 0) {
		err_set(e, E_PERM, "must be root for 'pot %s'", a->cmd->name);
		return err_hint(e, "try: sudo pot %s", a->cmd->name);
	}
	cli->colour = wants_colour(a);
	cli->err_tty = isatty(STDERR_FILENO);
	signals_catch();
	return pot_open(&cli->ctx, &open, e);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	int rc;

	if (args_has(a, "version"))
		return cmd_find(cmd_table, "version")->run(cli, a, e);
	if (a->help) {
		if (a->cmd != NULL)
			usage_cmd(a->cmd, stdout);
		else
			usage_all(stdout);
		return 0;
	}
	if (a->cmd == NULL) {
		err_set(e, E_USAGE, "no command was given");
		return err_hint(e, "see 'pot help'");
	}
	if ((a->cmd->flags & CMD_NOCTX) == 0 && !args_flagged(a, OPT_SOLO)) {
		rc = open_installation(cli, a, e);
		if (rc != 0)
			return rc;
	}
	return a->cmd->run(cli, a, e);
}

/* Output that could not be written is a failure (a full disk, a closed descriptor). */
static int
flush_output(int rc, struct err *e)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return rc;
	if (rc < 0)
		return rc;
	return err_sysno(e, errno != 0 ? errno : EIO, "cannot write to standard output");
}

static int
exit_status(const struct args *a, const struct err *e)
{
	bool of_command =
	    a->cmd != NULL && ((a->cmd->flags & CMD_STATUS) != 0 || args_flagged(a, OPT_STATUS));

	if (of_command && e->code != E_USAGE && e->code != E_NOCMD && e->code != E_NOEXEC)
		return EXIT_OWN_FAILURE;
	return err_exit_status((enum err_code)e->code);
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct args a;
	struct cli cli = { 0 };
	int rc;

	rc = args_parse(&a, argc, argv, cmd_table, &e);
	if (rc == 0) {
		cli_init(&cli, &a);
		cli.argv = argv;
		rc = run(&cli, &a, &e);
		events_end(&cli);
		rc = flush_output(rc, &e);
	}
	if (rc < 0) {
		e.code = -rc;
		if (!cli.told)
			print_error(&cli, &e);
		rc = exit_status(&a, &e);
	}
	if (cli.ctx != NULL)
		pot_close(cli.ctx);
	args_fini(&a);
	return rc;
}
