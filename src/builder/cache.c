/* Records of the cache on the disk, ROOT/build/cache/HEX, and which of them to give up. */
#include "builder/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "image/unpack.h"

#define RECORD_MAX 8192
#define VERSION "1"
#define LOOK_MS 100 /* between two looks at the user's wish to end */
#define LOCK_PREFIX ".lock-"

static int
get_digest(const struct kv *kv, const char *key, struct digest *d, struct err *e)
{
	const char *text = kv_get(kv, key);

	return text == NULL ? err_set(e, E_CORRUPT, "a record of the cache has no %s", key)
			    : digest_parse(text, d, e);
}

static int
get_number(const struct kv *kv, const char *key, uint64_t *v, struct err *e)
{
	const char *text = kv_get(kv, key);

	return text == NULL ? 0 : text_uint(text, 0, UINT64_MAX, v, key, e);
}

static int
parse(const struct kv *kv, struct bld_record *r, struct err *e)
{
	const char *version = kv_get(kv, "version"), *build = kv_get(kv, "build"), *text = kv_get(kv, "text");
	uint64_t created = 0;
	int rc;

	memset(r, 0, sizeof(*r));
	if (version == NULL || strcmp(version, VERSION) != 0)
		return err_set(e, E_NOTSUP, "a record of another version of pot");
	r->tree.any = kv_get(kv, "chain") != NULL;
	r->did.layer = kv_get(kv, "blob") != NULL;
	if ((r->tree.any && (rc = get_digest(kv, "chain", &r->tree.chain, e)) < 0) ||
	    (r->did.layer &&
		((rc = get_digest(kv, "diff", &r->did.diff, e)) < 0 ||
		    (rc = get_digest(kv, "blob", &r->did.blob, e)) < 0)) ||
	    (rc = get_number(kv, "size", &r->did.size, e)) < 0 ||
	    (rc = get_number(kv, "bytes", &r->bytes, e)) < 0 ||
	    (rc = get_number(kv, "created", &created, e)) < 0)
		return rc;
	r->did.created_ns = (int64_t)created;
	snprintf(r->build, sizeof(r->build), "%s", build != NULL ? build : "");
	snprintf(r->text, sizeof(r->text), "%s", text != NULL ? text : "");
	return 0;
}

static int
read_record(int cache, const char *key, struct bld_record *r, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	struct stat st;
	int rc;

	if ((rc = file_read(cache, key, &b, e)) < 0 ||
	    (rc = kv_parse(&kv, buf_cstr(&b), b.len, "cache", e)) < 0 || (rc = parse(&kv, r, e)) < 0)
		return rc;
	if (fstatat(cache, key, &st, AT_SYMLINK_NOFOLLOW) == 0)
		r->used_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
	return 0;
}

/* Are the layer and its blob still there? Then they stay while we are. */
static int
is_whole(struct bld *b, const struct bld_record *r, struct err *e)
{
	int rc = r->tree.any ? img_layer_exists(b->store, &r->tree.chain, e) : 1;

	return rc != 1 || !r->did.layer ? rc : img_blob_has(b->store, &r->did.blob, NULL, e);
}

/* All of one build at one time: which of them prune gives up first is told by their order in it. */
static void
note_use(const struct bld *b, const char *key)
{
	const struct timespec t = { b->begun_ns / 1000000000, b->begun_ns % 1000000000 };
	const struct timespec times[2] = { t, t };

	(void)utimensat(b->cache, key, times, AT_SYMLINK_NOFOLLOW);
}

int
bld_cache_get(struct bld *b, const char *key, struct bld_record *r, struct err *e)
{
	int rc = read_record(b->cache, key, r, NULL);

	/* A damaged one is made again. */
	if (rc < 0)
		return 0;
	if (b->no_cache && strcmp(r->build, b->build) != 0)
		return 0;
	if ((rc = is_whole(b, r, e)) != 1)
		return rc;
	note_use(b, key);
	return 1;
}

int
bld_cache_put(struct bld *b, const char *key, const struct bld_record *r, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(RECORD_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	char chain[DIGEST_TEXT_LEN], diff[DIGEST_TEXT_LEN], blob[DIGEST_TEXT_LEN], number[3][24];
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "version", VERSION },
		{ "chain", r->tree.any ? digest_print(&r->tree.chain, chain) : NULL },
		{ "diff", r->did.layer ? digest_print(&r->did.diff, diff) : NULL },
		{ "blob", r->did.layer ? digest_print(&r->did.blob, blob) : NULL },
		{ "size", number[0] },
		{ "bytes", number[1] },
		{ "created", number[2] },
		{ "build", b->build },
		{ "text", r->text },
	};
	int rc = 0;

	snprintf(number[0], sizeof(number[0]), "%llu", (unsigned long long)r->did.size);
	snprintf(number[1], sizeof(number[1]), "%llu", (unsigned long long)r->bytes);
	snprintf(number[2], sizeof(number[2]), "%lld", (long long)r->did.created_ns);
	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		if (rows[i].value != NULL)
			rc = kv_add(&kv, rows[i].key, rows[i].value, e);
	kv_print(&kv, &text);
	if (rc == 0)
		rc = buf_check(&text, "a record of the cache", e);
	fault_point("build.record");
	if (rc == 0)
		rc = file_write_atomic(b->cache, key, 0600, text.data, text.len, e);
	if (rc == 0)
		note_use(b, key);
	return rc;
}

static void
lock_name(const char *key, char out[static BLD_KEY_LEN + 8])
{
	snprintf(out, BLD_KEY_LEN + 8, LOCK_PREFIX "%.64s", key);
}

int
bld_cache_lock(struct bld *b, const char *key, struct err *e)
{
	char name[BLD_KEY_LEN + 8];
	int rc = 0;

	lock_name(key, name);
	while (rc == 0) {
		int fd = lock_named(b->cache, name, true, LOOK_MS, e);

		/* A lock has no event that could be waited for together with the flag. */
		if (fd != -E_BUSY)
			return fd;
		rc = bld_check(b, e);
	}
	return rc;
}

void
bld_cache_unlock(struct bld *b, const char *key, int fd)
{
	char name[BLD_KEY_LEN + 8];

	if (fd < 0)
		return;
	lock_name(key, name);
	unlinkat(b->cache, name, 0);
	fd_close(fd);
}

int
bld_cache_recover(struct bld *b, const char *lock, struct err *e)
{
	AUTO(fd) int fd = openat(b->cache, lock, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || lock_fd(fd, true, 0, NULL) < 0)
		return 0;
	return unlinkat(b->cache, lock, 0) != 0 && errno != ENOENT ? err_sys(e, "removing %s", lock) : 0;
}

int
bld_names(int dirfd, const char *prefix, struct strv *v, struct err *e)
{
	AUTO(dir) DIR *d = NULL;
	const struct dirent *entry;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || (d = fdopendir(fd)) == NULL) {
		int rc = err_sys(e, "reading what builds keep");

		fd_close(fd);
		return rc;
	}
	while ((entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
		    (prefix[0] == '.' || entry->d_name[0] != '.'))
			strv_add(v, entry->d_name + strlen(prefix));
	strv_sort(v);
	return strv_check(v, "what builds keep", e);
}

int
bld_cache_each(int dir, bld_record_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 22);
	AUTO(fd) int cache = dir_open(dir, "cache", e);
	int rc;

	if (cache < 0)
		return cache == -E_NOENT ? 0 : cache;
	rc = bld_names(cache, "", &names, e);
	for (size_t i = 0; i < names.n && rc == 0; i++) {
		struct bld_record r;

		if (read_record(cache, names.v[i], &r, NULL) == 0)
			rc = fn(arg, names.v[i], &r, e);
	}
	return rc;
}

/* ---- prune --------------------------------------------------------------------------------- */

/* Steps of one use in the order in which they were made: a later one stands on an earlier one. */
static int
latest_first(const void *a, const void *b)
{
	const struct bld_entry *x = a, *y = b;

	if (x->used_ns != y->used_ns)
		return x->used_ns < y->used_ns ? 1 : -1;
	if (x->created_ns != y->created_ns)
		return x->created_ns < y->created_ns ? -1 : 1;
	return strcmp(x->key, y->key);
}

void
bld_prune_decide(struct bld_entry *v, size_t n, const struct bld_prune_rule *rule)
{
	uint64_t sum = 0;

	if (n > 0)
		qsort(v, n, sizeof(*v), latest_first);
	for (size_t i = 0; i < n; i++) {
		v[i].gone = rule->all || (rule->before_ns != 0 && v[i].used_ns < rule->before_ns);
		if (v[i].gone || rule->keep == UINT64_MAX)
			continue;
		/* What does not fit any more goes, and all that was used before it. */
		v[i].gone = sum > rule->keep || v[i].bytes > rule->keep - sum;
		sum = v[i].gone ? UINT64_MAX : sum + v[i].bytes;
	}
}
