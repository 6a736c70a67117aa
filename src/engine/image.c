/*
 * Pots from images and back: a name becomes what a pot is made from (what its
 * pot.conf gets of that: image_conf.c); a stopped pot, or a snapshot of it, is
 * shown as a tree beside the tree it was made from. The contents of an image
 * are hostile.
 */
#include "engine/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/inroot.h"
#include "base/text.h"

#define READY_MAX (16u * 1024 * 1024)
#define PASSWD_FILE_MAX (1024 * 1024)

/* ---- what a name means ------------------------------------------------------------ */

static int
no_image(const struct image_source *s, const struct reference *ref, struct err *e)
{
	err_set(e, E_NOENT, "there is no image %s on this node", s->name);
	if (ref->host[0] != '\0')
		return err_hint(e, "pot pull %s", s->name);
	return err_hint(e, "pot images lists them");
}

/* Without its name: it is looked up below ROOT/images. */
static int
read_below(struct eng *g, const struct buf *path, struct buf *text, struct err *e)
{
	AUTO(fd) int images = dir_open(g->root_fd, IMG_DIR, e);

	return images < 0 ? images : inroot_read(images, path->data, text, e);
}

static int
read_ref(struct eng *g, const struct reference *ref, char manifest[static REF_DIGEST_MAX + 1], struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(REF_TEXT + 16), text = BUF_INIT(4096);
	struct img_ref_record rec;
	int rc = img_ref_path(ref, &path, e);

	if (rc == 0)
		rc = read_below(g, &path, &text, e);
	if (rc == 0)
		rc = img_ref_record_parse(&rec, buf_cstr(&text), text.len, path.data, e);
	if (rc == 0)
		memcpy(manifest, rec.manifest, sizeof(rec.manifest));
	return rc;
}

static int
read_ready(struct eng *g, const char *manifest, struct img_ready_record *rec, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(256), text = BUF_INIT(READY_MAX);
	int rc = img_ready_path(manifest, &path, e);

	if (rc == 0)
		rc = read_below(g, &path, &text, e);
	return rc < 0 ? rc : img_ready_record_parse(rec, buf_cstr(&text), text.len, path.data, e);
}

int
image_source_get(struct eng *g, const char *name, struct image_source *s, struct err *e)
{
	char manifest[REF_DIGEST_MAX + 1];
	struct reference ref;
	int rc = ref_parse(name, &ref, e);

	if (rc < 0)
		return rc;
	ref_default_tag(&ref);
	if (ref.tag[0] != '\0')
		ref.digest[0] = '\0';
	ref_print(&ref, s->name);
	AUTO(fd) int images = dir_open(g->root_fd, IMG_DIR, e);
	if (images < 0)
		return images == -E_NOENT ? no_image(s, &ref, e) : images;
	if ((s->lock = lock_file(images, IMG_LOCK, false, LOCK_WAIT_MS, e)) < 0)
		return s->lock;
	rc = read_ref(g, &ref, manifest, e);
	if (rc == -E_NOENT)
		return no_image(s, &ref, e);
	if (rc < 0)
		return rc;
	rc = read_ready(g, manifest, &s->ready, e);
	if (rc == -E_NOENT) {
		err_set(
		    e, E_STATE, "image %s is on this node, but cannot run here: it is not unpacked", s->name);
		return err_hint(e, "pot inspect --image %s says what it is for", s->name);
	}
	return rc;
}

void
image_source_fini(struct image_source *s)
{
	img_ready_record_fini(&s->ready);
	fd_close(take_fd(s->lock));
}

int
eng_image_exists(struct eng *g, const char *name, struct err *e)
{
	AUTO_FINI(image_source) struct image_source s = IMAGE_SOURCE_INIT;
	int rc = image_source_get(g, name, &s, e);

	return rc == -E_NOENT ? 0 : rc < 0 ? rc : 1;
}

/* ---- what a pot gets of it ---------------------------------------------------------- */

int
image_source_fill(struct epot *p, const struct image_source *s, struct err *e)
{
	const char *path = kv_get(&s->ready.settings, IMG_SET_MAKE);
	struct stor *stor = p->eng->stor;
	int rc;

	if (path == NULL)
		return 0;
	AUTO(fd) int root = stor_mount(stor, epot_fs(p), false, e);
	if (root < 0)
		return root;
	AUTO(fd) int dir = inroot_mkdirs(root, path, 0755, e);
	fd_close(take_fd(root));
	rc = dir < 0 ? err_wrap(e, "making the image's working directory") : 0;
	fd_close(take_fd(dir));
	return rc < 0 ? rc : stor_unmount(stor, epot_fs(p), e);
}

/* ---- who uses what --------------------------------------------------------------------- */

struct users {
	struct eng *g;
	eng_image_user_fn *fn;
	void *arg;
};

static int
tell_user(void *arg, const char *name, struct err *e)
{
	const struct users *u = arg;
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = epot_get(&p, u->g, name, EPOT_READ, e);

	if (rc == 0)
		rc = epot_load_conf(&p, e);
	if (rc < 0)
		return rc == -E_NOENT ? 0 : rc;
	const char *fs = potconf_get(&p.conf, PC_IMAGE_FS, NULL),
		   *step = potconf_get(&p.conf, PC_STEP_FS, NULL);
	if (fs != NULL)
		rc = u->fn(u->arg, name, fs, potconf_get(&p.conf, PC_IMAGE_ID, ""), e);
	if (rc == 0 && step != NULL)
		rc = u->fn(u->arg, name, step, "", e);
	return rc;
}

int
eng_image_users(struct eng *g, eng_image_user_fn *fn, void *arg, struct err *e)
{
	struct users u = { g, fn, arg };

	return epot_each(g, tell_user, &u, e);
}

/* ---- a pot as a tree ---------------------------------------------------------------------- */

/* The pot's settings in an image's words. */
static int
settings_of(struct epot *p, struct kv *kv, struct err *e)
{
	AUTO_FINI(img_ready_record) struct img_ready_record below = { .settings = KV_INIT };
	AUTO_FINI(strv) struct strv words = STRV_INIT(4096);
	AUTO_FINI(buf) struct buf old = BUF_INIT(KV_FILE_MAX);
	const char *cmd = potconf_get(&p->conf, PC_CMD, ""), *id = potconf_get(&p->conf, PC_IMAGE_ID, NULL);
	static const struct {
		const char *from, *to;
	} rows[] = { { PC_ENV, IMG_SET_ENV }, { PC_USER, IMG_SET_USER }, { PC_WORKDIR, IMG_SET_WORKDIR },
		{ PC_EXPOSE, IMG_SET_EXPOSE }, { PC_VOLUME, IMG_SET_VOLUME } };
	const struct pot_create_args nothing = { 0 };
	const char *value;
	size_t pos;
	int rc;

	if (id != NULL)
		(void)!read_ready(
		    p->eng, id, &below, NULL); /* without it the pot's command is all there is */
	rc = image_settings_command(&below.settings, &nothing, &old, e);
	/* The same command as the image's stays cut into entry point and arguments as it was. */
	if (rc == 0 && strcmp(buf_cstr(&old), cmd) == 0) {
		for (pos = 0;
		     rc == 0 && (value = kv_next(&below.settings, IMG_SET_ENTRYPOINT, &pos)) != NULL;)
			rc = kv_add(kv, IMG_SET_ENTRYPOINT, value, e);
		for (pos = 0; rc == 0 && (value = kv_next(&below.settings, IMG_SET_CMD, &pos)) != NULL;)
			rc = kv_add(kv, IMG_SET_CMD, value, e);
	} else if (rc == 0) {
		rc = text_split(cmd, &words, e);
		for (size_t i = 0; i < words.n && rc == 0; i++)
			rc = kv_add(kv, IMG_SET_CMD, words.v[i], e);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (pos = 0; rc == 0 && (value = kv_next(&p->conf.kv, rows[i].from, &pos)) != NULL;)
			rc = kv_add(kv, rows[i].to, value, e);
	for (pos = 0; rc == 0 && (value = kv_next(&below.settings, IMG_SET_LABEL, &pos)) != NULL;)
		if (strncmp(value, IMG_LABEL_ATTR, strlen(IMG_LABEL_ATTR)) != 0)
			rc = kv_add(kv, IMG_SET_LABEL, value, e);
	return rc;
}

/* What is published is exposed; attributes that are not the default become labels. */
static int
more_settings(struct epot *p, struct kv *kv, struct err *e)
{
	AUTO_FREE struct port_map *ports = NULL;
	size_t n = 0;
	int rc = epot_ports_new(&ports, e);

	if (rc == 0)
		rc = epot_ports_get(p, ports, &n, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		char text[32];
		const char *value;
		size_t pos = 0;
		bool there = false;

		snprintf(
		    text, sizeof(text), "%u/%s", ports[i].pot, ports[i].proto == PORT_UDP ? "udp" : "tcp");
		while ((value = kv_next(kv, IMG_SET_EXPOSE, &pos)) != NULL)
			there = there || strcmp(value, text) == 0;
		if (!there)
			rc = kv_add(kv, IMG_SET_EXPOSE, text, e);
	}
	for (size_t i = 0; i < attr_count && rc == 0; i++) {
		const struct attr *a = &attr_table[i];
		const char *value = potconf_get(&p->conf, a->key, NULL);
		AUTO_FINI(buf) struct buf b = BUF_INIT(KV_FILE_MAX);

		if (value == NULL || strcmp(value, a->def) == 0 || (a->flags & ATTR_READONLY) != 0)
			continue;
		if (strcmp(a->name, "stop_signal") == 0) {
			buf_fmt(&b, "SIG%s", value);
			rc = kv_set(kv, IMG_SET_STOP_SIGNAL, buf_cstr(&b), e);
			continue;
		}
		buf_fmt(&b, IMG_LABEL_ATTR "%s=%s", a->name, value);
		rc = buf_check(&b, "a label", e);
		if (rc == 0)
			rc = kv_add(kv, IMG_SET_LABEL, b.data, e);
	}
	return rc;
}

/* A copy of a snapshot to look at: file systems are mounted as they are now, snapshots are not. */
struct look {
	struct stor *stor;
	char name[64], lock_name[80];
	bool made;
	int layers, lock; /* tells prune that we live */
};
#define LOOK_INIT                           \
	{                                   \
		NULL, "", "", false, -1, -1 \
	}

static int
look_lock(struct look *l, struct eng *g, struct err *e)
{
	AUTO(fd) int images = dir_open(g->root_fd, IMG_DIR, e);

	if (images < 0 || (l->layers = dir_open(images, IMG_LAYERS, e)) < 0)
		return -E_NOENT;
	snprintf(l->lock_name, sizeof(l->lock_name), IMG_LAYER_LOCK "%s", l->name);
	l->lock = lock_file(l->layers, l->lock_name, true, 0, e);
	return l->lock < 0 ? l->lock : 0;
}

static int
look_at(struct look *l, struct epot *p, const char *tag, struct stor_fs *fs, struct err *e)
{
	unsigned long long random;
	int rc;

	l->stor = p->eng->stor;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, "cannot get random bytes");
	/* Not 64 digits: prune knows it for what it is when we are killed. */
	snprintf(l->name, sizeof(l->name), "commit-%016llx", random);
	*fs = (struct stor_fs){ STOR_IMAGE, l->name };
	if ((rc = look_lock(l, p->eng, e)) < 0)
		return rc;
	l->made = true;
	rc = stor_clone(l->stor, epot_fs(p), tag, *fs, e);
	fault_point("image.commit.cloned");
	return rc;
}

static void
look_fini(struct look *l)
{
	const struct stor_fs fs = { STOR_IMAGE, l->name };

	/* What cannot be removed now is prune's. */
	if (l->made && stor_unmount(l->stor, fs, NULL) == 0)
		(void)!stor_destroy(l->stor, fs, NULL);
	if (l->lock >= 0)
		unlinkat(l->layers, l->lock_name, 0);
	fd_close(take_fd(l->lock));
	fd_close(take_fd(l->layers));
}
DEFINE_AUTO_FINI(look, struct look)

static int
parent_fs(struct epot *p, struct stor_fs *fs, struct err *e)
{
	const char *image = potconf_get(&p->conf, PC_IMAGE_FS, NULL),
		   *base = potconf_get(&p->conf, PC_BASE, "");
	int rc;

	*fs = image != NULL ? (struct stor_fs){ STOR_IMAGE, image } : (struct stor_fs){ STOR_BASE, base };
	if (image == NULL && base[0] == '\0')
		return err_set(
		    e, E_STATE, "pot %s was made from nothing that an image can stand on", p->name);
	rc = stor_exists(p->eng->stor, *fs, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	err_set(e, E_NOENT, "the %s that pot %s was made from is gone", image != NULL ? "image" : "base",
	    p->name);
	return err_hint(e, "pull or build it again");
}

static int
show_tree(struct epot *p, struct stor_fs fs, eng_tree_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	struct stor *s = p->eng->stor;
	struct stor_fs below;
	struct eng_tree t = { .base = potconf_get(&p->conf, PC_BASE, ""),
		.image = potconf_get(&p->conf, PC_IMAGE_ID, ""),
		.image_name = potconf_get(&p->conf, PC_IMAGE, ""),
		.settings = &kv };
	int rc = settings_of(p, &kv, e);

	if (rc == 0)
		rc = more_settings(p, &kv, e);
	if (rc == 0)
		rc = parent_fs(p, &below, e);
	if (rc < 0)
		return rc;
	struct stor_look own, parent = STOR_LOOK_INIT;
	if ((rc = stor_look_begin(s, fs, &own, e)) < 0)
		return rc;
	rc = stor_look_begin(s, below, &parent, e);
	t.root = own.root;
	t.parent = parent.root;
	if (rc == 0)
		rc = fn(arg, &t, e);
	stor_look_end(s, below, &parent);
	stor_look_end(s, fs, &own);
	return rc;
}

int
eng_image_tree(struct eng *g, const char *name, const char *tag, eng_tree_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	AUTO_FINI(look) struct look l = LOOK_INIT;
	struct stor_fs fs;
	int rc = eng_need_storage(g, e);

	if (rc == 0)
		rc = epot_get(&p, g, name, EPOT_WRITE, e);
	if (rc == 0)
		rc = epot_load_conf(&p, e);
	if (rc == 0 && tag == NULL)
		rc = epot_need_stopped(&p, "make an image of", e);
	if (rc < 0)
		return rc;
	fs = epot_fs(&p);
	if (tag != NULL && (rc = look_at(&l, &p, tag, &fs, e)) < 0)
		return rc;
	return show_tree(&p, fs, fn, arg, e);
}

int
eng_image_settings(struct eng *g, const char *name, eng_tree_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	const struct eng_tree t = { .root = -1, .parent = -1, .settings = &kv };
	int rc = eng_need_storage(g, e);

	if (rc == 0)
		rc = epot_get(&p, g, name, EPOT_WRITE, e);
	if (rc == 0)
		rc = epot_load_conf(&p, e);
	if (rc == 0)
		rc = settings_of(&p, &kv, e);
	if (rc == 0)
		rc = more_settings(&p, &kv, e);
	return rc < 0 ? rc : fn(arg, &t, e);
}

int
epot_find_user(int root_fd, const char *spec, struct passwd_user *u, struct err *e)
{
	AUTO_FINI(buf) struct buf passwd = BUF_INIT(PASSWD_FILE_MAX);
	AUTO_FINI(buf) struct buf group = BUF_INIT(PASSWD_FILE_MAX);
	int rc = inroot_read(root_fd, "/etc/passwd", &passwd, e);

	/* A root without them knows numbers only. */
	if (rc == 0 || rc == -E_NOENT)
		rc = inroot_read(root_fd, "/etc/group", &group, e);
	if (rc < 0 && rc != -E_NOENT)
		return rc;
	return passwd_lookup(buf_cstr(&passwd), buf_cstr(&group), spec, u, e);
}
