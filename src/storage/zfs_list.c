/*
 * Storage on ZFS: what is there, how large it is, and limits. All from one
 * `zfs get` each, whose lines come dataset by dataset.
 *
 * own is `used`: what removing the file system with its snapshots frees.
 * shared is what it shows but got from the snapshot it was cloned from. Both
 * are as of the last transaction group, at most some seconds ago. A quota is
 * `refquota`: it limits what the root shows, snapshots do not count.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "storage/zfs.h"

#define NS_PER_S INT64_C(1000000000)

static uint64_t
number(const char *text)
{
	uint64_t n;

	return text_uint(text, 0, UINT64_MAX, &n, "zfs", NULL) < 0 ? 0 : n;
}

struct snap_row {
	struct stor_snap snap;
	uint64_t txg;
	size_t seq;
};

struct snap_rows {
	struct snap_row *v;
	size_t n, cap;
	char last[ZFS_NAME_LEN]; /* snapshot of the row being filled */
	bool nomem;
};

/* Tags as callers can say them; others were made by hand or are hidden. */
static bool
is_tag(const char *tag)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

	return strlen(tag) <= STOR_NAME_MAX && strspn(tag, letters) == strlen(tag) &&
	    strchr("_.-", tag[0]) == NULL;
}

static struct snap_row *
add_row(struct snap_rows *r)
{
	size_t cap = r->cap == 0 ? 16 : r->cap * 2;
	void *p;

	if (r->n == r->cap) {
		p = reallocarray(r->v, cap, sizeof(*r->v));
		if (p == NULL) {
			r->nomem = true;
			return NULL;
		}
		r->v = p;
		r->cap = cap;
	}
	r->v[r->n] = (struct snap_row){ .seq = r->n };
	return &r->v[r->n++];
}

static int
add_snap_value(void *arg, const struct zfs_value *v)
{
	struct snap_rows *r = arg;
	const char *at = strchr(v->dataset, '@');
	struct snap_row *row;

	if (at == NULL)
		return 0;
	if (strcmp(r->last, v->dataset) != 0) {
		snprintf(r->last, sizeof(r->last), "%s", v->dataset);
		row = add_row(r);
		if (row == NULL)
			return -E_NOMEM;
		if (is_tag(at + 1))
			snprintf(row->snap.tag, sizeof(row->snap.tag), "%s", at + 1);
	}
	row = &r->v[r->n - 1];
	if (strcmp(v->prop, "used") == 0)
		row->snap.size = number(v->value);
	else if (strcmp(v->prop, "createtxg") == 0)
		row->txg = number(v->value);
	else if (strcmp(v->prop, "creation") == 0 && row->snap.created == 0)
		row->snap.created = (int64_t)number(v->value) * NS_PER_S;
	else if (strcmp(v->prop, "pot:created") == 0 && v->local)
		row->snap.created = (int64_t)number(v->value);
	else if (strcmp(v->prop, "pot:tag") == 0 && v->local && is_tag(v->value) &&
	    strncmp(at + 1, ".t-", 3) == 0)
		snprintf(row->snap.tag, sizeof(row->snap.tag), "%s", v->value);
	return 0;
}

static int
by_age(const void *a, const void *b)
{
	const struct snap_row *x = a, *y = b;

	if (x->txg != y->txg)
		return x->txg < y->txg ? -1 : 1;
	if (x->snap.created != y->snap.created)
		return x->snap.created < y->snap.created ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

int
zfs_snap_list(struct stor *s, struct stor_fs fs, stor_snap_fn *fn, void *arg, struct err *e)
{
	struct snap_rows rows = { 0 };
	AUTO_FREE void *owner = NULL;
	char ds[ZFS_NAME_LEN];
	int rc;

	zfs_dataset(s, fs, ds);
	rc = zfs_get(ds, "1", "used,createtxg,creation,pot:created,pot:tag", add_snap_value, &rows, e);
	owner = rows.v;
	if (rows.nomem)
		return err_nomem(e);
	if (rows.n > 0)
		qsort(rows.v, rows.n, sizeof(*rows.v), by_age);
	for (size_t i = 0; rc == 0 && i < rows.n; i++)
		if (rows.v[i].snap.tag[0] != '\0')
			rc = fn(arg, &rows.v[i].snap);
	return rc;
}

struct info_walk {
	struct stor_info info;
	uint64_t referenced, by_dataset;
	char parent[ZFS_NAME_LEN]; /* "<zfs_root>/KIND/" */
	stor_info_fn *fn;
	void *arg;
};

/* Hands the row on that is complete now. */
static int
flush_info(struct info_walk *w)
{
	if (w->info.name[0] == '\0')
		return 0;
	w->info.shared = w->referenced > w->by_dataset ? w->referenced - w->by_dataset : 0;
	return w->fn(w->arg, &w->info);
}

static int
add_info_value(void *arg, const struct zfs_value *v)
{
	struct info_walk *w = arg;
	size_t len = strlen(w->parent);
	const char *name = v->dataset + len;
	int rc;

	if (strncmp(v->dataset, w->parent, len) != 0 || !is_tag(name) || *name == '\0')
		return 0;
	if (strcmp(w->info.name, name) != 0) {
		rc = flush_info(w);
		w->info = (struct stor_info){ 0 };
		w->referenced = w->by_dataset = 0;
		snprintf(w->info.name, sizeof(w->info.name), "%s", name);
		if (rc != 0) {
			w->info.name[0] = '\0';
			return rc;
		}
	}
	if (strcmp(v->prop, "creation") == 0 && w->info.created == 0)
		w->info.created = (int64_t)number(v->value) * NS_PER_S;
	else if (strcmp(v->prop, "pot:created") == 0 && v->local)
		w->info.created = (int64_t)number(v->value);
	else if (strcmp(v->prop, "used") == 0)
		w->info.own = number(v->value);
	else if (strcmp(v->prop, "referenced") == 0)
		w->referenced = number(v->value);
	else if (strcmp(v->prop, "usedbydataset") == 0)
		w->by_dataset = number(v->value);
	else if (strcmp(v->prop, "refquota") == 0)
		w->info.quota = number(v->value);
	return 0;
}

#define TIMES "creation,pot:created"
#define SIZES TIMES ",used,referenced,usedbydataset,refquota"

static int
walk_infos(struct stor *s, enum stor_kind kind, const char *ds, const char *depth, bool sizes,
    stor_info_fn *fn, void *arg, struct err *e)
{
	struct info_walk w = { .fn = fn, .arg = arg };
	int rc;

	snprintf(w.parent, sizeof(w.parent), "%s/%s/", s->zfs_root, zfs_kind_names[kind]);
	rc = zfs_get(ds, depth, sizes ? SIZES : TIMES, add_info_value, &w, e);
	return rc == 0 ? flush_info(&w) : rc;
}

int
zfs_list(struct stor *s, enum stor_kind kind, bool sizes, stor_info_fn *fn, void *arg, struct err *e)
{
	char ds[ZFS_NAME_LEN];

	snprintf(ds, sizeof(ds), "%s/%s", s->zfs_root, zfs_kind_names[kind]);
	return walk_infos(s, kind, ds, "1", sizes, fn, arg, e);
}

static int
copy_info(void *arg, const struct stor_info *info)
{
	*(struct stor_info *)arg = *info;
	return 0;
}

int
zfs_usage(struct stor *s, struct stor_fs fs, struct stor_info *out, struct err *e)
{
	char ds[ZFS_NAME_LEN];

	zfs_dataset(s, fs, ds);
	*out = (struct stor_info){ 0 };
	return walk_infos(s, fs.kind, ds, NULL, true, copy_info, out, e);
}

int
zfs_quota(struct stor *s, struct stor_fs fs, uint64_t bytes, struct err *e)
{
	AUTO_FINI(buf) struct buf use = BUF_INIT(64);
	char ds[ZFS_NAME_LEN], option[48];
	struct err second;
	int rc;

	zfs_dataset(s, fs, ds);
	if (bytes == 0)
		snprintf(option, sizeof(option), "refquota=none");
	else
		snprintf(option, sizeof(option), "refquota=%llu", (unsigned long long)bytes);
	rc = zfs_run(NULL, e, "set", option, ds, NULL);
	if (rc == -E_INVAL && zfs_get_one(ds, "referenced", &use, &second) == 0)
		return err_set(e, E_INVAL, "quota of %llu bytes for '%s': it uses %s already",
		    (unsigned long long)bytes, fs.name, buf_cstr(&use));
	return rc;
}
