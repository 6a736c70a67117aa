/*
 * What is known of the jails that pot made, in /var/run/pot: one small file
 * each, there from before the first change to the kernel until after the
 * last undo, and gone with a reboot as all that it tells of.
 */
#include "isolation/freebsd/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"

#define RECORDS "/var/run/pot"
#define FILES RECORDS "/file."
#define RECORD_MAX 4096

int
record_dir(struct err *e)
{
	int rc = dir_make_path(RECORDS, 0700, e);

	return rc < 0 ? rc : dir_open(AT_FDCWD, RECORDS, e);
}

void
record_view(const char *jail, char out[static 1024])
{
	snprintf(out, 1024, RECORDS "/%s.root", jail);
}

void
record_file(unsigned number, char out[static ISO_FILE_NAME])
{
	snprintf(out, ISO_FILE_NAME, FILES "%08x", number);
}

bool
record_is_file(const char *path)
{
	return strncmp(path, FILES, strlen(FILES)) == 0;
}

void
record_kills(const char *jail, char out[static RECORD_NAME_MAX])
{
	snprintf(out, RECORD_NAME_MAX, "%s.kills", jail);
}

static void
file_of(const char *jail, char out[static RECORD_NAME_MAX])
{
	snprintf(out, RECORD_NAME_MAX, "%s.jail", jail);
}

int
record_write(const struct plan_record *r, struct err *e)
{
	AUTO(fd) int dir = record_dir(e);
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	char file[RECORD_NAME_MAX];
	int rc;

	if (dir < 0)
		return dir;
	file_of(r->jail, file);
	plan_record_text(r, &b);
	rc = buf_check(&b, "the record of a jail", e);
	return rc < 0 ? rc : file_write_atomic(dir, file, 0600, b.data, b.len, e);
}

int
record_read(const char *jail, struct plan_record *r, struct err *e)
{
	AUTO(fd) int dir = record_dir(e);
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	char file[RECORD_NAME_MAX];
	int rc;

	if (dir < 0)
		return dir;
	file_of(jail, file);
	rc = file_read(dir, file, &b, e);
	return rc < 0 ? rc : plan_record_parse(buf_cstr(&b), r, e);
}

int
record_drop(const char *jail, struct err *e)
{
	AUTO(fd) int dir = record_dir(e);
	char file[RECORD_NAME_MAX];

	if (dir < 0)
		return dir;
	record_kills(jail, file);
	(void)unlinkat(dir, file, 0);
	file_of(jail, file);
	return unlinkat(dir, file, 0) == 0 || errno == ENOENT ? 0 : err_sys(e, "cannot remove %s", file);
}
