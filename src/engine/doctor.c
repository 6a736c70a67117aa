/* pot doctor: what this machine can do, what is wrong, and the command that mends it. */
#include "engine/epot.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"

#define LOW_SPACE (512ull * 1024 * 1024)
#define LOW_FILES 1000

struct doctor {
	struct eng *g;
	pot_finding_fn *fn;
	void *arg;
	int worst;
	int stopped; /* what fn returned to end it */
};

static void
tell(struct doctor *d, enum pot_severity s, const char *check, const char *text, const char *remedy)
{
	if (d->stopped != 0)
		return;
	if ((int)s > d->worst)
		d->worst = s;
	d->stopped = d->fn(d->arg, &(struct pot_finding){ s, check, text, s == POT_OK ? "" : remedy });
}

static void
check_kernel(struct doctor *d)
{
	for (size_t i = 0; i < iso_nfeatures; i++) {
		const struct iso_feature *f = &iso_features[i];
		AUTO_FINI(buf) struct buf why = BUF_INIT(512);
		AUTO_FINI(buf) struct buf text = BUF_INIT(1024);
		char check[128];
		bool there = f->probe(&why) == 1;

		snprintf(check, sizeof(check), "kernel: %s", f->name);
		if (there || f->needed_for == NULL)
			buf_str(&text, why.len > 0 ? buf_cstr(&why) : "there");
		else
			buf_fmt(&text, "missing, needed for %s%s%s", f->needed_for, why.len > 0 ? ": " : "",
			    buf_cstr(&why));
		tell(d,
		    there             ? POT_OK
			: f->required ? POT_FAIL
				      : POT_WARN,
		    check, buf_cstr(&text), f->remedy);
	}
}

static void
check_storages(struct doctor *d)
{
	const char *used = kv_get(&d->g->node, "storage"), *zfs = config_get(d->g->conf, "zfs_root");
	struct stor_params sp = { .zfs_root = kv_get(&d->g->node, "zfs_root") };

	if (sp.zfs_root == NULL && *zfs != '\0')
		sp.zfs_root = zfs;
	for (size_t i = 0; stor_table[i] != NULL; i++) {
		AUTO_FINI(buf) struct buf why = BUF_INIT(512);
		struct err own = ERR_INIT;
		char check[64];
		bool is_used = used != NULL && strcmp(used, stor_table[i]->name) == 0;
		int rc = stor_table[i]->probe(d->g->root, &sp, &why, &own);

		snprintf(check, sizeof(check), "storage: %s", stor_table[i]->name);
		if (rc == 1)
			tell(d, POT_OK, check, is_used ? "used here" : "could be used here", "");
		else
			/* One that is not used need not be there. */
			tell(d, is_used ? POT_FAIL : POT_OK, check, rc < 0 ? own.msg : buf_cstr(&why),
			    own.hint[0] != '\0' ? own.hint : "pot init chooses one that can be used");
	}
}

static void
check_programs(struct doctor *d)
{
	struct err own = ERR_INIT;
	char unpack[PATH_MAX];
	const char *mm = config_get(d->g->conf, "mmdebstrap");
	static const char *const dirs[] = { "/usr/local/bin", "/usr/bin", "/bin" };
	bool there = strchr(mm, '/') != NULL && access(mm, X_OK) == 0;

	if (eng_need_programs(d->g, &own) < 0)
		tell(d, POT_FAIL, "programs: pot-shim", own.msg, own.hint);
	else
		tell(d, POT_OK, "programs: pot-shim", d->g->shim, "");
	own = (struct err)ERR_INIT;
	if (eng_find_unpack(unpack, &own) < 0)
		tell(d, POT_FAIL, "programs: pot-unpack", own.msg, own.hint);
	else
		tell(d, POT_OK, "programs: pot-unpack", unpack, "");
	for (size_t i = 0; i < ARRAY_LEN(dirs) && !there; i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/%s", dirs[i], mm);
		there = access(path, X_OK) == 0;
	}
	/* Where there are no Debian's package sources to install from, nobody misses it. */
	if (!there && access("/etc/apt", F_OK) != 0)
		return;
	tell(d, there ? POT_OK : POT_WARN, "programs: mmdebstrap",
	    there ? "there" : "missing; create-base -r needs it", "apt-get install mmdebstrap");
}

static void
check_node(struct doctor *d)
{
	struct statvfs vfs;
	struct stat st;
	char text[128], remedy[64];

	tell(d, geteuid() == 0 ? POT_OK : POT_WARN, "user",
	    geteuid() == 0 ? "root" : "not root: pots can only be looked at", "sudo pot doctor");
	if (d->g->pots_fd < 0) {
		snprintf(text, sizeof(text), "there is none at %.100s", d->g->root);
		tell(d, POT_WARN, "installation", text, "pot init");
		return;
	}
	if (fstat(d->g->root_fd, &st) == 0 && (st.st_mode & 0022) != 0) {
		snprintf(remedy, sizeof(remedy), "chmod 755 %.50s", d->g->root);
		tell(d, POT_FAIL, "installation", "its directory can be written by others than root", remedy);
	} else {
		tell(d, POT_OK, "installation", d->g->root, "");
	}
	if (fstatvfs(d->g->root_fd, &vfs) == 0) {
		unsigned long long left = (unsigned long long)vfs.f_bavail * vfs.f_frsize;

		/* File systems without a table of files say that they have none. */
		bool full = vfs.f_files != 0 && vfs.f_favail < LOW_FILES;

		if (full)
			snprintf(text, sizeof(text), "%llu MiB left, and room for %llu files only",
			    left >> 20, (unsigned long long)vfs.f_favail);
		else
			snprintf(text, sizeof(text), "%llu MiB left", left >> 20);
		tell(
		    d, full || left < LOW_SPACE ? POT_WARN : POT_OK, "disk", text, "make room, or pot prune");
	}
}

static int
tell_network(void *arg, int severity, const char *check, const char *text, const char *remedy)
{
	struct doctor *d = arg;
	char name[96];

	snprintf(name, sizeof(name), "network: %.80s", check);
	tell(d, (enum pot_severity)severity, name, text, remedy);
	return d->stopped;
}

/* What somebody else took away is brought back first: what is told then is what could not be. */
static void
check_network(struct doctor *d)
{
	struct err own = ERR_INIT;
	int rc = geteuid() == 0 ? eng_net_repair(d->g, &own) : eng_need_net(d->g, &own);

	if (rc == 1)
		tell(d, POT_WARN, "network: repair",
		    "rules or links of pots had been taken away by somebody; they are back",
		    net_repair_remedy);
	if (rc >= 0)
		rc = net_check(d->g->net, tell_network, d, &own);
	if (rc < 0)
		tell(d, POT_FAIL, "network", own.msg, own.hint);
}

static int
check_pot(void *arg, const char *name, struct err *e)
{
	struct doctor *d = arg;
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct err own = ERR_INIT;
	char check[80];
	int rc = epot_get(&p, d->g, name, EPOT_READ, &own);

	(void)e;
	if (rc == -E_NOENT)
		return 0;
	if (rc == 0)
		rc = epot_load_conf(&p, &own);
	snprintf(check, sizeof(check), "pot: %s", name);
	if (rc < 0)
		tell(d, POT_FAIL, check, own.msg,
		    own.hint[0] != '\0' ? own.hint : "pot destroy -F removes it");
	else if (p.state.rec.state == POT_FAILED)
		tell(d, POT_WARN, check, p.state.rec.reason, "pot start, or pot logs");
	return d->stopped;
}

int
eng_doctor(struct eng *g, pot_finding_fn *fn, void *arg, struct err *e)
{
	struct doctor d = { g, fn, arg, POT_OK, 0 };
	int rc = 0;

	check_node(&d);
	check_kernel(&d);
	check_storages(&d);
	check_programs(&d);
	if (g->pots_fd >= 0)
		check_network(&d);
	if (g->pots_fd >= 0)
		rc = epot_each(g, check_pot, &d, e);
	return rc < 0 ? rc : d.worst;
}
