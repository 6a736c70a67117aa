/*
 * Lines of the log. They are made here by hand, not by a JSON library: each is
 * flat, and nothing is to be allocated while memory is short. A line is at
 * most PIPE_BUF bytes long, so that a pipe with room takes it whole, and one
 * whose reader is slow or stopped never holds the loop up: then lines are lost,
 * counted, and the number is told with the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "nomad/log.h"

#define LINE_MAX_BYTES (PIPE_BUF < 4096 ? PIPE_BUF : 4096)

struct log {
	int fd, file;
	enum log_level level;
	unsigned long lost;
};

struct line {
	char text[LINE_MAX_BYTES];
	size_t n;
};

static const char *const level_names[] = { "trace", "debug", "info", "warn", "error" };

struct log *
log_new(int fd)
{
	struct log *l = calloc(1, sizeof(*l));

	if (l != NULL)
		*l = (struct log){ fd, -1, LOG_LEVEL_TRACE, 0 };
	return l;
}

void
log_free(struct log *l)
{
	if (l == NULL)
		return;
	if (l->file >= 0)
		fd_close(l->file);
	free(l);
}

int
log_level_parse(const char *text, enum log_level *level, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcasecmp(text, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return err_set(e, E_INVAL, "log level '%.32s': it is one of trace, debug, info, warn, error", text);
}

void
log_set_level(struct log *l, enum log_level level)
{
	l->level = level;
}

int
log_to_file(struct log *l, const char *path, struct err *e)
{
	int fd = -1;

	if (path != NULL) {
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
		if (fd < 0)
			return err_sys(e, "open the log file '%s'", path);
	}
	if (l->file >= 0)
		fd_close(l->file);
	l->file = fd;
	return 0;
}

/* The end of a line ("…" of a cut text and what closes it) always has room. */
#define LINE_RESERVE 48

static void
put(struct line *line, const char *text)
{
	size_t n = strlen(text);

	if (n < sizeof(line->text) - line->n) {
		memcpy(line->text + line->n, text, n);
		line->n += n;
	}
}

/* As the inside of a JSON string: printable UTF-8 by text_escape_into, then quotes and backslashes. */
static void
put_escaped(struct line *line, const char *text)
{
	char plain[LINE_MAX_BYTES];
	size_t end = sizeof(line->text) - LINE_RESERVE;

	text_escape_into(plain, sizeof(plain), text, strlen(text));
	for (const char *s = plain; *s != '\0'; s++) {
		bool is_start = (*s & 0xc0) != 0x80;

		/* Room for the longest character and for its backslash. */
		if (is_start && line->n + 5 > end) {
			put(line, "\xe2\x80\xa6");
			return;
		}
		if (*s == '"' || *s == '\\')
			line->text[line->n++] = '\\';
		line->text[line->n++] = *s;
	}
}

static void
put_pair(struct line *line, const char *key, const char *value)
{
	if (line->n + strlen(key) + 2 * LINE_RESERVE > sizeof(line->text))
		return;
	put(line, line->n == 0 ? "{\"" : ",\"");
	put(line, key);
	put(line, "\":\"");
	put_escaped(line, value);
	put(line, "\"");
}

/* Exactly six digits of a second's fraction: the agent takes no other number of them. */
static void
put_time(struct line *line)
{
	int64_t ns = text_now_ns();
	char whole[TEXT_TIME_LEN], text[TEXT_TIME_LEN + 16];

	text_time_print(ns, false, whole);
	whole[strcspn(whole, "Z")] = '\0';
	snprintf(text, sizeof(text), "%s.%06dZ", whole, (int)(ns / 1000 % 1000000));
	put_pair(line, "@timestamp", text);
}

static void
begin(struct line *line, enum log_level level, const char *message)
{
	line->n = 0;
	put_pair(line, "@level", level_names[level]);
	put_time(line);
	put_pair(line, "@module", "pot");
	put_pair(line, "@message", message);
}

static bool
write_line(int fd, struct line *line)
{
	struct pollfd p = { fd, POLLOUT, 0 };

	if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0)
		return false;
	return write(fd, line->text, line->n) == (ssize_t)line->n;
}

static void
finish(struct log *l, struct line *line)
{
	char text[64];

	if (l->lost > 0) {
		snprintf(text, sizeof(text), "%lu", l->lost);
		put_pair(line, "lines_lost", text);
	}
	put(line, "}\n");
	if (write_line(l->fd, line))
		l->lost = 0;
	else
		l->lost++;
	if (l->file >= 0)
		(void)!write(l->file, line->text, line->n);
}

void
log_say(struct log *l, enum log_level level, const char *fmt, ...)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(2 * LINE_MAX_BYTES);
	struct line line;
	va_list ap;

	if (level < l->level)
		return;
	va_start(ap, fmt);
	buf_vfmt(&text, fmt, ap);
	va_end(ap);
	begin(&line, level, text.failed ? "(a message that is too long)" : buf_cstr(&text));
	finish(l, &line);
}

void
log_with(struct log *l, enum log_level level, const char *message, ...)
{
	struct line line;
	const char *key;
	va_list ap;

	if (level < l->level)
		return;
	begin(&line, level, message);
	va_start(ap, message);
	while ((key = va_arg(ap, const char *)) != NULL)
		put_pair(&line, key, va_arg(ap, const char *));
	va_end(ap);
	finish(l, &line);
}
