/*
 * Tables and fields for people. Cells are copied and escaped here, so that
 * nothing that a pot wrote can move the cursor of whoever looks. The table
 * owns its cells.
 */
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"

#define CELL_MAX 65536
#define FIELD_WIDTH 14

static const char *const colour_codes[] = { "", "\033[32m", "\033[33m", "\033[31m", "\033[1m" };

/* Columns that a UTF-8 text takes: one per character. Wide characters are rare in what we show. */
static size_t
text_width(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void
table_init(struct table *t, const char *heads)
{
	memset(t, 0, sizeof(*t));
	while (*heads != '\0' && t->ncols < TABLE_COLUMNS) {
		t->heads[t->ncols++] = heads;
		heads += strcspn(heads, " ");
		heads += strspn(heads, " ");
	}
}

void
table_fini(struct table *t)
{
	for (size_t i = 0; i < t->ncells; i++)
		free(t->cells[i].text);
	free(t->cells);
	t->cells = NULL;
	t->ncells = t->cap = 0;
}

void
table_colour(struct table *t, const char *text, enum colour colour)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(CELL_MAX * 4);

	if (t->ncells == t->cap) {
		size_t cap = t->cap == 0 ? 64 : t->cap * 2;
		struct cell *cells = reallocarray(t->cells, cap, sizeof(*cells));

		if (cells == NULL) {
			t->failed = true;
			return;
		}
		t->cells = cells;
		t->cap = cap;
	}
	if (text == NULL || text[0] == '\0')
		text = "-";
	text_escape(text, strlen(text), &b);
	t->cells[t->ncells].text = buf_take(&b);
	if (t->cells[t->ncells].text == NULL) {
		t->failed = true;
		return;
	}
	t->cells[t->ncells++].colour = colour;
}

void
table_add(struct table *t, const char *text)
{
	table_colour(t, text, COLOUR_NONE);
}

void
table_fmt(struct table *t, const char *fmt, ...)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(CELL_MAX);
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	t->failed = t->failed || b.failed;
	table_add(t, buf_cstr(&b));
}

void
table_size(struct table *t, uint64_t bytes)
{
	char text[TEXT_SIZE_LEN];

	text_size_print(bytes, text);
	table_add(t, text);
}

void
table_time(struct table *t, int64_t ns)
{
	char text[TEXT_TIME_LEN] = "-";

	if (ns != 0)
		text_time_print(ns, false, text);
	table_add(t, text);
}

static void
put_cell(FILE *f, const char *text, size_t len, enum colour colour, size_t width, bool right, bool last)
{
	size_t shown = text_width(text);
	int pad = width > shown ? (int)(width - shown) : 0;
	if (right)
		fprintf(f, "%*s", pad, "");
	fprintf(f, "%s%.*s%s", colour_codes[colour], (int)len, text,
	    colour != COLOUR_NONE ? colour_code(COLOUR_NONE) : "");
	if (!last)
		fprintf(f, "%*s", (right ? 0 : pad) + 2, "");
}

/* A head of several words stands with '_' in the list of heads, which blanks separate. */
static void
put_head(FILE *f, const char *head, enum colour colour, size_t width, bool right, bool last)
{
	char text[32];
	size_t n = strcspn(head, " ");

	snprintf(text, sizeof(text), "%.*s", (int)n, head);
	for (char *c = text; (c = strchr(c, '_')) != NULL;)
		*c = ' ';
	put_cell(f, text, strlen(text), colour, width, right, last);
}

static void
measure(const struct table *t, size_t widths[static TABLE_COLUMNS])
{
	for (size_t c = 0; c < t->ncols; c++)
		widths[c] = strcspn(t->heads[c], " ") - (t->heads[c][0] == '-');
	for (size_t i = 0; i < t->ncells; i++) {
		size_t w = text_width(t->cells[i].text);

		if (w > widths[i % t->ncols])
			widths[i % t->ncols] = w;
	}
}

int
table_write(struct table *t, const struct cli *cli, FILE *f, struct err *e)
{
	size_t widths[TABLE_COLUMNS];

	if (t->failed)
		return err_nomem(e);
	measure(t, widths);
	for (size_t c = 0; c < t->ncols && !cli->quiet; c++) {
		bool right = t->heads[c][0] == '-';
		const char *head = t->heads[c] + right;

		put_head(
		    f, head, cli->colour ? COLOUR_BOLD : COLOUR_NONE, widths[c], right, c + 1 == t->ncols);
	}
	if (!cli->quiet)
		fputc('\n', f);
	for (size_t i = 0; i < t->ncells; i++) {
		size_t c = i % t->ncols;
		const struct cell *cell = &t->cells[i];

		put_cell(f, cell->text, strlen(cell->text), cli->colour ? cell->colour : COLOUR_NONE,
		    widths[c], t->heads[c][0] == '-', c + 1 == t->ncols);
		if (c + 1 == t->ncols)
			fputc('\n', f);
	}
	return 0;
}

int
table_print(struct table *t, const struct cli *cli, struct err *e)
{
	return table_write(t, cli, stdout, e);
}

void
put_text(const char *s)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(1024 * 1024);

	text_escape(s, strlen(s), &b);
	fputs(buf_cstr(&b), stdout);
}

void
field(const char *key, const char *fmt, ...)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(CELL_MAX);
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	printf("%s%c%*s", key, key[0] != '\0' ? ':' : ' ',
	    (int)(strlen(key) < FIELD_WIDTH ? FIELD_WIDTH - strlen(key) : 1), "");
	put_text(buf_cstr(&b));
	putchar('\n');
}

const char *
colour_code(enum colour colour)
{
	return colour == COLOUR_NONE ? "\033[0m" : colour_codes[colour];
}

enum colour
state_colour(enum pot_state state)
{
	switch (state) {
	case POT_RUNNING:
		return COLOUR_GREEN;
	case POT_STARTING:
	case POT_STOPPING:
	case POT_PAUSED:
		return COLOUR_YELLOW;
	case POT_FAILED:
		return COLOUR_RED;
	default:
		return COLOUR_NONE;
	}
}

void
age_print(int64_t since_ns, char out[static TEXT_AGE_LEN])
{
	int64_t age = text_now_ns() - since_ns;

	if (since_ns == 0)
		memcpy(out, "-", 2);
	else
		text_age_print(age > 0 ? age : 0, out);
}
