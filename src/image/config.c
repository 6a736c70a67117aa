/*
 * Image configs from and to JSON. What is read is anybody's: strings are
 * bounded by the text, lists of layers by what a storage can stack, and what a
 * pot gets of it is judged again by who makes the pot.
 */
#include "image/config.h"

#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "base/text.h"

static inline void
json_release(json_t *j)
{
	json_decref(j);
}
DEFINE_AUTO(json, json_t *, NULL, json_release)

static int
wrong(const char *what, struct err *e)
{
	return err_set(e, E_INVAL, "the image's config: %s", what);
}

static const char *
get_text(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	/* Go programs write "" for what is not there. */
	return json_is_string(v) && json_string_length(v) > 0 ? json_string_value(v) : NULL;
}

void
img_config_free(struct img_config *c)
{
	if (c == NULL)
		return;
	json_decref(c->json);
	free(c->diffs);
	free(c);
}

static int
read_diffs(struct img_config *c, struct err *e)
{
	const json_t *rootfs = json_object_get(c->json, "rootfs"),
		     *list = json_object_get(rootfs, "diff_ids");
	size_t n = json_array_size(list);
	int r;

	if (!json_is_array(list))
		return wrong("it names no layers (rootfs.diff_ids)", e);
	if (n > IMG_LAYERS_MAX) {
		err_set(e, E_NOTSUP, "the image has %zu layers, more than %d", n, IMG_LAYERS_MAX);
		return err_hint(e, "squash it where it was built");
	}
	if ((c->diffs = calloc(n + 1, sizeof(*c->diffs))) == NULL)
		return err_nomem(e);
	for (; c->ndiffs < n; c->ndiffs++) {
		const json_t *v = json_array_get(list, c->ndiffs);

		if (!json_is_string(v))
			return wrong("a diff_id is not a string", e);
		if ((r = digest_parse(json_string_value(v), &c->diffs[c->ndiffs], e)) < 0)
			return err_wrap(e, "the image's config");
	}
	return 0;
}

int
img_config_parse(const char *text, size_t len, struct img_config **out, struct err *e)
{
	AUTO(img_config) struct img_config *c = calloc(1, sizeof(*c));
	const char *created;
	int r;

	if (c == NULL)
		return err_nomem(e);
	if ((r = img_json_parse(text, len, IMG_CONFIG_MAX, "the image's config", &c->json, e)) < 0)
		return r;
	if (!json_is_object(c->json))
		return wrong("it is not a JSON object", e);
	if ((r = read_diffs(c, e)) < 0)
		return r;
	c->platform.os = (char *)(uintptr_t)get_text(c->json, "os");
	c->platform.arch = (char *)(uintptr_t)get_text(c->json, "architecture");
	c->platform.variant = (char *)(uintptr_t)get_text(c->json, "variant");
	c->platform.os_version = (char *)(uintptr_t)get_text(c->json, "os.version");
	created = get_text(c->json, "created");
	if (created != NULL && text_time(created, &c->created_ns, "created", NULL) < 0)
		c->created_ns = 0;
	*out = take_ptr(c);
	return 0;
}

/* ---- settings -------------------------------------------------------------------- */

static int
add_list(const json_t *config, const char *key, struct kv *kv, const char *as, struct err *e)
{
	const json_t *list = json_object_get(config, key), *v;
	size_t i;
	int r;

	if (list == NULL || json_is_null(list))
		return 0;
	/* Docker once wrote a single string for a list of one. */
	if (json_is_string(list))
		return kv_add(kv, as, json_string_value(list), e);
	if (!json_is_array(list))
		return wrong("a list is none", e);
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v))
			return wrong("a list holds what is no string", e);
		if ((r = kv_add(kv, as, json_string_value(v), e)) < 0)
			return r;
	}
	return 0;
}

static int
add_keys(const json_t *config, const char *key, struct kv *kv, const char *as, struct err *e)
{
	json_t *map = json_object_get(config, key), *v;
	const char *name;
	int r;

	if (map == NULL || json_is_null(map))
		return 0;
	if (!json_is_object(map))
		return wrong("a set is none", e);
	json_object_foreach(map, name, v)
	{
		if ((r = kv_add(kv, as, name, e)) < 0)
			return r;
	}
	return 0;
}

static int
add_text(const json_t *config, const char *key, struct kv *kv, const char *as, struct err *e)
{
	const char *text = get_text(config, key);

	return text == NULL ? 0 : kv_add(kv, as, text, e);
}

static int
add_pair(struct kv *kv, const char *as, const char *name, const char *value, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(IMG_CONFIG_MAX);
	int r;

	buf_fmt(&b, "%s=%s", name, value);
	r = buf_check(&b, "a label", e);
	return r < 0 ? r : kv_add(kv, as, b.data, e);
}

/* Labels; those that are attributes of a pot or of a jail as such, too. */
static int
add_labels(const json_t *config, struct kv *kv, struct err *e)
{
	static const char pot[] = IMG_LABEL_ATTR, jail[] = IMG_LABEL_JAIL;
	json_t *map = json_object_get(config, "Labels"), *v;
	const char *name;
	int r = 0;

	if (map == NULL || json_is_null(map))
		return 0;
	if (!json_is_object(map))
		return wrong("Labels is not an object", e);
	json_object_foreach(map, name, v)
	{
		if (!json_is_string(v))
			return wrong("a label is not a string", e);
		if ((r = add_pair(kv, IMG_SET_LABEL, name, json_string_value(v), e)) < 0)
			return r;
		if (strncmp(name, pot, sizeof(pot) - 1) == 0)
			r = add_pair(kv, IMG_SET_ATTR, name + sizeof(pot) - 1, json_string_value(v), e);
		else if (strncmp(name, jail, sizeof(jail) - 1) == 0)
			r = add_pair(kv, IMG_SET_ATTR, name + sizeof(jail) - 1, json_string_value(v), e);
		if (r < 0)
			return r;
	}
	return 0;
}

int
img_config_settings(const struct img_config *c, struct kv *kv, struct err *e)
{
	const json_t *config = json_object_get(c->json, "config");
	int r;

	if (config == NULL || json_is_null(config))
		return 0;
	if (!json_is_object(config))
		return wrong("its config is not an object", e);
	if ((r = add_list(config, "Env", kv, IMG_SET_ENV, e)) < 0 ||
	    (r = add_list(config, "Entrypoint", kv, IMG_SET_ENTRYPOINT, e)) < 0 ||
	    (r = add_list(config, "Cmd", kv, IMG_SET_CMD, e)) < 0 ||
	    (r = add_text(config, "User", kv, IMG_SET_USER, e)) < 0 ||
	    (r = add_text(config, "WorkingDir", kv, IMG_SET_WORKDIR, e)) < 0 ||
	    (r = add_text(config, "StopSignal", kv, IMG_SET_STOP_SIGNAL, e)) < 0 ||
	    (r = add_keys(config, "ExposedPorts", kv, IMG_SET_EXPOSE, e)) < 0 ||
	    (r = add_keys(config, "Volumes", kv, IMG_SET_VOLUME, e)) < 0)
		return r;
	return add_labels(config, kv, e);
}

static int
add_json(const json_t *config, const char *key, struct kv *kv, const char *as, struct err *e)
{
	const json_t *v = json_object_get(config, key);

	if (v == NULL || json_is_null(v))
		return 0;
	AUTO_FREE char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	return text == NULL ? err_nomem(e) : kv_add(kv, as, text, e);
}

int
img_config_builder_settings(const struct img_config *c, struct kv *kv, struct err *e)
{
	const json_t *config = json_object_get(c->json, "config");
	int r;

	if ((r = add_text(c->json, "author", kv, IMG_SET_AUTHOR, e)) < 0 || !json_is_object(config))
		return r;
	if ((r = add_list(config, "OnBuild", kv, IMG_SET_ONBUILD, e)) < 0 ||
	    (r = add_list(config, "Shell", kv, IMG_SET_SHELL, e)) < 0)
		return r;
	return add_json(config, "Healthcheck", kv, IMG_SET_HEALTH, e);
}

int
img_config_history(const struct img_config *c, img_history_fn *fn, void *arg, struct err *e)
{
	const json_t *list = json_object_get(c->json, "history"), *v;
	size_t i;
	int r;

	json_array_foreach(list, i, v)
	{
		const char *created = get_text(v, "created");
		struct img_history h = { 0, get_text(v, "created_by"), get_text(v, "comment"),
			get_text(v, "author"), json_is_true(json_object_get(v, "empty_layer")) };

		if (created != NULL && text_time(created, &h.created_ns, "created", NULL) < 0)
			h.created_ns = 0;
		if ((r = fn(arg, &h, e)) != 0)
			return r;
	}
	return 0;
}

/* ---- writing ------------------------------------------------------------------------ */

/* Without an error of its own: a NULL somewhere fails the set that follows, and json_object_set_new says so. */
static json_t *
list_of(const struct kv *kv, const char *key)
{
	json_t *list = json_array();
	const char *value;
	size_t pos = 0;

	while ((value = kv_next(kv, key, &pos)) != NULL)
		if (json_array_append_new(list, json_string(value)) != 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *
set_of(const struct kv *kv, const char *key)
{
	json_t *map = json_object();
	const char *value;
	size_t pos = 0;

	while ((value = kv_next(kv, key, &pos)) != NULL)
		if (json_object_set_new(map, value, json_object()) != 0) {
			json_decref(map);
			return NULL;
		}
	return map;
}

static json_t *
labels_of(const struct kv *kv)
{
	json_t *map = json_object();
	const char *value;
	size_t pos = 0;

	while ((value = kv_next(kv, IMG_SET_LABEL, &pos)) != NULL) {
		AUTO_FREE char *name = buf_dup(value, strcspn(value, "="));
		const char *eq = strchr(value, '=');

		if (name == NULL ||
		    json_object_set_new(map, name, json_string(eq != NULL ? eq + 1 : "")) != 0) {
			json_decref(map);
			return NULL;
		}
	}
	return map;
}

/* An empty list or set is left out. False: no memory. */
static bool
set_filled(json_t *o, const char *key, json_t *v)
{
	bool empty = json_is_array(v) ? json_array_size(v) == 0 : json_object_size(v) == 0;

	if (v == NULL)
		return false;
	if (!empty)
		return json_object_set_new(o, key, v) == 0;
	json_decref(v);
	(void)json_object_del(o, key);
	return true;
}

static bool
set_text(json_t *o, const char *key, const char *text)
{
	if (text == NULL || text[0] == '\0') {
		(void)json_object_del(o, key);
		return true;
	}
	return json_object_set_new(o, key, json_string(text)) == 0;
}

static int
put_settings(json_t *root, const struct kv *kv, struct err *e)
{
	json_t *config = json_object_get(root, "config");

	if (!json_is_object(config)) {
		config = json_object();
		if (json_object_set_new(root, "config", config) != 0)
			return err_nomem(e);
	}
	if (!set_filled(config, "Env", list_of(kv, IMG_SET_ENV)) ||
	    !set_filled(config, "Entrypoint", list_of(kv, IMG_SET_ENTRYPOINT)) ||
	    !set_filled(config, "Cmd", list_of(kv, IMG_SET_CMD)) ||
	    !set_text(config, "User", kv_get(kv, IMG_SET_USER)) ||
	    !set_text(config, "WorkingDir", kv_get(kv, IMG_SET_WORKDIR)) ||
	    !set_text(config, "StopSignal", kv_get(kv, IMG_SET_STOP_SIGNAL)) ||
	    !set_filled(config, "ExposedPorts", set_of(kv, IMG_SET_EXPOSE)) ||
	    !set_filled(config, "Volumes", set_of(kv, IMG_SET_VOLUME)) ||
	    !set_filled(config, "Labels", labels_of(kv)))
		return err_set(e, E_INVAL, "a setting is not UTF-8, as an image's config must be");
	return 0;
}

static int
put_builder_settings(json_t *root, const struct kv *kv, struct err *e)
{
	json_t *config = json_object_get(root, "config"), *v = NULL;
	const char *health = kv_get(kv, IMG_SET_HEALTH);

	if (health == NULL)
		(void)json_object_del(config, "Healthcheck");
	else if ((v = json_loads(health, JSON_DECODE_ANY, NULL)) == NULL ||
	    json_object_set_new(config, "Healthcheck", v) != 0)
		return err_set(e, E_INVAL, "the health check of an image is no JSON");
	if (!set_filled(config, "OnBuild", list_of(kv, IMG_SET_ONBUILD)) ||
	    !set_filled(config, "Shell", list_of(kv, IMG_SET_SHELL)) ||
	    !set_text(root, "author", kv_get(kv, IMG_SET_AUTHOR)))
		return err_set(e, E_INVAL, "a setting is not UTF-8, as an image's config must be");
	return 0;
}

static int
put_layers(json_t *root, const struct img_config_new *n, struct err *e)
{
	AUTO(json) json_t *ids = json_array();
	size_t below = n->below != NULL ? n->below->ndiffs : 0;
	char text[DIGEST_TEXT_LEN];

	if (below + n->ndiffs > IMG_LAYERS_MAX)
		return err_set(e, E_LIMIT, "the image would have %zu layers, more than %d", below + n->ndiffs,
		    IMG_LAYERS_MAX);
	for (size_t i = 0; i < below + n->ndiffs; i++) {
		const struct digest *d = i < below ? &n->below->diffs[i] : &n->diffs[i - below];

		if (json_array_append_new(ids, json_string(digest_print(d, text))) != 0)
			return err_nomem(e);
	}
	if (json_object_set_new(root, "rootfs", json_pack("{s:s, s:O}", "type", "layers", "diff_ids", ids)) !=
	    0)
		return err_nomem(e);
	return 0;
}

static int
put_history(json_t *root, const struct img_config_new *n, struct err *e)
{
	json_t *list = json_object_get(root, "history");

	if (!json_is_array(list)) {
		list = json_array();
		if (json_object_set_new(root, "history", list) != 0)
			return err_nomem(e);
	}
	for (size_t i = 0; i < n->nhistory; i++) {
		const struct img_history *h = &n->history[i];
		json_t *step = json_object();
		char created[TEXT_TIME_LEN];

		text_time_print(h->created_ns, false, created);
		if (json_array_append_new(list, step) != 0 || !set_text(step, "created", created) ||
		    !set_text(step, "created_by", h->created_by) || !set_text(step, "comment", h->comment) ||
		    !set_text(step, "author", h->author) ||
		    (h->empty_layer && json_object_set_new(step, "empty_layer", json_true()) != 0))
			return err_set(e, E_INVAL, "the history of an image must be UTF-8");
	}
	return 0;
}

int
img_config_build(const struct img_config_new *n, struct buf *out, struct err *e)
{
	AUTO(json) json_t *root = n->below != NULL ? json_deep_copy(n->below->json) : json_object();
	const struct img_platform *p = n->platform;
	char created[TEXT_TIME_LEN];
	int r;

	text_time_print(n->created_ns, false, created);
	if (root == NULL || !set_text(root, "created", created))
		return err_nomem(e);
	if (p != NULL &&
	    (!set_text(root, "os", p->os) || !set_text(root, "architecture", p->arch) ||
		!set_text(root, "variant", p->variant) || !set_text(root, "os.version", p->os_version)))
		return err_nomem(e);
	/* What a builder notes of the container that it used is not true of this one. */
	(void)json_object_del(root, "container");
	(void)json_object_del(root, "container_config");
	if ((n->settings != NULL && (r = put_settings(root, n->settings, e)) < 0) ||
	    (n->settings != NULL && n->builder && (r = put_builder_settings(root, n->settings, e)) < 0) ||
	    (r = put_layers(root, n, e)) < 0 || (r = put_history(root, n, e)) < 0)
		return r;
	AUTO_FREE char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	if (text == NULL)
		return err_nomem(e);
	buf_str(out, text);
	return buf_check(out, "the image's config", e);
}
