/* pot stats: what running pots use, once or again and again. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "cli/cli.h"

#define INTERVAL_MS 2000
#define INTERVAL_MIN_MS 100
#define MEMORY_HIGH 75 /* percent of the limit: yellow */
#define MEMORY_FULL 90 /* red */

struct watch {
	struct cli *cli;
	const char *const *names; /* NULL: all that run */
	unsigned flags;
	bool once, live;
	struct rates now, before;
	struct table table;
	json_t *list; /* --format json with --no-stream */
	struct err *e;
};

/* ---- one look ------------------------------------------------------------------- */

static void
add_pair(struct table *t, uint64_t a, uint64_t b)
{
	char one[TEXT_SIZE_LEN] = "-", two[TEXT_SIZE_LEN] = "-";

	if (a != POT_UNKNOWN)
		text_size_print(a, one);
	if (b != POT_UNKNOWN)
		text_size_print(b, two);
	table_fmt(t, "%s / %s", one, two);
}

static void
add_memory_percent(struct table *t, double percent)
{
	char text[32] = "-";

	if (percent >= 0)
		snprintf(text, sizeof(text), "%.1f%%", percent);
	table_colour(t, text,
	    percent >= MEMORY_FULL       ? COLOUR_RED
		: percent >= MEMORY_HIGH ? COLOUR_YELLOW
					 : COLOUR_NONE);
}

static void
add_row(struct table *t, const struct pot_stats *s, double cpu)
{
	uint64_t rx = s->own_network ? 0 : POT_UNKNOWN, tx = rx;

	for (size_t i = 0; i < s->ninterfaces; i++) {
		rx += s->interfaces[i].rx_bytes;
		tx += s->interfaces[i].tx_bytes;
	}
	table_colour(t, s->name, s->state == POT_RUNNING ? COLOUR_NONE : state_colour(s->state));
	if (cpu < 0)
		table_add(t, "-");
	else
		table_fmt(t, "%.1f%%", cpu);
	add_pair(t, s->memory, s->memory_limit);
	add_memory_percent(t, stats_memory_percent(s));
	add_pair(t, rx, tx);
	add_pair(t, s->read_bytes, s->written_bytes);
	if (s->pids == POT_UNKNOWN)
		table_add(t, "-");
	else
		table_fmt(t, "%llu", (unsigned long long)s->pids);
}

static int
each(void *arg, const struct pot_stats *s)
{
	struct watch *w = arg;
	double cpu = rates_cpu(&w->before, s);

	if (rates_add(&w->now, s) < 0)
		return err_nomem(w->e);
	if (!w->cli->json) {
		add_row(&w->table, s, cpu);
		return 0;
	}
	if (!w->once)
		return js_print_line(js_stats(s, cpu), w->e);
	json_array_append_new(w->list, js_stats(s, cpu));
	return 0;
}

/* The look that the next one is compared with. */
static int
note(void *arg, const struct pot_stats *s)
{
	struct watch *w = arg;

	return rates_add(&w->now, s) < 0 ? err_nomem(w->e) : 0;
}

/* How many pots there were. */
static int
look(struct watch *w, pot_stats_fn *fn)
{
	struct rates last = w->before;
	int rc;

	w->before = w->now;
	w->now = last;
	w->now.n = w->now.next = w->before.next = 0;
	rc = pot_stats(w->cli->ctx, w->names, w->flags, fn, w, w->e);
	/* They ran when the first look was taken: one that ends later is no error. */
	w->flags |= POT_STATS_RUNNING;
	return rc < 0 ? rc : (int)w->now.n;
}

/* ---- showing it -------------------------------------------------------------------- */

static void
begin_table(struct watch *w)
{
	table_fini(&w->table);
	table_init(&w->table, "NAME -CPU% -MEM_USAGE/LIMIT -MEM% -NET_I/O -BLOCK_I/O -PIDS");
}

static int
show_live(struct watch *w, struct live *l)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int rc;

	if (f == NULL)
		return err_nomem(w->e);
	rc = table_write(&w->table, w->cli, f, w->e);
	if (fclose(f) != 0)
		return err_nomem(w->e);
	return rc < 0 ? rc : live_draw(l, text, w->e);
}

static int
show(struct watch *w, struct live *l, bool first)
{
	int rc = 0;

	if (w->live)
		return show_live(w, l);
	if (w->cli->json && w->once)
		return js_print(take_ptr(w->list), w->e);
	if (!w->cli->json) {
		if (!first)
			putchar('\n');
		rc = table_print(&w->table, w->cli, w->e);
	}
	if (rc == 0 && fflush(stdout) != 0)
		rc = err_sys(w->e, "cannot write to standard output");
	return rc;
}

/* ---- waiting ------------------------------------------------------------------------ */

static void
stop_here(struct live *l)
{
	raise(SIGSTOP);
	l->anew = true; /* the shell has written meanwhile */
}

/* A signal that was caught; 1: draw again at once. */
static int
take_signals(int fd, struct live *l)
{
	unsigned char sigs[64];
	ssize_t n = read(fd, sigs, sizeof(sigs));
	int again = 0;

	for (ssize_t i = 0; i < n; i++) {
		if (sigs[i] == SIGWINCH || sigs[i] == SIGTSTP) {
			if (sigs[i] == SIGTSTP)
				stop_here(l);
			l->anew = true;
			again = 1;
		} else if (sigs[i] != SIGCHLD) {
			signals_end(sigs[i]);
		}
	}
	return again;
}

/* Until the next look is due: 0; 1 nobody reads any more. */
static int
wait_until(struct watch *w, struct live *l, int64_t due_ms, int signals)
{
	struct pollfd p[2] = { { STDOUT_FILENO, 0, 0 }, { signals, POLLIN, 0 } };
	int64_t left;

	while ((left = due_ms - text_monotonic_ms()) > 0) {
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return err_sys(w->e, "cannot wait for the next look");
		if ((p[0].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
			return 1;
		if ((p[1].revents & POLLIN) != 0 && take_signals(signals, l) != 0) {
			int rc = show_live(w, l);

			if (rc < 0)
				return rc;
		}
		p[0].revents = p[1].revents = 0;
	}
	return 0;
}

static int
stream(struct watch *w, int64_t interval)
{
	struct live l = { 0 };
	AUTO(fd) int signals = -1;
	int64_t due = text_monotonic_ms();
	bool first = true;
	int rc;

	if (!w->live) {
		signals_die();
	} else {
		rc = signals = signals_to_fd(true, w->e);
		if (rc < 0)
			return rc;
	}
	for (;; first = false) {
		begin_table(w);
		rc = look(w, each);
		/* All that were asked for have ended. */
		if (rc == 0 && w->names != NULL)
			return 0;
		if (rc >= 0)
			rc = show(w, &l, first);
		due = due + interval > text_monotonic_ms() ? due + interval : text_monotonic_ms() + interval;
		if (rc == 0)
			rc = wait_until(w, &l, due, signals);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
}

/* One table; with an interval its rates are taken over that, else since the start. */
static int
once(struct watch *w, bool apart, int64_t interval)
{
	struct live none = { 0 };
	int rc = 0;

	if (apart)
		rc = look(w, note);
	if (rc >= 0 && apart)
		rc = rates_wait(interval, w->e);
	begin_table(w);
	w->list = w->cli->json ? json_array() : NULL;
	if (rc >= 0)
		rc = look(w, each);
	return rc < 0 ? rc : show(w, &none, true);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	const char *interval = args_value(a, "interval"), *term = getenv("TERM");
	struct watch w = {
		.cli = cli, .names = a->npots > 0 ? a->pots : NULL, .once = args_has(a, "no-stream"), .e = e
	};
	int64_t ms = INTERVAL_MS;
	int rc;

	if (interval != NULL) {
		rc = text_duration(interval, &ms, "--interval", e);
		if (rc == 0 && (ms < INTERVAL_MIN_MS || ms > INT32_MAX))
			rc = err_set(
			    e, E_INVAL, "--interval: '%.32s' is not between 0.1 s and 24 days", interval);
		if (rc < 0)
			return rc;
	}
	w.live = !w.once && !cli->json && isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
	rc = w.once ? once(&w, interval != NULL, ms) : stream(&w, ms);
	if (w.list != NULL)
		json_decref(w.list);
	table_fini(&w.table);
	rates_fini(&w.now);
	rates_fini(&w.before);
	return rc;
}

static const struct opt opts[] = {
	{ "no-stream", 0, NULL, 0, "look once and end" },
	{ "interval", 'i', "SECONDS", 0, "time between two looks (default 2)" },
	OPT_END,
};

const struct cmd cmd_stats = {
	.name = "stats",
	.group = "Looking",
	.summary = "show what running pots use, as it changes",
	.text =
	    "Shows processor time, memory, network and disk traffic of the running pots, or of those named,\n"
	    "every two seconds until Ctrl-C or the end of all that were named. On a terminal the table is\n"
	    "drawn over itself, elsewhere one follows the other.\n"
	    "CPU% is that of one processor: two busy processors are 200%. It is counted since the look "
	    "before;\n"
	    "in the first one, and with --no-stream, since the pot's start. With --no-stream and --interval "
	    "it\n"
	    "is counted over that time.\n"
	    "MEM USAGE does not count page cache that the kernel can drop at once; without a limit of its "
	    "own a\n"
	    "pot's limit is the host's memory. NET I/O is what the pot received and sent, BLOCK I/O what it\n"
	    "read from and wrote to block devices.",
	.args = "",
	.pot = POT_ANY,
	.flags = CMD_JSON | CMD_ROOT,
	.opts = opts,
	.example = "pot stats --no-stream web",
	.json = "name: the pot\n"
		"state: running, paused or stopping\n"
		"started_at: time of its start\n"
		"time: of this look\n"
		"cpu_percent: of one processor, since the look before or since the start\n"
		"cpu_ns: processor time since its start in nanoseconds\n"
		"cpu_user_ns: the part of it outside the kernel\n"
		"cpu_system_ns: the part of it in the kernel\n"
		"cpu_throttled: how often the CPU quota held it up\n"
		"cpu_throttled_ns: how long in all\n"
		"memory_bytes: memory in use, without page cache that can be dropped at once\n"
		"memory_limit_bytes: its limit, or the host's memory when that is less\n"
		"memory_percent: memory_bytes of memory_limit_bytes\n"
		"memory_peak_bytes: the most it ever had, with page cache\n"
		"cache_bytes: page cache\n"
		"swap_bytes: what of it is in swap\n"
		"oom_kills: how often the kernel killed in it for want of memory\n"
		"pids: processes and threads\n"
		"pids_limit: how many it may have, or null\n"
		"io_read_bytes: read from block devices\n"
		"io_written_bytes: written to block devices\n"
		"io_reads: how often it read\n"
		"io_writes: how often it wrote\n"
		"net_rx_bytes: received, on all its interfaces; null when it shares the host's network\n"
		"net_tx_bytes: sent\n"
		"interfaces: array of objects with name, rx_bytes, tx_bytes, rx_packets, tx_packets,\n"
		"rx_errors, tx_errors; null when it shares the host's network\n",
	.run = run,
};
