/*
 * A text that is drawn over itself on a terminal. Each frame is one write, so
 * that no half of it is ever seen. Nothing is asked of the terminal but to go
 * up, and to clear a line and the rest of the screen; what was above the first
 * frame stays.
 */
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"

#define FRAME_MAX (4u << 20)
#define CLEAR_LINE "\033[2K"
#define CLEAR_BELOW "\033[J"
#define CLEAR_ALL "\033[H\033[2J"

/* Bytes of the line that fit in cols columns; *cut: some did not. Codes of colour take none. */
static size_t
fitting(const char *line, size_t len, size_t cols, bool *cut)
{
	size_t width = 0;

	*cut = false;
	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\033') {
			while (i < len && line[i] != 'm')
				i++;
			continue;
		}
		if (((unsigned char)line[i] & 0xc0) != 0x80 && width++ == cols) {
			*cut = true;
			return i;
		}
	}
	return len;
}

static size_t
count_lines(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

int
live_draw_to(struct live *l, int fd, const char *text, struct err *e)
{
	AUTO_FINI(buf) struct buf frame = BUF_INIT(FRAME_MAX);
	size_t total = count_lines(text), shown, done = 0;
	unsigned short rows, cols;
	int rc;

	tty_size(&rows, &cols);
	/* The cursor has the last row. */
	shown = total < rows ? total : rows > 2 ? rows - 2u : 1;
	if (l->anew)
		buf_str(&frame, CLEAR_ALL);
	else if (l->lines > 0)
		buf_fmt(&frame, "\r\033[%zuA", l->lines);
	for (; done < shown; done++) {
		size_t len = strcspn(text, "\n");
		bool cut;

		buf_str(&frame, CLEAR_LINE);
		buf_add(&frame, text, fitting(text, len, cols, &cut));
		buf_str(&frame, cut ? "\033[0m\n" : "\n");
		text += len + 1;
	}
	if (shown < total) {
		buf_fmt(&frame, CLEAR_LINE "%zu more\n", total - shown);
		done++;
	}
	buf_str(&frame, CLEAR_BELOW);
	l->lines = done;
	l->anew = false;
	rc = buf_check(&frame, "the table", e);
	return rc < 0 ? rc : fd_write_all(fd, frame.data, frame.len, "the terminal", e);
}

int
live_draw(struct live *l, const char *text, struct err *e)
{
	return live_draw_to(l, STDOUT_FILENO, text, e);
}
