/* pot info: everything about one pot, for people and shells. */
#include <string.h>

#include "cli/cli.h"

static bool
is_running(const struct pot_info *in)
{
	switch (in->summary.state) {
	case POT_STARTING:
	case POT_RUNNING:
	case POT_PAUSED:
	case POT_STOPPING:
		return true;
	default:
		return false;
	}
}

static void
field_time(const char *key, int64_t ns)
{
	char text[TEXT_TIME_LEN];

	if (ns == 0)
		return;
	text_time_print(ns, false, text);
	field(key, "%s", text);
}

static void
show_strings(const char *head, const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		field(i == 0 ? head : "", "%s", v[i]);
}

static void
show_ports(const struct pot_info *in)
{
	for (size_t i = 0; i < in->nports; i++) {
		const struct pot_port *p = &in->ports[i];
		const char *six = strchr(p->address, ':') != NULL ? "[" : "";

		field(i == 0 ? "ports" : "", "%s%s%s%s%u -> %u/%s", six, p->address, *six != '\0' ? "]" : "",
		    p->address[0] != '\0' ? ":" : "", p->host, p->pot, p->protocol);
	}
}

static void
show_rate(const char *head, uint64_t bps)
{
	static const char *const units[] = { "", "k", "M", "G" };
	unsigned long long n = bps;
	size_t u = 0;

	/* In whole numbers, as it was given. */
	while (n != 0 && n % 1000 == 0 && u + 1 < ARRAY_LEN(units)) {
		n /= 1000;
		u++;
	}
	if (bps != 0)
		field(head, "%llu%s bit/s at most", n, units[u]);
}

static void
show_network(const struct pot_info *in)
{
	bool bridged = in->nbridges > 0;

	for (size_t i = 0; i < in->naddresses; i++) {
		const struct pot_address *a = &in->addresses[i];

		field(i == 0 ? "ip" : "", "%s%s%s", a->address,
		    a->where[0] == '\0' || (bridged && in->nbridges == 1) ? "" : " on ",
		    bridged && in->nbridges == 1 ? "" : a->where);
	}
	show_strings("bridge", in->bridges, in->nbridges);
	if (bridged)
		field("stack", "%s", in->stack);
	show_strings("names", in->names, in->nnames);
	show_ports(in);
	show_rate("net in", in->net_in);
	show_rate("net out", in->net_out);
	for (size_t i = 0; i < in->ninterfaces; i++) {
		char rx[TEXT_SIZE_LEN], tx[TEXT_SIZE_LEN];

		text_size_print(in->interfaces[i].rx_bytes, rx);
		text_size_print(in->interfaces[i].tx_bytes, tx);
		field(in->interfaces[i].name, "%s received, %s sent", rx, tx);
	}
}

static void
show_what(const struct pot_info *in)
{
	field("pot name", "%s", in->summary.name);
	field("id", "%s", in->id);
	field("type", "%s", in->type);
	field("base", "%s", in->summary.base[0] != '\0' ? in->summary.base : "-");
	field("level", "%d", in->level);
	if (in->parent[0] != '\0')
		field("base pot", "%s", in->parent);
	field("hostname", "%s", in->hostname);
	if (in->image[0] != '\0')
		field("image", "%s %.19s", in->image, in->image_id);
	if (in->user[0] != '\0')
		field("user", "%s", in->user);
	if (in->workdir[0] != '\0')
		field("workdir", "%s", in->workdir);
	field("network_type", "%s", in->summary.network);
	show_network(in);
	field("dns", "%s", in->dns);
	field("command", "%s", in->command[0] != '\0' ? in->command : "-");
	field("storage", "%s", in->root_fs[0] != '\0' ? in->root_fs : in->storage);
	field_time("created", in->created_ns);
}

static void
show_life(const struct pot_info *in)
{
	char time[TEXT_TIME_LEN];

	field("active", "%s", is_running(in) ? "true" : "false");
	field("state", "%s", pot_state_name(in->summary.state));
	if (in->summary.pid > 0)
		field("pid", "%d", (int)in->summary.pid);
	field_time("started", in->summary.started_ns);
	field("runs", "%llu", in->runs);
	if (in->last.known) {
		text_time_print(in->last.time_ns, false, time);
		field("last end", "status %d at %s", in->last.status, time);
	}
	if (in->last.reason[0] != '\0')
		field("reason", "%s", in->last.reason);
	if (in->oom_kills > 0)
		field("out of memory", "%llu killed", (unsigned long long)in->oom_kills);
	if (in->isolation[0] != '\0')
		field("isolation", "%s", in->isolation);
	for (size_t i = 0; i < in->nfacts; i++)
		field(in->facts[i].name, "%s", in->facts[i].value);
	/* Where there are no groups it is the jail, of which more was told. */
	if (in->cgroup[0] != '\0' && in->has_capabilities)
		field("cgroup", "%s", in->cgroup);
}

/* What only some systems have: docs/platforms.md. */
static void
show_capabilities(const struct pot_info *in)
{
	if (in->userns_ids != 0)
		field("user namespace", "%u-%u", in->userns_first, in->userns_first + in->userns_ids - 1);
	else
		field("user namespace", "none: %s", in->userns_why);
	field("capabilities", "%s", in->capabilities[0] != '\0' ? in->capabilities : "none");
	field("seccomp", "%s", in->seccomp);
	field("no_new_privs", "%s", in->no_new_privs ? "true" : "false");
}

static void
show_walls(const struct pot_info *in)
{
	size_t shown = 0;

	if (in->has_capabilities)
		show_capabilities(in);
	for (size_t i = 0; i < in->nwalls; i++)
		field(shown++ == 0 ? "walls" : "", "%s: %s", in->walls[i].name, in->walls[i].value);
}

static void
show_settings(const struct pot_info *in, bool all)
{
	size_t shown = 0;

	show_limits(&in->limits);
	show_strings("env", in->env, in->nenv);
	show_strings("hosts", in->hosts, in->nhosts);
	show_strings("labels", in->labels, in->nlabels);
	show_strings("hooks", in->hooks, in->nhooks);
	for (size_t i = 0; i < in->nmounts; i++)
		field(i == 0 ? "mounts" : "", "%s on %s%s%s", in->mounts[i].source, in->mounts[i].target,
		    in->mounts[i].read_only ? " (read-only)" : "", in->mounts[i].idmap ? " (idmap)" : "");
	for (size_t i = 0; i < in->nattrs; i++) {
		if (in->attrs[i].is_default && !all)
			continue;
		field(shown++ == 0 ? "attributes" : "", "%s: %s", in->attrs[i].name, in->attrs[i].value);
	}
}

static void
show_sizes(const struct pot_info *in)
{
	char own[TEXT_SIZE_LEN], shared[TEXT_SIZE_LEN], quota[TEXT_SIZE_LEN];

	text_size_print(in->own_bytes, own);
	text_size_print(in->shared_bytes, shared);
	field("size", "%s of its own, %s shared", own, shared);
	if (in->quota_bytes == 0)
		return;
	text_size_print(in->quota_bytes, quota);
	field("quota", "%s", quota);
}

static int
show_snapshots(struct cli *cli, const struct pot_info *in, struct err *e)
{
	AUTO_FINI(table) struct table t;
	json_t *list = cli->json ? json_array() : NULL;

	table_init(&t, "TAG CREATED -SIZE");
	for (size_t i = 0; i < in->nsnapshots; i++) {
		const struct pot_snapshot_info *s = &in->snapshots[i];

		if (cli->json) {
			json_array_append_new(list, js_snapshot(s));
		} else if (cli->quiet) {
			puts(s->tag);
		} else {
			table_add(&t, s->tag);
			table_time(&t, s->created_ns);
			table_size(&t, s->size);
		}
	}
	if (cli->json)
		return js_print(list, e);
	return cli->quiet ? 0 : table_print(&t, cli, e);
}

/* export NAME='value' as a shell reads it. */
static int
put_export(const char *name, const char *value, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(65536);
	char *const word[] = { (char *)value, NULL };
	int rc;

	text_join(word, &b);
	rc = buf_check(&b, name, e);
	if (rc == 0)
		printf("export %s=%s\n", name, value[0] == '\0' ? "''" : buf_cstr(&b));
	return rc;
}

/* The sign tells the family: IPv6 never is without a colon, IPv4 never without a dot. */
static const char *
first_address(const struct pot_info *in, char sign)
{
	for (size_t i = 0; i < in->naddresses; i++)
		if (strchr(in->addresses[i].address, sign) != NULL)
			return in->addresses[i].address;
	return "";
}

static int
show_exports(const struct pot_info *in, struct err *e)
{
	static const struct {
		const char *name;
		char sign;
	} families[] = { { "_POT_IP", '.' }, { "_POT_IP6", ':' } };
	AUTO_FINI(buf) struct buf bridges = BUF_INIT(4096);
	char pid[16];
	int rc;

	rc = put_export("_POT_NAME", in->summary.name, e);
	if (rc == 0)
		rc = put_export("_POT_STATE", pot_state_name(in->summary.state), e);
	if (rc == 0)
		rc = put_export("_POT_NETWORK", in->summary.network, e);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(families); i++)
		rc = put_export(families[i].name, first_address(in, families[i].sign), e);
	for (size_t i = 0; i < in->nbridges; i++)
		buf_fmt(&bridges, "%s%s", i > 0 ? " " : "", in->bridges[i]);
	if (rc == 0)
		rc = put_export("_POT_BRIDGE", buf_cstr(&bridges), e);
	if (rc == 0)
		rc = put_export("_POT_PORTS", in->summary.ports, e);
	if (rc == 0 && in->summary.pid > 0) {
		snprintf(pid, sizeof(pid), "%d", (int)in->summary.pid);
		rc = put_export("_POT_PID", pid, e);
	}
	return rc;
}

static int
info_show(struct cli *cli, const struct args *a, const struct pot_info *in, bool sizes, struct err *e)
{
	if (args_has(a, "running"))
		return is_running(in) ? 0 : 1;
	if (args_has(a, "env"))
		return show_exports(in, e);
	if (args_has(a, "snapshots"))
		return show_snapshots(cli, in, e);
	if (cli->json)
		return js_print(js_info(in, sizes), e);
	show_what(in);
	show_life(in);
	show_walls(in);
	show_settings(in, cli->verbose > 0);
	if (sizes)
		show_sizes(in);
	return cli->verbose > 0 && in->nsnapshots > 0 ? show_snapshots(cli, in, e) : 0;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_info *in = NULL;
	bool sizes = cli->verbose > 0;
	int rc;

	if (args_value(a, "bridge") != NULL)
		return show_bridge(cli, args_value(a, "bridge"), e);
	rc = args_exclusive(a, "env", "snapshots", e);
	if (rc == 0)
		rc = args_exclusive(a, "env", "running", e);
	if (rc == 0)
		rc = args_exclusive(a, "running", "snapshots", e);
	if (rc != 0)
		return rc;
	if (cli->quiet && !args_has(a, "running") && !args_has(a, "snapshots") && !args_has(a, "env")) {
		/* The classic question: is there such a pot? The answer is the status. */
		rc = pot_exists(cli->ctx, a->pots[0], e);
		return rc < 0 ? rc : rc == 0;
	}
	rc = pot_info(cli->ctx, a->pots[0], sizes ? POT_INFO_SIZES : 0, &in, e);
	if (rc == 0)
		rc = info_show(cli, a, in, sizes, e);
	pot_info_free(in);
	return rc;
}

static const struct opt opts[] = {
	{ "running", 'r', NULL, 0, "show nothing: status 0 when it runs, 1 when not" },
	{ "env", 'E', NULL, 0, "as lines for a shell: export NAME=value" },
	{ "bridge", 'B', "BRIDGE", OPT_BRIDGE | OPT_NOPOT, "show a bridge and its addresses, not a pot" },
	{ "snapshots", 's', NULL, 0, "its snapshots with time and size; with -q only the tags" },
	OPT_END,
};

const struct cmd cmd_info = {
	.name = "info",
	.group = "Looking",
	.summary = "show everything about a pot",
	.text =
	    "Shows what the pot is, its state, settings and, with -v, all attributes, sizes and snapshots.\n"
	    "With -q alone nothing is shown: the status is 0 when there is such a pot, 1 when not.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_JSON,
	.opts = opts,
	.example = "pot info -v web",
	.json = JSON_INFO,
	.run = run,
};
