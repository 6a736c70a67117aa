/*
 * pf's device and pfctl(8), see pf.h. Only requests whose layout is the same in 14 and 15
 * are made by ioctl(2); pfctl gets its rules on standard input and nobody's files.
 */
#include <sys/types.h>
#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/linker.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <net/if.h>
#include <netinet/in.h>
#include <net/pfvar.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "network/freebsd/pf.h"

#define PFCTL "/sbin/pfctl"
#define PFCTL_MS 30000
#define SAYS_MAX (64 * 1024)
#define LOCK_MS 60000
#define BUSY_TRIES 20
#define CHILDREN_MAX 65536u

void
pf_fini(struct pf *pf)
{
	fd_close(take_fd(pf->fd));
}

int
pf_open(struct pf *pf, struct err *e)
{
	if (pf->fd >= 0)
		return 0;
	pf->fd = open("/dev/pf", O_RDWR | O_CLOEXEC);
	if (pf->fd < 0 && errno == ENOENT && (kldload("pf") >= 0 || errno == EEXIST))
		pf->fd = open("/dev/pf", O_RDWR | O_CLOEXEC);
	if (pf->fd >= 0)
		return 0;
	err_set(e, errno == EACCES || errno == EPERM ? E_PERM : E_NOTSUP, "cannot open /dev/pf: %s",
	    strerror(errno));
	return err_hint(e, "kldload pf; in a jail the devfs ruleset must show /dev/pf");
}

int
pf_enable(struct pf *pf, struct err *e)
{
	int rc = pf_open(pf, e);

	if (rc < 0)
		return rc;
	if (ioctl(pf->fd, DIOCSTART) == 0)
		return 1;
	return errno == EEXIST ? 0 : err_sys(e, "cannot turn pf on");
}

int
pf_disable(struct pf *pf, struct err *e)
{
	int rc = pf_open(pf, e);

	if (rc < 0)
		return rc;
	return ioctl(pf->fd, DIOCSTOP) == 0 || errno == ENOENT ? 0 : err_sys(e, "cannot turn pf off");
}

/* ---- anchors ------------------------------------------------------------------------ */

/*
 * What a pfctl that did not end well has begun and left would keep the anchor for good. Tables last: their
 * end is where the kernel looks whether anything is left of it.
 */
static void
let_go(struct pf *pf, const char *anchor)
{
	static const int kinds[] = { PF_RULESET_NAT, PF_RULESET_RDR, PF_RULESET_FILTER, PF_RULESET_TABLE };
	struct pfioc_trans_e v[ARRAY_LEN(kinds)] = { { 0 } };
	struct pfioc_trans t = { .size = ARRAY_LEN(v), .esize = sizeof(v[0]), .array = v };

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		v[i].rs_num = kinds[i];
		snprintf(v[i].anchor, sizeof(v[i].anchor), "%s", anchor);
	}
	if (ioctl(pf->fd, DIOCXBEGIN, &t) == 0)
		(void)ioctl(pf->fd, DIOCXROLLBACK, &t);
}

/* Begun and committed with nothing between: what the anchor had is gone, all at once. */
int
pf_flush(struct pf *pf, const char *anchor, struct err *e)
{
	static const int kinds[] = { PF_RULESET_NAT, PF_RULESET_RDR, PF_RULESET_FILTER };
	struct pfioc_trans_e v[ARRAY_LEN(kinds)] = { { 0 } };
	struct pfioc_table tables = { .pfrio_esize = 0 };
	struct pfioc_trans t = { .size = ARRAY_LEN(v), .esize = sizeof(v[0]), .array = v };
	int rc = pf_open(pf, e);

	if (rc < 0)
		return rc;
	/* Tables first: an anchor that has none left vanishes with its last rules. They last as long as those. */
	snprintf(tables.pfrio_table.pfrt_anchor, sizeof(tables.pfrio_table.pfrt_anchor), "%s", anchor);
	if (ioctl(pf->fd, DIOCRCLRTABLES, &tables) != 0 && errno != ENOENT && errno != EINVAL)
		return err_sys(e, "cannot empty the tables of pf's anchor %s", anchor);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		v[i].rs_num = kinds[i];
		snprintf(v[i].anchor, sizeof(v[i].anchor), "%s", anchor);
	}
	if (ioctl(pf->fd, DIOCXBEGIN, &t) != 0 || ioctl(pf->fd, DIOCXCOMMIT, &t) != 0)
		return err_sys(e, "cannot empty pf's anchor %s", anchor);
	let_go(pf, anchor);
	return 0;
}

static int
count_children(struct pf *pf, const char *parent, uint32_t *n, struct err *e)
{
	struct pfioc_ruleset r = { 0 };
	int rc = pf_open(pf, e);

	*n = 0;
	if (rc < 0)
		return rc;
	snprintf(r.path, sizeof(r.path), "%s", parent);
	if (ioctl(pf->fd, DIOCGETRULESETS, &r) != 0)
		/* Nobody has put anything there yet. */
		return errno == ENOENT || errno == EINVAL ? 0
							  : err_sys(e, "cannot list pf's anchor %s", parent);
	*n = r.nr < CHILDREN_MAX ? r.nr : CHILDREN_MAX;
	return 0;
}

/* 1, 0 when it has vanished. */
static int
get_child(struct pf *pf, const char *parent, uint32_t i, struct pfioc_ruleset *r, struct err *e)
{
	*r = (struct pfioc_ruleset){ .nr = i };
	snprintf(r->path, sizeof(r->path), "%s", parent);
	if (ioctl(pf->fd, DIOCGETRULESET, r) == 0)
		return 1;
	return errno == ENOENT || errno == EINVAL || errno == EBUSY
	    ? 0
	    : err_sys(e, "cannot list pf's anchor %s", parent);
}

int
pf_children(struct pf *pf, const char *parent, const char *prefix, struct strv *out, struct err *e)
{
	uint32_t n;
	int rc = count_children(pf, parent, &n, e);

	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		struct pfioc_ruleset r;
		int got = get_child(pf, parent, i, &r, e);

		if (got < 0)
			return got;
		r.name[sizeof(r.name) - 1] = '\0';
		if (got > 0 && strncmp(r.name, prefix, strlen(prefix)) == 0)
			strv_add(out, r.name);
	}
	return rc < 0 ? rc : strv_check(out, "pf's anchors", e);
}

/* How many rules of the kind that this action is of. */
static int
count_rules(struct pf *pf, const char *anchor, unsigned action, unsigned *n, struct err *e)
{
	AUTO_FREE struct pfioc_rule *r = calloc(1, sizeof(*r)); /* large */

	if (r == NULL)
		return err_nomem(e);
	r->rule.action = (u_int8_t)action;
	snprintf(r->anchor, sizeof(r->anchor), "%s", anchor);
	*n = 0;
	if (ioctl(pf->fd, DIOCGETRULES, r) == 0)
		*n = r->nr;
	else if (errno != ENOENT && errno != EINVAL)
		return err_sys(e, "cannot read pf's anchor %s", anchor);
	return 0;
}

int
pf_filled(struct pf *pf, const char *anchor, struct err *e)
{
	static const unsigned kinds[] = { PF_NAT, PF_RDR, PF_PASS };
	int rc = pf_open(pf, e);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(kinds); i++) {
		unsigned n;

		if ((rc = count_rules(pf, anchor, kinds[i], &n, e)) == 0 && n > 0)
			return 1;
	}
	return rc;
}

/* ---- pfctl ---------------------------------------------------------------------------- */

static int
run_pfctl(const char *const *argv, int in, struct buf *out, struct err *e)
{
	AUTO_FINI(buf) struct buf said = BUF_INIT(SAYS_MAX);
	struct proc_spec p = PROC_SPEC_INIT;

	p.argv = argv;
	p.fd_in = in;
	p.out = out;
	p.err = &said;
	p.timeout_ms = PFCTL_MS;
	return proc_run(&p, NULL, e);
}

/*
 * The kernel has one list of addresses for all that load rules at the same time, whatever their anchors: who
 * begins takes it away from who is at it, and that one hears EBUSY. pots wait for each other at pf's device;
 * others than pot know nothing of that, so who is disturbed begins again.
 */
static int
load(struct pf *pf, const char *anchor, int rules, struct err *e)
{
	const char *argv[] = { PFCTL, "-q", "-a", anchor, "-f", "-", NULL };
	AUTO(fd) int turn = open("/dev/pf", O_RDWR | O_CLOEXEC);
	struct err own = ERR_INIT;
	int tries = BUSY_TRIES,
	    rc = turn < 0 ? err_sys(e, "cannot open /dev/pf") : lock_fd(turn, true, LOCK_MS, e);

	if (rc < 0)
		return rc;
	do {
		own = (struct err)ERR_INIT;
		if (lseek(rules, 0, SEEK_SET) < 0)
			return err_sys(e, "rules");
		rc = run_pfctl(argv, rules, NULL, &own);
		if (rc < 0)
			let_go(pf, anchor);
	} while (rc < 0 && strstr(own.msg, strerror(EBUSY)) != NULL && --tries > 0);
	if (rc < 0 && e != NULL)
		*e = own;
	return rc;
}

int
pf_load(struct pf *pf, const char *anchor, const char *text, struct err *e)
{
	AUTO(fd) int fd = -1;
	int rc = pf_open(pf, e);

	if (rc < 0 || text[0] == '\0')
		return rc < 0 ? rc : pf_flush(pf, anchor, e);
	fd = memfd_create("pf", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot make a file in memory");
	if ((rc = fd_write_all(fd, text, strlen(text), "rules", e)) == 0)
		rc = load(pf, anchor, fd, e);
	return rc < 0 ? err_wrap(e, "cannot load pf's anchor %s", anchor) : 0;
}

int
pf_main_rules(struct buf *out, struct err *e)
{
	const char *const nat[] = { PFCTL, "-q", "-s", "nat", NULL };
	const char *const filter[] = { PFCTL, "-q", "-s", "rules", NULL };
	int rc = run_pfctl(nat, -1, out, e);

	if (rc == 0)
		rc = run_pfctl(filter, -1, out, e);
	return rc < 0 ? err_wrap(e, "cannot read pf's rules") : 0;
}

int
pf_skips(const char *ifname, struct err *e)
{
	const char *const argv[] = { PFCTL, "-q", "-s", "Interfaces", "-v", "-i", ifname, NULL };
	AUTO_FINI(buf) struct buf out = BUF_INIT(SAYS_MAX);
	char line[64];
	int rc = run_pfctl(argv, -1, &out, e);

	if (rc < 0)
		return err_wrap(e, "cannot read what pf does on %s", ifname);
	snprintf(line, sizeof(line), "%s (skip)", ifname);
	return strstr(buf_cstr(&out), line) != NULL;
}
