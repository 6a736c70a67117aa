/* pot kill: any signal to a pot's main process. */
#include <signal.h>

#include "cli/cli.h"
#include "model/signame.h"

static int
one(struct cli *cli, const struct args *a, const char *name, struct err *e)
{
	const char *text = args_value(a, "signal");
	int sig = text != NULL ? signame_parse(text, e) : SIGKILL;

	return sig < 0 ? sig : pot_kill(cli->ctx, name, sig, e);
}

static int
list_signals(const struct cli *cli, struct err *e)
{
	json_t *list = cli->json ? json_array() : NULL;

	for (const char *const *n = signame_all(); *n != NULL; n++) {
		if (cli->json)
			json_array_append_new(list, js_string(*n));
		else
			puts(*n);
	}
	return cli->json ? js_print(list, e) : 0;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	const char *text = args_value(a, "signal");
	int sig;

	if (args_has(a, "list"))
		return list_signals(cli, e);
	/* A wrong signal is one mistake, not one for each pot. */
	if (text != NULL && (sig = signame_parse(text, e)) < 0)
		return sig;
	return each_pot(cli, a, one, e);
}

static const struct opt opts[] = {
	{ "signal", 's', "SIGNAL", OPT_SIGNAL, "name, with or without SIG, or number (KILL)" },
	{ "list", 'l', NULL, OPT_SOLO, "show the names of signals" },
	OPT_END,
};

const struct cmd cmd_kill = {
	.name = "kill",
	.aliases = { "signal" },
	.group = "Running",
	.summary = "send a signal to pots",
	.text = "Sends a signal to the main process of the pot: KILL, or the one given.",
	.args = "",
	.pot = POT_MANY,
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot kill -s HUP web",
	.json = "[]: with -l, the names of the signals in an array\n",
	.run = run,
};
