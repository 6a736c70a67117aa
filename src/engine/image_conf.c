/*
 * What an image's record says becomes a pot's configuration. The contents of
 * an image are hostile: its settings pass the same checks as a user's, and of
 * the attributes and limits it asks for a pot gets only those that give it no
 * power. What is left out is told.
 */
#include "engine/image.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "engine/limit.h"

#define NOTED_MAX 256
#define NOTED_LEN_MAX 255

static void
add_words(const struct kv *kv, const char *key, struct strv *v)
{
	const char *word;
	size_t pos = 0;

	while ((word = kv_next(kv, key, &pos)) != NULL)
		strv_add(v, word);
}

int
image_settings_command(const struct kv *kv, const struct pot_create_args *a, struct buf *b, struct err *e)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(4096);
	int rc;

	for (const char *const *w = a->entrypoint; w != NULL && *w != NULL; w++)
		strv_add(&words, *w);
	if (a->entrypoint == NULL)
		add_words(kv, IMG_SET_ENTRYPOINT, &words);
	for (const char *const *w = a->args; w != NULL && *w != NULL; w++)
		strv_add(&words, *w);
	/* The image's own arguments are for its own entry point. */
	if (a->args == NULL && a->entrypoint == NULL)
		add_words(kv, IMG_SET_CMD, &words);
	if ((rc = strv_check(&words, "the command", e)) < 0)
		return rc;
	if (words.n > 0)
		text_join(words.v, b);
	return buf_check(b, "the command", e);
}

static void
left_out(struct epot *p, const char *what, const char *value, const struct err *why)
{
	char text[128];

	text_escape_into(text, sizeof(text), value, strcspn(value, "="));
	event_warn(&p->eng->events, "the image's %s %s is left out: %s", what, text, why->msg);
}

/* Every one that a pot can have; the others are told. */
static int
set_env(struct epot *p, const struct kv *kv, struct err *e)
{
	const char *value;
	size_t pos = 0;

	while ((value = kv_next(kv, IMG_SET_ENV, &pos)) != NULL) {
		struct err why = ERR_INIT;
		int rc = potconf_env_add(&p->conf, value, &why);

		if (rc == -E_INVAL)
			left_out(p, "variable", value, &why);
		else if (rc < 0) {
			if (e != NULL)
				*e = why;
			return rc;
		}
	}
	return 0;
}

/* What is only noted for people, in reasonable amounts: the file of a pot is small. */
static int
set_lists(struct epot *p, const struct kv *kv, struct err *e)
{
	static const struct {
		const char *from, *to;
	} rows[] = { { IMG_SET_EXPOSE, PC_EXPOSE }, { IMG_SET_VOLUME, PC_VOLUME } };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++) {
		const char *value;
		size_t pos = 0, n = 0;

		rc = kv_set(&p->conf.kv, rows[i].to, NULL, e);
		while (rc == 0 && n < NOTED_MAX && (value = kv_next(kv, rows[i].from, &pos)) != NULL) {
			if (strlen(value) > NOTED_LEN_MAX)
				continue;
			rc = kv_add(&p->conf.kv, rows[i].to, value, e);
			n++;
		}
	}
	return rc;
}

/* Attributes that change nothing about what the pot may do to others. */
static bool
is_harmless(const char *name)
{
	static const char *const names[] = { "persistent", "no-rc-script", "no-tmpfs", "no-etc-hosts",
		"exec_stop", "stop_timeout", "stop_signal" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int
set_attrs(struct epot *p, const struct kv *kv, struct err *e)
{
	const char *value;
	size_t pos = 0;

	while ((value = kv_next(kv, IMG_SET_ATTR, &pos)) != NULL) {
		AUTO_FREE char *name = buf_dup(value, strcspn(value, "="));
		const struct attr *a = name != NULL ? attr_find(name, NULL) : NULL;
		struct err why = ERR_INIT;

		if (name == NULL)
			return err_nomem(e);
		if (a == NULL || !is_harmless(name))
			err_set(&why, E_PERM, "pot set-attribute gives it to a pot that needs it");
		else if (potconf_set(&p->conf, a->key, strchr(value, '=') + 1, &why) == 0)
			continue;
		left_out(p, "attribute", value, &why);
	}
	return 0;
}

/* Only what takes something away from the pot: it may want more than its neighbours, but not say so itself. */
static bool
is_restraint(const struct epot *p, const struct limits_row *row, const char *value, struct err *e)
{
	static const char *const names[] = { "memory", "memory-swap", "cpus", "cpu-quota", "disk", "pids" };
	struct limits l = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], row->name) != 0)
			continue;
		if (row->parse(&l, value, e) < 0)
			return false;
		if (!l.pids_set || (l.pids != 0 && l.pids <= config_uint(p->eng->conf, "pids_limit")))
			return true;
		err_set(e, E_PERM, "it is above this machine's pids_limit");
		return false;
	}
	err_set(e, E_PERM, "pot update gives it to a pot that needs it");
	return false;
}

static int
set_limits(struct epot *p, const struct kv *kv, struct err *e)
{
	const size_t skip = strlen(IMG_LABEL_LIMIT);
	const char *label;
	size_t pos = 0;

	while ((label = kv_next(kv, IMG_SET_LABEL, &pos)) != NULL) {
		const struct limits_row *row;
		struct pot_limit one = { NULL, strchr(label, '=') };
		AUTO_FREE char *name = NULL;
		struct err why = ERR_INIT;

		if (one.value++ == NULL || strncmp(label, IMG_LABEL_LIMIT, skip) != 0)
			continue;
		one.name = name = buf_dup(label + skip, strcspn(label + skip, "="));
		if (name == NULL)
			return err_nomem(e);
		row = limits_find(name, &why);
		if (row == NULL || !is_restraint(p, row, one.value, &why) ||
		    epot_limits_create(p, &one, 1, &why) < 0)
			left_out(p, "limit", label + skip, &why);
	}
	return 0;
}

/* Docker writes "SIGTERM", "TERM" or a number; the attribute takes them all. */
static int
set_stop_signal(struct epot *p, const char *value)
{
	const struct attr *a = attr_find("stop_signal", NULL);
	struct err why = ERR_INIT;

	if (value != NULL && a != NULL && potconf_set(&p->conf, a->key, value, &why) < 0)
		left_out(p, "stop signal", value, &why);
	return 0;
}

int
image_settings_conf(struct epot *p, const struct kv *kv, const struct pot_create_args *a, struct err *e)
{
	AUTO_FINI(buf) struct buf command = BUF_INIT(KV_FILE_MAX);
	int rc = image_settings_command(kv, a, &command, e);

	if (rc < 0)
		return rc;
	const struct {
		const char *key, *value;
	} rows[] = {
		{ PC_CMD, command.len > 0 ? command.data : NULL },
		{ PC_USER, kv_get(kv, IMG_SET_USER) },
		{ PC_WORKDIR, kv_get(kv, IMG_SET_WORKDIR) },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		rc = potconf_set(&p->conf, rows[i].key, rows[i].value, e);
	if (rc < 0 || (rc = set_env(p, kv, e)) < 0 || (rc = set_lists(p, kv, e)) < 0 ||
	    (rc = set_attrs(p, kv, e)) < 0 || (rc = set_limits(p, kv, e)) < 0)
		return rc;
	return set_stop_signal(p, kv_get(kv, IMG_SET_STOP_SIGNAL));
}

int
image_source_conf(
    struct epot *p, const struct image_source *s, const struct pot_create_args *a, struct err *e)
{
	const struct {
		const char *key, *value;
	} rows[] = {
		{ PC_IMAGE, s->name },
		{ PC_IMAGE_ID, s->ready.manifest },
		{ PC_IMAGE_FS, s->ready.fs },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		rc = potconf_set(&p->conf, rows[i].key, rows[i].value, e);
	if (rc == 0)
		rc = image_settings_conf(p, &s->ready.settings, a, e);
	return rc < 0 ? err_wrap(e, "image %s", s->name) : 0;
}
