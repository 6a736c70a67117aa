/* What pot export and prepare do. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/image/secret.h"
#include "cli/image/verbs.h"

static int
export_args(const struct args *a, struct pot_export_args *x, struct err *e)
{
	const char *format = args_value(a, "format"), *level = args_value(a, "level");
	uint64_t n;
	int rc;

	x->classic = format != NULL && strcmp(format, "classic") == 0;
	if (!x->classic && (level != NULL || x->key != NULL || x->whole))
		return args_usage(a, e, "'--%s' needs '--format classic'",
		    level != NULL        ? "level"
			: x->key != NULL ? "sign"
					 : "whole");
	if ((rc = args_exclusive(a, "force", "auto", e)) != 0)
		return rc;
	x->level = -1;
	if (level == NULL)
		return 0;
	if ((rc = text_uint(level, 0, 9, &n, "--level", e)) == 0)
		x->level = (int)n;
	return rc;
}

int
image_export(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FINI(buf) struct buf passphrase = BUF_INIT(SECRET_MAX);
	struct pot_sign_key key = { args_value(a, "sign"), NULL };
	const char *dir = args_value(a, "dir");
	struct pot_export_args x = {
		.pot = a->pots[0],
		.tag = args_value(a, "tag"),
		.dir = dir != NULL ? dir : ".",
		.automatic = args_has(a, "auto"),
		.several = args_has(a, "force"),
		.versions = args_has(a, "check"),
		.key = key.file != NULL ? &key : NULL,
		.whole = args_has(a, "whole"),
	};
	char made[POT_EXPORT_LEN];
	int rc = export_args(a, &x, e);

	if (rc == 0 && key.file != NULL)
		rc = secret_of_key(a, key.file, &passphrase, &key.passphrase, e);
	if (rc != 0 || (rc = pot_image_export(cli->ctx, &x, made, e)) < 0)
		return rc;
	events_end(cli);
	printf("%s%s%s\n", dir != NULL ? dir : "", dir != NULL ? "/" : "", made);
	return 0;
}

/* The ports of -e and of --publish together; the caller frees the list. */
static char **
join_ports(char **network, const struct args *a)
{
	AUTO_FREE char **more = args_values(a, "export");
	size_t n = 0, k = 0;
	char **all;

	while (network != NULL && network[n] != NULL)
		n++;
	while (more != NULL && more[k] != NULL)
		k++;
	all = calloc(n + k + 1, sizeof(*all));
	for (size_t i = 0; all != NULL && i < n + k; i++)
		all[i] = i < n ? network[i] : more[i - n];
	return all;
}

int
image_prepare(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FINI(network_args) struct network_args net = { NULL };
	const char *type = args_value(a, "network");
	struct pot_create_args create = { .level = -1, .command = args_value(a, "cmd") };
	const struct pot_prepare_args p = {
		.name = args_value(a, "name"),
		.tag = args_value(a, "tag"),
		.from = args_value(a, "url"),
		.key = args_value(a, "key"),
		.insecure = args_has(a, "insecure"),
		.allocation = args_value(a, "allocation"),
		.as = args_value(a, "as"),
		.create = &create,
	};
	const struct pot_start_args start = { 0 };
	struct pot_process process;
	char made[64];
	int rc = network_args_get(a, &create, &net, e);

	if (rc != 0)
		return rc;
	AUTO_FREE char **ports = join_ports(net.publish, a);
	if (ports == NULL)
		return err_nomem(e);
	if (ports[0] != NULL)
		create.publish = (const char *const *)ports;
	/* The orchestrators' word for the host's network. */
	if (type != NULL && strcmp(type, "host") == 0)
		create.network = "inherit";
	if ((rc = pot_image_prepare(cli->ctx, &p, made, e)) < 0)
		return rc;
	events_end(cli);
	if (args_has(a, "start") && (rc = pot_start(cli->ctx, made, &start, &process, e)) < 0)
		return rc;
	if (cli->json)
		return js_print(json_pack("{s:s}", "name", made), e);
	puts(made);
	return 0;
}
