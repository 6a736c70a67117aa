/*
 * What the library tells while it works, brought to stderr: warnings always,
 * information with -v, and a progress bar on a terminal for what takes longer
 * than a second. Without a terminal progress shows only with -v, as lines.
 */
#include <string.h>

#include "cli/cli.h"

#define BAR_AFTER_MS 1000
#define BAR_EVERY_MS 100
#define LINE_EVERY_MS 5000
#define BAR_WIDTH 30

static void
put_err(const char *text)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(64 * 1024);

	text_escape(text, strlen(text), &b);
	fputs(buf_cstr(&b), stderr);
}

static void
bar_clear(struct cli *cli)
{
	if (cli->progress.shown)
		fputs("\r\033[K", stderr);
	cli->progress.shown = false;
}

static void
amount(const struct pot_event *ev, char *out, size_t len)
{
	char done[TEXT_SIZE_LEN], total[TEXT_SIZE_LEN];

	text_size_print(ev->done, done);
	text_size_print(ev->total, total);
	if (ev->total > 0)
		snprintf(out, len, "%s of %s", done, total);
	else
		snprintf(out, len, "%s", done);
}

static void
bar_draw(struct cli *cli, const struct pot_event *ev)
{
	char bar[BAR_WIDTH + 1], size[48];
	int full = 0;

	amount(ev, size, sizeof(size));
	if (ev->total > 0)
		full = ev->done >= ev->total ? BAR_WIDTH
					     : (int)((double)ev->done / (double)ev->total * BAR_WIDTH);
	else /* nobody knows the end: a mark that walks */
		full = (int)(text_monotonic_ms() / 200 % (BAR_WIDTH + 1));
	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = ev->total > 0 ? (i < full ? '#' : '.') : (i == full ? '#' : '.');
	bar[BAR_WIDTH] = '\0';
	fputs("\r\033[K", stderr);
	put_err(cli->progress.what);
	fprintf(stderr, " [%s] %s", bar, size);
	fflush(stderr);
	cli->progress.shown = true;
}

static void
on_progress(struct cli *cli, const struct pot_event *ev)
{
	struct progress *p = &cli->progress;
	int64_t now = text_monotonic_ms();
	bool line = !cli->err_tty;
	char size[48];

	if (cli->quiet || (line && cli->verbose == 0))
		return;
	if (p->since_ms == 0 || strncmp(p->what, ev->text, sizeof(p->what) - 1) != 0) {
		bar_clear(cli);
		snprintf(p->what, sizeof(p->what), "%s", ev->text);
		p->since_ms = now;
		p->drawn_ms = 0;
	}
	if (now - p->since_ms < BAR_AFTER_MS || now - p->drawn_ms < (line ? LINE_EVERY_MS : BAR_EVERY_MS))
		return;
	p->drawn_ms = now;
	if (!line) {
		bar_draw(cli, ev);
		return;
	}
	amount(ev, size, sizeof(size));
	put_err(p->what);
	fprintf(stderr, ": %s\n", size);
}

static void
on_event(void *arg, const struct pot_event *ev)
{
	struct cli *cli = arg;

	if (ev->kind == POT_EV_PROGRESS) {
		if (cli->bars != NULL)
			cli->bars(cli, ev);
		else
			on_progress(cli, ev);
		return;
	}
	if (ev->kind == POT_EV_INFO && (cli->verbose == 0 || cli->quiet))
		return;
	if (cli->bars != NULL)
		cli->bars(cli, NULL);
	bar_clear(cli);
	fputs(ev->kind == POT_EV_WARN ? "pot: warning: " : "pot: ", stderr);
	put_err(ev->text);
	fputc('\n', stderr);
}

struct pot_events
events_of(struct cli *cli)
{
	return (struct pot_events){ on_event, cli };
}

void
events_end(struct cli *cli)
{
	if (cli->bars != NULL)
		cli->bars(cli, NULL);
	bar_clear(cli);
	cli->progress.since_ms = 0;
}

void
print_error(struct cli *cli, const struct err *e)
{
	events_end(cli);
	fflush(stdout);
	fputs("pot: ", stderr);
	put_err(e->msg[0] != '\0' ? e->msg : err_text((enum err_code)e->code));
	if (e->hint[0] != '\0') {
		fputs(" (", stderr);
		put_err(e->hint);
		fputc(')', stderr);
	}
	fputc('\n', stderr);
}
