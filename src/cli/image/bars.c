/*
 * What pull and push show while they work. Everything goes to stderr, but the
 * events of --format json, which are what was asked for. The bars are drawn
 * over themselves ten times a second at most; each frame is one write.
 */
#include <string.h>

#include "cli/image/bars.h"

#define BARS_AFTER_MS 500
#define BARS_EVERY_MS 100
#define BAR_WIDTH 24
#define JSON_EVERY_MS 200

static struct bar *
bar_of(struct bars *b, const char *what)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->v[i].what, what) == 0)
			return &b->v[i];
	if (b->n == BARS_MAX)
		return NULL;
	snprintf(b->v[b->n].what, sizeof(b->v[b->n].what), "%s", what);
	return &b->v[b->n++];
}

static void
put_bar(const struct bar *bar, struct buf *frame)
{
	char done[TEXT_SIZE_LEN], total[TEXT_SIZE_LEN], line[BAR_WIDTH + 1];
	int full = bar->total == 0 ? BAR_WIDTH : (int)((double)bar->done / (double)bar->total * BAR_WIDTH);

	for (int i = 0; i < BAR_WIDTH; i++)
		line[i] = i < full ? '#' : '.';
	line[BAR_WIDTH] = '\0';
	text_size_print(bar->done, done);
	text_size_print(bar->total, total);
	buf_fmt(frame, "\r\033[2K%-20s [%s] %s of %s\n", bar->what, line, done, total);
}

static void
erase(struct bars *b, struct buf *frame)
{
	if (b->shown > 0)
		buf_fmt(frame, "\033[%zuA\033[J", b->shown);
	b->shown = 0;
}

static void
put(const struct buf *frame)
{
	fwrite(buf_cstr(frame), 1, frame->len, stderr);
	fflush(stderr);
}

static void
draw(struct bars *b)
{
	AUTO_FINI(buf) struct buf frame = BUF_INIT(64 * 1024);
	unsigned short rows, cols;

	tty_size(&rows, &cols);
	erase(b, &frame);
	for (size_t i = 0; i < b->n && b->shown + 1 < rows; i++) {
		put_bar(&b->v[i], &frame);
		b->shown++;
	}
	put(&frame);
}

static void
take_away(struct bars *b)
{
	AUTO_FINI(buf) struct buf frame = BUF_INIT(256);

	erase(b, &frame);
	put(&frame);
}

static void
json_event(const struct pot_event *ev)
{
	json_t *o = json_pack("{s:s, s:o, s:I, s:I}", "event", "progress", "what", js_string(ev->text),
	    "bytes", (json_int_t)ev->done, "total", (json_int_t)ev->total);

	(void)!js_print_line(o, NULL);
}

static void
on_progress(struct bars *b, const struct pot_event *ev)
{
	struct bar *bar = bar_of(b, ev->text);
	int64_t now = text_monotonic_ms();
	bool done = ev->done >= ev->total;
	char total[TEXT_SIZE_LEN];

	if (bar == NULL || bar->told)
		return;
	bar->done = ev->done;
	bar->total = ev->total;
	bar->told = done;
	if (b->cli->json) {
		if (done || now - b->drawn_ms >= JSON_EVERY_MS) {
			json_event(ev);
			b->drawn_ms = now;
		}
	} else if (!b->cli->err_tty) {
		text_size_print(bar->total, total);
		if (done)
			fprintf(stderr, "pot: %s: %s\n", bar->what, total);
	} else if (now - b->begun_ms >= BARS_AFTER_MS && now - b->drawn_ms >= BARS_EVERY_MS) {
		b->drawn_ms = now;
		draw(b);
	}
}

static void
on_event(struct cli *cli, const struct pot_event *ev)
{
	struct bars *b = cli->bars_arg;

	if (ev == NULL)
		take_away(b);
	else if (!cli->quiet)
		on_progress(b, ev);
}

void
bars_begin(struct bars *b, struct cli *cli)
{
	*b = (struct bars){ .cli = cli, .begun_ms = text_monotonic_ms() };
	cli->bars = on_event;
	cli->bars_arg = b;
}

void
bars_end(struct bars *b)
{
	take_away(b);
	b->cli->bars = NULL;
	b->cli->bars_arg = NULL;
}
