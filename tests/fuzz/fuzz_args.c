/* The command line: words split by NUL. Taken apart, or refused with a message that is safe to print. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/cmd.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int
nothing(struct cli *c, const struct args *a, struct err *e)
{
	return 0;
}

static const struct opt start_opts[] = {
	{ "attach", 'a', NULL, 0, "stay" },
	{ "env", 'e', "NAME=VALUE", OPT_MANY, "environment" },
	{ "format", 0, "table|json", 0, "how" },
	OPT_END,
};
static const struct cmd start = { .name = "start",
	.aliases = { "run", NULL },
	.args = "",
	.pot = POT_MANY,
	.opts = start_opts,
	.run = nothing };
static const struct opt exec_opts[] = { { "user", 'u', "USER", OPT_MUST, "who" }, OPT_END };
static const struct cmd exec = { .name = "exec",
	.args = "CMD…",
	.min = 1,
	.max = -1,
	.pot = POT_ONE,
	.flags = CMD_TAIL,
	.opts = exec_opts,
	.run = nothing };
static const struct cmd *const table[] = { &start, &exec, NULL };
const struct opt opt_globals[] = {
	{ "root", 0, "DIR", OPT_DIR, "installation" },
	{ "verbose", 'v', NULL, 0, "more" },
	OPT_END,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(512);
	AUTO_FREE char *text = calloc(1, size + 1);
	struct err e = ERR_INIT;
	struct args a = { 0 };

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	strv_add(&words, "pot");
	for (size_t at = 0; at < size; at += strlen(text + at) + 1)
		strv_add(&words, text + at);
	if (words.failed)
		return 0;
	if (args_parse(&a, (int)words.n, words.v, table, &e) == 0) {
		if (a.cmd != NULL && !a.help && a.cmd->pot == POT_ONE && a.npots != 1)
			abort();
		for (size_t i = 0; i < a.ngiven; i++) {
			if ((a.given[i].opt->arg != NULL) != (a.given[i].value != NULL))
				abort();
		}
		if (a.pots != NULL && a.pots[a.npots] != NULL)
			abort();
	} else if (e.code != E_USAGE || e.msg[0] == '\0' || strpbrk(e.msg, "\n\r\x1b") != NULL ||
	    strpbrk(e.hint, "\n\r\x1b") != NULL) {
		abort();
	}
	args_fini(&a);
	return 0;
}
