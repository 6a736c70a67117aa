/*
 * Settings that recipes bring, one upon the other: which key replaces, which
 * replaces what has the same name, and which adds.
 */
#include <string.h>

#include "base/text.h"
#include "builder/builder.h"

/* What a key does to one that is there. */
enum rule { RULE_ADD, RULE_ONE, RULE_LIST, RULE_NAME };
static const struct {
	const char *key;
	enum rule rule;
} rules[] = {
	{ IMG_SET_ATTR, RULE_NAME },
	{ IMG_SET_CMD, RULE_LIST },
	{ IMG_SET_ENTRYPOINT, RULE_LIST },
	{ IMG_SET_ENV, RULE_NAME },
	{ IMG_SET_LABEL, RULE_NAME },
	{ IMG_SET_STOP_SIGNAL, RULE_ONE },
	{ IMG_SET_USER, RULE_ONE },
	{ IMG_SET_WORKDIR, RULE_ONE },
	{ BLD_SET_LIMIT, RULE_NAME },
};

static enum rule
rule_of(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (strcmp(rules[i].key, key) == 0)
			return rules[i].rule;
	return RULE_ADD;
}

/* Takes away the pairs of this key whose value begins as `value` does up to and with its first '='; len 0: all. */
static void
remove_pairs(struct kv *kv, const char *key, const char *value, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < kv->n; i++) {
		struct kv_pair p = kv->v[i];

		if (strcmp(p.key, key) == 0 && (len == 0 || strncmp(p.value, value, len) == 0)) {
			free(p.key);
			free(p.value);
		} else {
			kv->v[kept++] = p;
		}
	}
	kv->n = kept;
}

static bool
has_pair(const struct kv *kv, const char *key, const char *value)
{
	const char *there;
	size_t pos = 0;

	while ((there = kv_next(kv, key, &pos)) != NULL)
		if (strcmp(there, value) == 0)
			return true;
	return false;
}

static int
merge_pair(struct kv *into, const struct kv_pair *p, struct err *e)
{
	switch (rule_of(p->key)) {
	case RULE_ONE:
		return kv_set(into, p->key, p->value, e);
	case RULE_NAME:
		remove_pairs(into, p->key, p->value, strcspn(p->value, "=") + 1);
		break;
	case RULE_ADD:
		if (has_pair(into, p->key, p->value))
			return 0;
		break;
	case RULE_LIST:
		break;
	}
	return kv_add(into, p->key, p->value, e);
}

int
bld_settings_merge(struct kv *into, const struct kv *from, struct err *e)
{
	int rc = 0;

	/* A command is one thing: a new one has nothing of the old, its entry point included. */
	if (kv_get(from, IMG_SET_CMD) != NULL)
		remove_pairs(into, IMG_SET_CMD, "", 0);
	if (kv_get(from, IMG_SET_CMD) != NULL || kv_get(from, IMG_SET_ENTRYPOINT) != NULL)
		remove_pairs(into, IMG_SET_ENTRYPOINT, "", 0);
	for (size_t i = 0; i < from->n && rc == 0; i++)
		rc = merge_pair(into, &from->v[i], e);
	return rc;
}
