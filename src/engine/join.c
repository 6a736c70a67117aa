/*
 * Being with a running pot: attaching to its output, executing a command in
 * it, its list of processes.
 */
#include "engine/limit.h"
#include "engine/walls.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/await.h"
#include "base/fault.h"
#include "base/inroot.h"
#include "model/passwd.h"

#define PASSWD_FILE_MAX (1024 * 1024)

/* Where an attached pot's output goes; a closed reader stops only its own stream. */
static void
pass_on(int *fd, const char *data, size_t len)
{
	while (*fd >= 0 && len > 0) {
		ssize_t n = write(*fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { *fd, POLLOUT, 0 };

			(void)poll(&p, 1, -1);
			continue;
		}
		if (n <= 0) {
			*fd = -1;
			return;
		}
		data += n;
		len -= (size_t)n;
	}
}

static void
pass_signals(struct eng *g, const char *name, int signal_fd)
{
	unsigned char sigs[16];
	ssize_t n = read(signal_fd, sigs, sizeof(sigs));

	/* A pot that has just ended needs no signal. */
	for (ssize_t i = 0; i < n; i++)
		(void)!eng_kill(g, name, sigs[i], NULL);
}

struct attached {
	struct eng *g;
	const char *name;
	int fd, out, err;
	uint64_t run_id;
	int status; /* -1: not ended */
	bool cleaned;
};

/* The shim asks for the clean-up; a failure leaves it to the shim's verb. */
static void
clean_up(struct attached *a)
{
	const char done = SHIM_CLEANED, failed = 0;

	a->cleaned = a->status >= 0 && eng_cleanup(a->g, a->name, a->run_id, NULL) == 0;
	(void)!send(a->fd, a->cleaned ? &done : &failed, 1, MSG_NOSIGNAL | MSG_EOR);
}

static void
take_frame(struct attached *a, const char *frame, size_t len)
{
	struct shim_exit x;

	switch (frame[0]) {
	case SHIM_FRAME_OUT:
		pass_on(&a->out, frame + 1, len - 1);
		break;
	case SHIM_FRAME_ERR:
		pass_on(&a->err, frame + 1, len - 1);
		break;
	case SHIM_FRAME_EXIT:
		if (len != 1 + sizeof(x))
			break;
		memcpy(&x, frame + 1, sizeof(x));
		a->run_id = x.run_id;
		a->status =
		    WIFSIGNALED(x.wait_status) ? 128 + WTERMSIG(x.wait_status) : WEXITSTATUS(x.wait_status);
		break;
	case SHIM_FRAME_CLEAN:
		clean_up(a);
		break;
	default:
		break;
	}
}

int
eng_attach(struct eng *g, const char *name, struct pot_process *proc, int out_fd, int err_fd, int signal_fd,
    int *status, struct err *e)
{
	struct attached a = { g, name, proc->fd, out_fd, err_fd, 0, -1, false };
	struct pollfd p[2] = { { proc->fd, POLLIN, 0 }, { signal_fd, POLLIN, 0 } };
	char frame[1 + SHIM_FRAME_MAX];
	struct pot_exit x;
	bool killed = false;
	ssize_t n = 1;
	int rc;

	while (n > 0 && !a.cleaned) {
		/* Who gives no signals is ended by its own: the pot goes first. */
		rc = await_fds(p, 2, -1, signal_fd < 0 && !killed ? g->cancel : NULL, e);
		if (rc == -E_INTR) {
			killed = true;
			(void)!eng_kill(g, name, SIGKILL, NULL);
			continue;
		}
		if (rc < 0)
			return err_wrap(e, "cannot wait for the output of %s", name);
		if (p[1].revents != 0)
			pass_signals(g, name, signal_fd);
		if (p[0].revents == 0)
			continue;
		n = recv(proc->fd, frame, sizeof(frame), 0);
		if (n > 0)
			take_frame(&a, frame, (size_t)n);
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	fd_close(take_fd(proc->fd));
	*status = a.status;
	if (killed)
		return err_set(e, E_INTR, "interrupted");
	if (a.status >= 0)
		return 0;
	/* No word from the shim: it was killed. The look repairs what it left. */
	rc = eng_wait(g, name, &x, e);
	if (rc < 0)
		return rc;
	*status = x.status;
	return err_set(e, E_STATE, "pot %s: %s", name, x.reason[0] != '\0' ? x.reason : "its shim is gone");
}

/* Text of a file of the root; a missing one is empty. */
static int
read_text(int root_fd, const char *path, struct buf *b, struct err *e)
{
	int rc = inroot_read(root_fd, path, b, e);

	return rc == -E_NOENT ? 0 : rc;
}

static int
find_user(const struct iso_ref *ref, const char *spec, struct passwd_user *u, struct err *e)
{
	AUTO_FINI(buf) struct buf passwd = BUF_INIT(PASSWD_FILE_MAX);
	AUTO_FINI(buf) struct buf group = BUF_INIT(PASSWD_FILE_MAX);
	AUTO(fd) int root = iso_root(ref, e);
	int rc;

	if (root < 0)
		return root;
	rc = read_text(root, "/etc/passwd", &passwd, e);
	if (rc == 0)
		rc = read_text(root, "/etc/group", &group, e);
	return rc < 0 ? rc : passwd_lookup(buf_cstr(&passwd), buf_cstr(&group), spec, u, e);
}

/*
 * Nothing is locked here: a change of limits may have given the pot further groups between our reading of its
 * state and the making of the process, which is in none of them then.
 */
static void
follow_groups(struct epot *p)
{
	AUTO_FREE char *before = strdup(p->state.rec.cgroup);
	struct err own = ERR_INIT;
	int rc = before == NULL ? err_nomem(&own) : state_reload(&p->state, &own);

	if (rc == 0 && strcmp(before, p->state.rec.cgroup) != 0)
		rc = iso_cgroup_follow(p->state.rec.cgroup, &own);
	if (rc < 0)
		event_warn(&p->eng->events, "pot %s: the command may run without the limits just given: %s",
		    p->name, own.msg);
}

int
eng_exec(
    struct eng *g, const char *name, const struct pot_exec_args *a, struct pot_process *proc, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	AUTO_FINI(strv) struct strv env = STRV_INIT(4096);
	AUTO_FINI(buf) struct buf filter = BUF_INIT(64 * 1024);
	bool own_filter;
	struct passwd_user user = { .home = "/root", .shell = "" };
	struct iso_exec_spec spec = {
		.tty = a->tty, .rows = a->rows, .cols = a->cols, .workdir = a->workdir
	};
	struct iso_rlimit rlimits[LIMITS_NULIMITS];
	struct limits limits;
	char shell[256], *login[2] = { shell, NULL };
	struct iso_ref ref;
	int rc;

	rc = epot_get(&p, g, name, EPOT_READ, e);
	if (rc == 0)
		rc = epot_need_running(&p, e);
	if (rc == 0)
		rc = epot_load_conf(&p, e);
	if (rc < 0)
		return rc;
	ref = epot_ref(&p);
	/* Root needs no file of the pot, except for its shell. */
	if (a->login || (a->user != NULL && *a->user != '\0' && strcmp(a->user, "root") != 0))
		rc = find_user(&ref, a->user, &user, e);
	if (rc == 0)
		rc = epot_environment(&p, user.home, a->env, &env, e);
	if (rc < 0)
		return rc;
	rc = limits_read(&p.conf, &limits, e);
	if (rc < 0)
		return rc;
	spec.rlimits = rlimits;
	spec.nrlimits = epot_rlimits(&limits, rlimits);
	snprintf(shell, sizeof(shell), "%s", user.shell[0] == '/' ? user.shell : "/bin/sh");
	spec.argv = a->login && (a->argv == NULL || a->argv[0] == NULL) ? login : a->argv;
	spec.envp = strv_argv(&env);
	spec.user = (struct iso_user){ user.uid, user.gid, user.groups, user.ngroups };
	memcpy(spec.fds, a->fds, sizeof(spec.fds));
	rc = walls_filter(&p, &filter, &spec.seccomp, &spec.seccomp_len, &own_filter, e);
	if (rc < 0)
		return rc;
	proc->fd = -1;
	fault_point("exec.read");
	rc = iso_exec(&ref, &spec, &proc->pid, &proc->fd, e);
	if (rc == 0)
		follow_groups(&p);
	return rc;
}

/* Names of users, each looked up once: neither a long passwd nor many processes make top slow. */
#define TOP_NAMES 64        /* power of two */
#define TOP_LOOKUPS_MAX 512 /* then numbers have to do */

struct top {
	const char *passwd;
	struct top_name {
		bool known;
		uint32_t uid;
		char text[64];
	} names[TOP_NAMES];
	unsigned lookups;
	pot_task_fn *fn;
	void *arg;
};

static void
user_name(struct top *top, uint32_t uid, char out[static 64])
{
	struct top_name *n = &top->names[uid % TOP_NAMES];

	if ((!n->known || n->uid != uid) && top->lookups < TOP_LOOKUPS_MAX) {
		top->lookups++;
		n->known = true;
		n->uid = uid;
		if (passwd_name(top->passwd, uid, n->text) == NULL)
			snprintf(n->text, sizeof(n->text), "%u", uid);
	}
	if (n->known && n->uid == uid)
		memcpy(out, n->text, sizeof(n->text));
	else
		snprintf(out, 64, "%u", uid);
}

static int
one_task(void *arg, const struct iso_task *it)
{
	struct top *top = arg;
	struct pot_task t = { .pid = it->pid,
		.host_pid = it->host_pid,
		.ppid = it->ppid,
		.uid = it->uid,
		.state = it->state,
		.cpu_ns = it->cpu_ns,
		.rss = it->rss,
		.vsize = it->vsize,
		.start_ns = it->start_ns,
		.comm = it->comm,
		.args = it->args };

	user_name(top, it->uid, t.user);
	return top->fn(top->arg, &t);
}

int
eng_top(struct eng *g, const char *name, pot_task_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	AUTO_FINI(buf) struct buf passwd = BUF_INIT(PASSWD_FILE_MAX);
	AUTO(fd) int root = -1;
	struct top top = { .fn = fn, .arg = arg };
	struct iso_ref ref;
	int rc;

	rc = epot_get(&p, g, name, EPOT_READ, e);
	if (rc == 0 && p.state.rec.state != POT_PAUSED)
		rc = epot_need_running(&p, e);
	if (rc < 0)
		return rc;
	ref = epot_ref(&p);
	root = iso_root(&ref, e);
	if (root < 0)
		return root;
	/* Names are a convenience: a pot without a readable passwd shows numbers. */
	(void)!inroot_read(root, "/etc/passwd", &passwd, NULL);
	top.passwd = buf_cstr(&passwd);
	return iso_tasks(&ref, one_task, &top, e);
}
