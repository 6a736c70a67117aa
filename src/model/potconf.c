/*
 * A pot's configuration: which keys are known, what their values may be,
 * reading and printing. The repeated keys (environment, hosts, mounts) are in
 * potconf_entries.c. Owns its key=value pairs and nothing else; opens no file.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "model/limit.h"
#include "model/name.h"
#include "model/port.h"
#include "model/potconf_impl.h"
#include "model/walls.h"
#include "model/reference.h"

#define ATTR_PREFIX "pot.attr."

const char *const potconf_networks[] = { "inherit", "none", "public-bridge", "private-bridge", "alias",
	NULL };

typedef int check_fn(const char *value, struct err *);

static int
one_of(const char *value, const char *const *words, struct err *e)
{
	AUTO_FINI(buf) struct buf list = BUF_INIT(256);

	for (; *words != NULL; words++) {
		if (strcmp(value, *words) == 0)
			return 0;
		buf_fmt(&list, "%s%s", list.len > 0 ? ", " : "", *words);
	}
	return err_set(e, E_INVAL, "'%.64s' is not one of %s", value, buf_cstr(&list));
}

static int
check_version(const char *value, struct err *e)
{
	if (strcmp(value, POTCONF_VERSION) == 0)
		return 0;
	err_set(e, E_NOTSUP, "version '%.16s' of the format: made by a newer pot", value);
	err_hint(e, "this pot reads version " POTCONF_VERSION "; use the newer one");
	return -E_NOTSUP;
}

static int
check_id(const char *value, struct err *e)
{
	if (strlen(value) == 16 && strspn(value, "0123456789abcdef") == 16)
		return 0;
	return err_set(e, E_INVAL, "'%.64s' is not 16 hexadecimal digits", value);
}

static int
check_base(const char *value, struct err *e)
{
	return value[0] == '\0' ? 0 : name_check_base(value, e);
}

static int
check_parent(const char *value, struct err *e)
{
	return value[0] == '\0' ? 0 : name_check(value, "pot", e);
}

static int
check_type(const char *value, struct err *e)
{
	return one_of(value, (const char *const[]){ "single", "multi", NULL }, e);
}

static int
check_level(const char *value, struct err *e)
{
	uint64_t level;

	return text_uint(value, 0, 2, &level, "level", e);
}

static int
check_dns(const char *value, struct err *e)
{
	return one_of(value, (const char *const[]){ "inherit", "pot", "off", "custom", NULL }, e);
}

static int
check_cmd(const char *value, struct err *e)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(KV_FILE_MAX);
	int r = text_split(value, &words, e);

	return r < 0 ? r : strv_check(&words, "the command", e);
}

static int
check_hostname(const char *value, struct err *e)
{
	if (name_is_hostname(value) && strlen(value) <= 64)
		return 0;
	return err_set(e, E_INVAL, "'%.80s' is not a host name of at most 64 bytes", value);
}

static int
check_network(const char *value, struct err *e)
{
	return one_of(value, potconf_networks, e);
}

static int
check_stack(const char *value, struct err *e)
{
	return one_of(value, (const char *const[]){ "ipv4", "ipv6", "dual", NULL }, e);
}

static int
check_ip(const char *value, struct err *e)
{
	const char *bar = strchr(value, '|');
	struct ip_prefix p;

	/* Of an interface's name only what would break the form is refused: the system knows the rest. */
	if (bar != NULL &&
	    (bar == value || bar - value > 63 || strcspn(value, "/ \t\n\r") < (size_t)(bar - value)))
		return err_set(e, E_INVAL, "'%.80s' is not of the form [WHERE|]ADDRESS[/LEN]", value);
	return ip_prefix_parse(bar != NULL ? bar + 1 : value, &p, e);
}

static int
check_bridge(const char *value, struct err *e)
{
	return name_check(value, "bridge", e);
}

static int
check_export(const char *value, struct err *e)
{
	struct port_map one[PORT_MAPS_MAX];
	char again[PORT_TEXT];
	size_t n = 0;
	int r = port_parse(value, one, &n, e);

	if (r < 0)
		return r;
	port_print(&one[0], again);
	if (n == 1 && strcmp(again, value) == 0)
		return 0;
	return err_set(e, E_INVAL, "'%.80s' is not written as %s", value, again);
}

static int
check_rate(const char *value, struct err *e)
{
	uint64_t bits;

	return text_uint(value, IP_RATE_MIN, IP_RATE_MAX, &bits, "bits per second", e);
}

static int
check_alias(const char *value, struct err *e)
{
	if (name_is_hostname(value))
		return 0;
	return err_set(e, E_INVAL, "'%.80s' is not a host name", value);
}

static int
check_image(const char *value, struct err *e)
{
	struct reference ref;

	return ref_parse(value, &ref, e);
}

static int
check_image_id(const char *value, struct err *e)
{
	return ref_is_digest(value) ? 0 : err_set(e, E_INVAL, "'%.140s' is not a digest", value);
}

static int
check_image_fs(const char *value, struct err *e)
{
	if (strlen(value) == 64 && strspn(value, "0123456789abcdef") == 64)
		return 0;
	return err_set(e, E_INVAL, "'%.80s' is not 64 hexadecimal digits", value);
}

static int
check_user(const char *value, struct err *e)
{
	if (value[0] != '\0' && strlen(value) < 256 && strpbrk(value, " \t\n") == NULL)
		return 0;
	return err_set(e, E_INVAL, "'%.80s' is not of the form USER[:GROUP]", value);
}

static int
check_path(const char *value, struct err *e)
{
	return value[0] == '/' ? 0 : err_set(e, E_INVAL, "'%.80s' is not an absolute path", value);
}

static int
check_created(const char *value, struct err *e)
{
	int64_t ns;

	return text_time(value, &ns, "time", e);
}

/* The known keys; those of other versions and programs are kept as they are. */
static const struct known {
	const char *key;
	check_fn *check;
	bool repeated;
} known[] = {
	{ PC_VERSION, check_version, false },
	{ PC_ID, check_id, false },
	{ PC_BASE, check_base, false },
	{ PC_PARENT, check_parent, false },
	{ PC_TYPE, check_type, false },
	{ PC_LEVEL, check_level, false },
	{ PC_DNS, check_dns, false },
	{ PC_CMD, check_cmd, false },
	{ PC_HOSTNAME, check_hostname, false },
	{ PC_NETWORK, check_network, false },
	{ PC_STACK, check_stack, false },
	{ PC_CREATED, check_created, false },
	{ PC_IP, check_ip, true },
	{ PC_BRIDGE, check_bridge, true },
	{ PC_EXPORT, check_export, true },
	{ PC_NETIN, check_rate, false },
	{ PC_NETOUT, check_rate, false },
	{ PC_ALIAS, check_alias, true },
	{ PC_IMAGE, check_image, false },
	{ PC_IMAGE_ID, check_image_id, false },
	{ PC_IMAGE_FS, check_image_fs, false },
	{ PC_STEP_FS, check_image_fs, false },
	{ PC_USER, check_user, false },
	{ PC_WORKDIR, check_path, false },
	{ PC_LABEL, entry_check_label, true },
	{ PC_NETNS, check_path, false },
	{ PC_ENV, entry_check_env, true },
	{ PC_HOSTS, entry_check_hosts, true },
	{ PC_MOUNT, entry_check_mount, true },
};

static const struct known *
find_known(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(known[i].key, key) == 0)
			return &known[i];
	}
	return NULL;
}

static const struct attr *
find_attr(const char *key)
{
	if (strncmp(key, ATTR_PREFIX, sizeof(ATTR_PREFIX) - 1) != 0)
		return NULL;
	return attr_find(key + sizeof(ATTR_PREFIX) - 1, NULL);
}

static int
check_value(const char *key, const char *value, struct err *e)
{
	const struct known *k = find_known(key);
	const struct walls_row *wall = walls_find_key(key);
	const struct limits_row *limit = limits_find_key(key);
	const struct attr *a = find_attr(key);
	int r;

	if (limit != NULL) {
		struct limits *scratch = calloc(1, sizeof(*scratch));

		r = scratch == NULL ? err_nomem(e) : limit->parse(scratch, value, e);
		free(scratch);
		if (r < 0)
			return err_wrap(e, "%s", key);
	}
	if (wall != NULL && (r = wall->check(value, e)) < 0)
		return err_wrap(e, "%s", key);
	if (k != NULL && (r = k->check(value, e)) < 0) {
		err_wrap(e, "%s", key);
		return r;
	}
	if (a != NULL) {
		struct err why = ERR_INIT;
		AUTO_FREE char *normal = attr_normalize(a, value, &why);

		if (normal == NULL) {
			if (e != NULL)
				*e = why;
			return -why.code;
		}
	}
	return 0;
}

static bool
may_repeat(const char *key)
{
	const struct known *k = find_known(key);
	const struct walls_row *wall = walls_find_key(key);
	const struct limits_row *limit = limits_find_key(key);

	if (limit != NULL)
		return limit->repeated;
	if (wall != NULL)
		return wall->repeated;
	return k != NULL ? k->repeated : find_attr(key) == NULL;
}

/* The line of the index-th pair: kv_parse skips empty lines and comments. */
static size_t
line_of(const char *text, size_t len, size_t index)
{
	const char *p = text, *end = text + len;

	for (size_t line = 1;; line++) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));

		if (p < end && *p != '\n' && *p != '#' && index-- == 0)
			return line;
		if (eol == NULL)
			return line;
		p = eol + 1;
	}
}

/* An unknown layout must not be judged by this version's rules: the version comes first. */
static int
check_all(const struct kv *kv, size_t *bad, struct err *e)
{
	int r;

	for (*bad = 0; *bad < kv->n; (*bad)++) {
		if (strcmp(kv->v[*bad].key, PC_VERSION) == 0 &&
		    (r = check_value(PC_VERSION, kv->v[*bad].value, e)) < 0)
			return r;
	}
	for (*bad = 0; *bad < kv->n; (*bad)++) {
		const char *key = kv->v[*bad].key;

		if ((r = check_value(key, kv->v[*bad].value, e)) < 0)
			return r;
		if (!may_repeat(key) && kv_get(kv, key) != kv->v[*bad].value)
			return err_set(e, E_INVAL, "%s: set a second time", key);
	}
	return 0;
}

static int
check_targets(const struct potconf *pc, struct err *e)
{
	struct potconf_mount *m;
	size_t n;
	int r = potconf_mounts(pc, &m, &n, e);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		for (size_t j = 0; r == 0 && j < i; j++) {
			if (strcmp(m[i].target, m[j].target) == 0)
				r = err_set(e, E_INVAL, "%s: %s is used twice", PC_MOUNT, m[i].target);
		}
	}
	potconf_mounts_free(m, n);
	return r;
}

int
potconf_parse(struct potconf *pc, const char *text, size_t len, const char *what, struct err *e)
{
	AUTO_FINI(potconf) struct potconf fresh = POTCONF_INIT;
	size_t bad;
	int r;

	if ((r = kv_parse(&fresh.kv, text, len, what, e)) < 0)
		return r;
	if ((r = check_all(&fresh.kv, &bad, e)) < 0) {
		err_wrap(e, "%s:%zu", what, line_of(text, len, bad));
		return r;
	}
	if ((r = check_targets(&fresh, e)) < 0) {
		err_wrap(e, "%s", what);
		return r;
	}
	potconf_fini(pc);
	pc->kv = fresh.kv;
	fresh.kv = (struct kv)KV_INIT;
	return 0;
}

void
potconf_fini(struct potconf *pc)
{
	kv_fini(&pc->kv);
}

const char *
potconf_get(const struct potconf *pc, const char *key, const char *def)
{
	const char *value = kv_get(&pc->kv, key);

	return value != NULL ? value : def;
}

static size_t
escaped_len(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += strchr("\\\n\r\t", *s) != NULL ? 2 : 1;
	return n;
}

int
potconf_room(const struct potconf *pc, const char *key, const char *value, struct err *e)
{
	size_t total = strlen(key) + escaped_len(value) + 2;

	for (size_t i = 0; i < pc->kv.n; i++)
		total += strlen(pc->kv.v[i].key) + escaped_len(pc->kv.v[i].value) + 2;
	if (total <= KV_FILE_MAX)
		return 0;
	return err_set(
	    e, E_LIMIT, "%s: the pot's configuration would be larger than %d bytes", key, KV_FILE_MAX);
}

int
potconf_set(struct potconf *pc, const char *key, const char *value, struct err *e)
{
	const struct attr *a = find_attr(key);
	AUTO_FREE char *normal = NULL;
	int r;

	if (value == NULL)
		return kv_set(&pc->kv, key, NULL, e);
	if ((r = check_value(key, value, e)) < 0 || (r = potconf_room(pc, key, value, e)) < 0)
		return r;
	if (a != NULL) {
		normal = attr_normalize(a, value, e);
		if (normal == NULL)
			return err_nomem(e);
		value = normal;
	}
	return kv_set(&pc->kv, key, value, e);
}

int
potconf_clear(struct potconf *pc, const char *key, struct err *e)
{
	return kv_set(&pc->kv, key, NULL, e);
}

const char *
potconf_attr(const struct potconf *pc, const char *attr_name)
{
	const struct attr *a = attr_find(attr_name, NULL);

	return a == NULL ? "" : potconf_get(pc, a->key, a->def);
}

bool
potconf_attr_bool(const struct potconf *pc, const char *attr_name)
{
	static const char *const yes[] = { "YES", "TRUE", "ON", "1" };
	const char *value = potconf_attr(pc, attr_name);

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcasecmp(value, yes[i]) == 0)
			return true;
	}
	return false;
}
