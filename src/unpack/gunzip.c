/*
 * gzip by zlib, which checks CRC and length of each member. Members may follow
 * one another (pigz, cat a.gz b.gz); zeros behind the last one are padding of
 * a tape or a block device.
 */
#include "unpack/gunzip.h"

#include <stdint.h>
#include <string.h>

bool
gunzip_is(const void *start, size_t len)
{
	return len >= 2 && memcmp(start, "\x1f\x8b", 2) == 0;
}

int
gunzip_init(struct gunzip *g, struct err *e)
{
	memset(&g->z, 0, sizeof(g->z));
	if (inflateInit2(&g->z, MAX_WBITS + 16) != Z_OK)
		return err_nomem(e);
	g->open = true;
	return 0;
}

void
gunzip_fini(struct gunzip *g)
{
	if (g->open)
		inflateEnd(&g->z);
	g->open = false;
}

bool
gunzip_is_hungry(const struct gunzip *g)
{
	return g->z.avail_in == 0 && g->z.avail_out != 0 && !g->ended;
}

int
gunzip_feed(struct gunzip *g, const void *data, size_t len, struct err *e)
{
	if (len == 0) {
		if (!g->between)
			return err_set(e, E_CORRUPT, "archive is cut off within its gzip data");
		g->ended = true;
	}
	g->z.next_in = (unsigned char *)(uintptr_t)data;
	g->z.avail_in = (uInt)len;
	return 0;
}

/* Behind a member: another one, or zeros to the end. */
static int
begin_member(struct gunzip *g, struct err *e)
{
	while (g->z.avail_in > 0 && *g->z.next_in == 0) {
		g->z.next_in++;
		g->z.avail_in--;
	}
	if (g->z.avail_in == 0)
		return 0;
	if (*g->z.next_in != 0x1f)
		return err_set(e, E_CORRUPT, "archive has other data behind its gzip data");
	if (inflateReset(&g->z) != Z_OK)
		return err_nomem(e);
	g->between = false;
	return 0;
}

ssize_t
gunzip_next(struct gunzip *g, struct err *e)
{
	int r;

	g->z.next_out = g->out;
	g->z.avail_out = sizeof(g->out);
	while ((g->z.avail_in > 0 || g->full) && g->z.avail_out == sizeof(g->out)) {
		if (g->between && (r = begin_member(g, e)) < 0)
			return r;
		if (g->between)
			break;
		r = inflate(&g->z, Z_NO_FLUSH);
		if (r == Z_MEM_ERROR)
			return err_nomem(e);
		if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
			return err_set(e, E_CORRUPT, "archive is damaged: %s",
			    g->z.msg != NULL ? g->z.msg : "gzip data");
		g->between = r == Z_STREAM_END;
		g->full = g->z.avail_out == 0;
	}
	return (ssize_t)(sizeof(g->out) - g->z.avail_out);
}
