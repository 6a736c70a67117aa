/*
 * Taking away what lower layers have. Everything happens by fd below the
 * directory that the caller has resolved inside the root; links are removed,
 * never followed. An archive may mark what it has put there itself, in any
 * order: its own entries stay.
 */
#include "unpack/whiteout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/tree.h"

#define PREFIX ".wh."
#define SLOTS_FIRST ((size_t)1 << 16)
#define SLOTS_MAX ((size_t)1 << 20) /* 8 MiB */

int
own_paths_init(struct own_paths *o, struct err *e)
{
	memset(o, 0, sizeof(*o));
	if (getrandom(o->key, sizeof(o->key), 0) != sizeof(o->key))
		return err_sys(e, "random bytes");
	return 0;
}

void
own_paths_fini(struct own_paths *o)
{
	free(o->v);
}

static uint64_t
rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

/* One SipHash round of two; the archive's author must not be able to make paths collide. */
static void
sip_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 of n bytes, never 0. */
static uint64_t
hash(const struct own_paths *o, const char *s, size_t n)
{
	uint64_t v[4] = { o->key[0] ^ UINT64_C(0x736f6d6570736575), o->key[1] ^ UINT64_C(0x646f72616e646f6d),
		o->key[0] ^ UINT64_C(0x6c7967656e657261), o->key[1] ^ UINT64_C(0x7465646279746573) };
	uint64_t last = (uint64_t)n << 56, m;

	for (; n >= 8; n -= 8, s += 8) {
		memcpy(&m, s, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t)(unsigned char)s[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	m = v[0] ^ v[1] ^ v[2] ^ v[3];
	return m != 0 ? m : 1;
}

/* The slot that holds h, or the free one where it belongs. */
static size_t
slot(const uint64_t *v, size_t cap, uint64_t h)
{
	size_t i = (size_t)h & (cap - 1);

	while (v[i] != 0 && v[i] != h)
		i = (i + 1) & (cap - 1);
	return i;
}

static bool
grow(struct own_paths *o)
{
	size_t cap = o->cap == 0 ? SLOTS_FIRST : o->cap * 2;
	uint64_t *v;

	if (o->n < o->cap / 4 * 3)
		return true;
	if (cap > SLOTS_MAX || (v = calloc(cap, sizeof(*v))) == NULL)
		return false;
	for (size_t i = 0; i < o->cap; i++)
		if (o->v[i] != 0)
			v[slot(v, cap, o->v[i])] = o->v[i];
	free(o->v);
	o->v = v;
	o->cap = cap;
	return true;
}

void
own_paths_add(struct own_paths *o, const char *path)
{
	size_t n = strlen(path);

	/* Upwards until one is known: then those above it are, too. */
	while (n > 0) {
		uint64_t h = hash(o, path, n);
		size_t i;

		if (!grow(o)) {
			o->full = true;
			return;
		}
		i = slot(o->v, o->cap, h);
		if (o->v[i] == h)
			return;
		o->v[i] = h;
		o->n++;
		while (n > 0 && path[n - 1] != '/')
			n--;
		n -= n > 0;
	}
}

bool
own_paths_has(const struct own_paths *o, const char *path)
{
	size_t n = strlen(path);

	return n == 0 || (o->cap > 0 && o->v[slot(o->v, o->cap, hash(o, path, n))] != 0);
}

int
whiteout_parse(const char *path, enum whiteout *what, const char **name, struct err *e)
{
	const char *slash = strrchr(path, '/'), *last = slash != NULL ? slash + 1 : path;

	*what = WHITEOUT_NONE;
	/* As a directory, the prefix would make an object that no tool can take away again. */
	for (const char *p = path; p < last; p = strchr(p, '/') + 1)
		if (strncmp(p, PREFIX, strlen(PREFIX)) == 0)
			return err_set(e, E_CORRUPT, "a directory whose name is reserved for whiteouts");
	if (strncmp(last, PREFIX, strlen(PREFIX)) != 0)
		return 0;
	*name = last + strlen(PREFIX);
	if (strcmp(*name, PREFIX ".opq") == 0)
		*what = WHITEOUT_OPAQUE;
	else if (strncmp(*name, PREFIX, strlen(PREFIX)) == 0)
		*what = WHITEOUT_SKIP;
	else if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
		return err_set(e, E_CORRUPT, "a whiteout of nothing that has a name");
	else
		*what = WHITEOUT_NAME;
	return 0;
}

/* A walk that removes; path is that of the directory it stands in. */
struct removal {
	const struct own_paths *own;
	char path[ENTRY_PATH_MAX];
	size_t len;
	size_t depth;
};

/* Is dir/name this layer's own? Where the path is too long for one, it cannot be. */
static bool
is_own(struct removal *r, const char *name)
{
	size_t n = strlen(name), sep = r->len > 0;
	bool own;

	if (r->len + sep + n >= sizeof(r->path))
		return false;
	if (sep)
		r->path[r->len] = '/';
	memcpy(r->path + r->len + sep, name, n + 1);
	own = own_paths_has(r->own, r->path);
	r->path[r->len] = '\0';
	return own;
}

static int
removal_enter(void *arg, int fd, const char *name, const struct stat *st, struct err *e)
{
	struct removal *r = arg;
	size_t n = strlen(name), sep = r->len > 0;

	(void)fd;
	(void)st;
	/* The first one is in path already. */
	if (r->depth++ == 0)
		return 0;
	if (r->len + sep + n >= sizeof(r->path))
		return err_set(e, E_LIMIT, "a path below it is longer than %d bytes", ENTRY_PATH_MAX - 1);
	if (sep)
		r->path[r->len++] = '/';
	memcpy(r->path + r->len, name, n + 1);
	r->len += n;
	return 0;
}

static int
removal_entry(void *arg, int dirfd, const char *name, unsigned char type, struct err *e)
{
	struct removal *r = arg;

	(void)type;
	if (is_own(r, name) || unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	return tree_unlink_met_dir(dirfd, name) ? 1 : err_sys(e, "removing what lower layers have");
}

static int
removal_gone(void *arg, int parentfd, const char *name, struct err *e)
{
	struct removal *r = arg;

	if (--r->depth == 0)
		return 0;
	while (r->len > 0 && r->path[r->len - 1] != '/')
		r->len--;
	r->len -= r->len > 0;
	r->path[r->len] = '\0';
	if (is_own(r, name) || unlinkat(parentfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	/* Something of this layer is in it. */
	return errno == ENOTEMPTY || errno == EEXIST ? 0 : err_sys(e, "removing what lower layers have");
}

static const struct tree_ops removal_ops = { removal_enter, removal_entry, NULL, removal_gone, false };

/* All in fd (taken), whose path is given. */
static int
remove_inside(const struct own_paths *own, int fd, const char *path, struct err *e)
{
	struct removal r = { .own = own, .len = strlen(path) };

	memcpy(r.path, path, r.len + 1);
	return tree_walk(fd, "it", &removal_ops, &r, e);
}

int
whiteout_remove(const struct own_paths *own, int dirfd, const char *path, const char *name, struct err *e)
{
	struct stat st;
	int fd, r;

	if (own->full)
		return err_set(e, E_LIMIT, "a whiteout in a layer of too many entries");
	if (name == NULL) {
		fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? err_sys(e, "opening the directory") : remove_inside(own, fd, path, e);
	}
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "looking at what is to go");
	if (!S_ISDIR(st.st_mode)) {
		if (own_paths_has(own, path) || unlinkat(dirfd, name, 0) == 0)
			return 0;
		return err_sys(e, "removing what lower layers have");
	}
	if ((fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return err_sys(e, "opening the directory");
	if ((r = remove_inside(own, fd, path, e)) < 0)
		return r;
	if (own_paths_has(own, path) || unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOTEMPTY ||
	    errno == EEXIST)
		return 0;
	return err_sys(e, "removing what lower layers have");
}
