/*
 * Instructions that change what an image says about itself. They make no pot
 * and no layer, but for WORKDIR, which makes its directory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "base/text.h"
#include "builder/crew.h"
#include "builder/stage.h"
#include "model/attr.h"
#include "model/limit.h"
#include "model/name.h"

#define PATH_BYTES 4096

/* Those of a key are replaced by the words. */
static int
set_words(struct bld_stage *s, const char *key, const struct instruction *in, struct err *e)
{
	const struct potfile_step *st = in->st;
	int rc = kv_set(&s->settings, key, NULL, e);

	for (size_t i = 0; i < st->nwords && rc == 0; i++)
		rc = kv_add(&s->settings, key, st->words[i].text, e);
	return rc;
}

/* Exec form: the words; shell form: the shell and the line. */
static int
set_command(struct bld_stage *s, const char *key, const struct instruction *in, struct err *e)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(65536);
	const char *word;
	size_t pos = 0;
	int rc;

	if (in->st->exec)
		return set_words(s, key, in, e);
	while ((word = kv_next(&s->settings, IMG_SET_SHELL, &pos)) != NULL)
		strv_add(&words, word);
	if (words.n == 0) {
		strv_add(&words, "/bin/sh");
		strv_add(&words, "-c");
	}
	strv_add(&words, in->st->nwords > 0 ? in->st->words[0].text : "");
	rc = strv_check(&words, "the command", e);
	if (rc == 0)
		rc = kv_set(&s->settings, key, NULL, e);
	for (size_t i = 0; i < words.n && rc == 0; i++)
		rc = kv_add(&s->settings, key, words.v[i], e);
	return rc;
}

static int
do_cmd(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	(void)b;
	s->has_cmd = true;
	return set_command(s, IMG_SET_CMD, in, e);
}

/* Arguments for what was below make no sense for another program. */
static int
do_entrypoint(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	int rc = s->has_cmd ? 0 : kv_set(&s->settings, IMG_SET_CMD, NULL, e);

	(void)b;
	return rc < 0 ? rc : set_command(s, IMG_SET_ENTRYPOINT, in, e);
}

static int
do_shell(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	(void)b;
	return set_words(s, IMG_SET_SHELL, in, e);
}

static int
put_pair(struct bld_stage *s, const char *key, const char *name, const char *value, struct err *e)
{
	AUTO_FINI(buf) struct buf pair = BUF_INIT(POTFILE_MAX);
	int rc;

	buf_fmt(&pair, "%s=%s", name, value);
	rc = buf_check(&pair, name, e);
	return rc < 0 ? rc : stage_put(s, key, pair.data, e);
}

static int
do_env(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	int rc = 0;

	(void)b;
	for (size_t i = 0; i + 1 < in->st->nwords && rc == 0; i += 2) {
		const char *name = in->st->words[i].text, *value = in->st->words[i + 1].text;

		rc = scope_env(&s->scope, name, value, e);
		if (rc == 0)
			rc = put_pair(s, IMG_SET_ENV, name, value, e);
	}
	return rc;
}

static int
do_arg(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	int rc = 0;

	(void)b;
	for (size_t i = 0; i + 1 < in->st->nwords && rc == 0; i += 2)
		rc = scope_arg(&s->scope, in->st->words[i].text, in->st->words[i + 1].text, e);
	return rc;
}

static int
do_label(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	int rc = 0;

	(void)b;
	for (size_t i = 0; i + 1 < in->st->nwords && rc == 0; i += 2)
		rc = put_pair(s, IMG_SET_LABEL, in->st->words[i].text, in->st->words[i + 1].text, e);
	return rc;
}

static int
do_user(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	(void)b;
	return kv_set(&s->settings, IMG_SET_USER, in->st->words[0].text, e);
}

static int
do_stopsignal(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	(void)b;
	return kv_set(&s->settings, IMG_SET_STOP_SIGNAL, in->st->words[0].text, e);
}

static int
do_maintainer(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	(void)b;
	return kv_set(&s->settings, IMG_SET_AUTHOR, in->st->words[0].text, e);
}

static int
do_volume(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	int rc = 0;

	(void)b;
	for (size_t i = 0; i < in->st->nwords && rc == 0; i++)
		rc = stage_put(s, IMG_SET_VOLUME, in->st->words[i].text, e);
	return rc;
}

static int
do_expose(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	int rc = 0;

	(void)b;
	for (size_t i = 0; i < in->st->nwords && rc == 0; i++) {
		struct potfile_ports p;

		rc = potfile_ports_parse(in->st->words[i].text, &p, e);
		for (unsigned port = p.first; rc == 0 && port <= p.last; port++) {
			char text[32];

			snprintf(text, sizeof(text), "%u/%s", port, p.proto);
			rc = stage_put(s, IMG_SET_EXPOSE, text, e);
		}
	}
	return rc;
}

/* ---- HEALTHCHECK, ONBUILD --------------------------------------------------------------------------- */

static void
set_time(json_t *o, const char *key, int64_t ms)
{
	if (ms != 0)
		json_object_set_new(o, key, json_integer(ms * 1000000));
}

static json_t *
health_test(const struct instruction *in)
{
	json_t *test = json_array();
	const struct potfile_step *st = in->st;

	if (st->none) {
		json_array_append_new(test, json_string("NONE"));
		return test;
	}
	json_array_append_new(test, json_string(st->exec ? "CMD" : "CMD-SHELL"));
	for (size_t i = 0; i < st->nwords; i++)
		json_array_append_new(test, json_string(st->words[i].text));
	return test;
}

static int
do_healthcheck(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	struct potfile_health h;
	int rc = potfile_health(in->st, &h, e);
	json_t *o;

	(void)b;
	if (rc < 0)
		return rc;
	o = json_pack("{s:o}", "Test", health_test(in));
	if (o != NULL && !h.none) {
		set_time(o, "Interval", h.interval_ms);
		set_time(o, "Timeout", h.timeout_ms);
		set_time(o, "StartPeriod", h.start_period_ms);
		if (potfile_flag(in->st, "start-interval") != NULL)
			set_time(o, "StartInterval", h.start_interval_ms);
		json_object_set_new(o, "Retries", json_integer(h.retries));
	}
	AUTO_FREE char *text = o != NULL ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(o);
	if (text == NULL)
		return err_set(e, E_INVAL, "a health check must be UTF-8");
	return kv_set(&s->settings, IMG_SET_HEALTH, text, e);
}

static int
do_onbuild(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(POTFILE_MAX);
	int rc = potfile_print(in->raw->inner, &text, e);

	(void)b;
	while (rc == 0 && text.len > 0 && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	return rc < 0 ? rc : kv_add(&s->settings, IMG_SET_ONBUILD, buf_cstr(&text), e);
}

/* ---- pot's own ------------------------------------------------------------------------------------------ */

static int
do_attribute(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	(void)b;
	return put_pair(s, IMG_SET_ATTR, in->st->words[0].text, in->st->words[1].text, e);
}

static int
do_limit(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	(void)b;
	return put_pair(s, BLD_SET_LIMIT, in->st->words[0].text, in->st->words[1].text, e);
}

static int
do_name(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	(void)b;
	(void)e;
	if (s->index == s->build->target)
		snprintf(s->build->name, sizeof(s->build->name), "%s", in->st->words[0].text);
	return 0;
}

/* ---- WORKDIR --------------------------------------------------------------------------------------------- */

/* "." and ".." are taken out: what is made is what is meant, whatever links there are. */
static int
normalise(const char *dir, const char *path, struct buf *out, struct err *e)
{
	AUTO_FINI(buf) struct buf joined = BUF_INIT(PATH_BYTES);
	AUTO_FINI(strv) struct strv parts = STRV_INIT(PATH_BYTES);
	char *rest, *part;
	int rc;

	buf_fmt(&joined, "%s/%s", path[0] == '/' ? "" : dir, path);
	if ((rc = buf_check(&joined, "the working directory", e)) < 0)
		return rc;
	rest = joined.data;
	while ((part = strsep(&rest, "/")) != NULL) {
		if (strcmp(part, "..") == 0 && parts.n > 0)
			strv_remove(&parts, parts.n - 1);
		else if (part[0] != '\0' && strcmp(part, ".") != 0 && strcmp(part, "..") != 0)
			strv_add(&parts, part);
	}
	for (size_t i = 0; i < parts.n; i++)
		buf_fmt(out, "/%s", parts.v[i]);
	if (parts.n == 0)
		buf_str(out, "/");
	rc = strv_check(&parts, "the working directory", e);
	return rc < 0 ? rc : buf_check(out, "the working directory", e);
}

static int
do_workdir(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(PATH_BYTES);
	struct bld_step step = { .kind = BLD_MKDIR, .text = in->raw->text };
	int rc = normalise(stage_workdir(s), in->st->words[0].text, &path, e);

	if (rc < 0 || (rc = kv_set(&s->settings, IMG_SET_WORKDIR, path.data, e)) < 0)
		return rc;
	memcpy(step.where, in->where, sizeof(step.where));
	step.path = path.data;
	step.run.user = kv_get(&s->settings, IMG_SET_USER);
	return stage_do(b, s, &step, e);
}

/* ---- the table ------------------------------------------------------------------------------------------ */

static const struct {
	int (*set)(struct bld *, struct bld_stage *, const struct instruction *, struct err *);
	bool silent; /* no step of its own: it is none of the image's history, or tells itself */
} rows[POTFILE_OPS] = {
	[POTFILE_ARG] = { do_arg, false },
	[POTFILE_ATTRIBUTE] = { do_attribute, false },
	[POTFILE_CMD] = { do_cmd, false },
	[POTFILE_ENTRYPOINT] = { do_entrypoint, false },
	[POTFILE_ENV] = { do_env, false },
	[POTFILE_EXPOSE] = { do_expose, false },
	[POTFILE_HEALTHCHECK] = { do_healthcheck, false },
	[POTFILE_LABEL] = { do_label, false },
	[POTFILE_LIMIT] = { do_limit, false },
	[POTFILE_MAINTAINER] = { do_maintainer, false },
	[POTFILE_NAME] = { do_name, false },
	[POTFILE_ONBUILD] = { do_onbuild, false },
	[POTFILE_SHELL] = { do_shell, false },
	[POTFILE_STOPSIGNAL] = { do_stopsignal, false },
	[POTFILE_USER] = { do_user, false },
	[POTFILE_VOLUME] = { do_volume, false },
	[POTFILE_WORKDIR] = { do_workdir, true },
};

int
stage_set(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	const struct bld_did nothing = { .cached = true };
	int rc;

	if (rows[in->st->op].set == NULL)
		return err_set(e, E_NOTSUP, "%s is not supported", potfile_op_name(in->st->op));
	if (rows[in->st->op].silent)
		return rows[in->st->op].set(b, s, in, e);
	crew_step_begin(b, in->raw->text, in->where);
	rc = rows[in->st->op].set(b, s, in, e);
	crew_step_end(b, &nothing, rc < 0);
	return rc < 0 ? rc : stage_note(s, in->raw->text, true, e);
}
