/*
 * A hosts file that changes while it is read, without its readers ever
 * seeing half a line. It is bind-mounted into pots, so it cannot be replaced by
 * rename, and it cannot be compacted under its readers; instead:
 *
 *  - A line fills a slot: blanks up to a newline at its end, 64 bytes or 2, 4, 8 or 16 times
 *    that, at a multiple of its size. So no line lies across a multiple of 1024, and C
 *    libraries, which read blocks of 1024 or more, get each line by one read(2).
 *  - A slot is free when it begins with '#'. It is filled from the second byte on, and then
 *    comes to life by its first; it dies by the same byte.
 *  - Free slots are used again, so the file is as large as the most pots there ever were.
 *
 * A tag ("#tag" at the end, a comment for everybody else) says whose a line is. Lines
 * without one (localhost, the user's) stay. The caller holds a lock; a crash leaves a free
 * slot or a whole line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/file.h"
#include "network/hosts.h"

#define CELL 64u
#define LINE_SIZE_MAX 1024u
#define PAGE 4096u
#define FILE_SIZE_MAX (16u << 20)
#define TEMPORARY ".new"

/* ---- slots ------------------------------------------------------------------ */

static size_t
slot_size(size_t len)
{
	size_t size = CELL;

	while (size < len + 1) /* the newline */
		size *= 2;
	return size;
}

/* The line that begins at `at` (a multiple of CELL) in the text: its size with the newline. */
static size_t
size_at(const char *text, size_t len, size_t at)
{
	const char *end = memchr(text + at, '\n', len - at);

	return end != NULL ? (size_t)(end - text) + 1 - at : len - at;
}

/* Free room of this size at a multiple of it: only whole free slots count. Returns len when there is none. */
static size_t
find_room(const char *text, size_t len, size_t size)
{
	size_t begin = 0, room = 0;

	for (size_t at = 0; at < len;) {
		size_t here = size_at(text, len, at);

		if (here % CELL != 0) /* no file of ours: nothing in it is free */
			return len;
		if (text[at] != '#') {
			room = 0;
		} else {
			if (room == 0 && at % size == 0)
				begin = at;
			if (room > 0 || at % size == 0)
				room += here;
			if (room >= size)
				return begin;
		}
		at += here;
		if (at % size == 0)
			room = room >= size ? room : 0;
	}
	return len;
}

static int
put(int fd, const char *data, size_t len, size_t at, struct err *e)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "hosts file");
		data += n;
		len -= (size_t)n;
		at += (size_t)n;
	}
	return 0;
}

static void
fill_free(char *to, size_t size, size_t step)
{
	memset(to, ' ', size);
	for (size_t at = 0; at < size; at += step) {
		to[at] = '#';
		to[at + step - 1] = '\n';
	}
}

/* A page of free slots more. Cut off by a crash or a full disk it is filled up by the next. */
static int
grow(int fd, struct buf *text, struct err *e)
{
	char page[PAGE];
	size_t at = text->len - text->len % PAGE;
	int r;

	fill_free(page, PAGE, CELL);
	if ((r = put(fd, page + text->len % PAGE, PAGE - text->len % PAGE, text->len, e)) < 0)
		return r;
	buf_add(text, page + (text->len - at), PAGE - (text->len - at));
	return buf_check(text, "hosts file", e);
}

/* Turns the slots from `at` on into one of this size that is still free, and back into cells on no account. */
static int
write_line(int fd, struct buf *text, const char *line, size_t len, struct err *e)
{
	size_t size = slot_size(len), at, rest;
	char slot[LINE_SIZE_MAX];
	int r;

	/* One page fills up what was cut off, the next has room for any line: but not in a file of others. */
	for (int pages = 0;
	     (at = find_room(text->data != NULL ? text->data : "", text->len, size)) == text->len; pages++) {
		if (pages == 2)
			return err_set(e, E_CORRUPT, "hosts file: somebody else has written to it");
		if ((r = grow(fd, text, e)) < 0)
			return r;
	}
	/* A larger free slot is cut up first: its newline stays where it was, new ones come before it. */
	rest = size_at(text->data, text->len, at);
	if (rest > size) {
		AUTO_FREE char *cells = malloc(rest);

		if (cells == NULL)
			return err_nomem(e);
		fill_free(cells, rest, CELL);
		if ((r = put(fd, cells, rest, at, e)) < 0)
			return r;
		memcpy(text->data + at, cells, rest);
	}
	memset(slot, ' ', size);
	memcpy(slot, line, len);
	slot[size - 1] = '\n';
	/*
	 * Where cells become one slot, the newlines between them go while it is a comment still: a
	 * reader sees comments in any order of this. The first byte last.
	 */
	if ((r = put(fd, slot + 1, size - 1, at + 1, e)) < 0)
		return r;
	fault_point("net.hosts.filled");
	if ((r = put(fd, slot, 1, at, e)) < 0)
		return r;
	memcpy(text->data + at, slot, size);
	return 0;
}

static int
read_all(int fd, struct buf *text, struct err *e)
{
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "hosts file");
	return fd_read_all(fd, text, e);
}

/* ---- lines -------------------------------------------------------------------- */

/* The tag of the line, or NULL: free, or nobody's. */
static const char *
tag_of(const char *line, size_t size, size_t *len)
{
	const char *hash;

	if (line[0] == '#' || (hash = memchr(line, '#', size)) == NULL)
		return NULL;
	*len = strspn(hash + 1, "0123456789abcdefghijklmnopqrstuvwxyz");
	return hash + 1;
}

int
hostsfile_remove(int fd, const char *tag, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(FILE_SIZE_MAX);
	int r = read_all(fd, &text, e);

	if (r < 0)
		return r;
	for (size_t at = 0, size; at < text.len; at += size) {
		size_t len;
		const char *there = tag_of(text.data + at, size = size_at(text.data, text.len, at), &len);

		if (there == NULL || (tag != NULL && (strlen(tag) != len || memcmp(tag, there, len) != 0)))
			continue;
		if ((r = put(fd, "#", 1, at, e)) < 0)
			return r;
		fault_point("net.hosts.removed");
	}
	return 0;
}

static int
check_name(const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (len > 0 && len <= 255 &&
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len)
		return 0;
	return err_set(e, E_INVAL, "'%.64s' is not a name for a hosts file", name);
}

int
hostsfile_add(
    int fd, const char *tag, const struct ip_addr *a, const char *const *names, size_t n, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(FILE_SIZE_MAX);
	char addr[IP_TEXT], line[LINE_SIZE_MAX];
	int r = read_all(fd, &text, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_name(names[i], e);
	ip_print(a, addr);
	for (size_t i = 0; r == 0 && i < n;) {
		size_t len = (size_t)snprintf(line, sizeof(line), "%s", addr);

		/* A name of 255 bytes always fits behind an address. */
		for (; i < n && len + 1 + strlen(names[i]) + 2 + HOSTS_TAG_MAX + 1 < sizeof(line); i++)
			len += (size_t)snprintf(line + len, sizeof(line) - len, " %s", names[i]);
		len += (size_t)snprintf(line + len, sizeof(line) - len, " #%.*s", HOSTS_TAG_MAX, tag);
		r = write_line(fd, &text, line, len, e);
	}
	return r;
}

int
hostsfile_copy(int fd, int from, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(FILE_SIZE_MAX), old = BUF_INIT(FILE_SIZE_MAX);
	int r;

	if ((r = read_all(from, &old, e)) < 0 || (r = read_all(fd, &text, e)) < 0)
		return r;
	for (size_t at = 0, size; r == 0 && at < old.len; at += size) {
		size_t len;
		const char *tag = tag_of(old.data + at, size = size_at(old.data, old.len, at), &len);

		if (tag != NULL)
			r = write_line(fd, &text, old.data + at, (size_t)(tag + len - (old.data + at)), e);
	}
	return r;
}

/* ---- files ----------------------------------------------------------------------- */

/* One slot per line, so that what comes behind is where it must be. */
static int
add_plain(struct buf *b, const char *line, size_t len, struct err *e)
{
	size_t size = slot_size(len);
	char slot[LINE_SIZE_MAX];

	if (len >= LINE_SIZE_MAX)
		return err_set(
		    e, E_LIMIT, "a line for the hosts file is longer than %u bytes", LINE_SIZE_MAX - 1);
	while (b->len % size != 0) {
		char cell[CELL];

		fill_free(cell, CELL, CELL);
		buf_add(b, cell, CELL);
		if (b->failed)
			break;
	}
	memset(slot, ' ', size);
	memcpy(slot, line, len);
	slot[size - 1] = '\n';
	buf_add(b, slot, size);
	return buf_check(b, "hosts file", e);
}

static int
first_content(struct buf *b, const char *own, struct err *e)
{
	static const char *const localhost[] = { "127.0.0.1 localhost",
		"::1 localhost ip6-localhost ip6-loopback" };
	int r = 0;

	while (r == 0 && own != NULL && *own != '\0') {
		size_t len = strcspn(own, "\n");

		/* A '#' in it would look like a tag. */
		if (len > 0)
			r = add_plain(b, own, strcspn(own, "#\n") < len ? strcspn(own, "#\n") : len, e);
		own += len + (own[len] == '\n');
	}
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(localhost); i++)
		r = add_plain(b, localhost[i], strlen(localhost[i]), e);
	return r;
}

int
hostsfile_new(int dirfd, const char *name, const char *own_lines, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(FILE_SIZE_MAX);
	AUTO(fd) int fd = -1;
	int r = first_content(&b, own_lines, e);

	if (r < 0)
		return r;
	/* Never written into: an older one may be mounted somewhere. */
	if (unlinkat(dirfd, TEMPORARY, 0) < 0 && errno != ENOENT)
		return err_sys(e, "hosts file");
	fd = openat(dirfd, TEMPORARY, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	/* The users of pots must be able to read it, whatever the umask. */
	if (fd < 0 || fchmod(fd, 0644) < 0)
		return err_sys(e, "hosts file");
	if ((r = fd_write_all(fd, b.data, b.len, "hosts file", e)) < 0)
		return r;
	if (renameat(dirfd, TEMPORARY, dirfd, name) < 0)
		return err_sys(e, "hosts file");
	return take_fd(fd);
}

int
hostsfile_open(int dirfd, const char *name, const char *own_lines, struct err *e)
{
	int fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return err_sys(e, "hosts file");
	return hostsfile_new(dirfd, name, own_lines, e);
}
