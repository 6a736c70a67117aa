/*
 * pot get-rss: what a pot uses, as the shell framework told it from rctl(8). The
 * words, the order and the kinds of the numbers are its; schedulers parse them.
 */
#include <inttypes.h>

#include "base/host.h"
#include "cli/cli.h"

#define APART_MS 100 /* rctl's pcpu is that of the last moment, too */

struct look {
	struct pot_stats first, last; /* their interfaces are gone */
	uint64_t virtual;
};

static int
take_first(void *arg, const struct pot_stats *s)
{
	((struct look *)arg)->first = *s;
	return 0;
}

static int
take_last(void *arg, const struct pot_stats *s)
{
	((struct look *)arg)->last = *s;
	return 0;
}

static int
add_virtual(void *arg, const struct pot_task *t)
{
	((struct look *)arg)->virtual += t->vsize;
	return 0;
}

/* There is always a number. */
static uint64_t
known(uint64_t v)
{
	return v == POT_UNKNOWN ? 0 : v;
}

static int
look_twice(struct cli *cli, const char *name, struct look *l, double *percent, struct err *e)
{
	AUTO_FINI(rates) struct rates rates = { 0 };
	const char *const names[] = { name, NULL };
	int rc = pot_stats(cli->ctx, names, 0, take_first, l, e);

	if (rc == 0 && rates_add(&rates, &l->first) < 0)
		rc = err_nomem(e);
	if (rc == 0)
		rc = rates_wait(APART_MS, e);
	if (rc == 0)
		rc = pot_stats(cli->ctx, names, 0, take_last, l, e);
	*percent = rc == 0 ? rates_cpu(&rates, &l->last) : 0;
	if (*percent < 0)
		*percent = 0;
	return rc;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct look l = { .virtual = 0 };
	double percent, mhz;
	int rc = look_twice(cli, a->pots[0], &l, &percent, e);
	bool json = cli->json || args_has(a, "json");

	if (rc == 0 && !json)
		rc = pot_top(cli->ctx, a->pots[0], add_virtual, &l, e);
	if (rc != 0)
		return rc;
	mhz = host_cpu_mhz() * percent / 100;
	if (json) {
		/* By hand: RSS, Swap and Percent are whole numbers and TotalTicks has three digits, as ever. */
		printf("{ \"ResourceUsage\": { \"MemoryStats\": { \"RSS\" : %" PRIu64 ", \"Swap\" : %" PRIu64
		       " }, \"CpuStats\": { \"TotalTicks\": %.3f, \"Percent\": %.0f } } }\n",
		    known(l.last.memory), known(l.last.swap), mhz, percent);
		return 0;
	}
	printf("Resource usage by the pot %s\n", l.last.name);
	printf("\tcpu time (ticks spent) : %" PRIu64 "\n", known(l.last.cpu_ns) / 1000000000);
	printf("\tcpu time (MHz)         : %.3f\n", mhz);
	printf("\tpcpu (%%)               : %.0f\n", percent);
	printf("\tvirtual memory         : %" PRIu64 "\n", l.virtual);
	printf("\tphysical memory        : %" PRIu64 "\n", known(l.last.memory));
	printf("\tswap memory            : %" PRIu64 "\n", known(l.last.swap));
	return 0;
}

static const struct opt opts[] = {
	{ "json", 'J', NULL, 0, "the line of JSON that schedulers read" },
	OPT_END,
};

const struct cmd cmd_get_rss = {
	.name = "get-rss",
	.group = "Looking",
	.summary = "show what a running pot uses, in the classic form",
	.text = "Shows processor time in seconds, the clock rate of a processor times the share of it that "
		"the pot\n"
		"had in the last 100 ms, that share in percent (100 is one processor), and virtual, physical "
		"and\n"
		"swapped memory in bytes. 'pot stats' tells more.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_JSON | CMD_ROOT,
	.opts = opts,
	.example = "pot get-rss -J -p web",
	.json = "ResourceUsage: object with MemoryStats (RSS and Swap in bytes) and CpuStats (TotalTicks in\n"
		"MHz, Percent of one processor); always one line\n",
	.run = run,
};
