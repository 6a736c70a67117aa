/*
 * A task's group in the agent's freezer hierarchy, ALLOCATION.TASK below nomad.
 * It is the agent's or ours, whoever was first; whoever is last removes it. A
 * task runs as well without it: whatever fails here is passed over.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include <linux/magic.h>

#include "base/auto.h"
#include "base/file.h"
#include "nomad/agent_group.h"
#include "nomad/driver_impl.h"

#define ROOT "/sys/fs/cgroup/freezer"
#define PARENT "nomad"
#define ROUNDS 8

/* ALLOCATION/TASK/INVOCATION becomes ALLOCATION.TASK, as the agent has it; any other id the name of its pot. */
static void
group_name(const char *id, char out[static NAME_MAX + 1])
{
	char alloc[64];
	const char *end = strrchr(id, '/');
	size_t n;

	task_alloc_of(id, alloc);
	n = alloc[0] == '\0' || end == NULL ? 0 : (size_t)(end - id);
	if (n == 0 || n > NAME_MAX) {
		task_pot_name(id, out);
		return;
	}
	memcpy(out, id, n);
	out[n] = '\0';
	out[strlen(alloc)] = '.';
}

static int
open_parent(bool make)
{
	AUTO(fd) int root = open(ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (root < 0 || fstatfs(root, &fs) != 0 || fs.f_type != CGROUP_SUPER_MAGIC)
		return -1;
	if (make)
		(void)mkdirat(root, PARENT, 0755);
	return openat(root, PARENT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int
open_procs(const char *id, bool make)
{
	AUTO(fd) int parent = -1, group = -1;
	char name[NAME_MAX + 1];

	group_name(id, name);
	if ((parent = open_parent(make)) < 0)
		return -1;
	if (make)
		(void)mkdirat(parent, name, 0755);
	group = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return group < 0 ? -1 : openat(group, "cgroup.procs", O_WRONLY | O_CLOEXEC);
}

void
agent_group_enter(const char *task_id)
{
	AUTO(fd) int procs = open_procs(task_id, false);

	if (procs >= 0)
		(void)!write(procs, "0", 1);
}

/* ---- a pot that runs ------------------------------------------------------------------ */

struct taking {
	int procs;
	unsigned taken;
	char group[NAME_MAX + 16]; /* as it stands in /proc/PID/cgroup */
};

static bool
is_there(pid_t pid, const char *group)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(64 * 1024);
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	return file_read(AT_FDCWD, path, &text, NULL) == 0 && strstr(buf_cstr(&text), group) != NULL;
}

static int
on_process(void *arg, const struct pot_task *p)
{
	struct taking *t = arg;
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", p->host_pid);

	if (p->host_pid > 0 && !is_there(p->host_pid, t->group) && write(t->procs, text, (size_t)n) == n)
		t->taken++;
	return 0;
}

static bool
has_freezer(const struct pot_info *i)
{
	return strstr(i->cgroup, "freezer") != NULL;
}

void
agent_group_take(struct pot_ctx *ctx, const char *pot, const char *task_id)
{
	char name[NAME_MAX + 1];
	struct pot_info *info = NULL;
	struct taking t = { .procs = -1 };

	if (pot_info(ctx, pot, 0, &info, NULL) < 0)
		return;
	group_name(task_id, name);
	t.procs = has_freezer(info) ? -1 : open_procs(task_id, true);
	pot_info_free(info);
	snprintf(t.group, sizeof(t.group), "/nomad/%s\n", name);
	/* What was forked from one that had not been moved yet is found in the next round. */
	for (int i = 0; t.procs >= 0 && i < ROUNDS; i++) {
		t.taken = 0;
		if (pot_top(ctx, pot, on_process, &t, NULL) < 0 || t.taken == 0)
			break;
	}
	fd_close(t.procs);
}

void
agent_group_remove(const char *task_id)
{
	AUTO(fd) int parent = -1;
	char name[NAME_MAX + 1];

	group_name(task_id, name);
	if ((parent = open_parent(false)) >= 0)
		(void)unlinkat(parent, name, AT_REMOVEDIR);
}
