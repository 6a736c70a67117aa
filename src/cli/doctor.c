/* pot doctor: what this machine lacks, each finding with what mends it. */
#include "cli/cli.h"

struct look {
	const struct cli *cli;
	json_t *list;
};

static const char *const names[] = { "ok", "warn", "fail" };
static const enum colour colours[] = { COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED };

static int
each(void *arg, const struct pot_finding *f)
{
	struct look *l = arg;
	bool colour = l->cli->colour;

	if (l->cli->json) {
		json_array_append_new(l->list,
		    json_pack("{s:s, s:o, s:o, s:o}", "severity", names[f->severity], "check",
			js_string(f->check), "text", js_string(f->text), "remedy",
			js_string(f->remedy[0] != '\0' ? f->remedy : NULL)));
		return 0;
	}
	if (l->cli->quiet && f->severity == POT_OK)
		return 0;
	fputs(colour ? colour_code(colours[f->severity]) : "", stdout);
	printf("%-4s", names[f->severity]);
	fputs(colour ? colour_code(COLOUR_NONE) : "", stdout);
	putchar(' ');
	put_text(f->check);
	fputs(": ", stdout);
	put_text(f->text);
	putchar('\n');
	if (f->remedy[0] != '\0') {
		fputs("     try: ", stdout);
		put_text(f->remedy);
		putchar('\n');
	}
	return 0;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct look l = { cli, cli->json ? json_array() : NULL };
	int worst = pot_doctor(cli->ctx, each, &l, e);

	if (worst < 0) {
		if (l.list != NULL)
			json_decref(l.list);
		return worst;
	}
	if (cli->json) {
		int rc = js_print(l.list, e);

		if (rc != 0)
			return rc;
	}
	return worst == POT_FAIL ? 1 : 0;
}

const struct cmd cmd_doctor = {
	.name = "doctor",
	.group = "Setting up",
	.summary = "check what this machine needs to run pots",
	.text =
	    "Checks the kernel, storage, networks and programs. Each finding comes with the command or the\n"
	    "line that mends it. The status is 1 when something is missing that pots cannot do without.\n"
	    "With -q what is well is not shown.",
	.args = "",
	.flags = CMD_JSON,
	.example = "pot doctor",
	.json = "severity: ok, warn or fail\n"
		"check: what was looked at\n"
		"text: what was found\n"
		"remedy: what mends it, or null\n",
	.run = run,
};
