/* pot config: the settings in force and where they come from. */
#include <string.h>

#include "cli/cli.h"

struct look {
	const struct cli *cli;
	const char *wanted; /* NULL: all */
	struct table table;
	json_t *list;
	struct strv names;
	bool found;
};

static json_t *
item_json(const struct pot_config_item *it)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "key", js_string(it->key), "value", js_string(it->value),
	    "origin", js_string(it->origin), "summary", js_string(it->summary));
}

static int
each(void *arg, const struct pot_config_item *it)
{
	struct look *l = arg;

	if (l->wanted != NULL) {
		strv_add(&l->names, it->key);
		if (strcmp(it->key, l->wanted) != 0)
			return 0;
		l->found = true;
		if (l->cli->json) {
			l->list = item_json(it);
			return 0;
		}
		if (!l->cli->quiet)
			printf("%s = ", it->key);
		put_text(it->value);
		putchar('\n');
		return 0;
	}
	if (l->cli->json) {
		json_array_append_new(l->list, item_json(it));
		return 0;
	}
	table_add(&l->table, it->key);
	table_add(&l->table, it->value);
	table_add(&l->table, it->origin);
	if (l->cli->verbose > 0)
		table_add(&l->table, it->summary);
	return 0;
}

static int
unknown(const struct look *l, struct err *e)
{
	const char *near = text_nearest(l->wanted, (const char *const *)l->names.v, l->names.n);

	err_set(e, E_NOENT, "no setting is called '%.64s'", l->wanted);
	if (near != NULL)
		return err_hint(e, "did you mean '%s'?", near);
	return err_hint(e, "try: pot config");
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct look l = { .cli = cli, .wanted = args_value(a, "get"), .names = STRV_INIT(4096) };
	int rc;

	if (cli->json && l.wanted == NULL)
		l.list = json_array();
	table_init(&l.table, cli->verbose > 0 ? "KEY VALUE ORIGIN MEANING" : "KEY VALUE ORIGIN");
	rc = pot_config(cli->ctx, each, &l, e);
	if (rc == 0 && l.wanted != NULL && !l.found)
		rc = unknown(&l, e);
	else if (rc == 0 && cli->json)
		rc = js_print(take_ptr(l.list), e);
	else if (rc == 0 && l.wanted == NULL)
		rc = table_print(&l.table, cli, e);
	if (l.list != NULL)
		json_decref(l.list);
	table_fini(&l.table);
	strv_fini(&l.names);
	return rc;
}

static const struct opt opts[] = {
	{ "get", 'g', "NAME", 0, "show only this setting; with -q only its value" },
	OPT_END,
};

const struct cmd cmd_config = {
	.name = "config",
	.group = "Setting up",
	.summary = "show the settings in force and where they come from",
	.text = "Shows all settings of the configuration file with their defaults, and the facts of the\n"
		"installation: root, fs_root, storage_used, pot_prefix, zfs_root.",
	.args = "",
	.flags = CMD_JSON,
	.opts = opts,
	.example = "pot config -q -g fs_root",
	.json = "key: name of the setting\n"
		"value: its value\n"
		"origin: default, or file and line\n"
		"summary: what it is for\n",
	.run = run,
};
