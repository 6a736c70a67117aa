/*
 * The bytes of a tar: pax(1p), "ustar Interchange Format" and "pax Extended
 * Header". Everything optional is left out or zero: no names of users, no
 * access times, no devices.
 */
#include "image/tarout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BLOCK 512
#define NAME_FIELD 100
#define PREFIX_FIELD 155
#define OCTAL7 UINT64_C(07777777)      /* seven digits */
#define OCTAL11 UINT64_C(077777777777) /* eleven */
#define PAX_MAX (16u * 1024 * 1024)

struct ustar {
	char name[NAME_FIELD], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag,
	    linkname[100];
	char magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[PREFIX_FIELD],
	    pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a block");

void
tarout_init(struct tarout *t, tarout_fn *fn, void *arg)
{
	*t = (struct tarout){ fn, arg, 0, 0 };
}

static void
put_octal(char *field, size_t width, uint64_t value)
{
	field[width - 1] = '\0';
	for (size_t i = width - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
}

static void
put_text(char *field, size_t width, const char *text, size_t n)
{
	memcpy(field, text, n < width ? n : width);
}

/* Where a long path may be cut into prefix and name; 0: nowhere. */
static size_t
cut_path(const char *path, size_t n)
{
	/* The slash of a directory itself is no place. */
	for (size_t i = n > NAME_FIELD + 1 ? n - NAME_FIELD - 1 : 0; i + 1 < n; i++)
		if (path[i] == '/' && i > 0)
			return i <= PREFIX_FIELD ? i : 0;
	return 0;
}

/* False: it does not fit, and a record is to say it. */
static bool
put_path(struct ustar *h, const char *path)
{
	size_t n = strlen(path), cut = n <= NAME_FIELD ? 0 : cut_path(path, n);

	put_text(h->name, NAME_FIELD, path + (cut > 0 ? cut + 1 : 0), n - (cut > 0 ? cut + 1 : 0));
	put_text(h->prefix, PREFIX_FIELD, path, cut);
	return n <= NAME_FIELD || cut > 0;
}

static void
finish_header(struct ustar *h)
{
	unsigned sum = 0;

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	put_octal(h->devmajor, sizeof(h->devmajor), 0);
	put_octal(h->devminor, sizeof(h->devminor), 0);
	memset(h->chksum, ' ', sizeof(h->chksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += ((const unsigned char *)h)[i];
	put_octal(h->chksum, 7, sum);
}

/* "LENGTH KEY=VALUE\n": the length counts its own digits. */
static void
add_record(struct buf *b, const char *key, const void *value, size_t n)
{
	size_t rest = strlen(key) + n + 3, total = rest + 1;
	char text[24];

	while (total != rest + (size_t)snprintf(text, sizeof(text), "%zu", total))
		total = rest + strlen(text);
	buf_fmt(b, "%zu %s=", total, key);
	buf_add(b, value, n);
	buf_str(b, "\n");
}

static void
add_text(struct buf *b, const char *key, const char *text)
{
	add_record(b, key, text, strlen(text));
}

static void
add_number(struct buf *b, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	add_text(b, key, text);
}

/* Seconds with the fraction as short as it can be: "1700000000.5", "-1.25". */
static void
add_time(struct buf *b, const char *key, struct timespec ts)
{
	long long s = (long long)ts.tv_sec;
	long ns = ts.tv_nsec;
	const char *sign = "";
	char text[48], *end;

	if (s < 0) {
		/* -1 s and 0.75 s are -0.25 s. */
		sign = "-";
		s = ns > 0 ? -(s + 1) : -s;
		ns = ns > 0 ? 1000000000 - ns : 0;
	}
	snprintf(text, sizeof(text), "%s%lld.%09ld", sign, s, ns);
	for (end = text + strlen(text); end[-1] == '0'; end--)
		end[-1] = '\0';
	if (end[-1] == '.')
		end[-1] = '\0';
	add_text(b, key, text);
}

static int
send(struct tarout *t, const void *data, size_t n, struct err *e)
{
	return n == 0 ? 0 : t->fn(t->arg, data, n, e);
}

static int
send_zeros(struct tarout *t, size_t n, struct err *e)
{
	static const char zeros[2 * BLOCK];

	return send(t, zeros, n, e);
}

/* What the header cannot say, in alphabetical order but for the attributes. */
static void
add_records(struct buf *b, const struct tar_entry *en, bool long_path)
{
	if (en->gid > OCTAL7)
		add_number(b, "gid", en->gid);
	if (en->link != NULL && strlen(en->link) > NAME_FIELD)
		add_text(b, "linkpath", en->link);
	if (en->mtime.tv_nsec != 0 || en->mtime.tv_sec < 0 || (uint64_t)en->mtime.tv_sec > OCTAL11)
		add_time(b, "mtime", en->mtime);
	if (long_path)
		add_text(b, "path", en->path);
	if (en->size > OCTAL11)
		add_number(b, "size", en->size);
	if (en->uid > OCTAL7)
		add_number(b, "uid", en->uid);
	if (en->flags != NULL && en->flags[0] != '\0')
		add_text(b, "SCHILY.fflags", en->flags);
	for (size_t i = 0; i < en->nattrs; i++) {
		char key[300];

		snprintf(key, sizeof(key), "SCHILY.xattr.%s", en->attrs[i].name);
		add_record(b, key, en->attrs[i].value, en->attrs[i].size);
	}
}

static int
send_records(struct tarout *t, const struct buf *b, struct err *e)
{
	struct ustar h;
	int r;

	if (b->len == 0)
		return 0;
	memset(&h, 0, sizeof(h));
	put_text(h.name, NAME_FIELD, "PaxHeaders/0", 12);
	put_octal(h.mode, sizeof(h.mode), 0644);
	put_octal(h.uid, sizeof(h.uid), 0);
	put_octal(h.gid, sizeof(h.gid), 0);
	put_octal(h.size, sizeof(h.size), b->len);
	put_octal(h.mtime, sizeof(h.mtime), 0);
	h.typeflag = 'x';
	finish_header(&h);
	if ((r = send(t, &h, sizeof(h), e)) < 0 || (r = send(t, b->data, b->len, e)) < 0)
		return r;
	return send_zeros(t, (BLOCK - b->len % BLOCK) % BLOCK, e);
}

int
tarout_entry(struct tarout *t, const struct tar_entry *en, struct err *e)
{
	AUTO_FINI(buf) struct buf records = BUF_INIT(PAX_MAX);
	uint64_t size = en->type == TAR_FILE ? en->size : 0;
	bool sane_time = en->mtime.tv_sec >= 0 && (uint64_t)en->mtime.tv_sec <= OCTAL11;
	struct ustar h;
	int r;

	memset(&h, 0, sizeof(h));
	add_records(&records, en, !put_path(&h, en->path));
	if ((r = buf_check(&records, en->path, e)) < 0 || (r = send_records(t, &records, e)) < 0)
		return r;
	put_octal(h.mode, sizeof(h.mode), en->mode & 07777);
	put_octal(h.uid, sizeof(h.uid), en->uid > OCTAL7 ? 0 : en->uid);
	put_octal(h.gid, sizeof(h.gid), en->gid > OCTAL7 ? 0 : en->gid);
	put_octal(h.size, sizeof(h.size), size > OCTAL11 ? 0 : size);
	put_octal(h.mtime, sizeof(h.mtime), sane_time ? (uint64_t)en->mtime.tv_sec : 0);
	h.typeflag = (char)en->type;
	if (en->link != NULL)
		put_text(h.linkname, sizeof(h.linkname), en->link, strlen(en->link));
	finish_header(&h);
	t->left = size;
	t->pad = (size_t)((BLOCK - size % BLOCK) % BLOCK);
	return send(t, &h, sizeof(h), e);
}

int
tarout_data(struct tarout *t, const void *data, size_t n, struct err *e)
{
	int r;

	if (n > t->left)
		return err_set(e, E_SYS, "tar: more data than the entry announced");
	if ((r = send(t, data, n, e)) < 0)
		return r;
	t->left -= n;
	return t->left == 0 ? send_zeros(t, take(t->pad, 0), e) : 0;
}

int
tarout_end(struct tarout *t, struct err *e)
{
	if (t->left != 0)
		return err_set(e, E_SYS, "tar: less data than the entry announced");
	return send_zeros(t, (size_t)2 * BLOCK, e);
}
