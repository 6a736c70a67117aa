/*
 * The settings by which a pot's walls are loosened or made narrower: the table
 * of them, and the parsing of their values. Opens nothing: whether a device is
 * there is found out at the start.
 */
#include "model/walls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "model/caps.h"

#define SHM_MIN 4096
#define SHM_MAX (UINT64_C(1) << 50)

static int
check_cap(const char *value, struct err *e)
{
	uint64_t set = 0;

	return caps_parse(value, &set, e);
}

static int
one_of(const char *value, const char *a, const char *b, const char *c, struct err *e)
{
	if (strcmp(value, a) == 0 || strcmp(value, b) == 0 || (c != NULL && strcmp(value, c) == 0))
		return 0;
	return err_set(e, E_INVAL, "'%.64s' is not one of %s, %s%s%s", value, a, b, c != NULL ? ", " : "",
	    c != NULL ? c : "");
}

static int
check_bool(const char *value, struct err *e)
{
	return one_of(value, "YES", "NO", NULL, e);
}

static int
check_seccomp(const char *value, struct err *e)
{
	return one_of(value, "default", "unconfined", "custom", e);
}

static int
check_userns(const char *value, struct err *e)
{
	return one_of(value, "auto", "on", "off", e);
}

static int
check_size(const char *value, struct err *e)
{
	uint64_t size;

	return text_uint(value, SHM_MIN, SHM_MAX, &size, "size", e);
}

/* No "..", nothing that a file of lines or a kernel interface would read otherwise. */
static bool
is_clean_path(const char *s)
{
	for (const char *c = s; *c != '\0'; c += strcspn(c, "/"), c += *c == '/')
		if (strncmp(c, "..", 2) == 0 && (c[2] == '/' || c[2] == '\0'))
			return false;
	return s[0] == '/' && strpbrk(s, "\n\r") == NULL;
}

int
walls_device(const char *text, struct walls_device *d, struct err *e)
{
	const char *colon = strchr(text, ':'), *rights = colon == NULL ? NULL : strchr(colon + 1, ':');
	size_t host = colon == NULL ? strlen(text) : (size_t)(colon - text);
	size_t target = colon == NULL ? host
	    : rights == NULL          ? strlen(colon + 1)
				      : (size_t)(rights - colon - 1);
	const char *inside = colon == NULL ? text : colon + 1;

	if (host >= sizeof(d->host) || target >= sizeof(d->target))
		return err_set(e, E_LIMIT, "device '%.64s…': the name is too long", text);
	snprintf(d->host, sizeof(d->host), "%.*s", (int)host, text);
	snprintf(d->target, sizeof(d->target), "%.*s", (int)target, inside);
	if (!is_clean_path(d->host) || !is_clean_path(d->target) || strncmp(d->target, "/dev/", 5) != 0 ||
	    d->target[5] == '\0' || d->target[strlen(d->target) - 1] == '/' ||
	    strstr(d->target, "//") != NULL) {
		err_set(e, E_INVAL, "device '%.200s' is not of the form HOST[:/dev/NAME]", text);
		return err_hint(e, "devices are in the pot's /dev only");
	}
	if (rights != NULL && strcmp(rights, ":rw") != 0 && strcmp(rights, ":rwm") != 0)
		return err_set(e, E_NOTSUP, "device '%.200s': only rw can be had", text);
	return 0;
}

static int
check_device(const char *value, struct err *e)
{
	struct walls_device *d = malloc(sizeof(*d));
	int r = d == NULL ? err_nomem(e) : walls_device(value, d, e);

	free(d);
	return r;
}

static int
tmpfs_option(const char *o, size_t len, struct walls_tmpfs *t, struct err *e)
{
	char text[64];
	char *end;

	snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len : sizeof(text) - 1), o);
	if (strncmp(text, "size=", 5) == 0)
		return text_size(text + 5, &t->size, "size of a tmpfs", e);
	if (strncmp(text, "mode=", 5) == 0) {
		unsigned long mode = strtoul(text + 5, &end, 8);

		if (text[5] < '0' || text[5] > '7' || *end != '\0' || mode > 07777)
			return err_set(e, E_INVAL, "mode '%.32s' of a tmpfs is not octal", text + 5);
		t->mode = (uint32_t)mode;
		return 0;
	}
	if (strcmp(text, "ro") == 0 || strcmp(text, "rw") == 0)
		t->read_only = text[1] == 'o';
	else if (strcmp(text, "exec") == 0 || strcmp(text, "noexec") == 0)
		t->exec = text[0] == 'e';
	else if (strcmp(text, "nosuid") != 0 && strcmp(text, "nodev") != 0)
		return err_set(e, E_INVAL,
		    "option '%.32s' of a tmpfs is none of size=, mode=, ro, rw, exec, noexec", text);
	return 0;
}

int
walls_tmpfs(const char *text, struct walls_tmpfs *t, struct err *e)
{
	size_t n = strcspn(text, ":");
	int r = 0;

	*t = (struct walls_tmpfs){ .mode = 01777 };
	if (n >= sizeof(t->path))
		return err_set(e, E_LIMIT, "tmpfs '%.64s…': the path is too long", text);
	snprintf(t->path, sizeof(t->path), "%.*s", (int)n, text);
	if (!is_clean_path(t->path) || strspn(t->path, "/") == n)
		return err_set(e, E_INVAL, "tmpfs '%.200s' is not of the form PATH[:OPTION,…]", text);
	for (text += n; *text != '\0' && r == 0; text += n) {
		text++;
		n = strcspn(text, ",");
		if (n > 0)
			r = tmpfs_option(text, n, t, e);
	}
	return r;
}

static int
check_tmpfs(const char *value, struct err *e)
{
	struct walls_tmpfs *t = malloc(sizeof(*t));
	int r = t == NULL ? err_nomem(e) : walls_tmpfs(value, t, e);

	free(t);
	return r;
}

/* Those that belong to a pot's own ipc namespace; net.… belong to its network. */
static const char *const own_sysctls[] = { "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
	"kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced" };

int
walls_sysctl(const char *text, struct walls_sysctl *s, struct err *e)
{
	size_t n = strcspn(text, "=");
	bool slashes;

	if (n == 0 || n >= sizeof(s->path) || text[n] == '\0' || strpbrk(text, "\n\r") != NULL)
		return err_set(e, E_INVAL, "kernel parameter '%.100s' is not of the form NAME=VALUE", text);
	snprintf(s->path, sizeof(s->path), "%.*s", (int)n, text);
	s->value = text + n + 1;
	/* As sysctl(8): with a slash first, dots are parts of names (net/ipv4/conf/eth0.1/…). */
	slashes = s->path[strcspn(s->path, "./")] == '/';
	for (char *c = s->path; *c != '\0' && !slashes; c++)
		*c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
	if (strstr(s->path, "..") != NULL || strstr(s->path, "//") != NULL || s->path[0] == '/')
		return err_set(e, E_INVAL, "'%.100s' names no kernel parameter", text);
	s->net = strncmp(s->path, "net/", 4) == 0;
	if (s->net || strncmp(s->path, "fs/mqueue/", 10) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(own_sysctls); i++)
		if (strcmp(s->path, own_sysctls[i]) == 0)
			return 0;
	(void)!err_set(e, E_NOTSUP, "kernel parameter '%.*s' is the whole host's", (int)n, text);
	return err_hint(e, "a pot has its own net.*, fs.mqueue.*, kernel.sem, kernel.shm* and kernel.msg*");
}

static int
check_sysctl(const char *value, struct err *e)
{
	struct walls_sysctl s;

	return walls_sysctl(value, &s, e);
}

const struct walls_row walls_rows[] = {
	{ "cap-add", PC_CAP_ADD, true, check_cap },
	{ "cap-drop", PC_CAP_DROP, true, check_cap },
	{ "device", PC_DEVICE, true, check_device },
	{ "privileged", PC_PRIVILEGED, false, check_bool },
	{ "read-only", PC_READONLY, false, check_bool },
	{ "seccomp", PC_SECCOMP, false, check_seccomp },
	{ "shm-size", PC_SHM_SIZE, false, check_size },
	{ "sysctl", PC_SYSCTL, true, check_sysctl },
	{ "tmpfs", PC_TMPFS, true, check_tmpfs },
	{ "userns", PC_USERNS, false, check_userns },
};
const size_t walls_nrows = ARRAY_LEN(walls_rows);

const struct walls_row *
walls_find(const char *name, struct err *e)
{
	for (size_t i = 0; i < walls_nrows; i++)
		if (strcmp(walls_rows[i].name, name) == 0)
			return &walls_rows[i];
	err_set(e, E_INVAL, "there is no setting '%.64s'", name);
	return NULL;
}

const struct walls_row *
walls_find_key(const char *key)
{
	for (size_t i = 0; i < walls_nrows; i++)
		if (strcmp(walls_rows[i].key, key) == 0)
			return &walls_rows[i];
	return NULL;
}

/* As pot.conf has it; owned by the caller. NULL with the error filled. */
static char *
normalize(const struct walls_row *row, const char *value, struct err *e)
{
	char text[64];
	uint64_t set = 0, size;

	if (row->check == check_cap) {
		AUTO_FINI(buf) struct buf b = BUF_INIT(4096);

		if (caps_parse(value, &set, e) < 0)
			return NULL;
		if (set == CAPS_ALL)
			buf_str(&b, "all");
		else
			caps_print(set, &b);
		return strdup(buf_cstr(&b));
	}
	if (row->check == check_bool) {
		bool on = strcasecmp(value, "yes") == 0 || strcasecmp(value, "on") == 0 ||
		    strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0;
		bool off = strcasecmp(value, "no") == 0 || strcasecmp(value, "off") == 0 ||
		    strcmp(value, "0") == 0 || strcasecmp(value, "false") == 0;

		return strdup(on ? "YES" : off ? "NO" : value);
	}
	if (row->check == check_size) {
		if (text_size(value, &size, "--shm-size", e) < 0)
			return NULL;
		snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
		return strdup(text);
	}
	/* The host's ids: what other tools call "host". */
	if (row->check == check_userns && strcmp(value, "host") == 0)
		return strdup("off");
	return strdup(value);
}

/* Do two values of a repeated setting speak about the same thing? */
static bool
is_same(const struct walls_row *row, const char *a, const char *b)
{
	size_t n, m;

	if (row->check == check_device) {
		const char *x = strchr(a, ':'), *y = strchr(b, ':');

		x = x == NULL ? a : x + 1;
		y = y == NULL ? b : y + 1;
		n = strcspn(x, ":");
		m = strcspn(y, ":");
		return n == m && strncmp(x, y, n) == 0;
	}
	n = strcspn(a, row->check == check_sysctl ? "=" : ":");
	m = strcspn(b, row->check == check_sysctl ? "=" : ":");
	return n == m && strncmp(a, b, n) == 0;
}

/* All of a key but what speaks about the same as `value` (NULL: all). */
static int
forget(struct potconf *pc, const struct walls_row *row, const char *value, struct err *e)
{
	AUTO_FINI(strv) struct strv kept = STRV_INIT(KV_FILE_MAX);
	const char *v;
	size_t pos = 0;
	int r;

	while ((v = kv_next(&pc->kv, row->key, &pos)) != NULL)
		if (value != NULL && !is_same(row, v, value))
			strv_add(&kept, v);
	r = strv_check(&kept, row->name, e);
	if (r == 0)
		r = kv_set(&pc->kv, row->key, NULL, e);
	for (size_t i = 0; i < kept.n && r == 0; i++)
		r = kv_add(&pc->kv, row->key, kept.v[i], e);
	return r;
}

int
walls_set(struct potconf *pc, const char *name, const char *value, struct err *e)
{
	const struct walls_row *row = walls_find(name, e);
	AUTO_FREE char *text = NULL;
	int r;

	if (row == NULL)
		return -E_INVAL;
	if (strcmp(value, "default") == 0)
		return forget(pc, row, NULL, e);
	text = normalize(row, value, e);
	if (text == NULL)
		return e != NULL && e->code != 0 ? err_wrap(e, "--%s", name) : err_nomem(e);
	r = row->check(text, e);
	if (r < 0)
		return err_wrap(e, "--%s", name);
	if (!row->repeated)
		return potconf_set(pc, row->key, text, e);
	r = forget(pc, row, text, e);
	return r < 0 ? r : kv_add(&pc->kv, row->key, text, e);
}

bool
walls_is(const struct potconf *pc, const char *key)
{
	return strcmp(potconf_get(pc, key, "NO"), "YES") == 0;
}

static int
add_caps(const struct potconf *pc, const char *key, uint64_t *named, bool *all, struct err *e)
{
	const char *v;
	size_t pos = 0;
	int r = 0;

	*named = 0;
	*all = false;
	while (r == 0 && (v = kv_next(&pc->kv, key, &pos)) != NULL) {
		if (strcmp(v, "all") == 0)
			*all = true;
		else
			r = caps_parse(v, named, e);
	}
	return r;
}

int
walls_caps(const struct potconf *pc, uint64_t *caps, struct err *e)
{
	uint64_t add, drop;
	bool add_all, drop_all = false;
	int r = add_caps(pc, PC_CAP_ADD, &add, &add_all, e);

	if (r == 0)
		r = add_caps(pc, PC_CAP_DROP, &drop, &drop_all, e);
	if (r < 0)
		return r;
	if (add_all || walls_is(pc, PC_PRIVILEGED))
		*caps = CAPS_ALL;
	else
		*caps = drop_all ? 0 : CAPS_DEFAULT;
	*caps = (*caps | add) & ~drop;
	return 0;
}
