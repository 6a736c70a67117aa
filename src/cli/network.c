/* pot network: the bridges; and the network options that several verbs share. */
#include <string.h>

#include "cli/cli.h"
#include "model/netaddr.h"

/* ---- options ----------------------------------------------------------------- */

void
network_args_fini(struct network_args *n)
{
	free(n->addrs);
	free(n->bridges);
	free(n->publish);
	free(n->names);
}

static int
get_rate(const struct args *a, const char *option, uint64_t *bps, struct err *e)
{
	const char *text = args_value(a, option);

	return text == NULL ? 0 : ip_rate_parse(text, bps, option, e);
}

static int
get_list(const struct args *a, const char *option, char ***own, const char *const **in, struct err *e)
{
	if (!args_has(a, option))
		return 0;
	*own = args_values(a, option);
	*in = (const char *const *)*own;
	return *own == NULL ? err_nomem(e) : 0;
}

int
network_args_get(const struct args *a, struct pot_create_args *in, struct network_args *n, struct err *e)
{
	int rc;

	in->network = args_value(a, "network");
	in->stack = args_value(a, "stack");
	in->dns = args_value(a, "dns");
	rc = get_list(a, "ip", &n->addrs, &in->addrs, e);
	if (rc == 0)
		rc = get_list(a, "bridge", &n->bridges, &in->bridges, e);
	if (rc == 0)
		rc = get_list(a, "publish", &n->publish, &in->publish, e);
	if (rc == 0)
		rc = get_list(a, "alias-name", &n->names, &in->names, e);
	if (rc == 0)
		rc = get_rate(a, "net-in", &in->net_in, e);
	return rc == 0 ? get_rate(a, "net-out", &in->net_out, e) : rc;
}

/* ---- bridges ------------------------------------------------------------------- */

struct look {
	struct cli *cli;
	const char *name; /* this one only, or NULL */
	bool found;
	struct table table;
	json_t *list;
};

static json_t *
or_null(const char *text)
{
	return js_string(text[0] != '\0' ? text : NULL);
}

static json_t *
bridge_json(const struct pot_bridge_info *b)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:i}", "name", js_string(b->name),
	    "interface", js_string(b->interface), "network", or_null(b->network), "gateway",
	    or_null(b->gateway), "network6", or_null(b->network6), "gateway6", or_null(b->gateway6), "public",
	    (int)b->is_public, "nat6", (int)b->nat6, "pots", (int)b->pots);
}

static int
each(void *arg, const struct pot_bridge_info *b)
{
	struct look *l = arg;

	if (l->cli->json) {
		json_array_append_new(l->list, bridge_json(b));
		return 0;
	}
	if (l->cli->quiet) {
		puts(b->name);
		return 0;
	}
	table_add(&l->table, b->name);
	table_add(&l->table, b->network[0] != '\0' ? b->network : "-");
	table_add(&l->table, b->network6[0] != '\0' ? b->network6 : "-");
	table_fmt(&l->table, "%u", b->pots);
	table_add(&l->table, b->interface);
	return 0;
}

int
list_bridges(struct cli *cli, json_t **list, struct err *e)
{
	struct look l = { .cli = cli, .list = cli->json ? json_array() : NULL };
	int rc;

	table_init(&l.table, "BRIDGE IPV4 IPV6 -POTS INTERFACE");
	rc = pot_bridge_list(cli->ctx, each, &l, e);
	if (rc == 0 && list != NULL)
		*list = take_ptr(l.list);
	else if (rc == 0 && cli->json)
		rc = js_print(take_ptr(l.list), e);
	else if (rc == 0 && !cli->quiet)
		rc = table_print(&l.table, cli, e);
	if (l.list != NULL)
		json_decref(l.list);
	table_fini(&l.table);
	return rc;
}

static int
show_one(void *arg, const struct pot_bridge_info *b)
{
	struct look *l = arg;

	if (strcmp(b->name, l->name) != 0)
		return 0;
	l->found = true;
	if (l->cli->json) {
		l->list = bridge_json(b);
		return 0;
	}
	if (l->cli->quiet)
		return 0;
	field("bridge", "%s", b->name);
	field("interface", "%s", b->interface);
	if (b->network[0] != '\0')
		field("network", "%s (gateway %s)", b->network, b->gateway);
	if (b->network6[0] != '\0')
		field("network6", "%s (gateway %s, %s)", b->network6, b->gateway6,
		    b->nat6 ? "NAT66" : "routed");
	field("pots", "%u", b->pots);
	return 0;
}

/* The pots that have an address on the bridge. */
static int
name_pot(void *arg, const struct pot_summary *s)
{
	struct strv *names = arg;

	strv_add(names, s->name);
	return 0;
}

static int
add_pots(struct cli *cli, const char *bridge, json_t *list, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1000000);
	int rc = pot_list(cli->ctx, name_pot, &names, e);
	bool first = true;

	for (size_t i = 0; i < names.n && rc == 0; i++) {
		struct pot_info *in = NULL;

		if (pot_info(cli->ctx, names.v[i], 0, &in, NULL) != 0)
			continue; /* gone since, or damaged */
		for (size_t k = 0; k < in->naddresses; k++) {
			const struct pot_address *a = &in->addresses[k];

			if (in->nbridges == 0 || strcmp(a->where, bridge) != 0)
				continue;
			if (list != NULL)
				json_array_append_new(list,
				    json_pack(
					"{s:o, s:s}", "pot", js_string(names.v[i]), "address", a->address));
			else
				field(first ? "addresses" : "", "%s %s", a->address, names.v[i]);
			first = false;
		}
		pot_info_free(in);
	}
	return rc;
}

int
show_bridge(struct cli *cli, const char *name, struct err *e)
{
	struct look l = { .cli = cli, .name = name };
	json_t *pots = cli->json ? json_array() : NULL;
	int rc = pot_bridge_list(cli->ctx, show_one, &l, e);

	if (rc == 0 && !l.found) {
		err_set(e, E_NOENT, "there is no bridge %.64s", name);
		rc = err_hint(e, "pot network ls");
	}
	if (rc == 0 && (cli->json || !cli->quiet))
		rc = add_pots(cli, name, pots, e);
	if (rc == 0 && cli->json) {
		json_object_set_new(l.list, "addresses", pots);
		return js_print(l.list, e);
	}
	if (l.list != NULL)
		json_decref(l.list);
	if (pots != NULL)
		json_decref(pots);
	return rc;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	const char *what = a->nrest > 0 ? a->rest[0] : "ls";

	if (strcmp(what, "ls") == 0 || strcmp(what, "list") == 0) {
		if (a->nrest > 1)
			return args_usage(a, e, "'ls' takes no name");
		return list_bridges(cli, NULL, e);
	}
	if (strcmp(what, "inspect") != 0)
		return args_usage(a, e, "there is no 'network %.32s': ls or inspect", what);
	if (a->nrest != 2)
		return args_usage(a, e, "'inspect' takes the name of one bridge");
	return show_bridge(cli, a->rest[1], e);
}

const struct cmd cmd_network = {
	.name = "network",
	.group = "Networks",
	.summary = "show bridges and who is on them",
	.text = "ls lists the bridges with their ranges; inspect shows one of them and the addresses of its "
		"pots.",
	.args = "[ls | inspect BRIDGE]",
	.min = 0,
	.max = 2,
	.flags = CMD_ROOT | CMD_JSON,
	.example = "pot network inspect public",
	.json = JSON_BRIDGE "addresses: with inspect: array of objects with pot, address\n",
	.run = run,
};
