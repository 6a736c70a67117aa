/* Which records, caches of mounts and fetched files go; see prune.h. */
#include "builder/prune.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "builder/fetch.h"
#include "builder/mounts.h"

struct entries {
	struct bld_entry *v;
	size_t n, cap;
};

static int
add_entry(void *arg, const char *key, const struct bld_record *r, struct err *e)
{
	struct entries *s = arg;

	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 64 : s->cap * 2;
		struct bld_entry *v = reallocarray(s->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n] =
	    (struct bld_entry){ .used_ns = r->used_ns, .created_ns = r->did.created_ns, .bytes = r->bytes };
	snprintf(s->v[s->n++].key, BLD_KEY_LEN, "%.64s", key);
	return 0;
}

static int
remove_steps(int dir, const struct entries *s, bool dry_run, struct bld_pruned *out, struct err *e)
{
	AUTO(fd) int cache = dir_open(dir, "cache", e);

	if (cache < 0)
		return cache == -E_NOENT ? 0 : cache;
	for (size_t i = 0; i < s->n; i++) {
		if (!s->v[i].gone)
			continue;
		out->steps++;
		out->bytes += s->v[i].bytes;
		if (!dry_run && unlinkat(cache, s->v[i].key, 0) != 0 && errno != ENOENT)
			return err_sys(e, "removing a step of the cache");
		fault_point("build.prune.step");
	}
	return 0;
}

int
bld_prune(int dir, const struct bld_prune_rule *rule, bool dry_run, struct bld_pruned *out, struct err *e)
{
	struct entries s = { NULL, 0, 0 };
	int rc = bld_cache_each(dir, add_entry, &s, e);

	memset(out, 0, sizeof(*out));
	if (rc == 0) {
		bld_prune_decide(s.v, s.n, rule);
		rc = remove_steps(dir, &s, dry_run, out, e);
	}
	free(s.v);
	if (rc < 0 || !rule->all)
		return rc;
	rc = bld_caches_prune(dir, 0, dry_run, &out->mounts, &out->bytes, e);
	if (rc == 0 && !dry_run)
		rc = bld_fetch_prune(dir, INT64_MAX, &out->bytes, e);
	return rc;
}
