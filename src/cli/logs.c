/* pot logs: what a pot wrote. */
#include <string.h>

#include "cli/cli.h"

struct look {
	struct cli *cli;
	bool times, follow;
	bool broken[2]; /* the last piece of stdout, stderr had no newline */
	struct err *e;
};

static int
line_json(struct look *l, const struct pot_log_line *line)
{
	AUTO_FREE char *text = buf_dup(line->text, line->len);
	const char *stream = line->stream == 'e' ? "stderr" : "stdout";
	int rc;

	if (text == NULL)
		return err_nomem(l->e);
	rc = js_print_line(json_pack("{s:o, s:s, s:b, s:o}", "time", js_time(line->time_ns), "stream", stream,
			       "whole", (int)line->whole, "text", js_string(text)),
	    l->e);
	if (l->follow)
		fflush(stdout);
	return rc;
}

static int
each(void *arg, const struct pot_log_line *line)
{
	struct look *l = arg;
	bool is_err = line->stream == 'e';
	FILE *f = is_err ? stderr : stdout;
	char time[TEXT_TIME_LEN];

	if (l->cli->json)
		return line_json(l, line);
	/* Both streams in one terminal or file keep their order. */
	if (is_err)
		fflush(stdout);
	if (l->times && !l->broken[is_err]) {
		text_time_print(line->time_ns, true, time);
		fprintf(f, "%s ", time);
	}
	fwrite(line->text, 1, line->len, f);
	if (line->whole)
		fputc('\n', f);
	l->broken[is_err] = !line->whole;
	if (l->follow)
		fflush(stdout);
	if (ferror(f))
		return err_set(l->e, E_SYS, "cannot write the log to standard output");
	return 0;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_logs_args in = { .follow = args_has(a, "follow"), .lines = -1 };
	struct look l = { .cli = cli, .times = args_has(a, "timestamps"), .follow = in.follow, .e = e };
	const char *lines = args_value(a, "lines"), *since = args_value(a, "since");
	uint64_t n;
	int rc;

	if (lines != NULL) {
		rc = text_uint(lines, 0, INT64_MAX, &n, "--lines", e);
		if (rc != 0)
			return rc;
		in.lines = (int64_t)n;
	}
	if (since != NULL) {
		rc = text_time(since, &in.since_ns, "--since", e);
		if (rc != 0)
			return rc;
	}
	signals_die();
	return pot_logs(cli->ctx, a->pots[0], &in, each, &l, e);
}

static const struct opt opts[] = {
	{ "follow", 'f', NULL, 0, "go on until the pot has ended" },
	{ "lines", 'n', "LINES", 0, "only the last lines" },
	{ "since", 0, "TIME", 0, "only from then on: 2026-01-31T12:00:00Z, @SECONDS, or an age (10m)" },
	{ "timestamps", 't', NULL, 0, "the time before each line" },
	OPT_END,
};

const struct cmd cmd_logs = {
	.name = "logs",
	.group = "Looking",
	.summary = "show what a pot wrote",
	.text = "Shows what the pot's command wrote, in order: its output on standard output and its error "
		"output\n"
		"on standard error, where the two were kept apart (start -a).",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_JSON | CMD_ROOT,
	.opts = opts,
	.example = "pot logs -f -n 20 web",
	.json = "time: when it was written\n"
		"stream: stdout or stderr\n"
		"whole: false when no newline follows\n"
		"text: the line without newline; one object a line, not an array\n",
	.run = run,
};
