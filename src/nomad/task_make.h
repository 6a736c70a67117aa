/* Between task_make.c, task_mounts.c and task_network.c: a pot that is being made of a task. */
#ifndef NOMAD_TASK_MAKE_H
#define NOMAD_TASK_MAKE_H

#include <limits.h>

#include "nomad/driver_impl.h"

#define MOUNTS_MAX 256
#define LIMITS_MAX 128

struct make {
	struct starting *s;
	const struct task_conf *c;
	const struct drv_task *t;
	struct say *say;
	struct pot_ctx *ctx;
	const char *mode;
	char bridge[POT_NAME_LEN];
	struct strv env, labels, hosts, walls, publish, bridges, names, ips, strings;
	struct pot_mount mounts[MOUNTS_MAX];
	size_t nmounts;
	struct pot_limit limits[LIMITS_MAX];
	size_t nlimits;
	struct kv ports; /* label: port in the pot */
	char resolv[PATH_MAX];
};

/* A string that lives as long as the making. */
const char *make_keep(struct make *, const char *fmt, ...) PRINTF(2, 3);
/* A variable of the task's, or NULL. */
const char *make_env(const struct drv_task *, const char *name);
/* A path of the job's on the host, links resolved; a relative one is below the task's directory. */
int make_host_path(
    struct make *, const char *key, const char *text, size_t n, const char **out, struct err *) MUST_CHECK;
int make_mounts(struct make *, struct err *) MUST_CHECK;
/* Into the arguments of pot_create; dns leaves a file that is removed when the pot is made. */
int make_network(struct make *, struct pot_create_args *, struct err *) MUST_CHECK;
int make_dns(struct make *, struct pot_create_args *, struct err *) MUST_CHECK;

#endif
