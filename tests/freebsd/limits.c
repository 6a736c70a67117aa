/*
 * Limits of a pot on a FreeBSD kernel: rules of rctl that hold, can be changed
 * while it runs, and are gone with it; CPUs; what it uses; kills for want of
 * memory. With accounting off (kern.racct.enable=0) that every limit says so.
 */
#include "lab.h"

#include <sys/param.h>
#include <sys/cpuset.h>
#include <sys/jail.h>
#include <sys/linker.h>
#include <sys/mman.h>
#include <sys/rctl.h>
#include <sys/sysctl.h>
#include <sys/wait.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- inside */

static int
in_wait(const char *arg)
{
	for (;;)
		pause();
}

/* How many children it can have, at most 100. */
static int
in_forks(const char *arg)
{
	pid_t pids[100];
	int n = 0;

	while (n < 100 && (pids[n] = fork()) >= 0) {
		if (pids[n] == 0)
			for (;;)
				pause();
		n++;
	}
	for (int i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return n;
}

/* Touches so many MiB, and waits for what comes. */
static int
in_eat(const char *arg)
{
	size_t n = (size_t)strtol(arg, NULL, 10) << 20;
	char *p = malloc(n);

	for (int i = 0; i < 600; i++) {
		memset(p, i, n);
		(void)!poll(NULL, 0, 100);
	}
	return p[5] == 77 ? 1 : 0;
}

/* So many MiB that nobody touches: 0, or 12 when a small piece can be had and this cannot. */
static int
in_reserve(const char *arg)
{
	size_t n = (size_t)strtol(arg, NULL, 10) << 20;

	if (mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_ANON | MAP_PRIVATE, -1, 0) == MAP_FAILED)
		return 1;
	return mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_ANON | MAP_PRIVATE, -1, 0) != MAP_FAILED ? 0 : 12;
}

static int
in_kill(const char *arg)
{
	return raise(SIGKILL);
}

static int
in_spin(const char *arg)
{
	for (volatile unsigned long i = 0;; i++)
		;
}

static int
in_cpus(const char *arg)
{
	cpuset_t set;

	if (cpuset_getaffinity(CPU_LEVEL_WHICH, CPU_WHICH_PID, -1, sizeof(set), &set) != 0)
		return 99;
	return CPU_COUNT(&set);
}

static const struct inside table[] = { { "wait", in_wait }, { "forks", in_forks }, { "eat", in_eat },
	{ "kill", in_kill }, { "reserve", in_reserve }, { "spin", in_spin }, { "cpus", in_cpus },
	{ NULL, NULL } };

/* ---- outside */

static bool
has_rules(const char *jail)
{
	char filter[128], text[4096] = "";

	snprintf(filter, sizeof(filter), "jail:%s:", jail);
	if (rctl_get_rules(filter, strlen(filter) + 1, text, sizeof(text)) != 0)
		return false;
	if (text[0] != '\0')
		tap_note("rules: %s", text);
	return text[0] != '\0';
}

static void
end(struct lab *l)
{
	(void)!iso_signal(&l->ref, SIGKILL, NULL);
	(void)lab_wait(l);
	lab_end(l);
	tap_ok(!has_rules(l->name), "%s: no rule is left", l->name);
	lab_fini(l);
}

static void
processes(const char *argv0)
{
	struct iso_limits few = { .pids = 10, .pids_wanted = true, .cpus = "0" }, more = few,
			  none = { .cpus = "0" };
	uint64_t memory, pids;
	struct err e = ERR_INIT;
	struct lab l;
	int n;

	lab_init(&l, argv0, "few");
	lab_command(&l, "wait", NULL);
	l.spec.limits = &few;
	if (!tap_fine(lab_start(&l, &e), &e, "a pot with 10 processes at most and one CPU"))
		goto out;
	n = lab_exec(&l, "forks", NULL, &e);
	/* It has one, the command that asks is one. */
	tap_ok(n == 8, "can have that many (8 more: %d)", n);
	tap_ok(lab_exec(&l, "cpus", NULL, &e) == 1, "and has that CPU");
	tap_fine(iso_limits_used(l.cgroup, &memory, &pids, &e), &e, "what it uses is told");
	tap_ok(pids == 1, "one process (%d)", (int)pids);
	more.pids = 20;
	tap_fine(iso_limits_apply(l.cgroup, &few, &more, &e), &e, "the limit is raised while it runs");
	n = lab_exec(&l, "forks", NULL, &e);
	tap_ok(n == 18, "and it can have more (18: %d)", n);
	tap_fine(iso_limits_apply(l.cgroup, &more, &none, &e), &e, "the limit is taken away");
	n = lab_exec(&l, "forks", NULL, &e);
	tap_ok(n == 100, "and it can have many (100: %d)", n);
	none.cpu_shares = 100;
	n = iso_limits_apply(l.cgroup, &more, &none, &e);
	tap_ok(n == -E_NOTSUP, "a limit that jails do not have is refused (%s)", e.msg);
out:
	end(&l);
}

static void
memory(const char *argv0)
{
	struct iso_limits limits = { .memory = 32 << 20 };
	struct iso_stats s;
	struct iso_meter *m;
	struct err e = ERR_INIT;
	uint64_t used = 0;
	struct lab l;
	int status;

	lab_init(&l, argv0, "small");
	lab_command(&l, "eat", "96", NULL);
	l.spec.limits = &limits;
	if (tap_fine(lab_start(&l, &e), &e, "a pot with 32 MiB that wants 96")) {
		status = lab_wait(&l);
		tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "is ended by the kernel (%d)",
		    status);
		if (kldfind("nlsysevent") < 0)
			tap_skip("no nlsysevent(4) in this kernel", "it is known why");
		else /* told before the process could end: nothing is waited for */
			tap_ok(iso_oom_kills(l.cgroup, &used, &e) == 0 && used == 1, "it is known why (%llu)",
			    (unsigned long long)used);
	}
	end(&l);

	lab_init(&l, argv0, "fits");
	lab_command(&l, "eat", "16", NULL);
	l.spec.limits = &limits;
	if (tap_fine(lab_start(&l, &e), &e, "a pot with 32 MiB that wants 16") &&
	    tap_fine(iso_meter_open(&m, &e), &e, "the meter")) {
		do {
			(void)!poll(NULL, 0, 200);
			if (iso_stats(m, &l.ref, &s, &e) < 0)
				break;
		} while (s.memory < 16 << 20);
		tap_ok(s.memory >= 16 << 20 && s.memory < 32 << 20, "uses what it has (%llu)",
		    (unsigned long long)s.memory);
		tap_ok(
		    s.memory_limit == 32 << 20, "of what it may (%llu)", (unsigned long long)s.memory_limit);
		tap_ok(s.pids == 1, "with one process");
		iso_meter_close(m);
		tap_ok(proc_id_alive(&l.ref.init), "and lives");
	}
	end(&l);
}

/* Memory and swap together; without a word about swap the engine gives the memory alone. */
static void
swap(const char *argv0)
{
	struct iso_limits usual = { .memory = 48 << 20, .memory_swap = 48 << 20 },
			  wanted = { .memory = 48 << 20, .memory_swap = 96 << 20, .swap_wanted = true };
	struct err e = ERR_INIT;
	struct lab l;
	int status;

	for (int i = 0; i < 2; i++) {
		lab_init(&l, argv0, i == 0 ? "usual" : "swap");
		lab_command(&l, "reserve", "200", NULL);
		l.spec.limits = i == 0 ? &usual : &wanted;
		if (tap_fine(lab_start(&l, &e), &e, "a pot with 48 MiB%s", i == 0 ? "" : ", 96 with swap")) {
			status = lab_wait(&l);
			tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == (i == 0 ? 0 : 12),
			    "%s reserve 200 that it does not touch (%d)", i == 0 ? "can" : "cannot", status);
		}
		end(&l);
	}
}

/* The shim reads what the kernel told a moment later. */
static uint64_t
kills_at_least(const struct lab *l, uint64_t want)
{
	uint64_t n = 0;

	for (int i = 0; i < 600 && iso_oom_kills(l->cgroup, &n, NULL) == 0 && n < want; i++)
		(void)!poll(NULL, 0, 100);
	return n;
}

/* What the kernel kills for want of memory is counted, and what others kill is not. */
static void
kills(const char *argv0)
{
	static const char why[] = "no nlsysevent(4) in this kernel";
	struct iso_limits limits = { .memory = 32 << 20 }, ends = { .memory = 32 << 20, .oom_group = true };
	struct err e = ERR_INIT;
	uint64_t n = 0;
	struct lab l;
	int status;

	lab_init(&l, argv0, "killed");
	lab_command(&l, "wait", NULL);
	l.spec.limits = &limits;
	if (!tap_fine(lab_start(&l, &e), &e, "a pot with 32 MiB that waits")) {
		end(&l);
		return;
	}
	if (kldfind("nlsysevent") < 0) {
		tap_skip(why, "kills are counted");
		end(&l);
		return;
	}
	tap_fine(iso_oom_kills(l.cgroup, &n, &e), &e, "its kills can be asked for");
	tap_ok(n == 0, "none so far (%llu)", (unsigned long long)n);
	tap_ok(lab_exec(&l, "kill", NULL, &e) == 128 + SIGKILL, "a command in it is killed by somebody");
	tap_fine(iso_oom_kills(l.cgroup, &n, &e), &e, "its kills can be asked for again");
	tap_ok(n == 0, "that is none (%llu)", (unsigned long long)n);
	/* Any process of it that grows by a page while it is over its limit is killed, so there may be more than one. */
	tap_ok(lab_exec(&l, "eat", "96", &e) == 128 + SIGKILL, "a command in it that wants 96 MiB is ended");
	n = kills_at_least(&l, 1);
	tap_ok(n >= 1, "that is counted (%llu)", (unsigned long long)n);
	(void)!iso_signal(&l.ref, SIGKILL, NULL);
	(void)lab_wait(&l);
	tap_ok(iso_oom_kills(l.cgroup, &n, &e) == 0 && n >= 1, "also when it has ended (%llu)",
	    (unsigned long long)n);
	lab_end(&l);
	tap_ok(iso_oom_kills(l.cgroup, &n, &e) == 0 && n == 0, "but not when it was taken down (%llu)",
	    (unsigned long long)n);
	lab_fini(&l);

	lab_init(&l, argv0, "group");
	lab_command(&l, "wait", NULL);
	l.spec.limits = &ends;
	if (tap_fine(lab_start(&l, &e), &e, "a pot that ends when it is short of memory")) {
		tap_ok(lab_exec(&l, "eat", "96", &e) == 128 + SIGKILL, "a command in it is short");
		status = lab_wait(&l);
		tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "and all of it ends (%d)", status);
		tap_ok(iso_oom_kills(l.cgroup, &n, &e) == 0 && n >= 1, "which is counted (%llu)",
		    (unsigned long long)n);
	}
	end(&l);
}

static void
cpu(const char *argv0)
{
	struct iso_limits limits = { .cpu_quota = 200 };
	struct iso_meter *m;
	struct iso_stats s[2];
	struct err e = ERR_INIT;
	struct lab l;

	lab_init(&l, argv0, "busy");
	lab_command(&l, "spin", NULL);
	l.spec.limits = &limits;
	if (tap_fine(lab_start(&l, &e), &e, "a pot with a fifth of a CPU that wants all") &&
	    tap_fine(iso_meter_open(&m, &e), &e, "the meter")) {
		(void)!poll(NULL, 0, 6000);
		tap_fine(iso_stats(m, &l.ref, &s[0], &e), &e, "its usage, once");
		(void)!poll(NULL, 0, 10000);
		tap_fine(iso_stats(m, &l.ref, &s[1], &e), &e, "and again");
		tap_ok(s[1].cpu_ns >= s[0].cpu_ns, "has grown");
		/* What the kernel's accounting holds to is coarse; a free pot would take all of ten seconds. */
		tap_ok(s[1].cpu_ns - s[0].cpu_ns < 8000000000u, "by less than all (%llu ms of 10 s)",
		    (unsigned long long)(s[1].cpu_ns - s[0].cpu_ns) / 1000000);
		iso_meter_close(m);
	}
	end(&l);
}

static void
accounting_off(const char *argv0)
{
	struct iso_limits few = { .pids = 10, .pids_wanted = true }, usual = { .pids = 10 };
	struct err e = ERR_INIT;
	struct lab l;
	int rc;

	lab_init(&l, argv0, "off");
	lab_command(&l, "wait", NULL);
	l.spec.limits = &few;
	rc = lab_start(&l, &e);
	tap_ok(rc == -E_NOTSUP && strstr(e.hint, "kern.racct.enable=1") != NULL,
	    "a limit says what to do (%s)", e.hint);
	l.spec.limits = &usual;
	e = (struct err)ERR_INIT;
	tap_fine(lab_start(&l, &e), &e, "what nobody asked for is left out");
	end(&l);
}

int
main(int argc, char **argv)
{
	bool on = false;
	size_t n = sizeof(on);

	inside_main(argc, argv, table);
	if (sysctlbyname("kern.racct.enable", &on, &n, NULL, 0) != 0 || !on) {
		accounting_off(argv[0]);
		return tap_done();
	}
	processes(argv[0]);
	memory(argv[0]);
	swap(argv[0]);
	kills(argv[0]);
	cpu(argv[0]);
	return tap_done();
}
