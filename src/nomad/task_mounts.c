/*
 * What of the host is seen in a task's pot: the allocation's directories, what
 * the agent mounts, and what the job asks for as far as the agent's
 * configuration lets it. In the child that makes the pot (task_make.c).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nomad/task_make.h"

static int
add_mount(struct make *m, const char *source, const char *target, bool ro, bool idmap, struct err *e)
{
	if (m->nmounts == MOUNTS_MAX)
		return err_set(e, E_LIMIT, "more than %d mounts", MOUNTS_MAX);
	m->mounts[m->nmounts++] = (struct pot_mount){ source, target, ro, idmap };
	return 0;
}

/* The allocation's directories, where the task's environment says they are. */
static int
add_own_mounts(struct make *m, struct err *e)
{
	const struct drv_task *t = m->t;
	const struct {
		const char *env, *def, *source;
	} own[] = {
		{ "NOMAD_ALLOC_DIR", "/alloc", make_keep(m, "%s/alloc", t->alloc_dir) },
		{ "NOMAD_TASK_DIR", "/local", make_keep(m, "%s/%s/local", t->alloc_dir, t->name) },
		{ "NOMAD_SECRETS_DIR", "/secrets", make_keep(m, "%s/%s/secrets", t->alloc_dir, t->name) },
	};
	int rc = 0;

	if (t->alloc_dir[0] == '\0')
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(own) && rc == 0; i++) {
		const char *target = make_env(t, own[i].env);

		/* An agent that believes it need not mount gives host paths. */
		if (target == NULL || target[0] != '/' ||
		    strncmp(target, t->alloc_dir, strlen(t->alloc_dir)) == 0)
			target = own[i].def;
		if (access(own[i].source, F_OK) == 0)
			rc = add_mount(m, own[i].source, target, false, true, e);
	}
	return rc;
}

static int
no_host_paths(const char *key, const char *path, struct err *e)
{
	err_set(e, E_PERM, "config: %s: '%.256s' is outside of the allocation's directory", key, path);
	return err_hint(e, "the agent's plugin configuration has volumes { enabled = false }");
}

int
make_host_path(struct make *m, const char *key, const char *text, size_t n, const char **out, struct err *e)
{
	AUTO_FREE char *real = NULL;
	const char *path = text[0] == '/'
	    ? make_keep(m, "%.*s", (int)n, text)
	    : make_keep(m, "%s/%s/%.*s", m->t->alloc_dir, m->t->name, (int)n, text);

	real = realpath(path, NULL);
	if (real == NULL) {
		err_sys(e, "config: %s: %.256s", key, path);
		return err_hint(e, "this is a path on the node where the task runs");
	}
	/* A link in the allocation's directory, which the task may have made, leads nowhere else. */
	if (text[0] != '/' || !m->s->d->conf.volumes) {
		AUTO_FREE char *alloc = realpath(m->t->alloc_dir, NULL);
		size_t len = alloc == NULL ? 0 : strlen(alloc);

		if (len == 0 || strncmp(real, alloc, len) != 0 || (real[len] != '/' && real[len] != '\0'))
			return no_host_paths(key, path, e);
	}
	*out = make_keep(m, "%s", real);
	return 0;
}

static int
add_job_mounts(struct make *m, const struct strv *list, const char *key, bool ro, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < list->n && rc == 0; i++) {
		const char *text = list->v[i], *colon = strchr(text, ':');
		const char *target = colon + 1, *opt = strchr(target, ':'), *source = NULL;
		size_t n = opt == NULL ? strlen(target) : (size_t)(opt - target);
		bool read_only = ro, idmap = text[0] != '/';

		while (opt != NULL && rc == 0) {
			const char *word = opt + 1;
			size_t len = strcspn(word, ",:");

			if (len == 2 && strncmp(word, "ro", 2) == 0)
				read_only = true;
			else if (len == 5 && strncmp(word, "idmap", 5) == 0)
				idmap = true;
			else if (len == 7 && strncmp(word, "noidmap", 7) == 0)
				idmap = false;
			else if (!(len == 2 && strncmp(word, "rw", 2) == 0))
				rc = err_set(e, E_INVAL,
				    "config: %s: '%.*s' is none of ro, rw, idmap, noidmap", key, (int)len,
				    word);
			opt = word[len] == '\0' ? NULL : word + len;
		}
		if (rc == 0)
			rc = make_host_path(m, key, text, (size_t)(colon - text), &source, e);
		if (rc == 0)
			rc = add_mount(m, source, make_keep(m, "%.*s", (int)n, target), read_only, idmap, e);
	}
	return rc;
}

int
make_mounts(struct make *m, struct err *e)
{
	const struct drv_task *t = m->t;
	int rc = add_own_mounts(m, e);

	for (size_t i = 0; i < t->nmounts && rc == 0; i++)
		rc = add_mount(
		    m, t->mounts[i].host_path, t->mounts[i].task_path, t->mounts[i].read_only, true, e);
	if (rc == 0)
		rc = add_job_mounts(m, &m->c->mounts, "mount", false, e);
	if (rc == 0)
		rc = add_job_mounts(m, &m->c->mounts_ro, "mount_read_only", true, e);
	return rc == 0 ? add_job_mounts(m, &m->c->volumes, "volumes", false, e) : rc;
}
