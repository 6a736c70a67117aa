/*
 * libpot: what changes a pot that is there: its snapshots, its settings, its
 * files. Arguments are checked here; what they mean is done by the engine.
 */
#include <pot.h>

#include "engine/engine.h"
#include "lib/ctx.h"
#include "model/name.h"

int
pot_snapshot(struct pot_ctx *c, const char *name, const char *tag, char made[128], struct err *e)
{
	int rc = lib_check(c, name, e);

	if (rc == 0 && tag != NULL)
		rc = name_check_tag(tag, e);
	return rc < 0 ? rc : eng_snapshot(c->eng, name, tag, made, e);
}

int
pot_rollback(struct pot_ctx *c, const char *name, const char *tag, struct err *e)
{
	int rc = lib_check(c, name, e);

	if (rc == 0 && tag != NULL)
		rc = name_check_tag(tag, e);
	return rc < 0 ? rc : eng_rollback(c->eng, name, tag, e);
}

int
pot_purge_snapshots(struct pot_ctx *c, const char *name, bool all, pot_name_fn *fn, void *arg, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_purge_snapshots(c->eng, name, all, fn, arg, e);
}

int
pot_set_command(struct pot_ctx *c, const char *name, const char *command, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_set_command(c->eng, name, command, e);
}

int
pot_set_env(struct pot_ctx *c, const char *name, enum pot_change how, char *const *items, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_set_env(c->eng, name, how, items, e);
}

int
pot_set_hosts(struct pot_ctx *c, const char *name, enum pot_change how, char *const *items, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_set_hosts(c->eng, name, how, items, e);
}

int
pot_set_ports(struct pot_ctx *c, const char *name, enum pot_change how, char *const *specs, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_set_ports(c->eng, name, how, specs, e);
}

int
pot_update(struct pot_ctx *c, const char *name, const struct pot_limit *v, size_t n, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_update(c->eng, name, v, n, e);
}

int
pot_set_hook(struct pot_ctx *c, const char *name, const char *point, const char *file, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_set_hook(c->eng, name, point, file, e);
}

int
pot_set_attribute(struct pot_ctx *c, const char *name, const char *attr, const char *value, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_set_attribute(c->eng, name, attr, value, e);
}

int
pot_get_attribute(struct pot_ctx *c, const char *name, const char *attr, char **value, struct err *e)
{
	int rc = lib_check_look(c, name, e);

	return rc < 0 ? rc : eng_get_attribute(c->eng, name, attr, value, e);
}

int
pot_mount_in(struct pot_ctx *c, const char *name, const struct pot_mount *m, struct err *e)
{
	int rc = lib_check(c, name, e);

	if (rc == 0)
		rc = lib_check_path(m->target, "the mount point", e);
	return rc < 0 ? rc : eng_mount_in(c->eng, name, m, e);
}

int
pot_mount_out(struct pot_ctx *c, const char *name, const char *target, struct err *e)
{
	int rc = lib_check(c, name, e);

	if (rc == 0)
		rc = lib_check_path(target, "the mount point", e);
	return rc < 0 ? rc : eng_mount_out(c->eng, name, target, e);
}

int
pot_copy_in(
    struct pot_ctx *c, const char *name, const char *host_src, const char *dst, unsigned flags, struct err *e)
{
	int rc = lib_check(c, name, e);

	if (rc == 0)
		rc = lib_check_path(dst, "the destination", e);
	return rc < 0 ? rc : eng_copy_in(c->eng, name, host_src, dst, flags, e);
}

int
pot_copy_out(
    struct pot_ctx *c, const char *name, const char *src, const char *host_dst, unsigned flags, struct err *e)
{
	int rc = lib_check(c, name, e);

	if (rc == 0)
		rc = lib_check_path(src, "the source", e);
	return rc < 0 ? rc : eng_copy_out(c->eng, name, src, host_dst, flags, e);
}
