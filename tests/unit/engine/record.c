/* The wrappers of the linker's --wrap: note the call, fail it when that is wanted, else go on. */
#include "record.h"

#include <string.h>

struct record record;

void
record_reset(void)
{
	memset(&record, 0, sizeof(record));
}

static int
note(const char *name, struct err *e)
{
	size_t len = strlen(record.calls);

	snprintf(record.calls + len, sizeof(record.calls) - len, "%s%s", len > 0 ? " " : "", name);
	if (record.fail == NULL || strcmp(record.fail, name) != 0)
		return 0;
	if (record.times > 0 && --record.times == 0)
		record.fail = NULL;
	return err_set(e, record.code, "%s was made to fail", name);
}

/* The same for all: the name in the record, the function, its arguments. */
#define WRAP(label, function, params, args)                  \
	int __real_##function params;                        \
	int __wrap_##function params;                        \
	int __wrap_##function params                         \
	{                                                    \
		int rc = note(label, e);                     \
                                                             \
		return rc < 0 ? rc : __real_##function args; \
	}

WRAP("mount", stor_mount, (struct stor * s, struct stor_fs fs, bool ro, struct err *e), (s, fs, ro, e))
WRAP("unmount", stor_unmount, (struct stor * s, struct stor_fs fs, struct err *e), (s, fs, e))
WRAP("files", etc_make, (struct epot * p, struct err *e), (p, e))
WRAP("bind", iso_bind, (int dirfd, const char *path, bool ro, bool recursive, struct err *e),
    (dirfd, path, ro, recursive, e))
WRAP("cgroup", iso_cgroup_make, (const char *cgroup, struct err *e), (cgroup, e))
WRAP("no-cgroup", iso_cgroup_remove, (const char *cgroup, struct err *e), (cgroup, e))
WRAP("spawn", iso_spawn, (const struct iso_spec *spec, struct iso_child *out, struct err *e), (spec, out, e))
WRAP("release", iso_release, (struct iso_child * c, struct err *e), (c, e))
WRAP("kill", iso_kill_all, (const struct iso_ref *ref, struct err *e), (ref, e))

int __real_hook_run(struct epot *, enum hook_point, struct err *);
int __wrap_hook_run(struct epot *, enum hook_point, struct err *);
int
__wrap_hook_run(struct epot *p, enum hook_point point, struct err *e)
{
	int rc = note(hook_names[point], e);

	return rc < 0 ? rc : __real_hook_run(p, point, e);
}
