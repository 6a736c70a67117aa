/* Pipes of dummynet(4) by dnctl(8), see pipes.h. */
#include <sys/types.h>
#include <sys/param.h>
#include <sys/linker.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/proc.h"
#include "network/freebsd/pipes.h"

#define DNCTL "/sbin/dnctl"
#define DNCTL_MS 10000
#define SAYS_MAX 4096

unsigned
pipes_of(unsigned ifindex)
{
	return ifindex > (PIPES_LAST - PIPES_FIRST) / 2 ? 0 : PIPES_FIRST + 2 * ifindex;
}

static int
run_dnctl(const char *const *argv, struct err *e)
{
	AUTO_FINI(buf) struct buf said = BUF_INIT(SAYS_MAX);
	struct proc_spec p = PROC_SPEC_INIT;

	p.argv = argv;
	p.err = &said;
	p.timeout_ms = DNCTL_MS;
	return proc_run(&p, NULL, e);
}

int
pipe_set(unsigned number, uint64_t bits_per_s, struct err *e)
{
	char nr[16], rate[32];
	const char *const argv[] = { DNCTL, "pipe", nr, "config", "bw", rate, NULL };

	if (bits_per_s > UINT32_MAX)
		return err_set(e, E_LIMIT,
		    "a rate of %" PRIu64 " bits per second: dummynet(4) knows up to %" PRIu32, bits_per_s,
		    UINT32_MAX);
	/* EEXIST: it is there, or part of the kernel. */
	if (kldload("dummynet") < 0 && errno != EEXIST) {
		err_set(e, E_NOTSUP,
		    "rates of a pot's network need dummynet(4), which this kernel has not: %s",
		    strerror(errno));
		return err_hint(e,
		    "kldload dummynet, or take the rates away: pot update POT --net-in default "
		    "--net-out default");
	}
	snprintf(nr, sizeof(nr), "%u", number);
	snprintf(rate, sizeof(rate), "%" PRIu64 "bit/s", bits_per_s);
	return run_dnctl(argv, e) < 0 ? err_wrap(e, "cannot set the rate of a pot's network") : 0;
}

void
pipe_remove(unsigned number)
{
	char nr[16];
	const char *const argv[] = { DNCTL, "pipe", "delete", nr, NULL };

	snprintf(nr, sizeof(nr), "%u", number);
	/* One that was never made is no mistake, and one that stays is made anew by the interface's next owner. */
	(void)!run_dnctl(argv, NULL);
}
