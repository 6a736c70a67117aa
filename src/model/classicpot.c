/* Files of the shell framework, see classicpot.h. Nothing is opened here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/kv.h"
#include "base/text.h"
#include "model/classicpot.h"
#include "model/port.h"

#define LIST_MAX 65536

/* ---- the framework's file -------------------------------------------------------------- */

/* KEY=value, with or without quotes, as far as it is one word that the shell would leave alone. */
static int
assignment(const char *line, size_t len, const char *key, char *out, size_t size, const char *what,
    unsigned number, struct err *e)
{
	size_t k = strlen(key);
	char quote;

	if (len <= k || strncmp(line, key, k) != 0 || line[k] != '=')
		return 0;
	line += k + 1;
	len -= k + 1;
	while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
		len--;
	quote = len >= 2 && (line[0] == '"' || line[0] == '\'') && line[len - 1] == line[0] ? line[0] : '\0';
	if (quote != '\0') {
		line++;
		len -= 2;
	}
	if (len == 0)
		return 0;
	if (len >= size || memchr(line, '\0', len) != NULL)
		return err_set(e, E_INVAL, "%s:%u: %s is too long", what, number, key);
	memcpy(out, line, len);
	out[len] = '\0';
	if (out[strcspn(out, "$`\\\"' \t;#&|<>()")] != '\0')
		return err_set(e, E_INVAL, "%s:%u: %s is more than a name", what, number, key);
	return 1;
}

int
classic_place_read(struct classic_place *p, const char *text, size_t len, const char *what, struct err *e)
{
	size_t at = 0;
	int rc = 0;

	for (unsigned line = 1; rc >= 0 && at < len; line++) {
		const char *s = text + at, *nl = memchr(s, '\n', len - at);
		size_t n = nl != NULL ? (size_t)(nl - s) : len - at;

		at += n + 1;
		for (; n > 0 && (*s == ' ' || *s == '\t'); n--)
			s++;
		rc = assignment(s, n, "POT_ZFS_ROOT", p->zfs_root, sizeof(p->zfs_root), what, line, e);
		if (rc == 0)
			rc = assignment(s, n, "POT_FS_ROOT", p->fs_root, sizeof(p->fs_root), what, line, e);
	}
	if (rc < 0)
		return rc;
	if (p->fs_root[0] != '/' || p->zfs_root[0] == '/' || strchr(p->zfs_root, '@') != NULL ||
	    p->zfs_root[0] == '-')
		return err_set(
		    e, E_INVAL, "%s: '%.80s' on '%.80s' is no place of pots", what, p->fs_root, p->zfs_root);
	return 0;
}

/* ---- a pot's own file --------------------------------------------------------------------- */

void
classic_pot_init(struct classic_pot *p)
{
	memset(p, 0, sizeof(*p));
	p->addrs = p->ports = p->hosts = p->depends = (struct strv)STRV_INIT(LIST_MAX);
}

void
classic_pot_fini(struct classic_pot *p)
{
	strv_fini(&p->addrs);
	strv_fini(&p->ports);
	strv_fini(&p->hosts);
	strv_fini(&p->depends);
}

/* Without the quotes that the framework writes around some. */
static int
copy(char *out, size_t size, const char *value, const char *what, const char *key, struct err *e)
{
	size_t n = strlen(value);

	if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
		value++;
		n -= 2;
	}
	if (n >= size)
		return err_set(e, E_INVAL, "%s: %s: '%.40s…' is too long", what, key, value);
	memcpy(out, value, n);
	out[n] = '\0';
	return 0;
}

static int
get(const struct kv *kv, const char *key, const char *def, char *out, size_t size, const char *what,
    struct err *e)
{
	const char *value = kv_get(kv, key);

	return copy(out, size, value != NULL ? value : def, what, key, e);
}

static int
add_words(struct strv *to, const char *value, const char *what, struct err *e)
{
	while (*(value += strspn(value, " \t")) != '\0') {
		size_t n = strcspn(value, " \t");

		strv_addn(to, value, n);
		value += n;
	}
	return strv_check(to, what, e);
}

static int
add_ports(struct classic_pot *p, const char *value, const char *what, struct err *e)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(LIST_MAX);
	int rc = add_words(&words, value, what, e);

	for (size_t i = 0; rc == 0 && i < words.n; i++) {
		struct port_map m[1];
		char text[PORT_TEXT];
		size_t n = 0;

		rc = port_parse_classic(words.v[i], m, &n, e);
		if (rc == 0 && n == 1) {
			port_print(&m[0], text);
			strv_add(&p->ports, text);
		}
	}
	return rc < 0 ? err_wrap(e, "%s", what) : strv_check(&p->ports, what, e);
}

/* "ADDRESS NAME" here, NAME:ADDRESS there. */
static int
add_host(struct classic_pot *p, const char *value, const char *what, struct err *e)
{
	size_t n = strcspn(value, " \t"), skip = n + strspn(value + n, " \t");

	if (n == 0 || value[skip] == '\0')
		return err_set(e, E_INVAL, "%s: '%.80s' is not of the form ADDRESS NAME", what, value);
	strv_fmt(&p->hosts, "%s:%.*s", value + skip, (int)n, value);
	return strv_check(&p->hosts, what, e);
}

static int
read_lists(struct classic_pot *p, const struct kv *kv, const char *what, struct err *e)
{
	const char *value;
	size_t pos;
	int rc = 0;

	for (pos = 0; rc == 0 && (value = kv_next(kv, "pot.export.ports", &pos)) != NULL;)
		rc = add_ports(p, value, what, e);
	for (pos = 0; rc == 0 && (value = kv_next(kv, "pot.hosts", &pos)) != NULL;)
		rc = add_host(p, value, what, e);
	for (pos = 0; rc == 0 && (value = kv_next(kv, "pot.depend", &pos)) != NULL;)
		rc = add_words(&p->depends, value, what, e);
	for (pos = 0; rc == 0 && (value = kv_next(kv, "ip", &pos)) != NULL;)
		rc = strcmp(p->network, "alias") == 0 ? add_words(&p->addrs, value, what, e) : 0;
	return rc;
}

int
classic_pot_conf(struct classic_pot *p, const char *text, size_t len, const char *what, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	char type[16];
	int rc = kv_parse(&kv, text, len, what, e);

	if (rc < 0 || (rc = get(&kv, "pot.type", "multi", type, sizeof(type), what, e)) < 0 ||
	    (rc = get(&kv, "network_type", "inherit", p->network, sizeof(p->network), what, e)) < 0 ||
	    (rc = get(&kv, "pot.stack", "ipv4", p->stack, sizeof(p->stack), what, e)) < 0 ||
	    (rc = get(&kv, "bridge", "", p->bridge, sizeof(p->bridge), what, e)) < 0 ||
	    (rc = get(&kv, "pot.rss.memory", "", p->memory, sizeof(p->memory), what, e)) < 0 ||
	    (rc = get(&kv, "pot.rss.cpus", "", p->cpus, sizeof(p->cpus), what, e)) < 0)
		return rc;
	p->multi = strcmp(type, "single") != 0;
	if (p->multi && strcmp(type, "multi") != 0)
		return err_set(e, E_INVAL, "%s: '%s' is neither single nor multi", what, type);
	return read_lists(p, &kv, what, e);
}

/* ---- fscomp.conf ------------------------------------------------------------------------------ */

/* The path below which something stands, NULL when it does not; "" is that itself. */
static const char *
below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0') ? path + n : NULL;
}

/* A dataset of the framework's has its mount point from the one above all. */
static int
source_of(const struct classic_place *at, const char *word, char out[static CLASSIC_PATH], struct err *e)
{
	const char *rest = word[0] == '/' ? word : below(word, at->zfs_root);

	if (rest == NULL)
		return err_set(e, E_NOTSUP,
		    "the dataset %.120s is not below %.120s: mount it in by its directory", word,
		    at->zfs_root);
	if ((size_t)snprintf(out, CLASSIC_PATH, "%s%s", word[0] == '/' ? "" : at->fs_root, rest) >=
	    CLASSIC_PATH)
		return err_set(e, E_INVAL, "'%.80s…' is too long", word);
	return 0;
}

/* Inside; older files have the whole path on the host. */
static int
target_of(const struct classic_place *at, const char *name, const char *word, char out[static CLASSIC_PATH],
    struct err *e)
{
	char root[CLASSIC_PATH + 300];
	const char *rest;

	snprintf(root, sizeof(root), "%s/jails/%.200s/m", at->fs_root, name);
	rest = below(word, root);
	if (rest == NULL)
		rest = word;
	if (rest[0] != '/' && rest[0] != '\0')
		return err_set(e, E_INVAL, "'%.80s' is not an absolute path", word);
	if ((size_t)snprintf(out, CLASSIC_PATH, "%s", rest[0] == '\0' ? "/" : rest) >= CLASSIC_PATH)
		return err_set(e, E_INVAL, "'%.80s…' is too long", word);
	return 0;
}

/* SOURCE MOUNTPOINT [ro|zfs-remount] */
static int
add_line(struct classic_pot *p, const struct classic_place *at, const char *name, const struct strv *w,
    struct err *e)
{
	const char *option = w->n > 2 ? w->v[2] : "";
	struct classic_mount *m = &p->mounts[p->nmounts];
	int rc;

	if (w->n < 2 || w->n > 3 ||
	    (option[0] != '\0' && strcmp(option, "ro") != 0 && strcmp(option, "zfs-remount") != 0))
		return err_set(e, E_INVAL, "not of the form SOURCE MOUNTPOINT [ro|zfs-remount]");
	if (p->nmounts == CLASSIC_MOUNTS)
		return err_set(e, E_LIMIT, "more than %d mounts", CLASSIC_MOUNTS);
	if ((rc = target_of(at, name, w->v[1], m->target, e)) < 0)
		return rc;
	if (strcmp(m->target, "/") == 0) {
		/* The root: the base of one that is made of parts. */
		if (!p->multi || below(w->v[0], at->zfs_root) == NULL || strlen(w->v[0]) >= sizeof(p->root))
			return err_set(e, E_INVAL, "'%.80s' is no root of a pot", w->v[0]);
		snprintf(p->root, sizeof(p->root), "%s", w->v[0]);
		return 0;
	}
	m->ro = strcmp(option, "ro") == 0;
	rc = source_of(at, w->v[0], m->source, e);
	p->nmounts += rc == 0;
	return rc;
}

int
classic_pot_fscomp(struct classic_pot *p, const struct classic_place *at, const char *name, const char *text,
    size_t len, const char *what, struct err *e)
{
	size_t pos = 0;
	int rc = 0;

	if ((size_t)snprintf(p->root, sizeof(p->root), "%s/jails/%s/m", at->zfs_root, name) >=
	    sizeof(p->root))
		return err_set(e, E_INVAL, "%s: the name of the dataset is too long", what);
	if (p->multi)
		p->root[0] = '\0';
	for (unsigned line = 1; rc == 0 && pos < len; line++) {
		AUTO_FINI(strv) struct strv words = STRV_INIT(4 * CLASSIC_PATH);
		AUTO_FREE char *copied = NULL;
		const char *nl = memchr(text + pos, '\n', len - pos);
		size_t n = nl != NULL ? (size_t)(nl - text) - pos : len - pos;

		if (memchr(text + pos, '\0', n) != NULL)
			return err_set(e, E_INVAL, "%s:%u: a zero byte", what, line);
		if ((copied = buf_dup(text + pos, n)) == NULL)
			return err_nomem(e);
		pos += n + 1;
		rc = add_words(&words, copied, what, e);
		if (rc == 0 && words.n > 0 && (rc = add_line(p, at, name, &words, e)) < 0)
			return err_wrap(e, "%s:%u", what, line);
	}
	if (rc == 0 && p->root[0] == '\0')
		return err_set(e, E_INVAL, "%s: it names no root", what);
	return rc;
}
