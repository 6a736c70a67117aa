/* pot export-ports: ports of the host that lead to a pot. */
#include <string.h>

#include "cli/cli.h"
#include "model/port.h"

/*
 * -e takes the classic [tcp:|udp:]PORT[:HOSTPORT] as well. Bare numbers are classic there: everything
 * else, which has an address, a protocol behind or no pot's port in front, is as for --publish.
 */
static int
from_classic(struct strv *out, const char *text, struct err *e)
{
	struct port_map m[1];
	char as_new[PORT_TEXT];
	struct err ignored = ERR_INIT;
	size_t n = 0;

	(void)e;
	if (port_parse_classic(text, m, &n, &ignored) < 0) {
		strv_add(out, text);
		return 0;
	}
	port_print(&m[0], as_new);
	strv_add(out, as_new);
	return 0;
}

static int
set_ports(struct pot_ctx *c, const char *name, enum pot_change how, char *const *specs, struct err *e)
{
	AUTO_FINI(strv) struct strv v = STRV_INIT(4096);
	int rc = 0;

	if (how != POT_REPLACE)
		return pot_set_ports(c, name, how, specs, e);
	for (; *specs != NULL && rc == 0; specs++) {
		/* "-e 80 443" of the classic framework in one word. */
		AUTO_FINI(strv) struct strv words = STRV_INIT(4096);

		rc = text_split(*specs, &words, e);
		for (size_t i = 0; i < words.n && rc == 0; i++)
			rc = from_classic(&v, words.v[i], e);
	}
	if (rc == 0)
		rc = strv_check(&v, "the ports", e);
	return rc != 0 ? rc : pot_set_ports(c, name, how, strv_argv(&v), e);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return change_list(cli, a, "export", set_ports, e);
}

static const struct opt opts[] = {
	{ "export", 'e', "PORT", OPT_MANY,
	    "these become all the ports of the pot: [udp:]PORT[:HOSTPORT], or as --add" },
	{ "add", 0, "PORT", OPT_MANY, "publish a port more: [ADDRESS:][HOST]:PORT[/udp]" },
	{ "remove", 0, "PORT", OPT_MANY, "publish this one no more: as shown, or PORT[/udp] of the pot" },
	{ "clear", 0, NULL, 0, "publish none" },
	OPT_END,
};

const struct cmd cmd_export_ports = {
	.name = "export-ports",
	.group = "Networks",
	.summary = "set the published ports of a pot",
	.text = "Makes ports of a pot reachable through ports of the host. A host port that is not given is "
		"chosen\n"
		"(20000 to 29999); given or chosen it is reserved for the pot at once. A running pot gets "
		"what was\n"
		"changed at its next start. 'PORT:HOSTPORT' after -e is the classic order; the --publish "
		"form has\n"
		"the host's port first and is meant wherever an address or /tcp, /udp stands.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot export-ports -p web --add 8080:80 --add 127.0.0.1:5353:53/udp",
	.run = run,
};
