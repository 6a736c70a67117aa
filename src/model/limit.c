/*
 * The table of limits: how each is read, and written to pot.conf. Whether a
 * host can give them, and the choice of CPUs, is in limit_fit.c.
 */
#include "model/limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

const char *const limits_ulimit_names[LIMITS_NULIMITS] = {
#define X(name) [LIMITS_ULIMIT_##name] = #name,
	LIMITS_ULIMITS(X)
#undef X
};
const char *const limits_rate_names[LIMITS_RATES] = { "rbps", "wbps", "riops", "wiops" };
const char *const limits_oom_names[] = { "kill", "restart", "stop", NULL };
static const char *const restart_names[] = { "no", "always", "on-failure", "unless-stopped", NULL };

#define MEMORY_MIN (4u << 20) /* below, not even the start fits */
#define DISK_MIN (1u << 20)
#define RATE_BYTES_MIN 4096 /* one page */
#define PIDS_MIN 2          /* the pot's init and its command */
#define PIDS_MAX (1u << 22) /* PID_MAX_LIMIT of Linux */

/* ---- numbers */

static int
too_small(const char *what, uint64_t min, struct err *e)
{
	char text[TEXT_SIZE_LEN];

	text_size_print(min, text);
	err_set(e, E_INVAL, "%s is too small: it must be at least %" PRIu64 " (%s)", what, min, text);
	return err_hint(e, "a number alone is bytes; 64m, 1.5g");
}

static int
size_of(const char *text, const char *what, uint64_t min, uint64_t *out, struct err *e)
{
	uint64_t v;
	int r = text_size(text, &v, what, e);

	if (r == 0 && v != 0 && v < min)
		r = too_small(what, min, e);
	if (r == 0)
		*out = v;
	return r;
}

/* 0, or from lo to hi. */
static int
count_of(const char *text, const char *what, uint64_t lo, uint64_t hi, uint64_t *out, struct err *e)
{
	uint64_t v;

	if (strcmp(text, "0") == 0) {
		*out = 0;
		return 0;
	}
	int r = text_uint(text, lo, hi, &v, what, e);
	if (r == 0)
		*out = v;
	return r;
}

static bool
print_number(uint64_t v, size_t index, char *out, size_t size)
{
	if (index > 0 || v == 0)
		return false;
	snprintf(out, size, "%" PRIu64, v);
	return true;
}

#define NUMBER_ROW(field, call)                                                        \
	static int parse_##field(struct limits *l, const char *text, struct err *e)    \
	{                                                                              \
		return call;                                                           \
	}                                                                              \
	static bool print_##field(const struct limits *l, size_t i, char *o, size_t n) \
	{                                                                              \
		return print_number(l->field, i, o, n);                                \
	}
NUMBER_ROW(memory, size_of(text, "memory", MEMORY_MIN, &l->memory, e))
NUMBER_ROW(memory_swap, size_of(text, "memory-swap", MEMORY_MIN, &l->memory_swap, e))
NUMBER_ROW(memory_reservation, size_of(text, "memory-reservation", 4096, &l->memory_reservation, e))
NUMBER_ROW(cpus, count_of(text, "cpus", 1, 65536, &l->cpus, e))
NUMBER_ROW(cpu_shares, count_of(text, "cpu-shares", 2, 262144, &l->cpu_shares, e))
NUMBER_ROW(io_weight, count_of(text, "io-weight", 1, 1000, &l->io_weight, e))
NUMBER_ROW(disk, size_of(text, "disk", DISK_MIN, &l->disk, e))

/* "150", "150%", "12.5%": percent of one CPU. */
static int
parse_quota(struct limits *l, const char *text, struct err *e)
{
	uint64_t whole = 0, tenth = 0;
	const char *s = text;

	for (; *s >= '0' && *s <= '9' && whole < 100000000; s++)
		whole = whole * 10 + (uint64_t)(*s - '0');
	if (s != text && s[0] == '.' && s[1] >= '0' && s[1] <= '9') {
		tenth = (uint64_t)(s[1] - '0');
		s += 2;
	}
	if (s != text && *s == '%')
		s++;
	if (s == text || *s != '\0' || whole >= 100000000)
		return err_set(
		    e, E_INVAL, "cpu-quota: \"%.64s\" is not percent of a CPU such as 50 or 150%%", text);
	if (whole == 0 && tenth != 0)
		return err_set(e, E_INVAL, "cpu-quota is too small: it must be at least 1%%");
	l->cpu_quota = whole * 10 + tenth;
	return 0;
}

static bool
print_quota(const struct limits *l, size_t index, char *out, size_t size)
{
	if (index > 0 || l->cpu_quota == 0)
		return false;
	if (l->cpu_quota % 10 == 0)
		snprintf(out, size, "%" PRIu64 "%%", l->cpu_quota / 10);
	else
		snprintf(out, size, "%" PRIu64 ".%" PRIu64 "%%", l->cpu_quota / 10, l->cpu_quota % 10);
	return true;
}

static int
parse_pids(struct limits *l, const char *text, struct err *e)
{
	int r = count_of(text, "pids", PIDS_MIN, PIDS_MAX, &l->pids, e);

	if (r == 0)
		l->pids_set = true;
	return r;
}

static bool
print_pids(const struct limits *l, size_t index, char *out, size_t size)
{
	if (index > 0 || !l->pids_set)
		return false;
	snprintf(out, size, "%" PRIu64, l->pids);
	return true;
}

/* ---- words */

static int
word_of(const char *text, size_t len, const char *const *words, const char *what, struct err *e)
{
	AUTO_FINI(buf) struct buf list = BUF_INIT(256);

	for (int i = 0; words[i] != NULL; i++) {
		if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
			return i;
		buf_fmt(&list, "%s%s", i > 0 ? ", " : "", words[i]);
	}
	return err_set(e, E_INVAL, "%s: \"%.64s\" is not one of %s", what, text, buf_cstr(&list));
}

static int
parse_on_oom(struct limits *l, const char *text, struct err *e)
{
	int r = word_of(text, strlen(text), limits_oom_names, "on-oom", e);

	if (r >= 0)
		l->on_oom = (enum limits_oom)r;
	return r < 0 ? r : 0;
}

static bool
print_on_oom(const struct limits *l, size_t index, char *out, size_t size)
{
	if (index > 0 || l->on_oom == LIMITS_OOM_KILL)
		return false;
	snprintf(out, size, "%s", limits_oom_names[l->on_oom]);
	return true;
}

static int
parse_restart(struct limits *l, const char *text, struct err *e)
{
	size_t len = strcspn(text, ":");
	uint64_t max = 0;
	int which = word_of(text, len, restart_names, "restart", e), r = 0;

	if (which < 0)
		return which;
	if (text[len] == ':' && which != LIMITS_RESTART_ON_FAILURE)
		return err_set(e, E_INVAL, "restart: only on-failure takes a number");
	if (text[len] == ':')
		r = text_uint(text + len + 1, 1, 1000000, &max, "restart: on-failure", e);
	if (r < 0)
		return r;
	l->restart = (enum limits_restart)which;
	l->restart_max = max;
	return 0;
}

void
limits_restart_print(const struct limits *l, char *out, size_t size)
{
	if (l->restart_max > 0)
		snprintf(out, size, "%s:%" PRIu64, restart_names[l->restart], l->restart_max);
	else
		snprintf(out, size, "%s", restart_names[l->restart]);
}

static bool
print_restart(const struct limits *l, size_t index, char *out, size_t size)
{
	if (index > 0 || l->restart == LIMITS_RESTART_NO)
		return false;
	limits_restart_print(l, out, size);
	return true;
}

/* ---- ulimits */

static bool
in_bytes(enum limits_ulimit u)
{
	return u == LIMITS_ULIMIT_as || u == LIMITS_ULIMIT_core || u == LIMITS_ULIMIT_data ||
	    u == LIMITS_ULIMIT_fsize || u == LIMITS_ULIMIT_memlock || u == LIMITS_ULIMIT_msgqueue ||
	    u == LIMITS_ULIMIT_rss || u == LIMITS_ULIMIT_stack;
}

static int
ulimit_value(enum limits_ulimit u, const char *text, uint64_t *out, struct err *e)
{
	char what[32];

	snprintf(what, sizeof(what), "ulimit %s", limits_ulimit_names[u]);
	if (strcmp(text, "unlimited") == 0 || strcmp(text, "-1") == 0) {
		*out = LIMITS_UNLIMITED;
		return 0;
	}
	return in_bytes(u) ? text_size(text, out, what, e) : text_uint(text, 0, INT64_MAX, out, what, e);
}

static int
ulimit_range(struct limits_range *v, enum limits_ulimit u, const char *text, struct err *e)
{
	char soft[64];
	size_t n = strcspn(text, ":");
	struct limits_range got = { .set = true };
	int r;

	if (n >= sizeof(soft))
		return err_set(
		    e, E_INVAL, "ulimit %s: \"%.80s\" is not SOFT[:HARD]", limits_ulimit_names[u], text);
	memcpy(soft, text, n);
	soft[n] = '\0';
	r = ulimit_value(u, soft, &got.soft, e);
	got.hard = got.soft;
	if (r == 0 && text[n] == ':')
		r = ulimit_value(u, text + n + 1, &got.hard, e);
	if (r == 0 && got.soft > got.hard)
		r = err_set(e, E_INVAL, "ulimit %s: the soft limit must not be above the hard one, %" PRIu64,
		    limits_ulimit_names[u], got.hard);
	if (r == 0)
		*v = got;
	return r;
}

static int
parse_ulimit(struct limits *l, const char *text, struct err *e)
{
	size_t n = strcspn(text, "=");

	for (unsigned u = 0; u < LIMITS_NULIMITS && text[n] == '='; u++) {
		const char *name = limits_ulimit_names[u];

		if (strlen(name) != n || memcmp(name, text, n) != 0)
			continue;
		if (strcmp(text + n + 1, "default") == 0) {
			l->ulimit[u] = (struct limits_range){ 0 };
			return 0;
		}
		return ulimit_range(&l->ulimit[u], u, text + n + 1, e);
	}
	err_set(e, E_INVAL, "ulimit: \"%.64s\" is not NAME=SOFT[:HARD]", text);
	return err_hint(e, "names: nofile, nproc, core, stack, memlock and those of setrlimit(2)");
}

static void
print_bound(uint64_t v, char out[static 24])
{
	if (v == LIMITS_UNLIMITED)
		snprintf(out, 24, "unlimited");
	else
		snprintf(out, 24, "%" PRIu64, v);
}

static bool
print_ulimit(const struct limits *l, size_t index, char *out, size_t size)
{
	for (unsigned u = 0; u < LIMITS_NULIMITS; u++) {
		char soft[24], hard[24];

		if (!l->ulimit[u].set || index-- > 0)
			continue;
		print_bound(l->ulimit[u].soft, soft);
		print_bound(l->ulimit[u].hard, hard);
		snprintf(out, size, "%s=%s:%s", limits_ulimit_names[u], soft, hard);
		return true;
	}
	return false;
}

/* ---- I/O rates of devices */

/* "rbps=1m,wiops=100" */
static int
io_rates(struct limits_io *io, const char *text, struct err *e)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(1024);

	for (const char *s = text;; s += strcspn(s, ",") + 1) {
		strv_addn(&words, s, strcspn(s, ","));
		if (s[strcspn(s, ",")] == '\0')
			break;
	}
	if (strv_check(&words, "io", e) < 0)
		return -E_LIMIT;
	for (size_t i = 0; i < words.n; i++) {
		size_t n = strcspn(words.v[i], "="), k = 0;
		int r;

		while (k < LIMITS_RATES &&
		    (strlen(limits_rate_names[k]) != n || memcmp(limits_rate_names[k], words.v[i], n) != 0))
			k++;
		if (k == LIMITS_RATES || words.v[i][n] != '=') {
			err_set(e, E_INVAL, "io: \"%.64s\" is not a rate", words.v[i]);
			return err_hint(e, "[DEVICE:]rbps=1m,wbps=1m,riops=100,wiops=100");
		}
		r = k == LIMITS_RBPS || k == LIMITS_WBPS
		    ? size_of(words.v[i] + n + 1, limits_rate_names[k], RATE_BYTES_MIN, &io->rate[k], e)
		    : count_of(words.v[i] + n + 1, limits_rate_names[k], 1, INT32_MAX, &io->rate[k], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static size_t
find_io(const struct limits *l, const char *device)
{
	size_t i = 0;

	while (i < l->nio && strcmp(l->io[i].device, device) != 0)
		i++;
	return i;
}

static int
parse_io(struct limits *l, const char *text, struct err *e)
{
	const char *colon = strrchr(text, ':'), *rates = colon == NULL ? text : colon + 1;
	struct limits_io io = { .device = "" };
	bool clear = strcmp(rates, "default") == 0, any = false;
	size_t n = colon == NULL ? 0 : (size_t)(colon - text), at;
	int r = 0;

	if (n >= sizeof(io.device) || (n > 0 && text[0] != '/'))
		return err_set(e, E_INVAL, "io: \"%.80s\" is not the path of a device", text);
	memcpy(io.device, text, n);
	at = find_io(l, io.device);
	if (at < l->nio)
		io = l->io[at];
	if (!clear)
		r = io_rates(&io, rates, e);
	for (size_t k = 0; k < LIMITS_RATES && !clear; k++)
		any = any || io.rate[k] != 0;
	if (r < 0)
		return r;
	if (at == LIMITS_IO_MAX)
		return err_set(e, E_LIMIT, "io: at most %d devices can be limited", LIMITS_IO_MAX);
	if (any) {
		l->io[at] = io;
		l->nio += at == l->nio;
	} else if (at < l->nio) {
		memmove(&l->io[at], &l->io[at + 1], (--l->nio - at) * sizeof(io));
	}
	return 0;
}

static bool
print_io(const struct limits *l, size_t index, char *out, size_t size)
{
	const char *sep = ":";
	size_t len;

	if (index >= l->nio)
		return false;
	snprintf(out, size, "%s", l->io[index].device);
	for (size_t k = 0; k < LIMITS_RATES; k++) {
		if (l->io[index].rate[k] == 0)
			continue;
		len = strlen(out);
		snprintf(out + len, size - len, "%s%s=%" PRIu64, len == 0 ? "" : sep, limits_rate_names[k],
		    l->io[index].rate[k]);
		sep = ",";
	}
	return true;
}

/* ---- the table */

const struct limits_row limits_rows[] = {
	{ "memory", PC_MEMORY, false, parse_memory, print_memory },
	{ "memory-swap", PC_LIMIT "memory-swap", false, parse_memory_swap, print_memory_swap },
	{ "memory-reservation", PC_LIMIT "memory-reservation", false, parse_memory_reservation,
	    print_memory_reservation },
	{ "cpus", PC_CPUS, false, parse_cpus, print_cpus },
	{ "cpu-shares", PC_LIMIT "cpu-shares", false, parse_cpu_shares, print_cpu_shares },
	{ "cpu-quota", PC_LIMIT "cpu-quota", false, parse_quota, print_quota },
	{ "pids", PC_LIMIT "pids", false, parse_pids, print_pids },
	{ "ulimit", PC_LIMIT "ulimit", true, parse_ulimit, print_ulimit },
	{ "io-weight", PC_LIMIT "io-weight", false, parse_io_weight, print_io_weight },
	{ "io", PC_LIMIT "io", true, parse_io, print_io },
	{ "disk", PC_LIMIT "disk", false, parse_disk, print_disk },
	{ "on-oom", PC_LIMIT "on-oom", false, parse_on_oom, print_on_oom },
	{ "restart", PC_LIMIT "restart", false, parse_restart, print_restart },
};
const size_t limits_nrows = ARRAY_LEN(limits_rows);

const struct limits_row *
limits_find_key(const char *key)
{
	for (size_t i = 0; i < limits_nrows; i++)
		if (strcmp(limits_rows[i].key, key) == 0)
			return &limits_rows[i];
	return NULL;
}

const struct limits_row *
limits_find(const char *name, struct err *e)
{
	const char *names[ARRAY_LEN(limits_rows)], *near;

	for (size_t i = 0; i < limits_nrows; i++) {
		if (strcmp(limits_rows[i].name, name) == 0)
			return &limits_rows[i];
		names[i] = limits_rows[i].name;
	}
	near = text_nearest(name, names, limits_nrows);
	err_set(e, E_INVAL, "there is no limit \"%.64s\"", name);
	if (near != NULL)
		err_hint(e, "did you mean %s?", near);
	return NULL;
}

/* Without the limit, everything else as it was. */
static void
take_away(struct limits *l, const struct limits_row *row)
{
	static const struct limits none;

	if (row->parse == parse_ulimit)
		memset(l->ulimit, 0, sizeof(l->ulimit));
	else if (row->parse == parse_io)
		l->nio = 0;
	else if (row->parse == parse_pids) {
		l->pids = none.pids;
		l->pids_set = false;
	} else if (row->parse == parse_on_oom)
		l->on_oom = LIMITS_OOM_KILL;
	else if (row->parse == parse_restart)
		(void)!parse_restart(l, "no", NULL);
	else
		(void)!row->parse(l, "0", NULL);
}

int
limits_set(struct limits *l, const char *name, const char *text, struct err *e)
{
	const struct limits_row *row = limits_find(name, e);

	if (row == NULL)
		return -E_INVAL;
	if (text != NULL && text[0] != '\0' && strcmp(text, "default") != 0)
		return row->parse(l, text, e);
	take_away(l, row);
	return 0;
}

int
limits_read(const struct potconf *pc, struct limits *l, struct err *e)
{
	memset(l, 0, sizeof(*l));
	for (size_t i = 0; i < limits_nrows; i++) {
		const char *value;
		size_t pos = 0;

		while ((value = kv_next(&pc->kv, limits_rows[i].key, &pos)) != NULL) {
			int r = limits_rows[i].parse(l, value, e);

			if (r < 0)
				return err_wrap(e, "%s", limits_rows[i].key);
		}
	}
	return 0;
}

int
limits_write(struct potconf *pc, const struct limits *l, struct err *e)
{
	char text[LIMITS_DEVICE_MAX + 128];
	int r = 0;

	for (size_t i = 0; i < limits_nrows && r == 0; i++) {
		const struct limits_row *row = &limits_rows[i];

		r = potconf_clear(pc, row->key, e);
		for (size_t k = 0; r == 0 && row->print(l, k, text, sizeof(text)); k++)
			r = k == 0 ? potconf_set(pc, row->key, text, e) : kv_add(&pc->kv, row->key, text, e);
	}
	return r;
}
