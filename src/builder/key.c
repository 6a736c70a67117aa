/* Making keys. A field is its name, the length of its value as eight bytes, lowest first, and the value. */
#include "builder/key.h"

#include <string.h>

#include "image/config.h"

#define KEY_VERSION "pot build 1"

static void
add(struct bld_key *k, const void *p, size_t n)
{
	if (k->failed == 0 && hasher_add(k->h, p, n, NULL) < 0)
		k->failed = E_SYS;
}

static void
add_length(struct bld_key *k, uint64_t n)
{
	unsigned char b[8];

	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (unsigned char)(n >> (8 * i));
	add(k, b, sizeof(b));
}

void
bld_key_bytes(struct bld_key *k, const char *name, const void *p, size_t n)
{
	add(k, name, strlen(name) + 1);
	add_length(k, n);
	add(k, p, n);
}

void
bld_key_text(struct bld_key *k, const char *name, const char *value)
{
	if (value != NULL) {
		bld_key_bytes(k, name, value, strlen(value));
		return;
	}
	add(k, name, strlen(name) + 1);
	add_length(k, UINT64_MAX);
}

void
bld_key_number(struct bld_key *k, const char *name, uint64_t v)
{
	add(k, name, strlen(name) + 1);
	add_length(k, 8);
	add_length(k, v);
}

void
bld_key_digest(struct bld_key *k, const char *name, const struct digest *d)
{
	char text[DIGEST_TEXT_LEN];

	bld_key_text(k, name, digest_print(d, text));
}

void
bld_key_tree(struct bld_key *k, const char *name, const struct bld_tree *t)
{
	if (t->any)
		bld_key_digest(k, name, &t->chain);
	else
		bld_key_text(k, name, NULL);
}

void
bld_key_list(struct bld_key *k, const char *name, const char *const *v)
{
	size_t n = 0;

	while (v != NULL && v[n] != NULL)
		n++;
	bld_key_number(k, name, n);
	for (size_t i = 0; i < n; i++)
		bld_key_text(k, "", v[i]);
}

int
bld_key_begin(
    struct bld_key *k, const char *kind, const struct bld_tree *parent, int64_t epoch, struct err *e)
{
	struct img_host h;
	int rc = hasher_new(DIGEST_SHA256, &k->h, e);

	if (rc < 0)
		return rc;
	img_host_platform(&h);
	bld_key_text(k, "version", KEY_VERSION);
	bld_key_text(k, "kind", kind);
	bld_key_text(k, "os", h.os);
	bld_key_text(k, "arch", h.arch);
	bld_key_text(k, "variant", h.variant);
	bld_key_number(k, "epoch", (uint64_t)epoch);
	bld_key_tree(k, "parent", parent);
	return 0;
}

int
bld_key_end(struct bld_key *k, char out[static BLD_KEY_LEN], struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	struct digest d;
	int rc = k->failed != 0 ? err_set(e, E_SYS, "hashing a key failed") : hasher_end(k->h, &d, e);

	if (rc == 0)
		snprintf(out, BLD_KEY_LEN, "%.64s", digest_hex(&d, hex));
	return rc;
}

void
bld_key_fini(struct bld_key *k)
{
	hasher_free(take_ptr(k->h));
}

/* ---- a command ------------------------------------------------------------------------------ */

static bool
is_zero(const struct digest *d)
{
	for (size_t i = 0; i < sizeof(d->bytes); i++)
		if (d->bytes[i] != 0)
			return false;
	return true;
}

static void
add_mount(struct bld_key *k, const struct bld_mount *m)
{
	bld_key_number(k, "mount", m->kind);
	bld_key_text(k, "target", m->target);
	switch (m->kind) {
	case BLD_MOUNT_DIR:
		bld_key_number(k, "rw", m->rw);
		bld_key_text(k, "path", m->path);
		if (!is_zero(&m->content))
			bld_key_digest(k, "content", &m->content);
		break;
	case BLD_MOUNT_TREE:
		bld_key_number(k, "rw", m->rw);
		bld_key_text(k, "path", m->path);
		bld_key_tree(k, "tree", &m->tree);
		break;
	case BLD_MOUNT_CACHE:
		bld_key_number(k, "rw", m->rw);
		bld_key_text(k, "id", m->id);
		bld_key_tree(k, "tree", &m->tree);
		bld_key_text(k, "path", m->path);
		break;
	case BLD_MOUNT_TMPFS:
		break;
	case BLD_MOUNT_FILE:
		bld_key_bytes(k, "data", m->data, m->len);
		bld_key_number(k, "mode", m->mode);
		bld_key_number(k, "uid", m->uid);
		bld_key_number(k, "gid", m->gid);
		break;
	case BLD_MOUNT_SECRET:
		bld_key_text(k, "id", m->id);
		break;
	}
}

int
bld_key_run(const struct bld_run *r, const struct bld_tree *parent, int64_t epoch,
    char out[static BLD_KEY_LEN], struct err *e)
{
	AUTO_FINI(bld_key) struct bld_key k = BLD_KEY_INIT;
	int rc = bld_key_begin(&k, "run", parent, epoch, e);

	if (rc < 0)
		return rc;
	bld_key_list(&k, "argv", r->argv);
	bld_key_list(&k, "env", r->env);
	bld_key_text(&k, "user", r->user);
	bld_key_text(&k, "workdir", r->workdir);
	bld_key_number(&k, "network", r->network);
	bld_key_number(&k, "insecure", r->insecure);
	for (size_t i = 0; i < r->nmounts; i++)
		add_mount(&k, &r->mounts[i]);
	return bld_key_end(&k, out, e);
}
