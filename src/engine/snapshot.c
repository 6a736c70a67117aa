/* Snapshots of pots: the storage's, on stopped pots, journalled. */
#include "engine/epot.h"

#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/text.h"

static int
begin(struct epot *p, struct eng *g, const char *name, const char *what, struct err *e)
{
	int rc = eng_need_storage(g, e);

	if (rc == 0)
		rc = epot_get(p, g, name, EPOT_WRITE, e);
	return rc == 0 ? epot_need_stopped(p, what, e) : rc;
}

/* What the storage changes is journalled around it: a kill leaves it to stor_recover. */
static int
journal(struct epot *p, enum state_op op, struct err *e)
{
	p->state.rec.op = op;
	return state_write(&p->state, op == OP_NONE, e);
}

int
epot_take_snapshot(struct epot *p, const char *tag, struct err *e)
{
	int rc = journal(p, OP_STORAGE, e);

	fault_point("snapshot.journalled");
	if (rc == 0)
		rc = stor_snapshot(p->eng->stor, epot_fs(p), tag, e);
	fault_point("snapshot.taken");
	if (journal(p, OP_NONE, rc < 0 ? NULL : e) < 0 && rc == 0)
		rc = -E_SYS;
	return rc < 0 ? err_wrap(e, "pot %s", p->name) : 0;
}

struct tags {
	struct strv v;
	const char *wanted;
	bool found;
};

static int
note_tag(void *arg, const struct stor_snap *s)
{
	struct tags *t = arg;

	strv_add(&t->v, s->tag);
	t->found = t->found || (t->wanted != NULL && strcmp(t->wanted, s->tag) == 0);
	return 0;
}

/* Seconds since the epoch, as the classic names are; the next free one when two come at once. */
int
epot_free_tag(struct epot *p, char out[static 128], struct err *e)
{
	long long now = (long long)(text_now_ns() / 1000000000);
	int rc;

	for (;; now++) {
		struct tags t = { STRV_INIT(100000), out, false };

		snprintf(out, 128, "%lld", now);
		rc = stor_snap_list(p->eng->stor, epot_fs(p), note_tag, &t, e);
		strv_fini(&t.v);
		if (rc < 0 || !t.found)
			return rc;
	}
}

int
eng_snapshot(struct eng *g, const char *name, const char *tag, char made[128], struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	char own[128];
	int rc = begin(&p, g, name, "take a snapshot of", e);

	if (rc < 0)
		return rc;
	if (tag != NULL)
		snprintf(own, sizeof(own), "%s", tag);
	else
		rc = epot_free_tag(&p, own, e);
	if (rc == 0)
		rc = epot_take_snapshot(&p, own, e);
	if (rc == 0 && made != NULL)
		memcpy(made, own, sizeof(own));
	return rc;
}

int
eng_rollback(struct eng *g, const char *name, const char *tag, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct tags t = { STRV_INIT(100000), tag, false };
	int rc = begin(&p, g, name, "roll back", e);

	if (rc < 0)
		return rc;
	rc = stor_snap_list(g->stor, epot_fs(&p), note_tag, &t, e);
	if (rc == 0 && tag != NULL && !t.found)
		rc = err_set(e, E_NOENT, "pot %s has no snapshot %s", name, tag);
	else if (rc == 0 && t.v.n == 0)
		rc = err_set(e, E_NOENT, "pot %s has no snapshot", name);
	if (rc == -E_NOENT && t.v.n == 0)
		(void)err_hint(e, "pot snapshot %s takes one", name);
	else if (rc == -E_NOENT)
		(void)err_hint(e, "pot info -s %s lists them", name);
	if (rc == 0)
		rc = journal(&p, OP_STORAGE, e);
	fault_point("rollback.journalled");
	if (rc == 0) {
		rc = stor_rollback(g->stor, epot_fs(&p), tag != NULL ? tag : t.v.v[t.v.n - 1], e);
		fault_point("rollback.done");
		if (journal(&p, OP_NONE, rc < 0 ? NULL : e) < 0 && rc == 0)
			rc = -E_SYS;
	}
	strv_fini(&t.v);
	return rc;
}

int
eng_purge_snapshots(struct eng *g, const char *name, bool all, pot_name_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct tags t = { STRV_INIT(100000), NULL, false };
	int rc = eng_need_storage(g, e);

	if (rc == 0)
		rc = epot_get(&p, g, name, EPOT_WRITE, e);
	if (rc < 0)
		return rc;
	rc = stor_snap_list(g->stor, epot_fs(&p), note_tag, &t, e);
	if (rc == 0)
		rc = journal(&p, OP_STORAGE, e);
	for (size_t i = 0; rc == 0 && i + (all ? 0 : 1) < t.v.n; i++) {
		rc = stor_snap_destroy(g->stor, epot_fs(&p), t.v.v[i], e);
		fault_point("purge.one");
		if (rc == 0 && fn != NULL)
			rc = fn(arg, t.v.v[i]);
	}
	if (journal(&p, OP_NONE, rc < 0 ? NULL : e) < 0 && rc == 0)
		rc = -E_SYS;
	strv_fini(&t.v);
	return rc;
}
