/*
 * Classic image files: their names, the line in .meta, sum and signature,
 * checked and made. Nothing of what the package in .xz holds is looked at
 * here; nothing is fetched. Files belong to the directory that the caller
 * opened, which nobody else writes to meanwhile.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "image/classic.h"
#include "image/skein.h"

#define CHUNK (256u * 1024)
#define META_MAX 1024
#define SUM_MAX (SKEIN_HEX_LEN + 1)
#define FILE_LEN (CLASSIC_STEM_LEN + sizeof(".xz.skein.sig"))

static bool
is_word(const char *s, size_t n, size_t max)
{
	if (n == 0 || n > max || !isalnum((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && memchr("_.-", s[i], 3) == NULL)
			return false;
	return true;
}

int
classic_stem(const char *name, const char *tag, char out[static CLASSIC_STEM_LEN], struct err *e)
{
	if (!is_word(name, strlen(name), CLASSIC_NAME_MAX))
		return err_set(e, E_INVAL, "classic image: its name is not one");
	if (!is_word(tag, strlen(tag), CLASSIC_TAG_MAX))
		return err_set(e, E_INVAL, "classic image: its tag is not one");
	snprintf(out, CLASSIC_STEM_LEN, "%s_%s", name, tag);
	return 0;
}

/* Takes the word up to `end` (0: the end of the text) off *p. */
static bool
take_word(const char **p, const char *stop, char end, char *out, size_t max)
{
	const char *at = end != 0 ? memchr(*p, end, (size_t)(stop - *p)) : stop;

	if (at == NULL || !is_word(*p, (size_t)(at - *p), max))
		return false;
	memcpy(out, *p, (size_t)(at - *p));
	out[at - *p] = '\0';
	*p = at + (end != 0);
	return true;
}

int
classic_meta_parse(const char *text, size_t len, struct classic_origin *o, struct err *e)
{
	const char *stop;

	if (len > 0 && text[len - 1] == '\n')
		len--;
	stop = text + len;
	*o = (struct classic_origin){ 0 };
	if (len == 1 && text[0] == '-')
		return 0;
	if (take_word(&text, stop, ':', o->pot, CLASSIC_NAME_MAX) &&
	    take_word(&text, stop, '@', o->tag, CLASSIC_TAG_MAX) &&
	    take_word(&text, stop, 0, o->snapshot, CLASSIC_TAG_MAX))
		return 0;
	return err_set(e, E_CORRUPT, "classic image: its .meta is neither - nor POT:TAG@SNAPSHOT");
}

int
classic_meta_print(const struct classic_origin *o, struct buf *b, struct err *e)
{
	if (o->pot[0] == '\0')
		buf_str(b, "-\n");
	else
		buf_fmt(b, "%s:%s@%s\n", o->pot, o->tag, o->snapshot);
	return buf_check(b, "classic image: .meta", e);
}

static const char *
file_name(char out[static FILE_LEN], const char *stem, const char *end)
{
	snprintf(out, FILE_LEN, "%.*s%s", CLASSIC_STEM_LEN - 1, stem, end);
	return out;
}

static int
open_package(int dirfd, const char *stem, struct err *e)
{
	char name[FILE_LEN];
	AUTO(fd)
	int fd = openat(dirfd, file_name(name, stem, ".xz"), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_INVAL, "%s: not a file", name);
	return take_fd(fd);
}

/* The sum of what fd holds and the .meta behind it; fd is at its beginning again. */
static int
sum_of(int fd, const struct buf *meta, char hex[static SKEIN_HEX_LEN], struct err *e)
{
	AUTO_FREE char *chunk = malloc(CHUNK);
	struct skein sum;
	off_t at = 0;

	if (chunk == NULL)
		return err_nomem(e);
	skein_init(&sum);
	for (;;) {
		ssize_t n = pread(fd, chunk, CHUNK, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "classic image: reading it");
		if (n == 0)
			break;
		skein_add(&sum, chunk, (size_t)n);
		at += n;
	}
	skein_add(&sum, buf_cstr(meta), meta->len);
	skein_end_hex(&sum, hex);
	return 0;
}

/* The signature is of the whole .skein file. */
static int
check_signature(
    int dirfd, const char *stem, const struct sign_public *key, const struct buf *skein, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(SIGNIFY_FILE_MAX);
	struct sign_signature sig;
	char name[FILE_LEN];
	int rc = file_read(dirfd, file_name(name, stem, ".xz.skein.sig"), &text, e);

	if (rc == -E_NOENT)
		return err_set(e, E_PERM, "%s: it is not signed, and a key was given", stem);
	if (rc == 0)
		rc = signify_signature_parse(buf_cstr(&text), text.len, &sig, NULL, e);
	if (rc == 0)
		rc = signify_verify(key, &sig, buf_cstr(skein), skein->len, e);
	return rc < 0 ? err_wrap(e, "%s", name) : 0;
}

int
classic_open(
    int dirfd, const char *stem, const struct sign_public *key, struct classic_origin *origin, struct err *e)
{
	AUTO_FINI(buf) struct buf meta = BUF_INIT(META_MAX);
	AUTO_FINI(buf) struct buf skein = BUF_INIT(SUM_MAX);
	AUTO(fd) int fd = -1;
	char name[FILE_LEN], hex[SKEIN_HEX_LEN];
	int rc = file_read(dirfd, file_name(name, stem, ".xz.skein"), &skein, e);

	if (rc == 0 && key != NULL)
		rc = check_signature(dirfd, stem, key, &skein, e);
	if (rc == 0)
		rc = file_read(dirfd, file_name(name, stem, ".xz.meta"), &meta, e);
	if (rc == 0)
		rc = classic_meta_parse(buf_cstr(&meta), meta.len, origin, e);
	if (rc < 0)
		return rc;
	fd = open_package(dirfd, stem, e);
	if (fd < 0)
		return take_fd(fd);
	rc = sum_of(fd, &meta, hex, e);
	if (rc < 0)
		return rc;
	if (skein.len < SKEIN_HEX_LEN - 1 || strncmp(buf_cstr(&skein), hex, SKEIN_HEX_LEN - 1) != 0 ||
	    strspn(buf_cstr(&skein) + SKEIN_HEX_LEN - 1, "\n") != skein.len - (SKEIN_HEX_LEN - 1)) {
		err_set(e, E_CORRUPT, "%s: the sum is not that of its files", stem);
		return err_hint(e, "fetch them again; one of them may be older than the others");
	}
	return take_fd(fd);
}

static int
write_signature(
    int dirfd, const char *stem, const struct sign_secret *key, const struct buf *skein, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(SIGNIFY_FILE_MAX);
	struct sign_signature sig;
	char name[FILE_LEN], comment[FILE_LEN + 24];
	int rc = signify_sign(key, buf_cstr(skein), skein->len, &sig, e);

	snprintf(comment, sizeof(comment), "signature of %s.xz", stem);
	if (rc == 0)
		rc = signify_signature_print(&sig, comment, &text, e);
	if (rc == 0)
		rc = file_write_atomic(
		    dirfd, file_name(name, stem, ".xz.skein.sig"), 0644, buf_cstr(&text), text.len, e);
	return rc;
}

int
classic_retract(int dirfd, const char *stem, struct err *e)
{
	static const char *const ends[] = { ".xz.skein", ".xz.skein.sig" };
	char name[FILE_LEN];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (unlinkat(dirfd, file_name(name, stem, ends[i]), 0) < 0 && errno != ENOENT)
			return err_sys(e, "%s", name);
	return dir_sync(dirfd, "the directory", e);
}

int
classic_complete(int dirfd, const char *stem, const struct classic_origin *origin,
    const struct sign_secret *key, struct err *e)
{
	AUTO_FINI(buf) struct buf meta = BUF_INIT(META_MAX);
	AUTO_FINI(buf) struct buf skein = BUF_INIT(SUM_MAX);
	char name[FILE_LEN], hex[SKEIN_HEX_LEN];
	AUTO(fd) int fd = open_package(dirfd, stem, e);
	int rc = fd < 0 ? fd : classic_meta_print(origin, &meta, e);

	if (rc == 0)
		rc = sum_of(fd, &meta, hex, e);
	if (rc < 0)
		return rc;
	buf_fmt(&skein, "%s\n", hex);
	rc = buf_check(&skein, "classic image: .skein", e);
	if (rc == 0)
		rc = classic_retract(dirfd, stem, e);
	if (rc == 0)
		rc = file_write_atomic(
		    dirfd, file_name(name, stem, ".xz.meta"), 0644, buf_cstr(&meta), meta.len, e);
	fault_point("image.export.meta");
	if (rc == 0 && key != NULL)
		rc = write_signature(dirfd, stem, key, &skein, e);
	fault_point("image.export.signed");
	if (rc == 0)
		rc = file_write_atomic(
		    dirfd, file_name(name, stem, ".xz.skein"), 0644, buf_cstr(&skein), skein.len, e);
	return rc;
}

int
classic_note(struct stor *stor, struct stor_fs fs, const struct classic_origin *own, struct err *e)
{
	char text[STOR_NOTE_LEN];

	snprintf(text, sizeof(text), "%s:%s@%s", own->pot, own->tag, own->snapshot);
	return stor_note(stor, fs, own->snapshot, text, e);
}

int
classic_origin_get(
    struct stor *stor, struct stor_fs fs, struct classic_origin *o, struct stor_origin *from, struct err *e)
{
	int rc = stor_origin(stor, fs, from, e);

	*o = (struct classic_origin){ 0 };
	if (rc <= 0 || from->note[0] == '\0')
		return rc < 0 ? rc : 0;
	/* Somebody else's word is none. */
	return classic_meta_parse(from->note, strlen(from->note), o, NULL) == 0 && o->pot[0] != '\0';
}
