/*
 * What a killed process left, in every combination: state, operation under
 * way, boot, living shim, exit record.  The next look brings the truth.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

#include "base/text.h"
#include "engine/remove.h"
#include "node.h"
#include "record.h"

#define RUN_ID 77
#define ALL_STEPS ((1u << STEP_COUNT) - 1)
#define BEFORE 42 /* status of the run before */

struct scene {
	enum state_op op;
	enum pot_state state;
	bool other_boot, alive, exited;
};

/* Stands for the shim and PID 1 of a run: holds the state's lock; ends when `gate` is closed. */
struct actor {
	pid_t pid;
	struct proc_id id;
	int gate;
};

static void
actor_run(int dir, bool hold, int gate, int ready)
{
	int fd = openat(dir, "state", O_RDWR | O_CLOEXEC);
	char byte;

	if (fd < 0 || (hold && lock_fd(fd, true, 0, NULL) < 0) || write(ready, "", 1) != 1)
		_exit(1);
	while (read(gate, &byte, 1) < 0)
		;
	_exit(0);
}

static struct actor
actor_make(struct node *n, const char *name, bool hold)
{
	struct actor a;
	AUTO(fd) int dir = dir_open(n->g->pots_fd, name, &n->e);
	int gate[2], ready[2];
	char byte;

	assert_sys(pipe2(gate, O_CLOEXEC));
	assert_sys(pipe2(ready, O_CLOEXEC));
	a.pid = fork();
	if (a.pid == 0) {
		close(gate[1]);
		actor_run(dir, hold, gate[0], ready[1]);
	}
	close(gate[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	a.gate = gate[1];
	done(proc_id_get(a.pid, &a.id, &n->e));
	return a;
}

static void
actor_end(struct actor *a)
{
	close(a->gate);
	(void)kill(a->pid, SIGKILL);
	assert_int_equal(waitpid(a->pid, NULL, 0), a->pid);
}

static void
write_exit(int dir)
{
	struct shim_exit x = {
		.magic = SHIM_EXIT_MAGIC, .version = 1, .run_id = RUN_ID, .wait_status = 3 << 8, .time_ns = 5
	};
	AUTO(fd) int fd = openat(dir, "state", O_RDWR | O_CLOEXEC);

	x.crc = shim_crc32(&x, offsetof(struct shim_exit, crc));
	assert_int_equal(pwrite(fd, &x, sizeof(x), STATE_EXIT_OFF), (ssize_t)sizeof(x));
}

static void
clear_exit(int dir)
{
	static const struct shim_exit none;
	AUTO(fd) int fd = openat(dir, "state", O_RDWR | O_CLOEXEC);

	assert_int_equal(pwrite(fd, &none, sizeof(none), STATE_EXIT_OFF), (ssize_t)sizeof(none));
}

static bool
is_active(enum pot_state s)
{
	return s == POT_STARTING || s == POT_RUNNING || s == POT_PAUSED || s == POT_STOPPING;
}

static void
set_scene(struct node *n, const char *name, const struct scene *sc, const struct proc_id *actor)
{
	AUTO(fd) int dir = dir_open(n->g->pots_fd, name, &n->e);
	AUTO_FINI(state) struct state s = STATE_INIT;
	struct state_rec *r = &s.rec;

	done(state_open(&s, dir, &n->e));
	done(host_boot_id(r->boot, &n->e));
	r->boot[0] ^= sc->other_boot;
	r->state = sc->state;
	r->op = sc->op;
	r->run_id = RUN_ID;
	r->runs = 1;
	r->crashed = 0;
	r->status = BEFORE;
	r->signal = 0;
	r->reason[0] = '\0';
	r->steps = is_active(sc->state) ? ALL_STEPS : 0;
	r->shim = r->init = *actor;
	snprintf(r->cgroup, sizeof(r->cgroup), "fake:/test/%s", name);
	snprintf(r->arg, sizeof(r->arg), "%s", sc->op == OP_RENAME ? name : "/mnt");
	if (sc->exited)
		write_exit(dir);
	else
		clear_exit(dir);
	done(state_write(&s, false, &n->e));
}

enum fate { GONE, KEPT, RUNS_ON, ENDED, CRASHED, REBOOTED, INTERRUPTED };

/* What must come out, by the design and not by the code. */
static enum fate
fate_of(const struct scene *sc)
{
	bool running = sc->alive && !sc->other_boot;

	if (sc->op == OP_CREATE || sc->op == OP_DESTROY)
		return GONE;
	if (sc->op == OP_FREEZE && running)
		return RUNS_ON;
	if (!is_active(sc->state))
		return KEPT;
	/* A lock in another boot is a stranger's who has the same state file open: it counts like any other. */
	if (sc->other_boot && sc->alive && (sc->state == POT_RUNNING || sc->state == POT_PAUSED))
		return KEPT;
	if (running && sc->state == POT_STOPPING)
		return RUNS_ON;
	if (running && sc->state != POT_STARTING)
		return KEPT;
	if (sc->exited)
		return ENDED;
	return sc->other_boot ? REBOOTED : sc->state == POT_STARTING ? INTERRUPTED : CRASHED;
}

static void
check_record(const struct scene *sc, enum fate fate, const struct state_rec *r)
{
	static const struct {
		enum pot_state state;
		int status;
		const char *reason;
	} want[] = {
		[ENDED] = { POT_STOPPED, 3, "" },
		[CRASHED] = { POT_FAILED, 128 + SIGKILL, "the shim was killed" },
		[REBOOTED] = { POT_STOPPED, 128 + SIGKILL, "the machine was restarted" },
		[INTERRUPTED] = { POT_FAILED, BEFORE, "the start was interrupted" },
	};

	assert_int_equal(r->op, OP_NONE);
	if (fate == KEPT || fate == RUNS_ON) {
		assert_int_equal(r->state, fate == KEPT ? sc->state : POT_RUNNING);
		assert_int_equal(r->status, BEFORE);
		return;
	}
	assert_int_equal(r->state, want[fate].state);
	assert_int_equal(
	    r->status, fate == REBOOTED && sc->state == POT_STARTING ? BEFORE : want[fate].status);
	assert_string_equal(r->reason, want[fate].reason);
	assert_int_equal(r->steps, 0);
	assert_int_equal(r->init.pid, 0);
	assert_true(r->shim.pid == 0 || !proc_id_alive(&r->shim));
	assert_string_equal(r->cgroup, "");
}

static void
check_calls(const struct scene *sc, enum fate fate)
{
	if (fate == GONE || fate == KEPT || fate == RUNS_ON)
		assert_string_equal(record.calls, "");
	else if (sc->other_boot) /* the numbers of another boot mean others now: nobody is killed */
		assert_string_equal(record.calls, "unmount poststop");
	else
		assert_string_equal(record.calls, "kill no-cgroup unmount poststop");
}

static void
play(struct node *n, const struct scene *sc)
{
	struct actor a = actor_make(n, "p", sc->alive);
	enum fate fate = fate_of(sc);
	struct state_rec r;
	int rc;

	if (!sc->alive)
		actor_end(&a);
	set_scene(n, "p", sc, &a.id);
	/* The gate of a start is closed with the starter's death; its processes end by that. */
	if (sc->alive && sc->state == POT_STARTING && sc->op != OP_FREEZE) {
		close(a.gate);
		a.gate = -1;
	}
	record_reset();
	rc = eng_exists(n->g, "p", &n->e);
	if (rc != (fate != GONE))
		print_error("op %d state %d other %d alive %d exited %d: %d %s\n", sc->op, sc->state,
		    sc->other_boot, sc->alive, sc->exited, rc, n->e.msg);
	assert_int_equal(rc, fate != GONE);
	if (fate == GONE) {
		assert_false(node_has_dir(n, "p"));
		assert_false(node_has_storage(n, "p"));
		node_pot(n, "p", "true");
	} else {
		r = node_rec(n, "p");
		check_record(sc, fate, &r);
		/* Whoever looks again sees the same. */
		assert_int_equal(eng_exists(n->g, "p", &n->e), 1);
		assert_int_equal(node_rec(n, "p").state, r.state);
	}
	check_calls(sc, fate);
	if (sc->alive)
		actor_end(&a);
}

static void
test_matrix(void **state)
{
	static const enum state_op ops[] = { OP_NONE, OP_CREATE, OP_DESTROY, OP_RENAME, OP_FREEZE, OP_MOUNT,
		OP_STORAGE };
	struct node *n = *state;
	unsigned played = 0;

	node_pot(n, "p", "true");
	for (size_t op = 0; op < ARRAY_LEN(ops); op++)
		for (int st = POT_CREATED; st <= POT_FAILED; st++)
			for (int bits = 0; bits < 8; bits++) {
				const struct scene sc = { ops[op], (enum pot_state)st, (bits & 1) != 0,
					(bits & 2) != 0, (bits & 4) != 0 };

				play(n, &sc);
				played++;
			}
	assert_int_equal(played, ARRAY_LEN(ops) * 7 * 8);
}

/* Who stops it and lives is not disturbed; who died is noticed by the lock that went with it. */
static void
test_stop_lock(void **state)
{
	struct node *n = *state;
	const struct scene sc = { OP_NONE, POT_STOPPING, false, true, false };
	AUTO(fd) int dir = -1;
	struct actor a;
	int stopping;

	node_pot(n, "p", "true");
	dir = dir_open(n->g->pots_fd, "p", &n->e);
	a = actor_make(n, "p", true);
	set_scene(n, "p", &sc, &a.id);
	stopping = lock_file(dir, EPOT_STOP_LOCK, true, 0, &n->e);
	done(stopping);
	assert_int_equal(eng_exists(n->g, "p", &n->e), 1);
	assert_int_equal(node_rec(n, "p").state, POT_STOPPING);
	close(stopping);
	assert_int_equal(eng_exists(n->g, "p", &n->e), 1);
	assert_int_equal(node_rec(n, "p").state, POT_RUNNING);
	actor_end(&a);
}

/* A pot in other hands is told as it is, and not repaired under them. */
static void
test_locked(void **state)
{
	struct node *n = *state;
	const struct scene broken = { OP_NONE, POT_RUNNING, false, false, false },
			   half = { OP_CREATE, POT_CREATED, false, false, false };
	const struct proc_id nobody = { 0, 0 };
	AUTO(fd) int dir = -1;
	int held;

	node_pot(n, "p", "true");
	dir = dir_open(n->g->pots_fd, "p", &n->e);
	set_scene(n, "p", &broken, &nobody);
	held = lock_file(dir, "lock", true, 0, &n->e);
	done(held);
	record_reset();
	assert_int_equal(eng_exists(n->g, "p", &n->e), 1);
	assert_int_equal(node_rec(n, "p").state, POT_RUNNING);
	set_scene(n, "p", &half, &nobody);
	assert_int_equal(eng_exists(n->g, "p", &n->e), 0);
	assert_true(node_has_dir(n, "p"));
	assert_string_equal(record.calls, "");
	close(held);
	assert_int_equal(eng_exists(n->g, "p", &n->e), 0);
	assert_false(node_has_dir(n, "p"));
}

static void
damage(int dir)
{
	AUTO(fd) int fd = openat(dir, "state", O_RDWR | O_CLOEXEC);
	char junk[STATE_FILE_SIZE];

	memset(junk, 'j', sizeof(junk));
	assert_int_equal(pwrite(fd, junk, sizeof(junk), 0), (ssize_t)sizeof(junk));
}

/* With its settings a pot is whole; its state begins anew, and that is told. */
static void
test_damaged_state(void **state)
{
	struct node *n = *state;
	AUTO(fd) int dir = -1;

	node_pot(n, "p", "true");
	dir = dir_open(n->g->pots_fd, "p", &n->e);
	for (int missing = 0; missing < 2; missing++) {
		if (missing)
			assert_sys(unlinkat(dir, "state", 0));
		else
			damage(dir);
		n->warning[0] = '\0';
		assert_int_equal(eng_exists(n->g, "p", &n->e), 1);
		expect_text(n->warning, "pot p: the state file was damaged", __FILE__, __LINE__);
		assert_int_equal(node_rec(n, "p").state, POT_STOPPED);
		assert_string_equal(node_rec(n, "p").base, "b");
		assert_int_equal(node_rec(n, "p").status, -1);
	}
	/* And it is as good as before. */
	done(eng_snapshot(n->g, "p", "one", NULL, &n->e));
}

/* Without settings as well, nothing of it was ever whole. */
static void
test_half_made(void **state)
{
	struct node *n = *state;

	/* Killed right after the name was taken. */
	assert_sys(mkdirat(n->g->pots_fd, "p", 0755));
	assert_int_equal(eng_exists(n->g, "p", &n->e), 0);
	assert_false(node_has_dir(n, "p"));
	/* With an empty state file: killed inside of the first write. */
	assert_sys(mkdirat(n->g->pots_fd, "p", 0755));
	{
		AUTO(fd) int dir = dir_open(n->g->pots_fd, "p", &n->e);
		put(dir, "state", "");
	}
	node_pot(n, "p", "true");
	assert_int_equal(eng_exists(n->g, "p", &n->e), 1);
}

static int
count_name(void *arg, const struct pot_summary *s)
{
	(void)s;
	++*(unsigned *)arg;
	return 0;
}

/* Out of sight and never a pot; the next walk takes it away. */
static void
test_removed(void **state)
{
	struct node *n = *state;
	unsigned count = 0;
	int dir;

	node_pot(n, "p", "true");
	dir = dir_make(n->g->pots_fd, REMOVED_PREFIX "0123456789abcdef", 0755, &n->e);
	done(dir);
	put(dir, "pot.conf", "x");
	close(dir);
	done(eng_list(n->g, count_name, &count, &n->e));
	assert_int_equal(count, 1);
	assert_false(is_there(n->g->pots_fd, REMOVED_PREFIX "0123456789abcdef"));
}

/* The directory has the new name already; its files come after it. */
static void
test_rename(void **state)
{
	struct node *n = *state;
	const struct scene sc = { OP_RENAME, POT_STOPPED, false, false, false };
	const struct proc_id nobody = { 0, 0 };
	struct pot_info *info;

	node_pot(n, "old", "true");
	set_scene(n, "old", &sc, &nobody);
	assert_sys(renameat(n->g->pots_fd, "old", n->g->pots_fd, "new"));
	assert_int_equal(eng_exists(n->g, "new", &n->e), 1);
	assert_true(node_has_storage(n, "new"));
	assert_false(node_has_storage(n, "old"));
	assert_int_equal(eng_exists(n->g, "old", &n->e), 0);
	done(eng_info(n->g, "new", 0, &info, &n->e));
	assert_int_equal(strncmp(info->hostname, "new", 3), 0);
	pot_info_free(info);
}

static void
test_unknown_operation(void **state)
{
	struct node *n = *state;
	const struct scene sc = { (enum state_op)99, POT_STOPPED, false, false, false };
	const struct proc_id nobody = { 0, 0 };

	node_pot(n, "p", "true");
	set_scene(n, "p", &sc, &nobody);
	fails(eng_exists(n->g, "p", &n->e), E_CORRUPT, "unknown operation 99");
	fails(eng_destroy(n->g, "p", false, &n->e), E_CORRUPT, "unknown operation");
	hint_is("pot destroy -F p");
	done(eng_destroy(n->g, "p", true, &n->e));
	assert_false(node_has_dir(n, "p"));
	assert_false(node_has_storage(n, "p"));
}

static int
tests(void)
{
	const struct CMUnitTest all[] = {
		node_test(test_matrix),
		node_test(test_stop_lock),
		node_test(test_locked),
		node_test(test_damaged_state),
		node_test(test_half_made),
		node_test(test_removed),
		node_test(test_rename),
		node_test(test_unknown_operation),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}

int
main(int argc, char **argv)
{
	return node_main(argc, argv, tests);
}
