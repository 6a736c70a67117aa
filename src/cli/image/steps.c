/*
 * One line for each step, with its time or CACHED. On a terminal the steps
 * under way stand below, drawn over themselves, with the last line of their
 * output; elsewhere output is passed on as it comes. A step that failed shows
 * the end of its output in every case. With json each event is one object.
 */
#include "cli/image/steps.h"

#include <stdlib.h>
#include <string.h>

#define DRAW_MS 100
#define TAIL_LINES 40

/* Somebody else writes. Bars have no place beside the steps. */
static void
make_room(struct cli *cli, const struct pot_event *ev)
{
	if (ev == NULL)
		steps_clear(cli->bars_arg);
}

void
steps_init(struct steps *s, struct cli *cli, enum steps_mode mode)
{
	*s = (struct steps){ .cli = cli, .mode = mode };
	if (mode == STEPS_TTY) {
		cli->bars = make_room;
		cli->bars_arg = s;
	}
}

void
steps_fini(struct steps *s)
{
	steps_clear(s);
	s->cli->bars = NULL;
	for (size_t i = 0; i < s->n; i++)
		buf_fini(&s->v[i].tail);
	free(s->v);
	s->v = NULL;
	s->n = 0;
}

static struct steps_stage *
stage_of(struct steps *s, const struct pot_build_event *ev)
{
	if (s->v == NULL) {
		s->v = calloc(ev->stages, sizeof(*s->v));
		s->n = s->v != NULL ? ev->stages : 0;
		for (size_t i = 0; i < s->n; i++)
			s->v[i].tail = (struct buf)BUF_INIT(2 * STEPS_TAIL);
	}
	return ev->stage < s->n ? &s->v[ev->stage] : NULL;
}

/* ---- text ---------------------------------------------------------------------------------------- */

/* "[build 2/5] RUN make" */
static void
put_head(const struct pot_build_event *ev, struct buf *b)
{
	buf_str(b, "[");
	if (ev->stage_name[0] != '\0')
		text_escape(ev->stage_name, strlen(ev->stage_name), b);
	else if (ev->stages > 1)
		buf_fmt(b, "stage-%u", ev->stage);
	buf_fmt(b, "%s%u", ev->stage_name[0] != '\0' || ev->stages > 1 ? " " : "", ev->step);
	if (ev->steps >= ev->step)
		buf_fmt(b, "/%u", ev->steps);
	buf_str(b, "] ");
	text_escape(ev->text, strlen(ev->text), b);
}

static void
put_time(int64_t ms, char out[static 24])
{
	if (ms < 60000)
		snprintf(out, 24, "%lld.%llds", (long long)(ms / 1000), (long long)(ms % 1000 / 100));
	else
		text_age_print(ms * 1000000, out);
}

static void
put_safe(const char *data, size_t len)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(16 * STEPS_TAIL);
	size_t n;

	/* To a file as it is; a terminal is not a program's to command. */
	if (!isatty(STDERR_FILENO)) {
		(void)!fwrite(data, 1, len, stderr);
		return;
	}
	for (; len > 0; data += n, len -= n) {
		n = strcspn(data, "\n\t\r");
		n = n > len ? len : n;
		text_escape(data, n, &b);
		if (n < len) {
			if (data[n] != '\r')
				buf_add(&b, data + n, 1);
			n++;
		}
	}
	fputs(buf_cstr(&b), stderr);
}

static void
put_line(struct steps *s, const char *text)
{
	events_end(s->cli);
	fprintf(stderr, "%s\n", text);
}

/* ---- drawing over itself ----------------------------------------------------------------------------- */

void
steps_clear(struct steps *s)
{
	struct err ignored;

	if (s->drawn)
		(void)!live_draw_to(&s->live, STDERR_FILENO, "", &ignored);
	s->drawn = false;
}

static void
draw(struct steps *s, bool now)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(256 * 1024);
	int64_t t = text_monotonic_ms();
	struct err ignored;

	if (s->mode != STEPS_TTY || (!now && t - s->drawn_ms < DRAW_MS))
		return;
	for (size_t i = 0; i < s->n; i++) {
		const struct steps_stage *st = &s->v[i];
		char age[24];

		if (!st->running)
			continue;
		put_time(t - st->since_ms, age);
		buf_fmt(&b, "%s  %s\n", st->line, age);
		if (st->last[0] != '\0')
			buf_fmt(&b, "    %s\n", st->last);
	}
	if (live_draw_to(&s->live, STDERR_FILENO, buf_cstr(&b), &ignored) == 0) {
		s->drawn = true;
		s->drawn_ms = t;
	}
}

/* ---- events ------------------------------------------------------------------------------------------ */

static void
keep_tail(struct steps_stage *st, const char *data, size_t len)
{
	AUTO_FINI(buf) struct buf last = BUF_INIT(STEPS_TAIL);
	size_t end, from;

	if (len > STEPS_TAIL) {
		data += len - STEPS_TAIL;
		len = STEPS_TAIL;
	}
	if (st->tail.len + len > 2 * STEPS_TAIL) {
		size_t keep = STEPS_TAIL / 2, drop = st->tail.len - keep;

		memmove(st->tail.data, st->tail.data + drop, keep);
		st->tail.len = keep;
	}
	buf_add(&st->tail, data, len);
	/* The last whole or begun line. */
	for (end = st->tail.len; end > 0 && strchr("\r\n", st->tail.data[end - 1]) != NULL;)
		end--;
	for (from = end; from > 0 && strchr("\r\n", st->tail.data[from - 1]) == NULL;)
		from--;
	text_escape(buf_cstr(&st->tail) + from, end - from, &last);
	snprintf(st->last, sizeof(st->last), "%s", buf_cstr(&last));
}

static void
on_begin(struct steps *s, struct steps_stage *st, const struct pot_build_event *ev)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(64 * 1024);

	put_head(ev, &b);
	snprintf(st->line, sizeof(st->line), "%s", buf_cstr(&b));
	st->last[0] = '\0';
	buf_reset(&st->tail);
	st->since_ms = text_monotonic_ms();
	st->running = true;
	draw(s, false);
}

static void
on_output(struct steps *s, struct steps_stage *st, const struct pot_build_event *ev)
{
	keep_tail(st, ev->data, ev->len);
	if (s->mode == STEPS_PLAIN && ev->len > 0) {
		events_end(s->cli);
		put_safe(ev->data, ev->len);
		st->in_line = ev->data[ev->len - 1] != '\n';
	}
	draw(s, false);
}

static void
show_tail(struct steps *s, struct steps_stage *st)
{
	size_t from = st->tail.len, lines = 0;

	/* Elsewhere it has just been shown. */
	if (s->mode == STEPS_PLAIN || st->tail.len == 0)
		return;
	while (from > 0 && (st->tail.data[from - 1] != '\n' || lines++ < TAIL_LINES))
		from--;
	steps_clear(s);
	put_safe(st->tail.data + from, st->tail.len - from);
	if (st->tail.data[st->tail.len - 1] != '\n')
		fputc('\n', stderr);
}

static void
on_end(struct steps *s, struct steps_stage *st, const struct pot_build_event *ev)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(64 * 1024);
	char age[24], size[TEXT_SIZE_LEN];

	st->running = false;
	if (st->in_line)
		fputc('\n', stderr);
	st->in_line = false;
	if (ev->failed)
		show_tail(s, st);
	if (s->mode == STEPS_QUIET)
		return;
	put_head(ev, &b);
	put_time(ev->ms, age);
	text_size_print(ev->size, size);
	if (ev->failed)
		buf_fmt(&b, "  FAILED  %s", age);
	else if (ev->cached)
		buf_str(&b, "  CACHED");
	else
		buf_fmt(&b, "  %s%s%s", age, ev->layer ? "  " : "", ev->layer ? size : "");
	put_line(s, buf_cstr(&b));
	draw(s, true);
}

static void
put_json(const struct pot_build_event *ev)
{
	static const char *const names[] = { "step", "output", "end" };
	json_t *o = json_pack("{s:s, s:i, s:o, s:i, s:i, s:o, s:o}", "event", names[ev->kind], "stage",
	    (int)ev->stage, "stage_name", js_string(ev->stage_name[0] != '\0' ? ev->stage_name : NULL),
	    "step", (int)ev->step, "steps", (int)ev->steps, "text", js_string(ev->text), "where",
	    js_string(ev->where));
	struct err ignored;

	if (ev->kind == POT_BUILD_OUTPUT) {
		AUTO_FREE char *data = buf_dup(ev->data, ev->len);

		json_object_set_new(o, "output", js_string(data));
	}
	if (ev->kind == POT_BUILD_STEP_END) {
		json_object_set_new(o, "cached", json_boolean(ev->cached));
		json_object_set_new(o, "failed", json_boolean(ev->failed));
		json_object_set_new(
		    o, "size_bytes", ev->layer ? json_integer((json_int_t)ev->size) : json_null());
		json_object_set_new(o, "ms", json_integer((json_int_t)ev->ms));
	}
	(void)!js_print_line(o, &ignored);
	fflush(stdout);
}

void
steps_tell(void *arg, const struct pot_build_event *ev)
{
	struct steps *s = arg;
	struct steps_stage *st = stage_of(s, ev);

	if (s->mode == STEPS_JSON)
		put_json(ev);
	if (st == NULL || s->mode == STEPS_JSON)
		return;
	switch (ev->kind) {
	case POT_BUILD_STEP:
		on_begin(s, st, ev);
		break;
	case POT_BUILD_OUTPUT:
		on_output(s, st, ev);
		break;
	case POT_BUILD_STEP_END:
		on_end(s, st, ev);
		break;
	}
}
