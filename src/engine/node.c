/*
 * The node: making and removing an installation, and what its configuration
 * says. The record ROOT/node is the commit point of init: without it there is
 * no installation.
 */
#include "engine/epot.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "base/text.h"

/* What init makes below the root; de-init removes just these. */
static const char *const node_dirs[] = { "pots", "bases", "tmp", "storage", "userns", "images", "cpus",
	"registries", "build" };

static struct stor_params
wanted_storage(const struct eng *g, const struct pot_init_args *a)
{
	const char *conf = config_get(g->conf, "storage");
	struct stor_params sp = {
		.mechanism = a->storage != NULL && strcmp(a->storage, "auto") != 0 ? a->storage
		    : strcmp(conf, "auto") != 0 && a->storage == NULL              ? conf
										   : NULL,
		.zfs_root = a->zfs_root != NULL ? a->zfs_root : config_get(g->conf, "zfs_root"),
		.btrfs_root = config_get(g->conf, "btrfs_root"),
	};

	if (sp.zfs_root != NULL && *sp.zfs_root == '\0')
		sp.zfs_root = NULL;
	if (sp.btrfs_root != NULL && *sp.btrfs_root == '\0')
		sp.btrfs_root = NULL;
	return sp;
}

/* The named mechanism, or the first of the table that this machine can do. */
static int
choose_storage(struct eng *g, struct stor_params *sp, struct pot_init_report *r, struct err *e)
{
	AUTO_FINI(buf) struct buf all = BUF_INIT(4096);

	for (size_t i = 0; stor_table[i] != NULL; i++) {
		const struct stor_ops *ops = stor_table[i];
		AUTO_FINI(buf) struct buf why = BUF_INIT(1024);
		bool named;
		int rc;

		if (sp->mechanism != NULL && strcmp(sp->mechanism, ops->name) != 0)
			continue;
		rc = ops->probe(g->root, sp, &why, e);
		if (rc < 0)
			return rc;
		if (rc == 1) {
			snprintf(r->why, sizeof(r->why), "%s%s%s",
			    sp->mechanism != NULL ? "as asked for" : ops->summary, all.len > 0 ? "; " : "",
			    buf_cstr(&all));
			snprintf(r->storage, sizeof(r->storage), "%s", ops->name);
			sp->mechanism = ops->name;
			return 0;
		}
		/* Some reasons begin with the mechanism's name already. */
		named = strncmp(buf_cstr(&why), ops->name, strlen(ops->name)) == 0;
		buf_fmt(&all, "%s%s%s%s", all.len > 0 ? "; " : "", named ? "" : ops->name, named ? "" : ": ",
		    buf_cstr(&why));
	}
	if (all.len == 0) {
		err_set(e, E_INVAL, "there is no storage mechanism '%s'", sp->mechanism);
		return err_hint(e, "auto, zfs, btrfs or overlay; on FreeBSD auto, zfs or copy");
	}
	err_set(e, E_NOTSUP, "no storage can be used here: %s", buf_cstr(&all));
	if (sp->mechanism != NULL && strcmp(sp->mechanism, "zfs") == 0 && sp->zfs_root == NULL)
		return err_hint(e, "--zfs-root POOL/pot");
	return err_hint(e, "pot doctor");
}

static int
make_dirs(struct eng *g, struct err *e)
{
	int rc = dir_make_path(g->root, 0755, e);

	if (rc == 0 && g->root_fd < 0) {
		g->root_fd = open(g->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (g->root_fd < 0)
			rc = err_sys(e, "cannot open %s", g->root);
	}
	for (size_t i = 0; i < ARRAY_LEN(node_dirs) && rc == 0; i++) {
		/* Roots hold programs with setuid bits: nobody but root comes near. */
		bool open_to_all = strcmp(node_dirs[i], "pots") == 0 || strcmp(node_dirs[i], "bases") == 0;
		int fd = dir_make(g->root_fd, node_dirs[i], open_to_all ? 0755 : 0700, e);

		if (fd < 0)
			rc = fd;
		else if (fchmod(fd, open_to_all ? 0755 : 0700) != 0)
			rc = err_sys(e, "cannot set the mode of %s/%s", g->root, node_dirs[i]);
		fd_close(fd);
	}
	return rc;
}

/* What the record will say. */
static int
fill_node(struct eng *g, const struct stor_params *sp, struct err *e)
{
	char id[9], now[TEXT_TIME_LEN];
	uint32_t r;
	int rc;

	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return err_sys(e, "cannot get random bytes");
	snprintf(id, sizeof(id), "%08x", r);
	text_time_print(text_now_ns(), false, now);
	kv_fini(&g->node);
	rc = kv_add(&g->node, "version", "1", e);
	if (rc == 0)
		rc = kv_add(&g->node, "id", id, e);
	if (rc == 0)
		rc = kv_add(&g->node, "storage", sp->mechanism, e);
	if (rc == 0 && sp->zfs_root != NULL && strcmp(sp->mechanism, "zfs") == 0)
		rc = kv_add(&g->node, "zfs_root", sp->zfs_root, e);
	if (rc == 0 && sp->btrfs_root != NULL && strcmp(sp->mechanism, "btrfs") == 0)
		rc = kv_add(&g->node, "btrfs_root", sp->btrfs_root, e);
	if (rc == 0)
		rc = kv_add(&g->node, "created", now, e);
	return rc;
}

static int
write_node(struct eng *g, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(4096);
	int rc;

	kv_print(&g->node, &text);
	rc = buf_check(&text, "node", e);
	return rc < 0 ? rc : file_write_atomic(g->root_fd, "node", 0644, text.data, text.len, e);
}

/* What init made, away again; used by its own undo and by de-init. Absent parts are fine. */
static int
remove_node(struct eng *g, struct err *e)
{
	static const char *const files[] = { "node", ".node.tmp", "init.lock" };
	int rc = 0;

	if (g->net != NULL)
		rc = net_fini(g->net, e);
	net_close(g->net);
	g->net = NULL;
	fault_point("de-init.network");
	if (rc == 0 && g->stor != NULL)
		rc = stor_fini(g->stor, e);
	fault_point("de-init.storage");
	stor_close(g->stor);
	g->stor = NULL;
	for (size_t i = 0; i < ARRAY_LEN(node_dirs) && rc == 0; i++)
		rc = tree_remove(g->root_fd, node_dirs[i], e);
	fault_point("de-init.directories");
	for (size_t i = 0; i < ARRAY_LEN(files) && rc == 0; i++)
		if (unlinkat(g->root_fd, files[i], 0) != 0 && errno != ENOENT)
			rc = err_sys(e, "cannot remove %s/%s", g->root, files[i]);
	/* The directory itself, when nothing of the user's is in it. */
	if (rc == 0 && rmdir(g->root) != 0 && errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY)
		rc = err_sys(e, "cannot remove %s", g->root);
	return rc;
}

static int
report_existing(struct eng *g, const struct pot_init_args *a, const struct stor_params *sp,
    struct pot_init_report *r, struct err *e)
{
	const char *used = kv_get(&g->node, "storage");

	if (sp->mechanism != NULL && used != NULL && strcmp(sp->mechanism, used) != 0) {
		err_set(e, E_EXIST, "the installation at %s uses %s storage already", g->root, used);
		return err_hint(e, "pot de-init removes it with all its pots");
	}
	snprintf(r->storage, sizeof(r->storage), "%s", used == NULL ? "" : used);
	snprintf(r->why, sizeof(r->why), "initialised already");
	r->was_there = true;
	return a->dry_run ? 0 : eng_net_init(g, a, r, e);
}

int
eng_init(struct eng *g, const struct pot_init_args *a, struct pot_init_report *r, struct err *e)
{
	struct stor_params sp = wanted_storage(g, a);
	AUTO(fd) int lock = -1;
	int rc;

	memset(r, 0, sizeof(*r));
	if (g->pots_fd >= 0)
		return report_existing(g, a, &sp, r, e);
	rc = choose_storage(g, &sp, r, e);
	if (rc < 0 || a->dry_run)
		return rc;
	rc = make_dirs(g, e);
	if (rc < 0)
		return rc;
	lock = lock_file(g->root_fd, "init.lock", true, 0, e);
	if (lock < 0)
		return lock == -E_BUSY ? err_set(e, E_BUSY, "another pot init works on %s", g->root) : lock;
	fault_point("init.directories");
	rc = stor_init(&g->stor, g->root, &sp, e);
	fault_point("init.storage");
	if (rc == 0)
		rc = fill_node(g, &sp, e);
	/* Of an init that was killed before its record: another id had it. */
	if (rc == 0)
		rc = tree_remove(g->root_fd, "net", e);
	if (rc == 0)
		rc = eng_net_init(g, a, r, e);
	fault_point("init.network");
	if (rc == 0)
		rc = write_node(g, e);
	fault_point("init.recorded");
	if (rc < 0) {
		(void)!remove_node(g, NULL);
		return rc;
	}
	if (unlinkat(g->root_fd, "init.lock", 0) != 0 && errno != ENOENT)
		return err_sys(e, "cannot remove %s/init.lock", g->root);
	g->pots_fd = openat(g->root_fd, "pots", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return g->pots_fd < 0 ? err_sys(e, "cannot open %s/pots", g->root) : 0;
}

struct running {
	struct eng *g;
	struct buf *names;
	bool stop;
};

static int
note_running(void *arg, const char *name, struct err *e)
{
	struct running *r = arg;
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = epot_get(&p, r->g, name, r->stop ? EPOT_WRITE : EPOT_READ, e);

	if (rc == -E_NOENT)
		return 0;
	if (rc < 0 && !r->stop)
		return rc;
	if (rc == 0 && state_is_active(&p.state.rec)) {
		if (r->stop)
			return epot_end(&p, -1, e);
		buf_fmt(r->names, "%s%s", r->names->len > 0 ? ", " : "", name);
	}
	return 0;
}

int
eng_deinit(struct eng *g, bool force, struct err *e)
{
	AUTO_FINI(buf) struct buf names = BUF_INIT(512);
	struct running r = { g, &names, force };
	int rc = eng_need_storage(g, e);

	if (rc == 0)
		rc = epot_each(g, note_running, &r, e);
	if (rc < 0)
		return rc;
	if (names.len > 0) {
		err_set(e, E_BUSY, "these pots run: %s%s", buf_cstr(&names), names.failed ? ", …" : "");
		return err_hint(e, "stop them, or pot de-init -f");
	}
	rc = eng_need_net(g, e);
	return rc < 0 ? rc : remove_node(g, e);
}

int
eng_config(struct eng *g, pot_config_fn *fn, void *arg, struct err *e)
{
	const char *used = kv_get(&g->node, "storage");
	char prefix[PATH_MAX];
	int rc = 0;

	(void)e;
	snprintf(prefix, sizeof(prefix), "%s/pots", g->root);
	for (size_t i = 0; i < config_nkeys && rc == 0; i++) {
		const char *name = config_keys[i].name;
		const struct pot_config_item it = { name, config_get(g->conf, name),
			config_origin(g->conf, name), config_keys[i].summary };

		rc = fn(arg, &it);
	}
	const struct pot_config_item facts[] = {
		{ "root", g->root, "installation", "directory of this installation" },
		{ "fs_root", g->root, "installation", "classic name of root" },
		{ "pot_prefix", prefix, "installation", "directory of the pots" },
		{ "config_file", g->conf_path, "installation", "configuration file" },
		{ "storage_used", used == NULL ? "" : used, "installation", "storage that init chose" },
	};
	for (size_t i = 0; i < ARRAY_LEN(facts) && rc == 0; i++)
		rc = fn(arg, &facts[i]);
	return rc;
}
