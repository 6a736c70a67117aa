/*
 * What is done once in a build, whichever of its processes comes to it: a
 * build looks at a step in its own process, has it done in another and looks
 * again. Notes are empty files in the build's private directory.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "builder/copy_impl.h"

#define NAME_LEN (5 + DIGEST_HEX_LEN)

/* Without a name nothing was noted, and everything is done again. */
static bool
name_of(const char *text, char out[static NAME_LEN])
{
	char hex[DIGEST_HEX_LEN];
	struct digest d;

	if (digest_of(DIGEST_SHA256, text, strlen(text), &d, NULL) < 0)
		return false;
	snprintf(out, NAME_LEN, "once-%s", digest_hex(&d, hex));
	return true;
}

bool
once_is_noted(const struct bld *b, const char *text)
{
	char name[NAME_LEN];

	return name_of(text, name) && faccessat(b->tmp, name, F_OK, 0) == 0;
}

bool
once_note(const struct bld *b, const char *text)
{
	char name[NAME_LEN];
	int fd = -1;

	if (name_of(text, name))
		fd = openat(b->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	fd_close(fd);
	return fd >= 0;
}

void
once_warn(const struct bld *b, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (once_note(b, text))
		event_warn(&b->eng->events, "%s", text);
}
