/*
 * The node's settings: the table of keys, their defaults, and the values that
 * a file gave them. Reading the file's syntax is config_read.c's; the
 * environment is not looked at.
 */
#include <sys/stat.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/text.h"
#include "model/config.h"
#include "model/config_read.h"
#include "model/netaddr.h"

#define KIB UINT64_C(1024)
#define MS_PER_DAY UINT64_C(86400000)

/* In the order of the alphabet. */
const struct config_key config_keys[] = {
	{ "btrfs_root", NULL, CONFIG_STRING, "", NULL, "directory on btrfs for the subvolumes", 0, 0 },
	{ "build_cache_max", NULL, CONFIG_SIZE, "20G", NULL,
	    "how much of steps' files builds keep, those used last; 0: all", 0, UINT64_MAX },
	{ "cgroup_parent", NULL, CONFIG_STRING, "", NULL, "cgroup under which those of the pots are made", 0,
	    0 },
	{ "external_interface", "POT_EXTIF", CONFIG_STRING, "", NULL,
	    "interface of the host for aliases that name none", 0, 0 },
	{ "hook_timeout", NULL, CONFIG_DURATION, "60s", NULL, "time that a hook may take", 0, MS_PER_DAY },
	{ "hostname_max", "POT_HOSTNAME_MAX_LENGTH", CONFIG_UINT, "63", NULL,
	    "longest host name given to a pot", 1, 64 },
	{ "isolate_pots", "POT_ISOLATE_VNET_POTS", CONFIG_BOOL, "no", NULL,
	    "pots of the public bridge do not reach each other", 0, 0 },
	{ "log_files", NULL, CONFIG_UINT, "3", NULL, "how many log files are kept of a pot", 1, 1000 },
	{ "log_max_size", NULL, CONFIG_SIZE, "10M", NULL, "size at which a pot's log is rotated", 64 * KIB,
	    1024 * KIB *KIB *KIB },
	{ "mirror", NULL, CONFIG_STRING, "", NULL, "where create-base gets packages from", 0, 0 },
	{ "mmdebstrap", NULL, CONFIG_STRING, "mmdebstrap", NULL, "program that makes Debian roots", 0, 0 },
	{ "network", "POT_NETWORK", CONFIG_RANGE, "", NULL, "IPv4 range of the public bridge", 4, 30 },
	{ "network6", NULL, CONFIG_RANGE, "", NULL, "IPv6 range of the public bridge, behind NAT", 6, 120 },
	{ "network_stack", "POT_NETWORK_STACK", CONFIG_CHOICE, "ipv4", "ipv4|ipv6|dual",
	    "address families of new pots", 0, 0 },
	{ "pids_limit", NULL, CONFIG_UINT, "4096", NULL,
	    "processes and threads of a pot that has no limit of its own; 0: any number", 0, 4194304 },
	{ "pkg", NULL, CONFIG_STRING, "pkg", NULL, "program that installs FreeBSD's packages", 0, 0 },
	{ "pull_streams", NULL, CONFIG_CHOICE, "auto", "auto|never|always",
	    "whether layers are taken as streams of zfs or btrfs", 0, 0 },
	{ "routed6", NULL, CONFIG_RANGE, "", NULL, "IPv6 range that the network routes to this host", 6,
	    120 },
	{ "stop_timeout", NULL, CONFIG_DURATION, "10s", NULL, "time from the stop signal to SIGKILL", 0,
	    MS_PER_DAY },
	{ "storage", NULL, CONFIG_CHOICE, "auto", "auto|zfs|btrfs|overlay|copy",
	    "storage mechanism that pot init takes", 0, 0 },
	{ "userns_count", NULL, CONFIG_UINT, "4094", NULL,
	    "how many pots can have a range of 65536 user ids of their own", 1, 65535 },
	{ "userns_first", NULL, CONFIG_UINT, "1879048192", NULL, "first user id of the first of these ranges",
	    65536, UINT32_MAX },
	{ "zfs_root", "POT_ZFS_ROOT", CONFIG_STRING, "", NULL,
	    "dataset under which those of the pots are made", 0, 0 },
};
#define NKEYS ARRAY_LEN(config_keys)
const size_t config_nkeys = NKEYS;

/* Names of the classic framework that mean nothing here; POT_NETWORK_<interface> is config_read.c's. */
static const char *const classic_ignored[] = { "POT_CACHE", "POT_DEFAULT_SIGNATURE_PUBKEY", "POT_DNS_IP",
	"POT_DNS_NAME", "POT_EXPORT_PORTS_PF_RULES_HOOK", "POT_EXTIF_ADDR", "POT_EXTRA_EXTIF", "POT_FS_ROOT",
	"POT_GATEWAY", "POT_GROUP", "POT_LOG_FACILITY", "POT_MKTEMP_SUFFIX", "POT_NETMASK", "POT_TMP",
	"POT_VPN_EXTIF", "POT_VPN_NETWORKS" };

struct value {
	char *text;
	char *origin;
	uint64_t number; /* UINT, SIZE, BOOL */
	int64_t ms;
};

struct config {
	struct value v[NKEYS];
};

static size_t
find_key(const char *name)
{
	for (size_t i = 0; i < NKEYS; i++) {
		const char *classic = config_keys[i].classic;

		if (strcmp(config_keys[i].name, name) == 0 || (classic != NULL && strcmp(classic, name) == 0))
			return i;
	}
	return NKEYS;
}

static int
parse_bool(const char *text, uint64_t *value, const char *what, struct err *e)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*value = i % 2;
			return 0;
		}
	}
	return err_set(e, E_INVAL, "%s: '%.64s' is neither yes nor no", what, text);
}

static int
parse_choice(const struct config_key *key, const char *text, const char *what, struct err *e)
{
	size_t len = strlen(text), n;

	for (const char *p = key->choices;; p += n + 1) {
		n = strcspn(p, "|");
		if (n == len && strncmp(p, text, n) == 0)
			return 0;
		if (p[n] == '\0')
			return err_set(e, E_INVAL, "%s: '%.64s' is not one of %s", what, text, key->choices);
	}
}

static int
in_range(const struct config_key *key, uint64_t n, const char *text, const char *what, struct err *e)
{
	if (n >= key->min && n <= key->max)
		return 0;
	return err_set(e, E_INVAL, "%s: '%.64s' is too %s", what, text, n < key->min ? "small" : "large");
}

static int
parse_range(const struct config_key *key, const char *text, const char *what, struct err *e)
{
	struct ip_addr network;
	struct ip_prefix p;
	int r;

	if (text[0] == '\0')
		return 0;
	if ((r = ip_prefix_parse(text, &p, e)) < 0) {
		err_wrap(e, "%s", what);
		return r;
	}
	network = ip_network(&p);
	if (p.addr.family == key->min && p.len > 0 && p.len <= key->max && ip_equal(&network, &p.addr))
		return 0;
	return err_set(e, E_INVAL, "%s: '%.64s' is not the address of an IPv%d range of length 1 to %d", what,
	    text, (int)key->min, (int)key->max);
}

/* Checks text for its key. `what` begins every message. */
static int
parse_value(const struct config_key *key, const char *text, struct value *v, const char *what, struct err *e)
{
	int r = 0;

	switch (key->type) {
	case CONFIG_STRING:
		return 0;
	case CONFIG_CHOICE:
		return parse_choice(key, text, what, e);
	case CONFIG_BOOL:
		return parse_bool(text, &v->number, what, e);
	case CONFIG_RANGE:
		return parse_range(key, text, what, e);
	case CONFIG_UINT:
		return text_uint(text, key->min, key->max, &v->number, what, e);
	case CONFIG_SIZE:
		r = text_size(text, &v->number, what, e);
		return r < 0 ? r : in_range(key, v->number, text, what, e);
	case CONFIG_DURATION:
		r = text_duration(text, &v->ms, what, e);
		return r < 0 ? r : in_range(key, (uint64_t)v->ms, text, what, e);
	}
	return err_set(e, E_INVAL, "%s: of no known type", what);
}

static int
set_value(struct config *c, size_t i, const char *text, const char *what, const char *origin, struct err *e)
{
	struct value v = { strdup(text), strdup(origin), 0, 0 };
	int r;

	r = v.text == NULL || v.origin == NULL ? err_nomem(e)
					       : parse_value(&config_keys[i], text, &v, what, e);
	if (r < 0) {
		free(v.text);
		free(v.origin);
		return r;
	}
	free(c->v[i].text);
	free(c->v[i].origin);
	c->v[i] = v;
	return 0;
}

/* One setting of the file (config_set_fn). */
static int
set_from_file(
    void *arg, const char *name, const char *text, const char *what, const char *origin, struct err *e)
{
	AUTO_FINI(buf) struct buf where = BUF_INIT(16384);
	struct config *c = arg;
	size_t i = find_key(name);
	int r;

	assert(i < NKEYS);
	if (text[0] == '\0' && strcmp(name, config_keys[i].name) != 0)
		return 0; /* a shell variable set to nothing */
	if (strcmp(c->v[i].origin, "default") != 0)
		return err_set(
		    e, E_INVAL, "%s: %s is the same setting as the one at %s", what, name, c->v[i].origin);
	buf_fmt(&where, "%s: %s", what, name);
	r = buf_check(&where, "the file's name", e);
	return r < 0 ? r : set_value(c, i, text, buf_cstr(&where), origin, e);
}

static int
set_defaults(struct config *c, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < NKEYS; i++)
		r = set_value(c, i, config_keys[i].def, config_keys[i].name, "default", e);
	return r;
}

static int
read_text(struct config *c, const char *text, size_t len, const char *file, struct err *e)
{
	struct config_name names[2 * NKEYS + ARRAY_LEN(classic_ignored)];
	size_t n = 0;

	for (size_t i = 0; i < NKEYS; i++) {
		names[n++] = (struct config_name){ config_keys[i].name, false };
		if (config_keys[i].classic != NULL)
			names[n++] = (struct config_name){ config_keys[i].classic, false };
	}
	for (size_t i = 0; i < ARRAY_LEN(classic_ignored); i++)
		names[n++] = (struct config_name){ classic_ignored[i], true };
	return config_read(text, len, file, names, n, set_from_file, c, e);
}

/* 1 when there is no file. Not file_read: an administrator may well have a link here. */
static int
read_file(const char *path, struct buf *b, struct err *e)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 1;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "configuration %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_INVAL, "configuration %s: not a regular file", path);
	if ((r = fd_read_all(fd, b, e)) < 0)
		err_wrap(e, "configuration %s", path);
	return r;
}

int
config_parse(struct config **out, const char *text, size_t len, const char *file, struct err *e)
{
	struct config *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return err_nomem(e);
	if ((r = set_defaults(c, e)) < 0 || (len > 0 && (r = read_text(c, text, len, file, e)) < 0)) {
		config_free(c);
		return r;
	}
	*out = c;
	return 0;
}

int
config_load(struct config **out, const char *path, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(CONFIG_FILE_MAX);
	int r = path == NULL ? 1 : read_file(path, &b, e);

	return r < 0 ? r : config_parse(out, buf_cstr(&b), r == 1 ? 0 : b.len, path, e);
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < NKEYS; i++) {
		free(c->v[i].text);
		free(c->v[i].origin);
	}
	free(c);
}

static const struct value *
get(const struct config *c, const char *name)
{
	size_t i = find_key(name);

	assert(i < NKEYS);
	return &c->v[i];
}

const char *
config_get(const struct config *c, const char *name)
{
	return get(c, name)->text;
}

uint64_t
config_uint(const struct config *c, const char *name)
{
	return get(c, name)->number;
}

int64_t
config_duration_ms(const struct config *c, const char *name)
{
	return get(c, name)->ms;
}

const char *
config_origin(const struct config *c, const char *name)
{
	return get(c, name)->origin;
}
