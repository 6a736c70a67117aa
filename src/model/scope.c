/*
 * The variables of a build and of its stages. The order of who wins stands
 * in scope_get and value_of; what a value is put into is substitute.c's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "model/scope.h"

static const char *const proxies[] = { "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY",
	"ftp_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy" };

static void
vars_fini(struct scope_vars *vars)
{
	for (size_t i = 0; i < vars->n; i++) {
		free(vars->v[i].name);
		free(vars->v[i].value);
	}
	free(vars->v);
	*vars = (struct scope_vars){ NULL, 0, 0 };
}

static struct scope_var *
find(const struct scope_vars *vars, const char *name)
{
	for (size_t i = 0; i < vars->n; i++) {
		if (strcmp(vars->v[i].name, name) == 0)
			return &vars->v[i];
	}
	return NULL;
}

static const char *
value_in(const struct scope_vars *vars, const char *name)
{
	const struct scope_var *var = find(vars, name);

	return var != NULL ? var->value : NULL;
}

static int
append(struct scope_vars *vars, const char *name, struct err *e)
{
	if (vars->n == SCOPE_VARS_MAX)
		return err_set(e, E_LIMIT, "more than %d variables", SCOPE_VARS_MAX);
	if (vars->n == vars->cap) {
		size_t cap = vars->cap == 0 ? 8 : vars->cap * 2;
		struct scope_var *v = reallocarray(vars->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		vars->v = v;
		vars->cap = cap;
	}
	vars->v[vars->n] = (struct scope_var){ .name = strdup(name) };
	if (vars->v[vars->n].name == NULL)
		return err_nomem(e);
	vars->n++;
	return 0;
}

static int
set(struct scope_vars *vars, const char *name, const char *value, struct err *e)
{
	struct scope_var *var = find(vars, name);
	char *copy = value != NULL ? strdup(value) : NULL;
	int rc;

	if (value != NULL && copy == NULL)
		return err_nomem(e);
	if (var == NULL) {
		if ((rc = append(vars, name, e)) < 0) {
			free(copy);
			return rc;
		}
		var = &vars->v[vars->n - 1];
	}
	free(var->value);
	var->value = copy;
	return 0;
}

void
scope_build_fini(struct scope_build *b)
{
	vars_fini(&b->given);
	vars_fini(&b->platform);
	vars_fini(&b->global);
}

void
scope_stage_fini(struct scope_stage *s)
{
	vars_fini(&s->args);
	vars_fini(&s->env);
}

int
scope_given(struct scope_build *b, const char *assignment, const char *value, struct err *e)
{
	size_t len = strcspn(assignment, "=");
	AUTO_FREE char *name = buf_dup(assignment, len);

	if (name == NULL)
		return err_nomem(e);
	if (len == 0)
		return err_set(e, E_INVAL, "a build argument without a name");
	return set(&b->given, name, assignment[len] == '=' ? assignment + len + 1 : value, e);
}

int
scope_platform(
    struct scope_build *b, bool target, const char *os, const char *arch, const char *variant, struct err *e)
{
	static const char *const names[2][4] = { { "BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT" },
		{ "TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT" } };
	AUTO_FINI(buf) struct buf whole = BUF_INIT(1024);
	const char *values[4] = { NULL, os, arch, variant };
	int rc;

	buf_fmt(&whole, "%s/%s%s%s", os, arch, variant[0] != '\0' ? "/" : "", variant);
	if ((rc = buf_check(&whole, "platform", e)) < 0)
		return rc;
	values[0] = buf_cstr(&whole);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(values); i++)
		rc = set(&b->platform, names[target][i], values[i], e);
	return rc;
}

/* What an ARG is worth; NULL: nothing. */
static const char *
value_of(struct scope_build *b, const char *name, const char *def, bool in_stage)
{
	struct scope_var *given = find(&b->given, name);
	const char *value;

	if (given != NULL) {
		given->used = true;
		if (given->value != NULL)
			return given->value;
	}
	if (def != NULL)
		return def;
	value = in_stage ? value_in(&b->global, name) : NULL;
	return value != NULL ? value : value_in(&b->platform, name);
}

int
scope_global_arg(struct scope_build *b, const char *name, const char *def, struct err *e)
{
	return set(&b->global, name, value_of(b, name, def, false), e);
}

int
scope_arg(struct scope_stage *s, const char *name, const char *def, struct err *e)
{
	const char *value = value_of(s->build, name, def, true);

	/* "ARG NAME" a second time, or after a parent's, takes nothing away. */
	if (value == NULL && find(&s->args, name) != NULL)
		return 0;
	return set(&s->args, name, value, e);
}

int
scope_env(struct scope_stage *s, const char *name, const char *value, struct err *e)
{
	return set(&s->env, name, value, e);
}

int
scope_inherit(struct scope_stage *s, const struct scope_stage *parent, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < parent->args.n; i++)
		rc = set(&s->args, parent->args.v[i].name, parent->args.v[i].value, e);
	for (size_t i = 0; rc == 0 && i < parent->env.n; i++)
		rc = set(&s->env, parent->env.v[i].name, parent->env.v[i].value, e);
	return rc;
}

static bool
is_proxy(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(proxies); i++) {
		if (strcmp(proxies[i], name) == 0)
			return true;
	}
	return false;
}

static const char *
build_get(void *arg, const char *name)
{
	const struct scope_build *b = arg;
	const char *value = value_in(&b->global, name);

	return value != NULL ? value : value_in(&b->platform, name);
}

static const char *
stage_get(void *arg, const char *name)
{
	const struct scope_stage *s = arg;
	const char *value = value_in(&s->env, name);

	if (value == NULL)
		value = value_in(&s->args, name);
	if (value == NULL && is_proxy(name))
		value = value_in(&s->build->given, name);
	return value;
}

struct subst_lookup
scope_build_lookup(struct scope_build *b)
{
	return (struct subst_lookup){ build_get, b };
}

struct subst_lookup
scope_stage_lookup(struct scope_stage *s)
{
	return (struct subst_lookup){ stage_get, s };
}

int
scope_environ(const struct scope_stage *s, bool key, struct strv *out, struct err *e)
{
	for (size_t i = 0; i < s->env.n; i++)
		strv_fmt(out, "%s=%s", s->env.v[i].name, s->env.v[i].value);
	for (size_t i = 0; i < s->args.n; i++) {
		const struct scope_var *var = &s->args.v[i];

		if (var->value != NULL && find(&s->env, var->name) == NULL)
			strv_fmt(out, "%s=%s", var->name, var->value);
	}
	for (size_t i = 0; !key && i < s->build->given.n; i++) {
		const struct scope_var *var = &s->build->given.v[i];

		if (var->value != NULL && is_proxy(var->name) && find(&s->env, var->name) == NULL &&
		    value_in(&s->args, var->name) == NULL)
			strv_fmt(out, "%s=%s", var->name, var->value);
	}
	return strv_check(out, "environment", e);
}

const char *
scope_unused(const struct scope_build *b, size_t *pos)
{
	while (*pos < b->given.n) {
		const struct scope_var *var = &b->given.v[(*pos)++];

		if (!var->used && !is_proxy(var->name))
			return var->name;
	}
	return NULL;
}
