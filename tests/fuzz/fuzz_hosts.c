/*
 * A pot's hosts file. Input: a byte that says how much of the rest was in the
 * file (as a crash or a person left it), then names. Whatever was there: what
 * is added is there as a line of its own, and is gone when it is removed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "network/hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct ip_addr address = { 4, { 203, 0, 113, 77 } };

/* Is this line of our address alive and under our tag? */
static bool
is_ours(const char *line, size_t len)
{
	const char *hash = memchr(line, '#', len);

	return len > 13 && memcmp(line, "203.0.113.77 ", 13) == 0 && hash != NULL && hash + 4 <= line + len &&
	    memcmp(hash, "#zz9", 4) == 0 && (hash + 4 == line + len || hash[4] == ' ');
}

static unsigned
ours(int fd)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(1 << 22);
	unsigned n = 0;

	if (lseek(fd, 0, SEEK_SET) < 0 || fd_read_all(fd, &b, NULL) < 0)
		abort();
	for (const char *p = buf_cstr(&b), *end = p + b.len; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((nl != NULL ? nl : end) - p);

		n += is_ours(p, len);
		p += len + 1;
	}
	return n;
}

static void
names_of(char *text, size_t len, struct strv *v)
{
	for (size_t at = 0; at < len; at += strlen(text + at) + 1)
		strv_add(v, text + at);
}

static void
check(int fd, struct strv *names)
{
	struct err e = ERR_INIT;
	unsigned before = ours(fd);
	int r = hostsfile_add(fd, "zz9", &address, (const char *const *)names->v, names->n, &e);

	if (r < 0) {
		if (e.msg[0] == '\0')
			abort();
		return;
	}
	if (names->n > 0 && ours(fd) <= before)
		abort();
	if (hostsfile_remove(fd, "zz9", &e) < 0 || ours(fd) != 0)
		abort();
	if (hostsfile_remove(fd, NULL, &e) < 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(256);
	AUTO_FREE char *text = calloc(1, size + 2);
	int fd = memfd_create("hosts", MFD_CLOEXEC), copy = memfd_create("copy", MFD_CLOEXEC);
	size_t content = size == 0 ? 0 : data[0] * (size - 1) / 255;
	struct err e = ERR_INIT;

	if (text == NULL || fd < 0 || copy < 0)
		abort();
	if (size > 0) {
		if (write(fd, data + 1, content) != (ssize_t)content)
			abort();
		memcpy(text, data + 1 + content, size - 1 - content);
		names_of(text, size - 1 - content, &names);
	}
	if (!names.failed && names.n > 0) {
		if (hostsfile_copy(copy, fd, &e) < 0 && e.msg[0] == '\0')
			abort();
		check(copy, &names);
		check(fd, &names);
	}
	close(fd);
	close(copy);
	return 0;
}
