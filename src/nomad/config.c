/* The agent's configuration of the plugin: plugin "nomad-pot-driver" { config { … } }. */
#include "nomad/config.h"

#include <string.h>

#include "base/text.h"
#include "model/caps.h"
#include "model/potconf.h"

#define LIST_MAX 4096
#define WHAT "plugin config"

static const struct spec volumes_rows[] = {
	{ "enabled", SPEC_ATTR, "bool", .preset = "true" },
	{ NULL },
};
static const struct spec dangling_rows[] = {
	{ "enabled", SPEC_ATTR, "bool", .preset = "true" },
	{ "period", SPEC_ATTR, "string", .preset = "\"5m\"" },
	{ "creation_grace", SPEC_ATTR, "string", .preset = "\"5m\"" },
	{ NULL },
};
static const struct spec gc_rows[] = {
	{ "image", SPEC_ATTR, "bool", .preset = "true" },
	{ "image_delay", SPEC_ATTR, "string", .preset = "\"3m\"" },
	{ "dangling_pots", SPEC_BLOCK, .rows = dangling_rows },
	{ NULL },
};
static const struct spec auth_rows[] = {
	{ "config", SPEC_ATTR, "string" },
	{ NULL },
};
const struct spec agent_spec[] = {
	{ "enabled", SPEC_ATTR, "bool", .preset = "true" },
	{ "root", SPEC_ATTR, "string" },
	{ "config_file", SPEC_ATTR, "string" },
	{ "log_level", SPEC_ATTR, "string", .preset = "\"debug\"" },
	{ "log_file", SPEC_ATTR, "string" },
	{ "image_pull_timeout", SPEC_ATTR, "string", .preset = "\"5m\"" },
	{ "allow_privileged", SPEC_ATTR, "bool", .preset = "false" },
	{ "allow_caps", SPEC_ATTR, "list(string)" },
	{ "allow_attributes", SPEC_ATTR, "list(string)" },
	{ "allow_network_modes", SPEC_ATTR, "list(string)" },
	{ "default_network_mode", SPEC_ATTR, "string", .preset = "\"public-bridge\"" },
	{ "volumes", SPEC_BLOCK, .rows = volumes_rows },
	{ "insecure_registries", SPEC_ATTR, "list(string)" },
	{ "ca_file", SPEC_ATTR, "string" },
	{ "auth", SPEC_BLOCK, .rows = auth_rows },
	{ "pubkey", SPEC_ATTR, "string" },
	{ "verify", SPEC_ATTR, "bool", .preset = "false" },
	{ "keep_failed", SPEC_ATTR, "bool", .preset = "false" },
	{ "pids_limit", SPEC_ATTR, "number", .preset = "0" },
	{ "max_parallel_starts", SPEC_ATTR, "number", .preset = "32" },
	{ "disable_log_collection", SPEC_ATTR, "bool", .preset = "false" },
	{ "gc", SPEC_BLOCK, .rows = gc_rows },
	{ NULL },
};

void
agent_conf_fini(struct agent_conf *c)
{
	free(c->root);
	free(c->config_file);
	free(c->log_file);
	free(c->ca_file);
	free(c->auth_file);
	free(c->pubkey);
	free(c->default_mode);
	strv_fini(&c->allow_attrs);
	strv_fini(&c->allow_modes);
	strv_fini(&c->insecure);
	*c = (struct agent_conf){ 0 };
}

static int
get_text(const struct value *v, const char *key, char **out, struct err *e)
{
	const char *s = NULL;
	int rc = value_string(v, key, &s, WHAT, e);

	if (rc <= 0 || *s == '\0')
		return rc < 0 ? rc : 0;
	free(*out);
	*out = strdup(s);
	return *out == NULL ? err_nomem(e) : 0;
}

static int
get_time(const struct value *v, const char *key, int64_t *ms, struct err *e)
{
	const char *s = NULL;
	int rc = value_string(v, key, &s, WHAT, e);

	if (rc > 0)
		rc = text_duration(s, ms, key, e);
	return rc < 0 ? rc : 0;
}

static int
get_path(const struct value *v, const char *key, char **out, struct err *e)
{
	int rc = get_text(v, key, out, e);

	if (rc == 0 && *out != NULL && **out != '/')
		rc = err_set(e, E_INVAL, WHAT ": %s '%.256s' is not an absolute path", key, *out);
	return rc;
}

static int
get_bool(const struct value *v, const char *key, bool *out, struct err *e)
{
	int rc = value_bool(v, key, out, WHAT, e);

	return rc < 0 ? rc : 0;
}

static int
get_list(const struct value *v, const char *key, struct strv *out, struct err *e)
{
	int rc = value_strings(v, key, out, WHAT, e);

	return rc < 0 ? rc : strv_check(out, key, e);
}

static int
get_gc(struct agent_conf *c, const struct value *v, struct err *e)
{
	const struct value *gc = NULL, *pots = NULL;
	int rc = value_block(v, "gc", &gc, WHAT, e);

	if (rc <= 0 || gc == NULL)
		return rc < 0 ? rc : 0;
	if ((rc = get_bool(gc, "image", &c->gc.image, e)) < 0 ||
	    (rc = get_time(gc, "image_delay", &c->gc.image_delay_ms, e)) < 0 ||
	    (rc = value_block(gc, "dangling_pots", &pots, WHAT ": gc", e)) < 0)
		return rc;
	if (pots == NULL)
		return 0;
	if ((rc = get_bool(pots, "enabled", &c->gc.pots, e)) < 0 ||
	    (rc = get_time(pots, "period", &c->gc.period_ms, e)) < 0)
		return rc;
	return get_time(pots, "creation_grace", &c->gc.grace_ms, e);
}

static int
get_texts(struct agent_conf *c, const struct value *v, struct err *e)
{
	const struct {
		const char *key;
		char **to;
	} paths[] = { { "root", &c->root }, { "config_file", &c->config_file }, { "log_file", &c->log_file },
		{ "ca_file", &c->ca_file }, { "pubkey", &c->pubkey } };
	const struct {
		const char *key;
		struct strv *to;
	} lists[] = { { "allow_attributes", &c->allow_attrs }, { "allow_network_modes", &c->allow_modes },
		{ "insecure_registries", &c->insecure } };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(paths) && rc == 0; i++)
		rc = get_path(v, paths[i].key, paths[i].to, e);
	for (size_t i = 0; i < ARRAY_LEN(lists) && rc == 0; i++) {
		lists[i].to->max = LIST_MAX;
		rc = get_list(v, lists[i].key, lists[i].to, e);
	}
	return rc == 0 ? get_text(v, "default_network_mode", &c->default_mode, e) : rc;
}

/* Not given: any that a pot can have. */
static int
get_caps(struct agent_conf *c, const struct value *v, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(LIST_MAX);
	int rc = value_strings(v, "allow_caps", &names, WHAT, e);

	if (rc > 0)
		c->allow_caps = 0;
	for (size_t i = 0; i < names.n && rc >= 0; i++)
		if ((rc = caps_parse(names.v[i], &c->allow_caps, e)) < 0)
			(void)err_wrap(e, WHAT ": allow_caps");
	return rc < 0 ? rc : strv_check(&names, "allow_caps", e);
}

static int
get_flags(struct agent_conf *c, const struct value *v, struct err *e)
{
	const struct {
		const char *key;
		bool *to;
	} rows[] = { { "enabled", &c->enabled }, { "allow_privileged", &c->allow_privileged },
		{ "verify", &c->verify }, { "keep_failed", &c->keep_failed },
		{ "disable_log_collection", &c->no_logs } };
	const struct value *block = NULL;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		rc = get_bool(v, rows[i].key, rows[i].to, e);
	if (rc == 0)
		rc = value_block(v, "volumes", &block, WHAT, e);
	if (rc >= 0 && block != NULL)
		rc = get_bool(block, "enabled", &c->volumes, e);
	block = NULL;
	if (rc >= 0)
		rc = value_block(v, "auth", &block, WHAT, e);
	if (rc >= 0 && block != NULL)
		rc = get_path(block, "config", &c->auth_file, e);
	return rc < 0 ? rc : 0;
}

/* What can be seen to be wrong before any job comes. */
static int
check(const struct agent_conf *c, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < c->allow_attrs.n && rc == 0; i++)
		if (attr_find(c->allow_attrs.v[i], e) == NULL)
			rc = err_wrap(e, WHAT ": allow_attributes");
	if (rc == 0 && c->gc.period_ms < 1000)
		rc = err_set(e, E_INVAL, WHAT ": gc: dangling_pots: period is less than a second");
	if (rc == 0 && c->pull_timeout_ms < 1000)
		rc = err_set(e, E_INVAL, WHAT ": image_pull_timeout is less than a second");
	return rc;
}

int
agent_conf_read(struct agent_conf *c, const struct value *v, struct err *e)
{
	const char *level = NULL;
	int rc;

	agent_conf_fini(c);
	*c = (struct agent_conf){
		.enabled = true,
		.log_level = LOG_LEVEL_DEBUG,
		.pull_timeout_ms = 300000,
		.volumes = true,
		.max_starts = 32,
		.allow_caps = CAPS_ALL,
		.gc = { true, true, 180000, 300000, 300000 },
	};
	rc = get_flags(c, v, e);
	if (rc == 0)
		rc = get_texts(c, v, e);
	if (rc == 0)
		rc = get_caps(c, v, e);
	if (rc == 0)
		rc = get_time(v, "image_pull_timeout", &c->pull_timeout_ms, e);
	if (rc == 0)
		rc = value_int(v, "pids_limit", 0, 1 << 22, &c->pids_limit, WHAT, e);
	if (rc >= 0)
		rc = value_int(v, "max_parallel_starts", 1, 1000, &c->max_starts, WHAT, e);
	if (rc >= 0)
		rc = value_string(v, "log_level", &level, WHAT, e);
	if (rc > 0 && (rc = log_level_parse(level, &c->log_level, e)) < 0)
		rc = err_wrap(e, WHAT ": log_level");
	if (rc >= 0)
		rc = get_gc(c, v, e);
	return rc < 0 ? rc : check(c, e);
}
