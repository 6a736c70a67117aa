/*
 * Limits on the command line: the options that create, clone and update share, and
 * how they are shown. What their texts mean is the library's business.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const struct opt rows[] = { LIMIT_OPTS, OPT_END };

static bool
is_limit(const char *name)
{
	for (const struct opt *o = rows; o->name != NULL; o++)
		if (strcmp(o->name, name) == 0)
			return true;
	return false;
}

int
limit_args_get(const struct args *a, struct limit_args *out, struct err *e)
{
	out->n = 0;
	out->v = calloc(a->ngiven + 1, sizeof(*out->v));
	if (out->v == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < a->ngiven; i++)
		if (is_limit(a->given[i].opt->name))
			out->v[out->n++] = (struct pot_limit){ a->given[i].opt->name, a->given[i].value };
	return 0;
}

void
limit_args_fini(struct limit_args *l)
{
	free(l->v);
	l->v = NULL;
}

/* ---- showing */

static void
show_size(const char *key, uint64_t bytes)
{
	char text[TEXT_SIZE_LEN];

	if (bytes == 0)
		return;
	text_size_print(bytes, text);
	field(key, "%s", text);
}

static void
show_cpu(const struct pot_limits *l)
{
	if (l->cpus != 0)
		field("cpus", "%llu%s%s%s", (unsigned long long)l->cpus, l->cpu_list[0] != '\0' ? " (" : "",
		    l->cpu_list, l->cpu_list[0] != '\0' ? ")" : "");
	if (l->cpu_shares != 0)
		field("cpu shares", "%llu", (unsigned long long)l->cpu_shares);
	if (l->cpu_quota != 0)
		field("cpu quota", "%llu.%llu%%", (unsigned long long)l->cpu_quota / 10,
		    (unsigned long long)l->cpu_quota % 10);
}

static void
bound_text(uint64_t v, char out[static 24])
{
	if (v == POT_UNLIMITED)
		snprintf(out, 24, "unlimited");
	else
		snprintf(out, 24, "%llu", (unsigned long long)v);
}

static void
rate_text(struct buf *b, const char *name, uint64_t v)
{
	if (v != 0)
		buf_fmt(b, "%s%s %llu/s", b->len > 0 ? ", " : "", name, (unsigned long long)v);
}

static void
show_io(const struct pot_limits *l)
{
	if (l->io_weight != 0)
		field("io weight", "%llu", (unsigned long long)l->io_weight);
	for (size_t i = 0; i < l->nio; i++) {
		AUTO_FINI(buf) struct buf b = BUF_INIT(512);

		rate_text(&b, "bytes read", l->io[i].read_bytes);
		rate_text(&b, "bytes written", l->io[i].write_bytes);
		rate_text(&b, "reads", l->io[i].reads);
		rate_text(&b, "writes", l->io[i].writes);
		field(i == 0 ? "io" : "", "%s: %s", l->io[i].device != NULL ? l->io[i].device : "own disk",
		    buf_cstr(&b));
	}
}

void
show_limits(const struct pot_limits *l)
{
	show_size("memory", l->memory);
	show_size("memory and swap", l->memory_swap);
	show_size("memory reservation", l->memory_reservation);
	show_cpu(l);
	if (l->pids != 0)
		field("pids", "%llu", (unsigned long long)l->pids);
	for (size_t i = 0; i < l->nulimits; i++) {
		char soft[24], hard[24];

		bound_text(l->ulimits[i].soft, soft);
		bound_text(l->ulimits[i].hard, hard);
		field(i == 0 ? "ulimits" : "", "%s %s:%s", l->ulimits[i].name, soft, hard);
	}
	show_io(l);
	show_size("disk", l->disk);
	if (strcmp(l->on_oom, "kill") != 0)
		field("on oom", "%s", l->on_oom);
	if (strcmp(l->restart, "no") != 0)
		field("restart", "%s", l->restart);
}

/* ---- JSON */

static json_t *
js_limit(uint64_t v)
{
	return v == 0 || v > INT64_MAX ? json_null() : json_integer((json_int_t)v);
}

static json_t *
js_ulimits(const struct pot_limits *l)
{
	json_t *o = json_object();

	for (size_t i = 0; i < l->nulimits; i++) {
		const struct pot_ulimit *u = &l->ulimits[i];

		/* Null is unlimited here: 0 is a limit like others. */
		json_object_set_new(o, u->name,
		    json_pack("{s:o, s:o}", "soft",
			u->soft > INT64_MAX ? json_null() : json_integer((json_int_t)u->soft), "hard",
			u->hard > INT64_MAX ? json_null() : json_integer((json_int_t)u->hard)));
	}
	return o;
}

json_t *
js_limits(const struct pot_limits *l)
{
	json_t *io = json_array(), *o;

	for (size_t i = 0; i < l->nio; i++) {
		const struct pot_io_limit *d = &l->io[i];

		json_array_append_new(io,
		    json_pack("{s:o, s:o, s:o, s:o, s:o}", "device", js_string(d->device), "read_bytes",
			js_limit(d->read_bytes), "write_bytes", js_limit(d->write_bytes), "reads",
			js_limit(d->reads), "writes", js_limit(d->writes)));
	}
	o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "memory", js_limit(l->memory), "memory_swap",
	    js_limit(l->memory_swap), "memory_reservation", js_limit(l->memory_reservation), "cpus",
	    js_limit(l->cpus), "cpu_list", js_string(l->cpu_list[0] != '\0' ? l->cpu_list : NULL),
	    "cpu_shares", js_limit(l->cpu_shares));
	json_object_set_new(
	    o, "cpu_quota", l->cpu_quota == 0 ? json_null() : json_real((double)l->cpu_quota / 10));
	json_object_set_new(o, "pids", js_limit(l->pids));
	json_object_set_new(o, "pids_default", json_boolean(l->pids_default));
	json_object_set_new(o, "ulimits", js_ulimits(l));
	json_object_set_new(o, "io_weight", js_limit(l->io_weight));
	json_object_set_new(o, "io", io);
	json_object_set_new(o, "disk", js_limit(l->disk));
	json_object_set_new(o, "on_oom", js_string(l->on_oom));
	json_object_set_new(o, "restart", js_string(l->restart));
	return o;
}
