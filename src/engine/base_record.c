/*
 * What there is of a base on the disk. Its record, ROOT/bases/NAME/base.conf, is the
 * commit point: written last, removed first. A directory bases/NAME without
 * it is what a killed command left, and the next one that comes by removes it
 * with all that belongs to it. ROOT/bases/.lock-NAME is held while a base is
 * made or removed; its holder alone touches bases/NAME.
 */
#include "engine/base_record.h"

#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/kv.h"

#define RECORD "base.conf"
#define RECORD_VERSION "1"

/* ---- lock -------------------------------------------------------------- */

/* Closing the fd alone would leave the file; removed by its holder it cannot mislead anybody (see base_lock). */
void
base_fini(struct base *b)
{
	if (b->lock_fd >= 0)
		unlinkat(b->bases_fd, b->lock, 0);
	fd_close(b->lock_fd);
	fd_close(b->bases_fd);
}

int
base_lock(struct base *b, struct eng *eng, const char *name, struct err *e)
{
	b->eng = eng;
	b->name = name;
	snprintf(b->lock, sizeof(b->lock), ".lock-%s", name);
	if ((b->bases_fd = dir_make(eng->root_fd, BASES, 0755, e)) < 0)
		return b->bases_fd;
	b->lock_fd = lock_named(b->bases_fd, b->lock, true, 0, e);
	if (b->lock_fd == -E_BUSY)
		return err_set(e, E_BUSY, "base %s is being made or removed by another command", name);
	return b->lock_fd < 0 ? b->lock_fd : 0;
}

/* ---- record ------------------------------------------------------------- */

int
base_record_exists(int bases_fd, const char *name, struct err *e)
{
	AUTO(fd) int dir = openat(bases_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (dir >= 0 && fstatat(dir, RECORD, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_sys(e, "base %s", name);
}

int
base_record_read(int bases_fd, const char *name, struct pot_base_info *info, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(KV_FILE_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	AUTO(fd) int dir = openat(bases_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const char *s;
	int r;

	memset(info, 0, sizeof(*info));
	if (dir < 0)
		return err_sys(e, "base %s", name);
	if ((r = file_read(dir, RECORD, &b, e)) < 0 ||
	    (r = kv_parse(&kv, buf_cstr(&b), b.len, RECORD, e)) < 0)
		return err_wrap(e, "base %s", name);
	if ((s = kv_get(&kv, "version")) == NULL || strcmp(s, RECORD_VERSION) != 0)
		return err_set(e, E_NOTSUP, "base %s: its record is of version %s, not " RECORD_VERSION, name,
		    s != NULL ? s : "(none)");
	snprintf(info->name, sizeof(info->name), "%s", name);
	if ((s = kv_get(&kv, "release")) != NULL)
		snprintf(info->release, sizeof(info->release), "%s", s);
	if ((s = kv_get(&kv, "source")) != NULL)
		snprintf(info->source, sizeof(info->source), "%s", s);
	if ((s = kv_get(&kv, "created")) != NULL && text_time(s, &info->created_ns, "created", NULL) < 0)
		info->created_ns = 0;
	return 0;
}

int
base_record_write(int dir, const struct pot_base_info *info, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(KV_FILE_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	char created[TEXT_TIME_LEN];
	int r;

	text_time_print(info->created_ns, true, created);
	if ((r = kv_add(&kv, "version", RECORD_VERSION, e)) < 0 ||
	    (r = kv_add(&kv, "name", info->name, e)) < 0 ||
	    (r = kv_add(&kv, "release", info->release, e)) < 0 ||
	    (r = kv_add(&kv, "source", info->source, e)) < 0 || (r = kv_add(&kv, "created", created, e)) < 0)
		return r;
	kv_print(&kv, &b);
	if ((r = buf_check(&b, RECORD, e)) < 0)
		return r;
	return file_write_atomic(dir, RECORD, 0644, b.data, b.len, e);
}

/* ---- removing, also of what is half there ------------------------------- */

int
base_tmp_name(struct buf *b, const char *name, struct err *e)
{
	buf_fmt(b, "create-base.%s", name);
	return buf_check(b, "name", e);
}

int
base_remove_tmp(struct eng *eng, const char *name, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(256);
	AUTO(fd) int tmp = -1;
	int r;

	if ((r = base_tmp_name(&b, name, e)) < 0)
		return r;
	if ((tmp = dir_open(eng->root_fd, "tmp", e)) < 0)
		return tmp == -E_NOENT ? 0 : tmp;
	if ((r = tree_remove(tmp, buf_cstr(&b), e)) < 0)
		return r;
	fd_close(take_fd(tmp));
	unlinkat(eng->root_fd, "tmp", AT_REMOVEDIR); /* unless others use it */
	return 0;
}

int
base_remove(struct base *b, struct err *e)
{
	AUTO(fd) int dir = openat(b->bases_fd, b->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stor *s = b->eng->stor;
	int r;

	if (dir >= 0) {
		if (unlinkat(dir, RECORD, 0) != 0 && errno != ENOENT)
			return err_sys(e, "base %s: removing its record", b->name);
		if ((r = dir_sync(dir, b->name, e)) < 0)
			return r;
	}
	fault_point("base.remove.storage");
	if ((r = stor_recover(s, base_fs(b->name), e)) < 0 ||
	    (r = stor_unmount(s, base_fs(b->name), e)) < 0 || (r = stor_destroy(s, base_fs(b->name), e)) < 0)
		return r;
	fault_point("base.remove.tmp");
	if ((r = base_remove_tmp(b->eng, b->name, e)) < 0)
		return r;
	fault_point("base.remove.dir");
	return tree_remove(b->bases_fd, b->name, e);
}

int
base_list_names(int bases_fd, struct strv *names, struct err *e)
{
	AUTO(dir) DIR *d = NULL;
	struct dirent *entry;
	int fd = openat(bases_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || (d = fdopendir(fd)) == NULL) {
		fd_close(fd);
		return err_sys(e, "reading the bases");
	}
	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.' && name_check_base(entry->d_name, NULL) == 0)
			strv_add(names, entry->d_name);
	strv_sort(names);
	return strv_check(names, "bases", e);
}

/* A lock file whose holder was killed: taken and given back, it is gone. */
static int
drop_stale_locks(struct eng *eng, int bases_fd, struct err *e)
{
	static const char prefix[] = ".lock-";
	AUTO_FINI(strv) struct strv names = STRV_INIT(65536);
	AUTO(dir) DIR *d = NULL;
	struct dirent *entry;
	int fd = openat(bases_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0 || (d = fdopendir(fd)) == NULL) {
		fd_close(fd);
		return err_sys(e, "reading the bases");
	}
	while ((entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
		    name_check_base(entry->d_name + strlen(prefix), NULL) == 0)
			strv_add(&names, entry->d_name + strlen(prefix));
	r = strv_check(&names, "bases", e);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		AUTO_FINI(base) struct base b = BASE_INIT;

		r = base_lock(&b, eng, names.v[i], e);
		if (r == -E_BUSY || r == -E_PERM)
			r = 0;
	}
	return r;
}

/* One left-over; somebody who is at work on it is left alone, and so is everything for who may not mend it. */
static int
recover_one(struct eng *eng, const char *name, struct err *e)
{
	AUTO_FINI(base) struct base b = BASE_INIT;
	int r;

	if ((r = base_lock(&b, eng, name, e)) < 0)
		return r == -E_BUSY || r == -E_PERM ? 0 : r;
	if ((r = base_record_exists(b.bases_fd, name, e)) != 0)
		return r < 0 ? r : 0;
	return base_remove(&b, e);
}

int
eng_base_recover(struct eng *eng, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(65536);
	AUTO(fd) int bases = dir_open(eng->root_fd, BASES, e);
	int r;

	if (bases < 0)
		return bases == -E_NOENT ? 0 : bases;
	if ((r = base_list_names(bases, &names, e)) < 0)
		return r;
	for (size_t i = 0; i < names.n; i++) {
		if ((r = base_record_exists(bases, names.v[i], e)) < 0)
			return r;
		if (r == 0 &&
		    ((r = eng_need_storage(eng, e)) < 0 || (r = recover_one(eng, names.v[i], e)) < 0))
			return r;
	}
	return drop_stale_locks(eng, bases, e);
}
