/* pot update: limits of a pot, at once and for its next starts. */
#include <string.h>

#include "cli/cli.h"
#include "model/netaddr.h"

static int
get_rate(const char *text, const char *option, uint64_t *bps, struct err *e)
{
	if (strcmp(text, "0") != 0 && strcmp(text, "default") != 0)
		return ip_rate_parse(text, bps, option, e);
	*bps = 0;
	return 0;
}

/* The other direction stays as it is. */
static int
set_rates(struct cli *cli, const struct args *a, struct err *e)
{
	const char *in = args_value(a, "net-in"), *out = args_value(a, "net-out");
	struct pot_info *info;
	uint64_t bps[2];
	int rc;

	if (in == NULL && out == NULL)
		return 0;
	rc = pot_info(cli->ctx, a->pots[0], 0, &info, e);
	if (rc != 0)
		return rc;
	bps[0] = info->net_in;
	bps[1] = info->net_out;
	pot_info_free(info);
	if (in != NULL)
		rc = get_rate(in, "--net-in", &bps[0], e);
	if (rc == 0 && out != NULL)
		rc = get_rate(out, "--net-out", &bps[1], e);
	return rc != 0 ? rc : pot_set_rates(cli->ctx, a->pots[0], bps[0], bps[1], e);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FINI(limit_args) struct limit_args l = { NULL, 0 };
	int rc = limit_args_get(a, &l, e);

	if (rc != 0)
		return rc;
	if (l.n == 0 && !args_has(a, "net-in") && !args_has(a, "net-out"))
		return args_usage(a, e, "nothing to change was given");
	if (l.n > 0)
		rc = pot_update(cli->ctx, a->pots[0], l.v, l.n, e);
	return rc != 0 ? rc : set_rates(cli, a, e);
}

static const struct opt opts[] = {
	LIMIT_OPTS,
	{ "net-in", 0, "RATE", 0, "limit what it receives, in bits per second: 10m; 0: no limit" },
	{ "net-out", 0, "RATE", 0, "limit what it sends" },
	OPT_END,
};

const struct cmd cmd_update = {
	.name = "update",
	.group = "Settings",
	.summary = "change what a pot may use",
	.text =
	    "A running pot has the new limits when the command returns, and keeps them for its next starts;\n"
	    "ulimits are for processes started from then on, rates of the network for its next start. All of "
	    "the\n"
	    "limits given are changed, or none: one that is less than what the pot uses now, or more than "
	    "the\n"
	    "host has, is refused, and the message tells what would do.\n"
	    "0 takes a limit away, and 'default' does in all of them.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot update web -M 512m --cpu-quota 150%",
	.run = run,
};
