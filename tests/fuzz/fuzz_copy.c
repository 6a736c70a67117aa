/* Text of COPY and ADD: a cleaned path has nothing that leads up, a mode is a mode, a URL's name a name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "builder/copy_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_clean(const char *path)
{
	for (const char *s = path; *s != '\0';) {
		size_t len = strcspn(s, "/");

		if (len == 0 || (len == 1 && s[0] == '.') || (len == 2 && memcmp(s, "..", 2) == 0))
			abort();
		s += len;
		if (*s == '/' && *++s == '\0')
			abort();
	}
}

static void
try_path(const char *text)
{
	AUTO_FINI(buf) struct buf clean = BUF_INIT(8192), dest = BUF_INIT(8192);
	const struct bld_copy c = { .dest = text, .workdir = "/w" };
	struct err e = ERR_INIT;
	size_t fixed;
	bool dir;

	if (scan_clean(text, &clean, &e) == 0) {
		check_clean(clean.data);
		fixed = scan_fixed_length(clean.data);
		if (fixed > clean.len || (clean.data[fixed] != '\0' && fixed > 0 && clean.data[fixed] != '/'))
			abort();
		path_unescape(clean.data);
	}
	if (copy_dest_path(&c, &dest, &dir, &e) == 0) {
		if (dest.data[0] != '/')
			abort();
		check_clean(dest.data + 1);
	}
}

static void
try_url(const char *text)
{
	char name[256];

	bld_url_name(text, name);
	if (strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		abort();
	for (const char *s = name; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = buf_dup((const char *)data, size);

	if (text == NULL || size > 4096)
		return 0;
	try_path(text);
	try_url(text);
	if ((copy_mode_apply(text, S_IFDIR | 0644) & ~(mode_t)(S_IFMT | 07777)) != 0 ||
	    (copy_mode_apply(text, S_IFDIR | 0644) & S_IFMT) != S_IFDIR)
		abort();
	return 0;
}
