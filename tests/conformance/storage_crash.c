/*
 * Storage conformance: death at any point, and many processes at once. Each
 * operation is first run whole to see what it changes and which fault points
 * it passes; then once per point, killed there. What is described after the
 * repair must be exactly what was before the operation or after it, and
 * destroying everything must leave no trace. The repair is killed at each of
 * its own points as well.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "suite.h"

#define SRC POT("src")
#define DST POT("dst")

struct crash_op {
	const char *name;
	bool (*setup)(struct suite *);
	int (*run)(struct suite *); /* in a child; 0 or the error's code */
};

static bool
setup_nothing(struct suite *t)
{
	(void)t;
	return true;
}

/* src: f=3 over s2 (f=2) over s1 (f=1); keep: a clone of s1. */
static bool
setup_source(struct suite *t)
{
	DO(stor_create(t->s, SRC, &t->e));
	OK(suite_put(t, SRC, "f", "1"));
	DO(stor_snapshot(t->s, SRC, "s1", &t->e));
	DO(stor_clone(t->s, SRC, "s1", BASE("keep"), &t->e));
	OK(suite_put(t, SRC, "f", "2"));
	DO(stor_snapshot(t->s, SRC, "s2", &t->e));
	OK(suite_put(t, SRC, "f", "3"));
	return true;
}

/* src is a clone whose origin is gone: it alone holds what it came from. */
static bool
setup_orphan(struct suite *t)
{
	DO(stor_create(t->s, BASE("orig"), &t->e));
	OK(suite_put(t, BASE("orig"), "f", "1"));
	DO(stor_snapshot(t->s, BASE("orig"), "s", &t->e));
	DO(stor_clone(t->s, BASE("orig"), "s", SRC, &t->e));
	DO(stor_destroy(t->s, BASE("orig"), &t->e));
	OK(suite_put(t, SRC, "g", "2"));
	return true;
}

static int
run_recover(struct suite *t)
{
	int rc = stor_recover(t->s, SRC, &t->e);

	return rc < 0 ? -rc : -stor_recover(t->s, DST, &t->e);
}

/* Points passed by fn, as POT_FAULT values "name:count", in order. */
static bool
points_of(struct suite *t, int (*fn)(struct suite *), struct strv *points)
{
	char log[] = "/tmp/storage-conformance-XXXXXX";
	AUTO_FINI(buf) struct buf text = BUF_INIT(1 << 20);
	AUTO_FINI(strv) struct strv names = STRV_INIT(100000);

	AUTO(fd) int fd = mkstemp(log);
	OK(fd >= 0);
	int status = suite_child(t, fn, NULL, log);
	int rc = fd_read_all(fd, &text, &t->e);
	unlink(log);
	OK(rc == 0);
	OK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	for (char *line = strtok(text.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		int count = 1;
		for (size_t i = 0; i < names.n; i++)
			count += strcmp(names.v[i], line) == 0;
		strv_add(&names, line);
		strv_fmt(points, "%s:%d", line, count);
	}
	OK(!points->failed && !names.failed);
	return true;
}

/* The state after a repair is one of the two; then it can all be destroyed without a trace. */
static bool
judge(struct suite *t, const char *before, const char *after, const char *traces)
{
	AUTO_FINI(buf) struct buf is = BUF_INIT(1 << 20);

	OK(suite_describe(t, &is));
	if (strcmp(buf_cstr(&is), before) != 0 && strcmp(buf_cstr(&is), after) != 0)
		printf("# neither before:\n%s# nor after:\n%s# but:\n%s", before, after, buf_cstr(&is));
	OK(strcmp(buf_cstr(&is), before) == 0 || strcmp(buf_cstr(&is), after) == 0);
	OK(suite_empty(t));
	OK(suite_traces(t, &is));
	if (strcmp(buf_cstr(&is), traces) != 0)
		printf("# left behind, was:\n%s# is:\n%s", traces, buf_cstr(&is));
	OK(strcmp(buf_cstr(&is), traces) == 0);
	return true;
}

static bool
kill_at(struct suite *t, const struct crash_op *op, const char *point)
{
	OK(op->setup(t));
	int status = suite_child(t, op->run, point, NULL);
	OK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return true;
}

/* Killed at the point, repaired; then the same with the repair killed at each of its points. */
static bool
crash_and_recover(struct suite *t, const struct crash_op *op, const char *point, const char *before,
    const char *after, const char *traces)
{
	AUTO_FINI(strv) struct strv repairs = STRV_INIT(10000);

	OK(kill_at(t, op, point));
	OK(points_of(t, run_recover, &repairs));
	OK(judge(t, before, after, traces));
	for (size_t i = 0; i < repairs.n; i++) {
		OK(kill_at(t, op, point));
		int status = suite_child(t, run_recover, repairs.v[i], NULL);
		OK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		OK(run_recover(t) == 0);
		if (!judge(t, before, after, traces)) {
			printf("# repair killed at %s\n", repairs.v[i]);
			return false;
		}
	}
	return true;
}

/* Killed at the point, then simply done again: it has happened, before or now. */
static bool
crash_and_repeat(
    struct suite *t, const struct crash_op *op, const char *point, const char *after, const char *traces)
{
	OK(kill_at(t, op, point));
	int rc = op->run(t);
	/* Refused only because it had happened already, which judge() then sees. */
	OK(rc == 0 || rc == E_EXIST || rc == E_NOENT);
	return judge(t, after, after, traces);
}

static bool
crash_op(struct suite *t, const struct crash_op *op)
{
	AUTO_FINI(buf) struct buf traces = BUF_INIT(1 << 20);
	AUTO_FINI(buf) struct buf before = BUF_INIT(1 << 20);
	AUTO_FINI(buf) struct buf after = BUF_INIT(1 << 20);
	AUTO_FINI(strv) struct strv points = STRV_INIT(10000);

	OK(suite_traces(t, &traces));
	OK(op->setup(t) && suite_describe(t, &before));
	OK(points_of(t, op->run, &points));
	OK(suite_describe(t, &after));
	OK(strcmp(buf_cstr(&before), buf_cstr(&after)) != 0);
	OK(judge(t, buf_cstr(&after), buf_cstr(&after), buf_cstr(&traces)));
	if (points.n == 0)
		printf("# no fault points passed: build with -Dfaults=true\n");
	OK(points.n > 0);
	for (size_t i = 0; i < points.n; i++) {
		if (!crash_and_recover(
			t, op, points.v[i], buf_cstr(&before), buf_cstr(&after), buf_cstr(&traces)) ||
		    !crash_and_repeat(t, op, points.v[i], buf_cstr(&after), buf_cstr(&traces))) {
			printf("# %s killed at %s\n", op->name, points.v[i]);
			return false;
		}
	}
	return true;
}

/* The call's result, made while the clone is mounted, as it is for a running pot. */
#define under_use(t, call)                                                    \
	({                                                                    \
		int root_ = stor_mount((t)->s, BASE("keep"), true, &(t)->e);  \
		int rc_ = root_ < 0 ? root_ : (call);                         \
		if (rc_ == 0 && !fd_has(root_, "f", "1"))                     \
			rc_ = -E_CORRUPT;                                     \
		fd_close(root_);                                              \
		rc_ == 0 ? stor_unmount((t)->s, BASE("keep"), &(t)->e) : rc_; \
	})

/* One case per operation: run_NAME() does it, crash_NAME() kills it everywhere. */
#define CRASH(name, what, setup, call)                                                   \
	static int run_##name(struct suite *t)                                           \
	{                                                                                \
		return -(call);                                                          \
	}                                                                                \
	static bool crash_##name(struct suite *t)                                        \
	{                                                                                \
		return crash_op(t, &(const struct crash_op){ what, setup, run_##name }); \
	}

/* Of the source's first snapshot; what is received of it is another file system. */
static int stream = -1;

static bool
setup_stream(struct suite *t)
{
	OK(setup_source(t));
	fd_close(take_fd(stream));
	stream = memfd_create("stream", MFD_CLOEXEC);
	OK(stream >= 0);
	DO(stor_send(t->s, SRC, "s1", NULL, stream, &t->e));
	return true;
}

static int
receive_stream(struct suite *t)
{
	struct stor_source src = stor_source_fd(&stream);

	if (lseek(stream, 0, SEEK_SET) < 0)
		return err_sys(&t->e, "stream");
	return stor_receive(t->s, DST, "r", NULL, &src, &t->e);
}

CRASH(create, "create", setup_nothing, stor_create(t->s, DST, &t->e))
CRASH(snapshot, "snapshot", setup_source, stor_snapshot(t->s, SRC, "s3", &t->e))
CRASH(remove_first, "remove of the first snapshot", setup_source, stor_snap_destroy(t->s, SRC, "s1", &t->e))
CRASH(remove_last, "remove of the last snapshot", setup_source, stor_snap_destroy(t->s, SRC, "s2", &t->e))
CRASH(rollback_last, "rollback to the last", setup_source, stor_rollback(t->s, SRC, "s2", &t->e))
CRASH(rollback_first, "rollback to the first", setup_source, stor_rollback(t->s, SRC, "s1", &t->e))
CRASH(clone_tag, "clone of a snapshot", setup_source, stor_clone(t->s, SRC, "s1", DST, &t->e))
CRASH(clone_now, "clone of the present", setup_source, stor_clone(t->s, SRC, NULL, DST, &t->e))
CRASH(rename, "rename", setup_source, stor_rename(t->s, SRC, "dst", &t->e))
CRASH(destroy, "destroy", setup_source, stor_destroy(t->s, SRC, &t->e))
CRASH(rename_in_use, "rename under a clone in use", setup_source,
    under_use(t, stor_rename(t->s, SRC, "dst", &t->e)))
CRASH(rollback_in_use, "rollback under a clone in use", setup_source,
    under_use(t, stor_rollback(t->s, SRC, "s1", &t->e)))
CRASH(destroy_in_use, "destroy under a clone in use", setup_source,
    under_use(t, stor_destroy(t->s, SRC, &t->e)))
CRASH(orphan_clone, "clone of an orphan", setup_orphan, stor_clone(t->s, SRC, NULL, DST, &t->e))
CRASH(orphan_destroy, "destroy of an orphan", setup_orphan, stor_destroy(t->s, SRC, &t->e))

CRASH(receive_all, "receive", setup_stream, receive_stream(t))

static bool
crash_receive(struct suite *t)
{
	if ((t->s->caps & STOR_CAP_SEND) == 0)
		SKIP("no streams");
	bool good = crash_receive_all(t);
	fd_close(take_fd(stream));
	return good;
}

enum { CROWD = 20 };

/* All read their number from this pipe, so that they start at once. */
static int crowd_pipe[2];

static int
clone_in_crowd(struct suite *t)
{
	unsigned char number;
	char name[16];

	if (read(crowd_pipe[0], &number, 1) != 1)
		return 254;
	snprintf(name, sizeof(name), "c%d", number);
	int rc = stor_clone(t->s, SRC, "s1", POT(name), &t->e);
	if (rc == 0 && (number & 1))
		rc = stor_destroy(t->s, POT(name), &t->e);
	if (rc < 0)
		printf("# clone %d: %s\n", number, t->e.msg);
	return -rc;
}

static bool
crowd(struct suite *t)
{
	pid_t pids[CROWD];
	int status;
	bool good = true;

	OK(setup_source(t));
	OK(pipe(crowd_pipe) == 0);
	fflush(stdout);
	for (int i = 0; i < CROWD; i++) {
		pids[i] = fork();
		OK(pids[i] >= 0);
		if (pids[i] == 0) {
			t->s = suite_open(t);
			int rc = t->s != NULL ? clone_in_crowd(t) : 255;
			fflush(stdout);
			_exit(rc);
		}
	}
	for (unsigned char i = 0; i < CROWD; i++)
		good = write(crowd_pipe[1], &i, 1) == 1 && good;
	close(crowd_pipe[0]);
	close(crowd_pipe[1]);
	for (int i = 0; i < CROWD; i++)
		good = waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) &&
		    WEXITSTATUS(status) == 0 && good;
	OK(good);
	for (int i = 0; i < CROWD; i += 2) {
		char name[16];
		snprintf(name, sizeof(name), "c%d", i);
		OK(suite_has(t, POT(name), "f", "1"));
	}
	OK(stor_exists(t->s, POT("c1"), &t->e) == 0);
	return suite_empty(t);
}

const struct suite_case suite_crash[] = {
	{ "create, killed at every point: happened or did not, nothing left", crash_create },
	{ "snapshot, killed at every point: happened or did not, nothing left", crash_snapshot },
	{ "remove of the first snapshot, killed at every point: happened or did not, nothing left",
	    crash_remove_first },
	{ "remove of the last snapshot, killed at every point: happened or did not, nothing left",
	    crash_remove_last },
	{ "rollback to the last, killed at every point: happened or did not, nothing left",
	    crash_rollback_last },
	{ "rollback to the first, killed at every point: happened or did not, nothing left",
	    crash_rollback_first },
	{ "clone of a snapshot, killed at every point: happened or did not, nothing left", crash_clone_tag },
	{ "clone of the present, killed at every point: happened or did not, nothing left", crash_clone_now },
	{ "rename, killed at every point: happened or did not, nothing left", crash_rename },
	{ "destroy, killed at every point: happened or did not, nothing left", crash_destroy },
	{ "rename under a clone in use, killed at every point: happened or did not, nothing left",
	    crash_rename_in_use },
	{ "rollback under a clone in use, killed at every point: happened or did not, nothing left",
	    crash_rollback_in_use },
	{ "destroy under a clone in use, killed at every point: happened or did not, nothing left",
	    crash_destroy_in_use },
	{ "clone of an orphan, killed at every point: happened or did not, nothing left",
	    crash_orphan_clone },
	{ "destroy of an orphan, killed at every point: happened or did not, nothing left",
	    crash_orphan_destroy },
	{ "receive, killed at every point: happened or did not, nothing left", crash_receive },
	{ "20 clones of one snapshot at once", crowd },
	{ NULL, NULL },
};
