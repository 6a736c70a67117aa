/*
 * Making and renaming pots; remove.c takes them away.
 *
 * A pot exists from the moment its state says OP_NONE. Before, its directory
 * reserves the name and its journal says that it is half made.
 */
#include "engine/limit.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/image.h"
#include "engine/remove.h"
#include "engine/walls.h"
#include "model/name.h"

#define RESERVE_TRIES 2 /* with what interrupted commands left under the name */

/* Serialises the choice of names: creators share it, a rename holds it alone. */
static int
lock_names(struct eng *g, bool exclusive, struct err *e)
{
	int fd = lock_file(g->pots_fd, ".lock", exclusive, LOCK_WAIT_MS, e);

	if (fd == -E_BUSY)
		return err_set(e, E_BUSY, "another pot command is renaming or making pots");
	return fd;
}

/*
 * Opens and locks the directory that we have just made. 1: it is gone; who looks at all pots may see one without a
 * state, lock it before us and take it for what an interrupted command left.
 */
static int
hold_new(struct epot *p, struct err *e)
{
	struct err own = ERR_INIT;
	int rc;

	p->dir_fd = dir_open(p->eng->pots_fd, p->name, &own);
	rc = p->dir_fd;
	if (rc >= 0)
		rc = p->lock_fd = lock_file(p->dir_fd, "lock", true, LOCK_WAIT_MS, &own);
	if (rc >= 0 && file_is_named(p->eng->pots_fd, p->name, p->dir_fd))
		return 0;
	fd_close(take_fd(p->lock_fd));
	fd_close(take_fd(p->dir_fd));
	if (rc >= 0 || rc == -E_NOENT)
		return 1;
	if (e != NULL)
		*e = own;
	return rc;
}

/* mkdir of the name; what an interrupted command left there is repaired first. */
static int
reserve_name(struct epot *p, struct eng *g, const char *name, struct err *e)
{
	int found = 0, rc = 1;

	p->eng = g;
	snprintf(p->name, sizeof(p->name), "%s", name);
	while (rc == 1) {
		AUTO_FINI(epot) struct epot old = EPOT_INIT;

		if (mkdirat(g->pots_fd, name, 0755) == 0) {
			fault_point("create.reserved");
			rc = hold_new(p, e);
			continue;
		}
		if (errno != EEXIST)
			return err_sys(e, "cannot make pot %s", name);
		if (found++ == RESERVE_TRIES || epot_get(&old, g, name, EPOT_READ, NULL) != -E_NOENT) {
			err_set(e, E_EXIST, "pot %s exists already", name);
			return err_hint(e, "choose another name, or: pot destroy %s", name);
		}
	}
	return rc;
}

/* The snapshot that was asked for, or the newest. */
struct wanted {
	const char *by_name;
	char tag[STOR_NAME_MAX + 1];
};

static int
keep_wanted(void *arg, const struct stor_snap *s)
{
	struct wanted *w = arg;

	if (w->by_name == NULL || strcmp(w->by_name, s->tag) == 0)
		snprintf(w->tag, sizeof(w->tag), "%s", s->tag);
	return 0;
}

/* Which file system and snapshot the new pot is a copy of. */
struct source {
	struct stor_fs fs;
	char tag[STOR_NAME_MAX + 1];
	char base[STOR_NAME_MAX + 1];
	struct epot pot; /* of -P: locked when a snapshot is to be taken */
	struct image_source image;
	const struct eng_maker *maker; /* instead of a file system; its settings are in image */
};

static int
source_base(struct eng *g, const struct pot_create_args *a, struct source *s, struct err *e)
{
	int rc;

	s->fs = (struct stor_fs){ STOR_BASE, a->base };
	snprintf(s->tag, sizeof(s->tag), "%s", ENG_BASE_TAG);
	snprintf(s->base, sizeof(s->base), "%s", a->base);
	rc = eng_base_exists(g, a->base, e);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		err_set(e, E_NOENT, "there is no base %s", a->base);
		return err_hint(e, "pot create-base -r %s, or pot list -b", a->base);
	}
	return 0;
}

static int
source_image(struct eng *g, const struct pot_create_args *a, struct source *s, struct err *e)
{
	int rc = image_source_get(g, a->image, &s->image, e);

	if (rc < 0)
		return rc;
	s->fs = (struct stor_fs){ STOR_IMAGE, s->image.ready.fs };
	snprintf(s->tag, sizeof(s->tag), "%s", IMG_LAYER_TAG);
	/* For lists; no base has a name with a colon in it. */
	snprintf(s->base, sizeof(s->base), "%.*s", (int)sizeof(s->base) - 1, s->image.name);
	return 0;
}

static int
source_pot(struct eng *g, const struct pot_create_args *a, struct source *s, struct err *e)
{
	struct wanted wanted = { .by_name = a->tag };
	int rc = epot_get(&s->pot, g, a->from_pot, a->snapshot ? EPOT_WRITE : EPOT_READ, e);

	if (rc == 0)
		rc = epot_load_conf(&s->pot, e);
	if (rc < 0)
		return rc;
	s->fs = (struct stor_fs){ STOR_POT, s->pot.name };
	snprintf(s->base, sizeof(s->base), "%s", potconf_get(&s->pot.conf, PC_BASE, ""));
	if (a->snapshot && a->tag == NULL) {
		rc = epot_need_stopped(&s->pot, "take a snapshot of", e);
		if (rc == 0)
			rc = epot_free_tag(&s->pot, s->tag, e);
		return rc < 0 ? rc : epot_take_snapshot(&s->pot, s->tag, e);
	}
	rc = stor_snap_list(g->stor, s->fs, keep_wanted, &wanted, e);
	if (rc < 0)
		return rc;
	if (wanted.tag[0] == '\0' && a->tag != NULL) {
		err_set(e, E_NOENT, "pot %s has no snapshot %s", a->from_pot, a->tag);
		return err_hint(e, "pot info -s %s lists them", a->from_pot);
	}
	if (wanted.tag[0] == '\0') {
		err_set(e, E_NOENT, "pot %s has no snapshot to clone", a->from_pot);
		return err_hint(e, "pot snapshot %s, or clone with -F", a->from_pot);
	}
	snprintf(s->tag, sizeof(s->tag), "%s", wanted.tag);
	return 0;
}

/* Settings that a clone has from its source; identity, names and hooks' files are its own. */
static int
inherit_conf(struct epot *p, const struct source *s, struct err *e)
{
	static const char *const own[] = { PC_ID, PC_PARENT, PC_HOSTNAME, PC_CREATED, PC_LABEL, PC_NETNS };
	int rc = 0;

	for (size_t i = 0; i < s->pot.conf.kv.n && rc == 0; i++)
		rc = kv_add(&p->conf.kv, s->pot.conf.kv.v[i].key, s->pot.conf.kv.v[i].value, e);
	for (size_t i = 0; i < ARRAY_LEN(own) && rc == 0; i++)
		rc = kv_set(&p->conf.kv, own[i], NULL, e);
	return rc;
}

static int
copy_extras(struct epot *p, const struct source *s, struct err *e)
{
	static const char *const names[] = { "hooks", "resolv.conf", WALLS_PROFILE, WALLS_PROGRAM };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(names) && rc == 0; i++)
		if (faccessat(s->pot.dir_fd, names[i], F_OK, 0) == 0)
			rc = tree_copy(s->pot.dir_fd, names[i], p->dir_fd, names[i], TREE_COPY_MERGE, e);
	return rc;
}

static int
set_dns(struct epot *p, const char *dns, struct err *e)
{
	static const char prefix[] = "custom:";
	AUTO_FINI(buf) struct buf text = BUF_INIT(1024 * 1024);
	AUTO(fd) int fd = -1;
	int rc;

	if (strncmp(dns, prefix, strlen(prefix)) != 0)
		return potconf_set(&p->conf, PC_DNS, dns, e);
	fd = open(dns + strlen(prefix), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, "cannot read %s given with -d", dns + strlen(prefix));
	rc = fd_read_all(fd, &text, e);
	if (rc == 0)
		rc = file_write_atomic(p->dir_fd, "resolv.conf", 0644, text.data, text.len, e);
	return rc < 0 ? rc : potconf_set(&p->conf, PC_DNS, "custom", e);
}

/* POT.HOST where that is not too long, else POT, cut to what the configuration allows. */
static int
own_hostname(const struct epot *p, char out[static 65], struct err *e)
{
	size_t max = (size_t)config_uint(p->eng->conf, "hostname_max");
	char node[256] = "";

	if (gethostname(node, sizeof(node) - 1) != 0)
		return err_sys(e, "cannot find the host's name");
	name_hostname(p->name, node, out);
	if (strlen(out) <= max)
		return 0;
	name_hostname(p->name, "", out);
	for (size_t n = strlen(out) < max ? strlen(out) : max; n > 0; n--) {
		out[n] = '\0';
		if (out[n - 1] != '-')
			break;
	}
	return 0;
}

/* NULL: the source's. */
static const char *
network_of(const struct epot *p, const struct pot_create_args *a)
{
	bool on_private = false;

	if (a->network != NULL)
		return a->network;
	if (a->from_pot != NULL && network_is_bridged(potconf_get(&p->conf, PC_NETWORK, "")))
		return NULL;
	for (const char *const *b = a->bridges; b != NULL && *b != NULL; b++)
		on_private = on_private || strcmp(*b, "public") != 0;
	if (on_private)
		return "private-bridge";
	/* What only a pot with addresses of its own can have takes a clone to a bridge. */
	if (a->from_pot == NULL || a->bridges != NULL || a->addrs != NULL || a->publish != NULL ||
	    a->names != NULL || a->net_in != 0 || a->net_out != 0)
		return "public-bridge";
	return NULL;
}

static int
fill_conf(struct epot *p, const struct pot_create_args *a, const struct source *s, struct err *e)
{
	char text[TEXT_TIME_LEN], level[12], host[65];
	int rc = own_hostname(p, host, e);

	if (rc < 0)
		return rc;
	snprintf(level, sizeof(level), "%d", a->level >= 0 ? a->level : 0);
	text_time_print(text_now_ns(), false, text);
	if (a->from_pot != NULL)
		rc = inherit_conf(p, s, e);
	else if (a->image != NULL)
		rc = image_source_conf(p, &s->image, a, e);
	else if (s->maker != NULL)
		rc = image_settings_conf(p, &s->image.ready.settings, a, e);
	for (const char *const *v = a->env; v != NULL && *v != NULL && rc == 0; v++)
		rc = potconf_env_add(&p->conf, *v, e);
	const struct {
		const char *key, *value;
	} rows[] = {
		{ PC_VERSION, POTCONF_VERSION },
		{ PC_ID, p->state.rec.id },
		{ PC_BASE, a->image != NULL ? "" : s->base },
		{ PC_PARENT, a->from_pot },
		{ PC_STEP_FS, s->maker != NULL ? s->maker->layer : NULL },
		{ PC_TYPE,
		    a->type != NULL           ? a->type
			: a->from_pot != NULL ? NULL
					      : "single" },
		{ PC_LEVEL, a->level >= 0 || a->from_pot == NULL ? level : NULL },
		{ PC_HOSTNAME, host },
		{ PC_NETWORK, network_of(p, a) },
		{ PC_STACK,
		    a->stack != NULL          ? a->stack
			: a->from_pot != NULL ? NULL
					      : config_get(p->eng->conf, "network_stack") },
		{ PC_CMD, a->command },
		{ PC_CREATED, text },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		if (rows[i].value != NULL)
			rc = potconf_set(&p->conf, rows[i].key, rows[i].value, e);
	if (rc == 0 && (a->dns != NULL || a->from_pot == NULL))
		rc = set_dns(p, a->dns != NULL ? a->dns : "inherit", e);
	if (rc == 0 && (a->nlimits > 0 || a->from_pot != NULL))
		rc = epot_limits_create(p, a->limits, a->nlimits, e);
	p->conf_loaded = rc == 0;
	fault_point("create.leasing");
	return rc < 0 ? rc : epot_net_create(p, a, e);
}

/* The first record: from here on a killed creation is undone by whoever comes next. */
static int
begin_create(struct epot *p, const struct source *s, struct err *e)
{
	struct state_rec r = {
		.state = POT_CREATED, .op = OP_CREATE, .status = -1, .created_ns = text_now_ns()
	};
	unsigned long long id;
	int rc;

	r.flags = p->state.rec.flags = s->maker != NULL && s->maker->build ? STATE_BUILD : 0;
	rc = stor_exists(p->eng->stor, epot_fs(p), e);
	if (rc == 0 && getrandom(&id, sizeof(id), 0) != sizeof(id))
		rc = err_sys(e, "cannot get random bytes");
	if (rc == 1) {
		err_set(e, E_EXIST, "the storage still holds something under the name %s", p->name);
		return err_hint(e, "pot prune repairs what was interrupted");
	}
	if (rc < 0)
		return rc;
	/* What is given to it is found by this, however its making ends. */
	snprintf(r.id, sizeof(r.id), "%016llx", id);
	snprintf(r.base, sizeof(r.base), "%.*s", (int)sizeof(r.base) - 1, s->base);
	if (rc == 0)
		rc = state_create(&p->state, p->dir_fd, &r, e);
	if (rc == 0)
		rc = dir_sync(p->dir_fd, p->name, e);
	return rc == 0 ? dir_sync(p->eng->pots_fd, "pots", e) : rc;
}

static int
fill_root(struct epot *p, struct source *s, struct err *e)
{
	if (s->maker == NULL)
		return stor_clone(p->eng->stor, s->fs, s->tag, epot_fs(p), e);
	return s->maker->make(s->maker->arg, p->eng->stor, epot_fs(p), &s->image.ready.settings, e);
}

static int
fill(struct epot *p, const struct pot_create_args *a, struct source *s, struct err *e)
{
	struct state_rec *r = &p->state.rec;
	uint32_t first;
	int rc;

	fault_point("create.begun");
	rc = fill_root(p, s, e);
	fault_point("create.cloned");
	if (rc == 0 && a->image != NULL)
		rc = image_source_fill(p, &s->image, e);
	if (rc == 0)
		rc = fill_conf(p, a, s, e);
	if (rc == 0 && a->from_pot != NULL)
		rc = copy_extras(p, s, e);
	if (rc == 0)
		rc = epot_given(p, a, e);
	if (rc == 0)
		rc = walls_change(p, a->walls, e);
	if (rc == 0 && *walls_no_userns(p) == '\0')
		rc = ids_get(p->eng, p->state.rec.id, &first, e);
	if (rc == 0)
		rc = epot_save_conf(p, e);
	fault_point("create.configured");
	if (rc == 0 && eng_cancelled(p->eng))
		rc = err_set(e, E_INTR, "making pot %s was interrupted", p->name);
	if (rc < 0)
		return rc;
	snprintf(r->network, sizeof(r->network), "%s", potconf_get(&p->conf, PC_NETWORK, "inherit"));
	epot_net_texts(p);
	r->op = OP_NONE;
	return state_write(&p->state, true, e);
}

int
eng_create_from(struct eng *g, const struct pot_create_args *a, const struct eng_maker *maker, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct source s = { .pot = EPOT_INIT, .image = IMAGE_SOURCE_INIT, .maker = maker };
	AUTO(fd) int names = -1;
	struct err own = ERR_INIT;
	int rc = eng_need_storage(g, e);

	if (rc < 0)
		return rc;
	/* Before any lock of ours: prune holds the images' lock and looks at pots. */
	if (a->image != NULL && (rc = source_image(g, a, &s, e)) < 0) {
		image_source_fini(&s.image);
		return rc;
	}
	names = lock_names(g, false, e);
	if (names < 0) {
		image_source_fini(&s.image);
		return names;
	}
	rc = reserve_name(&p, g, a->name, &own);
	if (rc == 0) {
		if (a->image == NULL && (maker == NULL || maker->layer != NULL))
			rc = a->base != NULL ? source_base(g, a, &s, &own) : source_pot(g, a, &s, &own);
		if (rc == 0)
			rc = begin_create(&p, &s, &own);
		if (rc < 0) {
			(void)!epot_remove_dir(&p, NULL);
		} else {
			rc = fill(&p, a, &s, &own);
			/* Where it is kept for a look, the journal says what it is: half made. */
			if (rc < 0 && !a->keep)
				(void)!epot_remove(&p, NULL);
		}
	}
	epot_fini(&s.pot);
	image_source_fini(&s.image);
	if (rc < 0 && e != NULL)
		*e = own;
	return rc;
}

int
eng_create(struct eng *g, const struct pot_create_args *a, struct err *e)
{
	return eng_create_from(g, a, NULL, e);
}

int
epot_finish_rename(struct epot *p, struct err *e)
{
	const char *old = p->state.rec.arg;
	const struct stor_fs from = { STOR_POT, old };
	char host[65];
	int rc = stor_recover(p->eng->stor, from, e);

	if (rc == 0)
		rc = stor_exists(p->eng->stor, from, e);
	/* Only where ours has not arrived yet: the old name may be somebody else's by now. */
	if (rc == 1) {
		rc = stor_exists(p->eng->stor, epot_fs(p), e);
		if (rc == 0)
			rc = stor_rename(p->eng->stor, from, p->name, e);
		else if (rc == 1)
			rc = 0;
	}
	fault_point("rename.storage");
	if (rc == 0)
		rc = epot_load_conf(p, e);
	if (rc == 0)
		rc = own_hostname(p, host, e);
	if (rc < 0)
		return rc;
	rc = potconf_set(&p->conf, PC_HOSTNAME, host, e);
	return rc < 0 ? rc : epot_save_conf(p, e);
}

int
eng_rename(struct eng *g, const char *name, const char *newname, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	AUTO(fd) int names = -1;
	struct state_rec *r = &p.state.rec;
	int rc = eng_need_storage(g, e);

	if (rc < 0)
		return rc;
	names = lock_names(g, true, e);
	if (names < 0)
		return names;
	rc = epot_get(&p, g, name, EPOT_WRITE, e);
	if (rc == 0)
		rc = epot_need_stopped(&p, "rename", e);
	if (rc < 0)
		return rc;
	if (faccessat(g->pots_fd, newname, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		AUTO_FINI(epot) struct epot other = EPOT_INIT;

		if (epot_get(&other, g, newname, EPOT_READ, NULL) != -E_NOENT)
			return err_set(e, E_EXIST, "pot %s exists already", newname);
	}
	r->op = OP_RENAME;
	snprintf(r->arg, sizeof(r->arg), "%s", name);
	rc = state_write(&p.state, true, e);
	fault_point("rename.journalled");
	if (rc == 0 && renameat(g->pots_fd, name, g->pots_fd, newname) != 0)
		rc = err_sys(e, "cannot rename %s to %s", name, newname);
	if (rc == 0)
		rc = dir_sync(g->pots_fd, "pots", e);
	fault_point("rename.directory");
	if (rc == 0) {
		snprintf(p.name, sizeof(p.name), "%s", newname);
		rc = epot_finish_rename(&p, e);
	}
	if (rc < 0)
		return rc;
	r->op = OP_NONE;
	return state_write(&p.state, true, e);
}
