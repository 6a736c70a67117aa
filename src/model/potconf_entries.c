/*
 * The repeated keys of a pot's configuration: environment, hosts and mounts.
 * Text in, checked text kept; whether a directory exists or an address
 * answers is asked elsewhere.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "model/name.h"
#include "model/potconf_impl.h"

#define ENV_MAX (128 * 1024) /* MAX_ARG_STRLEN of Linux: execve refuses a longer string */
#define LABEL_NAME_MAX 128
#define LABEL_MAX 4096
#define PATH_LEN_MAX 4096 /* with the NUL, as PATH_MAX of Linux */
#define ADDRESS_LEN INET6_ADDRSTRLEN
#define MOUNTS_MAX 1024

/* ---- the list ---------------------------------------------------------- */

/* Removes the i-th pair of the file, keeping the order of the others. */
static void
drop(struct kv *kv, size_t i)
{
	free(kv->v[i].key);
	free(kv->v[i].value);
	memmove(&kv->v[i], &kv->v[i + 1], (kv->n - i - 1) * sizeof(*kv->v));
	kv->n--;
}

typedef bool match_fn(const char *value, const void *arg);

static size_t
find(const struct kv *kv, const char *key, match_fn *match, const void *arg)
{
	size_t i;

	for (i = 0; i < kv->n; i++) {
		if (strcmp(kv->v[i].key, key) == 0 && match(kv->v[i].value, arg))
			break;
	}
	return i;
}

/* Replaces the first value that matches, in its place, or appends. */
static int
put(struct potconf *pc, const char *key, const char *value, match_fn *match, const void *arg, struct err *e)
{
	struct kv *kv = &pc->kv;
	struct kv_pair added;
	size_t i;
	int r;

	if ((r = potconf_room(pc, key, value, e)) < 0 || (r = kv_add(kv, key, value, e)) < 0)
		return r;
	i = find(kv, key, match, arg);
	if (i < kv->n - 1) {
		added = kv->v[--kv->n];
		free(kv->v[i].key);
		free(kv->v[i].value);
		kv->v[i] = added;
	}
	return 0;
}

static int
remove_all(struct kv *kv, const char *key, match_fn *match, const void *arg)
{
	size_t i, n = kv->n;

	while ((i = find(kv, key, match, arg)) < kv->n)
		drop(kv, i);
	return kv->n < n ? 0 : -E_NOENT;
}

/* ---- environment --------------------------------------------------------- */

/* The length of the name that s begins with. */
static size_t
env_name_len(const char *s)
{
	size_t len = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

	return len > 0 && s[0] >= '0' && s[0] <= '9' ? 0 : len;
}

int
potconf_env_check(const char *assignment, struct err *e)
{
	size_t len = env_name_len(assignment), upto = strcspn(assignment, "=");

	if (assignment[upto] == '\0') {
		/* Only a name can be shown: a lone word may as well be a secret. */
		err_set(e, E_INVAL, "environment variable %.*s: no '='",
		    len == upto && len > 0 && len < 64 ? (int)len : 1,
		    len == upto && len > 0 ? assignment : "?");
		err_hint(e, "give NAME=value");
		return -E_INVAL;
	}
	if (len != upto || len == 0) {
		err_set(e, E_INVAL, "environment variable '%.*s': not a valid name",
		    upto < 64 ? (int)upto : 64, assignment);
		err_hint(e, "use A-Z a-z 0-9 and _, not beginning with a digit");
		return -E_INVAL;
	}
	if (strnlen(assignment, ENV_MAX) == ENV_MAX)
		return err_set(e, E_LIMIT, "environment variable %.*s: longer than %d bytes",
		    len < 64 ? (int)len : 64, assignment, ENV_MAX - 1);
	return 0;
}

int
entry_check_env(const char *value, struct err *e)
{
	return potconf_env_check(value, e);
}

/* Do two assignments, or an assignment and a name, have the same name? */
static bool
env_match(const char *value, const void *arg)
{
	size_t len = strcspn(value, "=");

	return strcspn(arg, "=") == len && memcmp(value, arg, len) == 0;
}

int
potconf_env_add(struct potconf *pc, const char *assignment, struct err *e)
{
	int r = potconf_env_check(assignment, e);

	return r < 0 ? r : put(pc, PC_ENV, assignment, env_match, assignment, e);
}

/* ---- labels -------------------------------------------------------------- */

int
entry_check_label(const char *value, struct err *e)
{
	size_t upto = strcspn(value, "=");
	size_t len = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789./-");

	if (value[upto] == '\0' || upto == 0 || len < upto || upto > LABEL_NAME_MAX) {
		err_set(e, E_INVAL, "label '%.*s': not of the form NAME=value", upto < 64 ? (int)upto : 64,
		    value);
		return err_hint(e, "a name is of A-Z a-z 0-9 . _ / - and at most %d bytes", LABEL_NAME_MAX);
	}
	if (strnlen(value, LABEL_MAX) == LABEL_MAX)
		return err_set(
		    e, E_LIMIT, "label %.*s: longer than %d bytes", (int)upto, value, LABEL_MAX - 1);
	return 0;
}

int
potconf_label_add(struct potconf *pc, const char *assignment, struct err *e)
{
	int r = entry_check_label(assignment, e);

	return r < 0 ? r : put(pc, PC_LABEL, assignment, env_match, assignment, e);
}

int
potconf_env_remove(struct potconf *pc, const char *name, struct err *e)
{
	size_t len = env_name_len(name);

	if (len == 0 || name[len] != '\0')
		return err_set(e, E_INVAL, "environment variable '%.*s': not a valid name",
		    (int)strcspn(name, "=") < 64 ? (int)strcspn(name, "=") : 64, name);
	if (remove_all(&pc->kv, PC_ENV, env_match, name) < 0)
		return err_set(e, E_NOENT, "environment variable %.64s: not set", name);
	return 0;
}

/* ---- hosts ----------------------------------------------------------------- */

/* One line for /etc/hosts, taken apart. */
struct host {
	char name[256];
	char address[ADDRESS_LEN]; /* canonical */
	int family;
};

static int
host_make(struct host *h, const char *name, size_t len, const char *address, struct err *e)
{
	unsigned char raw[sizeof(struct in6_addr)];

	if (len >= sizeof(h->name))
		return err_set(e, E_INVAL, "host '%.64s…': longer than %zu bytes", name, sizeof(h->name) - 1);
	snprintf(h->name, sizeof(h->name), "%.*s", (int)len, name);
	if (!name_is_hostname(h->name)) {
		err_set(e, E_INVAL, "host '%.80s': not a host name", h->name);
		err_hint(e, "use letters, digits, hyphens and dots");
		return -E_INVAL;
	}
	h->family = inet_pton(AF_INET, address, raw) == 1 ? AF_INET : AF_INET6;
	if (h->family == AF_INET6 && inet_pton(AF_INET6, address, raw) != 1) {
		err_set(e, E_INVAL, "host %.80s: '%.64s' is neither an IPv4 nor an IPv6 address", h->name,
		    address);
		err_hint(e, "give NAME:ADDRESS, e.g. db:10.0.0.5 or db:fd00::5");
		return -E_INVAL;
	}
	if (inet_ntop(h->family, raw, h->address, sizeof(h->address)) == NULL)
		return err_sys(e, "host %.80s: '%.64s'", h->name, address);
	return 0;
}

/* "host:ADDRESS", as people write it. */
static int
host_parse(struct host *h, const char *entry, struct err *e)
{
	const char *colon = strchr(entry, ':');

	if (colon == NULL) {
		err_set(e, E_INVAL, "host '%.64s': no ':'", entry);
		err_hint(e, "give NAME:ADDRESS, e.g. db:10.0.0.5 or db:fd00::5");
		return -E_INVAL;
	}
	return host_make(h, entry, (size_t)(colon - entry), colon + 1, e);
}

/* "ADDRESS NAME", as it is kept. */
static int
host_read(struct host *h, const char *value, struct err *e)
{
	const char *blank = strchr(value, ' ');
	char address[ADDRESS_LEN];

	if (blank == NULL || (size_t)(blank - value) >= sizeof(address))
		return err_set(e, E_INVAL, "'%.80s' is not of the form ADDRESS NAME", value);
	snprintf(address, sizeof(address), "%.*s", (int)(blank - value), value);
	return host_make(h, blank + 1, strlen(blank + 1), address, e);
}

int
entry_check_hosts(const char *value, struct err *e)
{
	struct host h;

	return host_read(&h, value, e);
}

int
potconf_hosts_check(const char *entry, struct err *e)
{
	struct host h;

	return host_parse(&h, entry, e);
}

static bool
host_match(const char *value, const void *arg)
{
	const struct host *want = arg;
	struct host h;

	return host_read(&h, value, NULL) == 0 && strcasecmp(h.name, want->name) == 0 &&
	    (want->family == AF_UNSPEC || want->family == h.family);
}

int
potconf_hosts_add(struct potconf *pc, const char *entry, struct err *e)
{
	char line[sizeof(struct host)];
	struct host h;
	int r;

	if ((r = host_parse(&h, entry, e)) < 0)
		return r;
	snprintf(line, sizeof(line), "%s %s", h.address, h.name);
	return put(pc, PC_HOSTS, line, host_match, &h, e);
}

int
potconf_hosts_remove(struct potconf *pc, const char *host, struct err *e)
{
	struct host h = { .family = AF_UNSPEC };

	if (name_is_hostname(host)) {
		snprintf(h.name, sizeof(h.name), "%s", host);
		if (remove_all(&pc->kv, PC_HOSTS, host_match, &h) == 0)
			return 0;
	}
	return err_set(e, E_NOENT, "host '%.80s': not in the pot's list", host);
}

/* ---- mounts ------------------------------------------------------------- */

/* Copies an absolute path without double slashes and without one at the end. */
static int
path_make(char **out, const char *path, const char *kind, struct err *e)
{
	AUTO_FREE char *clean = NULL;
	size_t len = 0, n;

	if (path[0] != '/')
		return err_set(e, E_INVAL, "mount %s '%.200s': not an absolute path", kind, path);
	if (strnlen(path, PATH_LEN_MAX) == PATH_LEN_MAX)
		return err_set(
		    e, E_INVAL, "mount %s '%.64s…': longer than %d bytes", kind, path, PATH_LEN_MAX - 1);
	clean = malloc(strlen(path) + 2);
	if (clean == NULL)
		return err_nomem(e);
	for (const char *p = path; *p != '\0'; p += n) {
		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (n == 2 && memcmp(p, "..", 2) == 0)
			return err_set(e, E_INVAL, "mount %s '%.200s': '..' is not allowed", kind, path);
		if (n == 0 || (n == 1 && *p == '.'))
			continue;
		clean[len++] = '/';
		memcpy(clean + len, p, n);
		len += n;
	}
	if (len == 0)
		clean[len++] = '/';
	clean[len] = '\0';
	*out = take_ptr(clean);
	return 0;
}

static void
mount_fini(struct potconf_mount *m)
{
	free(m->source);
	free(m->target);
	*m = (struct potconf_mount){ NULL, NULL, false, false };
}

/* A checked copy. On error nothing is owned. */
static int
mount_make(
    struct potconf_mount *m, const char *source, const char *target, bool ro, bool idmap, struct err *e)
{
	int r;

	*m = (struct potconf_mount){ .ro = ro, .idmap = idmap };
	r = path_make(&m->source, source, "source", e);
	if (r == 0)
		r = path_make(&m->target, target, "target", e);
	if (r == 0 && m->target[1] == '\0')
		r = err_set(e, E_INVAL, "mount target /: the root itself cannot be mounted over");
	if (r < 0)
		mount_fini(m);
	return r;
}

/* "SOURCE TARGET [ro] [idmap]", as it is kept. */
static int
mount_read(struct potconf_mount *m, const char *value, struct err *e)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(3 * PATH_LEN_MAX);
	int r;

	if ((r = text_split(value, &words, e)) < 0 || (r = strv_check(&words, PC_MOUNT, e)) < 0)
		return r;
	bool ro = words.n > 2 && strcmp(words.v[2], "ro") == 0;
	bool idmap = words.n > 2 && strcmp(words.v[words.n - 1], "idmap") == 0;
	if (words.n < 2 || words.n != 2 + (size_t)ro + (size_t)idmap)
		return err_set(e, E_INVAL, "'%.200s' is not of the form SOURCE TARGET [ro] [idmap]", value);
	return mount_make(m, words.v[0], words.v[1], ro, idmap, e);
}

int
entry_check_mount(const char *value, struct err *e)
{
	struct potconf_mount m;
	int r = mount_read(&m, value, e);

	if (r == 0)
		mount_fini(&m);
	return r;
}

/* 1: pair *at of the file mounts there; 0: none does. Fails only for want of memory, which is no answer. */
static int
mount_find(const struct kv *kv, const char *target, size_t *at, struct err *e)
{
	for (size_t i = 0; i < kv->n; i++) {
		struct potconf_mount m;
		bool same;
		int r;

		if (strcmp(kv->v[i].key, PC_MOUNT) != 0)
			continue;
		if ((r = mount_read(&m, kv->v[i].value, e)) < 0)
			return r;
		same = strcmp(m.target, target) == 0;
		mount_fini(&m);
		*at = i;
		if (same)
			return 1;
	}
	return 0;
}

int
potconf_mount_add(struct potconf *pc, const struct potconf_mount *mount, struct err *e)
{
	AUTO_FINI(buf) struct buf line = BUF_INIT(16 * PATH_LEN_MAX);
	struct potconf_mount m;
	char ro[] = "ro", idmap[] = "idmap", *words[5] = { NULL };
	size_t at = 0, n = 0;
	int r;

	if ((r = mount_make(&m, mount->source, mount->target, mount->ro, mount->idmap, e)) < 0)
		return r;
	words[n++] = m.source;
	words[n++] = m.target;
	if (m.ro)
		words[n++] = ro;
	if (m.idmap)
		words[n] = idmap;
	text_join(words, &line);
	if ((r = mount_find(&pc->kv, m.target, &at, e)) == 1)
		r = err_set(e, E_EXIST, "mount target %.200s: used already", m.target);
	else if (r == 0 && (r = buf_check(&line, "the mount", e)) == 0 &&
	    (r = potconf_room(pc, PC_MOUNT, buf_cstr(&line), e)) == 0)
		r = kv_add(&pc->kv, PC_MOUNT, buf_cstr(&line), e);
	mount_fini(&m);
	return r;
}

int
potconf_mount_remove(struct potconf *pc, const char *target, struct err *e)
{
	AUTO_FREE char *clean = NULL;
	size_t at = 0;
	int r = path_make(&clean, target, "target", e);
	int there = r < 0 ? r : mount_find(&pc->kv, clean, &at, e);

	if (there == 0)
		return err_set(e, E_NOENT, "mount target %.200s: nothing is mounted there", clean);
	/* A file edited by hand may name it more than once. */
	for (; there == 1; there = mount_find(&pc->kv, clean, &at, e))
		drop(&pc->kv, at);
	return there;
}

int
potconf_mounts(const struct potconf *pc, struct potconf_mount **out, size_t *n, struct err *e)
{
	struct potconf_mount *m = NULL, *larger;
	size_t used = 0, pos = 0;
	const char *value;
	int r = 0;

	while (r == 0 && (value = kv_next(&pc->kv, PC_MOUNT, &pos)) != NULL) {
		larger = used < MOUNTS_MAX ? realloc(m, (used + 1) * sizeof(*m)) : NULL;
		if (used == MOUNTS_MAX) {
			r = err_set(e, E_LIMIT, "%s: more than %d", PC_MOUNT, MOUNTS_MAX);
		} else if (larger == NULL) {
			r = err_nomem(e);
		} else {
			m = larger;
			r = mount_read(&m[used], value, e);
			used += r == 0;
		}
	}
	if (r < 0) {
		potconf_mounts_free(m, used);
		return r;
	}
	*out = m;
	*n = used;
	return 0;
}

void
potconf_mounts_free(struct potconf_mount *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mount_fini(&m[i]);
	free(m);
}
