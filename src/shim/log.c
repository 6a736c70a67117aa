/*
 * The log of a pot: records with time and stream, rotation by size.  Nothing
 * here ever waits or gives up: what a full disk does not take is dropped and
 * counted, and a record is in the file whole or not at all.
 */
#include "shim/shim.h"

static void
log_name(char *out, unsigned n)
{
	memcpy(out, "log", 4);
	if (n > 0) {
		out[3] = '.';
		out[4 + text_digits(out + 4, n, 1)] = '\0';
	}
}

/* log.N-2 → log.N-1 … log → log.1; the oldest is replaced. */
static void
log_rotate(struct log *l)
{
	char from[32], to[32];

	sys_close(l->fd);
	l->fd = -1;
	if (l->files <= 1) {
		sys_unlink(SHIM_FD_LOGDIR, "log");
		return;
	}
	for (unsigned n = l->files - 1; n > 0; n--) {
		log_name(from, n - 1);
		log_name(to, n);
		sys_rename(SHIM_FD_LOGDIR, from, to);
	}
}

static bool
log_open(struct log *l)
{
	long fd, size;

	if (l->fd >= 0)
		return true;
	fd = sys_open_append(SHIM_FD_LOGDIR, "log");
	if (fd < 0)
		return false;
	l->fd = (int)fd;
	size = sys_size(l->fd);
	l->size = size < 0 ? 0 : (uint64_t)size;
	return true;
}

void
log_flush(struct log *l)
{
	long n;

	if (l->outlen == 0)
		return;
	n = log_open(l) ? sys_write(l->fd, l->out, l->outlen) : -SYS_EIO;
	if (n == (long)l->outlen) {
		l->size += l->outlen;
	} else {
		/* Take the torn record back, or the next one would begin in its middle. */
		if (n > 0 && sys_truncate(l->fd, l->size) != 0)
			l->size += (uint64_t)n;
		l->lost += l->outtext;
	}
	l->outlen = l->outtext = 0;
}

void
log_record(struct log *l, char stream, bool partial, int64_t when, const char *text, size_t n)
{
	size_t need = n + 40;
	char *o;

	if (l->outlen + need > LOG_OUT)
		log_flush(l);
	/* A record is never longer than one file may be; the first in a file always fits. */
	if (log_open(l) && l->size + l->outlen > 0 && l->size + l->outlen + n + 25 > l->max) {
		log_flush(l);
		if (l->size > 0)
			log_rotate(l);
	}
	o = l->out + l->outlen;
	o += text_digits(o, (uint64_t)when / 1000000000, 1);
	*o++ = '.';
	o += text_digits(o, (uint64_t)when % 1000000000, 9);
	*o++ = ' ';
	*o++ = stream;
	*o++ = partial ? 'P' : 'F';
	*o++ = ' ';
	memcpy(o, text, n);
	o += n;
	*o++ = '\n';
	l->outlen = (size_t)(o - l->out);
	l->outtext += n;
}
