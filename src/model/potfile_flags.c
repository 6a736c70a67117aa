/*
 * Options of instructions: the table of them, what their values may be, and
 * those with a grammar of their own: --mount, times, ports.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/potfile_impl.h"

enum flag_kind {
	FLAG_BOOL,
	FLAG_TEXT,
	FLAG_FIXED,
	FLAG_MODE,
	FLAG_CHECKSUM,
	FLAG_MOUNT,
	FLAG_TIME,
	FLAG_COUNT,
	FLAG_CHOICE
};

struct flag_row {
	enum potfile_op op;
	const char *name;
	enum flag_kind kind; /* FLAG_FIXED: without variables */
	bool repeated;
	const char *choices;
};

static const struct flag_row rows[] = {
	{ POTFILE_FROM, "platform", FLAG_TEXT, false, NULL },
	{ POTFILE_ADD, "checksum", FLAG_CHECKSUM, false, NULL },
	{ POTFILE_ADD, "chmod", FLAG_MODE, false, NULL },
	{ POTFILE_ADD, "chown", FLAG_TEXT, false, NULL },
	{ POTFILE_ADD, "exclude", FLAG_TEXT, true, NULL },
	{ POTFILE_ADD, "keep-git-dir", FLAG_BOOL, false, NULL },
	{ POTFILE_ADD, "link", FLAG_BOOL, false, NULL },
	{ POTFILE_ADD, "unpack", FLAG_BOOL, false, NULL },
	{ POTFILE_COPY, "chmod", FLAG_MODE, false, NULL },
	{ POTFILE_COPY, "chown", FLAG_TEXT, false, NULL },
	{ POTFILE_COPY, "exclude", FLAG_TEXT, true, NULL },
	{ POTFILE_COPY, "from", FLAG_FIXED, false, NULL },
	{ POTFILE_COPY, "link", FLAG_BOOL, false, NULL },
	{ POTFILE_COPY, "parents", FLAG_BOOL, false, NULL },
	{ POTFILE_RUN, "mount", FLAG_MOUNT, true, NULL },
	{ POTFILE_RUN, "network", FLAG_CHOICE, false, "default|none|host" },
	{ POTFILE_RUN, "security", FLAG_CHOICE, false, "sandbox|insecure" },
	{ POTFILE_HEALTHCHECK, "interval", FLAG_TIME, false, NULL },
	{ POTFILE_HEALTHCHECK, "retries", FLAG_COUNT, false, NULL },
	{ POTFILE_HEALTHCHECK, "start-interval", FLAG_TIME, false, NULL },
	{ POTFILE_HEALTHCHECK, "start-period", FLAG_TIME, false, NULL },
	{ POTFILE_HEALTHCHECK, "timeout", FLAG_TIME, false, NULL },
};

static const struct flag_row *
find(enum potfile_op op, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].op == op && strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

const char *
potfile_flag_find(enum potfile_op op, const char *name, struct err *e)
{
	const struct flag_row *row = find(op, name);
	const char *names[ARRAY_LEN(rows)], *near;
	size_t n = 0;

	if (row != NULL)
		return row->name;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].op == op)
			names[n++] = rows[i].name;
	}
	err_set(e, E_INVAL, "%s has no option --%.64s", potfile_op_name(op), name);
	near = text_nearest(name, names, n);
	if (near != NULL)
		err_hint(e, "did you mean --%s?", near);
	return NULL;
}

bool
potfile_flag_repeats(enum potfile_op op, const char *name)
{
	const struct flag_row *row = find(op, name);

	return row != NULL && row->repeated;
}

/* "0755" or "u=rwX,go-w". */
static bool
is_mode(const char *s)
{
	if (s[0] >= '0' && s[0] <= '7')
		return strspn(s, "01234567") == strlen(s) && strlen(s) <= 5;
	while (*s != '\0') {
		s += strspn(s, "ugoa");
		if (*s == '\0' || strchr("+-=", *s) == NULL)
			return false;
		s++;
		s += strspn(s, "rwxXst");
		if (*s == ',' && s[1] != '\0')
			s++;
		else if (*s != '\0' && strchr("+-=", *s) == NULL)
			return false;
	}
	return true;
}

static bool
is_checksum(const char *s)
{
	static const struct {
		const char *prefix;
		size_t digits;
	} kinds[] = { { "sha256:", 64 }, { "sha384:", 96 }, { "sha512:", 128 } };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t len = strlen(kinds[i].prefix);

		if (strncmp(s, kinds[i].prefix, len) == 0)
			return strlen(s + len) == kinds[i].digits &&
			    strspn(s + len, "0123456789abcdef") == kinds[i].digits;
	}
	return false;
}

static bool
is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *s = choices; *s != '\0'; s += strcspn(s, "|"), s += *s == '|') {
		if (strcspn(s, "|") == len && memcmp(s, value, len) == 0)
			return true;
	}
	return false;
}

static int
check_value(const struct flag_row *row, const char *value, struct err *e)
{
	AUTO_FINI(potfile_mount) struct potfile_mount mount = { 0 };
	uint64_t n;
	int64_t ms;

	switch (row->kind) {
	case FLAG_TIME:
		return potfile_duration_parse(value, &ms, e);
	case FLAG_COUNT:
		return text_uint(value, 0, 1000000, &n, row->name, e);
	case FLAG_MOUNT:
		return potfile_mount_parse(value, &mount, e);
	case FLAG_MODE:
		if (!is_mode(value))
			return err_set(e, E_INVAL, "'%.64s' is not a mode like 0755 or u=rwX,go=rX", value);
		return 0;
	case FLAG_CHECKSUM:
		if (!is_checksum(value))
			return err_set(e, E_INVAL, "not a checksum like sha256: and 64 hexadecimal digits");
		return 0;
	case FLAG_CHOICE:
		if (!is_choice(row->choices, value))
			return err_set(e, E_INVAL, "'%.64s' is none of %s", value, row->choices);
		return 0;
	case FLAG_BOOL:
		if (!is_choice("|true|false|1|0", value) && value[0] != '\0')
			return err_set(e, E_INVAL, "'%.64s' is neither true nor false", value);
		return 0;
	default:
		return value[0] == '\0' ? err_set(e, E_INVAL, "the value is empty") : 0;
	}
}

int
potfile_flag_check(enum potfile_op op, const char *name, const char *value, bool expanded, struct err *e)
{
	const struct flag_row *row = find(op, name);
	int rc;

	if (row == NULL)
		return err_set(e, E_INVAL, "no option --%s", name);
	if (value == NULL && row->kind != FLAG_BOOL)
		return err_set(e, E_INVAL, "--%s needs a value: --%s=…", name, name);
	if (value == NULL)
		return 0;
	if (!expanded && row->kind == FLAG_FIXED && strchr(value, '$') != NULL) {
		err_set(e, E_INVAL, "--%s takes no variables", name);
		return err_hint(e, "name a stage: FROM %.100s AS stage, and --%s=stage", value, name);
	}
	/* With quotes or variables in it the value is known only later. */
	if (!expanded && strpbrk(value, "$\"'\\`") != NULL)
		return 0;
	if ((rc = check_value(row, value, e)) < 0)
		err_wrap(e, "--%s", name);
	return rc;
}

/* ---- times and ports ------------------------------------------------------- */

/* One number and its unit in ns; *s is then behind them. */
static bool
duration_part(const char **s, double *total)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = { { "ns", 1e-6 }, { "us", 1e-3 }, { "ms", 1 }, { "s", 1e3 }, { "m", 6e4 },
		{ "h", 36e5 } };
	double value = 0, scale = 1;
	const char *start = *s;
	size_t len;

	for (; isdigit((unsigned char)**s); (*s)++)
		value = value * 10 + (**s - '0');
	if (**s == '.') {
		for ((*s)++; isdigit((unsigned char)**s); (*s)++)
			value += (**s - '0') * (scale /= 10);
	}
	len = strspn(*s, "numsh");
	/* "1m30s": the unit ends at the digit. */
	for (size_t i = 0; *s > start && i < ARRAY_LEN(units); i++) {
		if (strlen(units[i].name) == len && memcmp(*s, units[i].name, len) == 0) {
			*total += value * units[i].ms;
			*s += len;
			return true;
		}
	}
	return false;
}

int
potfile_duration_parse(const char *text, int64_t *ms, struct err *e)
{
	const char *s = text;
	double total = 0;

	*ms = 0;
	if (strcmp(text, "0") == 0)
		return 0;
	if (strlen(text) > 64 || text[0] == '\0')
		return err_set(e, E_INVAL, "'%.64s' is not a time like 30s or 1m30s", text);
	while (*s != '\0') {
		if (!duration_part(&s, &total))
			return err_set(e, E_INVAL, "'%.64s' is not a time like 30s or 1m30s", text);
	}
	if (total > 365 * 86400e3)
		return err_set(e, E_INVAL, "'%.64s' is longer than a year", text);
	if (total > 0 && total < 1)
		return err_set(e, E_INVAL, "'%.64s' is shorter than 1ms", text);
	*ms = (int64_t)total;
	return 0;
}

int
potfile_ports_parse(const char *text, struct potfile_ports *p, struct err *e)
{
	static const char *const protos[] = { "tcp", "udp", "sctp" };
	AUTO_FREE char *copy = strdup(text);
	char *slash, *dash;
	uint64_t first, last;
	size_t i;
	int rc;

	if (copy == NULL)
		return err_nomem(e);
	*p = (struct potfile_ports){ .proto = "tcp" };
	if ((slash = strchr(copy, '/')) != NULL) {
		*slash++ = '\0';
		for (i = 0; i < ARRAY_LEN(protos) && strcasecmp(slash, protos[i]) != 0; i++)
			;
		if (i == ARRAY_LEN(protos))
			return err_set(e, E_INVAL, "'%.64s': the protocol is tcp, udp or sctp", text);
		snprintf(p->proto, sizeof(p->proto), "%s", protos[i]);
	}
	if ((dash = strchr(copy, '-')) != NULL)
		*dash++ = '\0';
	if ((rc = text_uint(copy, 1, UINT16_MAX, &first, "port", e)) < 0)
		return rc;
	last = first;
	if (dash != NULL && (rc = text_uint(dash, 1, UINT16_MAX, &last, "port", e)) < 0)
		return rc;
	if (last < first)
		return err_set(e, E_INVAL, "the range '%.64s' ends before it begins", text);
	p->first = (uint16_t)first;
	p->last = (uint16_t)last;
	return 0;
}

/* ---- --mount --------------------------------------------------------------- */

struct mount_key {
	const char *name, *alias, *alias2;
	unsigned types; /* 1 << type */
};
#define ON(t) (1u << POTFILE_MOUNT_##t)
#define ON_FILES (ON(SECRET) | ON(SSH))
#define ON_TREES (ON(BIND) | ON(CACHE))
enum {
	KEY_TYPE,
	KEY_TARGET,
	KEY_SOURCE,
	KEY_FROM,
	KEY_RO,
	KEY_RW,
	KEY_ID,
	KEY_SHARING,
	KEY_MODE,
	KEY_UID,
	KEY_GID,
	KEY_REQUIRED,
	KEY_SIZE,
	KEY_ENV
};
static const struct mount_key mount_keys[] = {
	[KEY_TYPE] = { "type", NULL, NULL, ~0u },
	[KEY_TARGET] = { "target", "dst", "destination", ~0u },
	[KEY_SOURCE] = { "source", "src", NULL, ON_TREES },
	[KEY_FROM] = { "from", NULL, NULL, ON_TREES },
	[KEY_RO] = { "readonly", "ro", NULL, ON_TREES },
	[KEY_RW] = { "readwrite", "rw", NULL, ON_TREES },
	[KEY_ID] = { "id", NULL, NULL, ON(CACHE) | ON_FILES },
	[KEY_SHARING] = { "sharing", NULL, NULL, ON(CACHE) },
	[KEY_MODE] = { "mode", NULL, NULL, ON(CACHE) | ON_FILES },
	[KEY_UID] = { "uid", NULL, NULL, ON(CACHE) | ON_FILES },
	[KEY_GID] = { "gid", NULL, NULL, ON(CACHE) | ON_FILES },
	[KEY_REQUIRED] = { "required", NULL, NULL, ON_FILES },
	[KEY_SIZE] = { "size", NULL, NULL, ON(TMPFS) },
	[KEY_ENV] = { "env", NULL, NULL, ON(SECRET) },
};
static const char *const mount_types[] = { "bind", "cache", "tmpfs", "secret", "ssh" };

static int
find_key(const char *name, struct err *e)
{
	const char *names[ARRAY_LEN(mount_keys)], *near;

	for (size_t i = 0; i < ARRAY_LEN(mount_keys); i++) {
		const struct mount_key *k = &mount_keys[i];

		names[i] = k->name;
		if (strcmp(name, k->name) == 0 || (k->alias != NULL && strcmp(name, k->alias) == 0) ||
		    (k->alias2 != NULL && strcmp(name, k->alias2) == 0))
			return (int)i;
	}
	err_set(e, E_INVAL, "unknown key '%.64s'", name);
	near = text_nearest(name, names, ARRAY_LEN(names));
	if (near != NULL)
		err_hint(e, "did you mean %s?", near);
	return -E_INVAL;
}

static int
word_among(const char *value, const char *const *names, size_t n, const char *what, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(value, names[i]) == 0)
			return (int)i;
	}
	return err_set(e, E_INVAL, "%s '%.64s' is not known", what, value);
}

static int
mount_truth(const char *value, bool *out, struct err *e)
{
	if (value == NULL || strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
		*out = true;
	else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		*out = false;
	else
		return err_set(e, E_INVAL, "'%.64s' is neither true nor false", value);
	return 0;
}

static int
mount_number(int key, const char *value, struct potfile_mount *m, struct err *e)
{
	uint64_t n = 0;
	int rc;

	if (key == KEY_MODE) {
		if (value[0] == '\0' || strlen(value) > 5 || strspn(value, "01234567") != strlen(value))
			return err_set(e, E_INVAL, "'%.64s' is not an octal mode", value);
		m->mode = (unsigned)strtoul(value, NULL, 8);
		return 0;
	}
	rc = text_uint(value, 0, UINT32_MAX - 1, &n, mount_keys[key].name, e);
	*(key == KEY_UID ? &m->uid : &m->gid) = (uint32_t)n;
	return rc;
}

static int
mount_set(struct potfile_mount *m, int key, const char *value, struct err *e)
{
	static const char *const sharings[] = { "shared", "private", "locked" };
	bool flag = false;
	int rc;

	switch (key) {
	case KEY_TYPE:
		return 0;
	case KEY_TARGET:
		m->target = value;
		return 0;
	case KEY_SOURCE:
		m->source = value;
		return 0;
	case KEY_FROM:
		m->from = value;
		return 0;
	case KEY_ID:
		m->id = value;
		return 0;
	case KEY_ENV:
		m->env = value;
		return 0;
	case KEY_RO:
	case KEY_RW:
		rc = mount_truth(value, &flag, e);
		m->rw = flag == (key == KEY_RW);
		return rc;
	case KEY_REQUIRED:
		return mount_truth(value, &m->required, e);
	case KEY_SIZE:
		return text_size(value, &m->size, "size", e);
	case KEY_SHARING:
		rc = word_among(value, sharings, ARRAY_LEN(sharings), "sharing", e);
		m->sharing = rc < 0 ? POTFILE_SHARED : (enum potfile_sharing)rc;
		return rc < 0 ? rc : 0;
	default:
		return mount_number(key, value, m, e);
	}
}

/* Cuts "key=value," from *s. */
static int
mount_field(char **s, char **value, struct err *e)
{
	char *field = *s, *comma = strchr(field, ',');
	int key;

	*s = comma != NULL ? comma + 1 : field + strlen(field);
	if (comma != NULL)
		*comma = '\0';
	*value = strchr(field, '=');
	if (*value != NULL)
		*(*value)++ = '\0';
	key = find_key(field, e);
	if (key >= 0 && *value == NULL && key != KEY_RO && key != KEY_RW && key != KEY_REQUIRED)
		return err_set(e, E_INVAL, "%s needs a value", field);
	if (key >= 0 && *value != NULL && **value == '\0')
		return err_set(e, E_INVAL, "the value of %s is empty", field);
	return key;
}

static int
mount_complete(const struct potfile_mount *m, struct err *e)
{
	bool file = m->type == POTFILE_MOUNT_SECRET || m->type == POTFILE_MOUNT_SSH;

	if (!file && m->target == NULL)
		return err_set(e, E_INVAL, "target is missing");
	if (m->type == POTFILE_MOUNT_SECRET && m->id == NULL && m->target == NULL)
		return err_set(e, E_INVAL, "id is missing");
	if (m->from != NULL && strchr(m->from, '$') != NULL)
		return err_set(e, E_INVAL, "from takes no variables: name a stage");
	return 0;
}

/* The type decides what the other keys may be, so it is looked for first. */
static int
mount_find_type(const char *value, struct potfile_mount *m, struct err *e)
{
	AUTO_FREE char *copy = strdup(value);
	char *s = copy, *v;
	int rc = 0, key;

	if (copy == NULL)
		return err_nomem(e);
	while (rc >= 0 && *s != '\0') {
		if ((key = mount_field(&s, &v, e)) < 0)
			return key;
		if (key == KEY_TYPE) {
			rc = word_among(v, mount_types, ARRAY_LEN(mount_types), "type", e);
			m->type = rc < 0 ? POTFILE_MOUNT_BIND : (enum potfile_mount_type)rc;
		}
	}
	return rc < 0 ? rc : 0;
}

int
potfile_mount_parse(const char *value, struct potfile_mount *m, struct err *e)
{
	char *s, *v;
	int rc, key;

	*m = (struct potfile_mount){ 0 };
	if ((rc = mount_find_type(value, m, e)) < 0)
		return rc;
	m->rw = m->type == POTFILE_MOUNT_CACHE || m->type == POTFILE_MOUNT_TMPFS;
	m->text = s = strdup(value);
	if (s == NULL)
		return err_nomem(e);
	while (rc == 0 && *s != '\0') {
		key = mount_field(&s, &v, e);
		if (key < 0)
			rc = key;
		else if ((mount_keys[key].types & 1u << m->type) == 0)
			rc = err_set(e, E_INVAL, "%s means nothing with type=%s", mount_keys[key].name,
			    mount_types[m->type]);
		else
			rc = mount_set(m, key, v, e);
	}
	if (rc == 0)
		rc = mount_complete(m, e);
	if (rc < 0)
		potfile_mount_fini(m);
	return rc;
}

void
potfile_mount_fini(struct potfile_mount *m)
{
	free(m->text);
	*m = (struct potfile_mount){ 0 };
}
