/* What running pots use: who is asked, in which order, and what becomes of those that do not run. */
#include <signal.h>

#include "node.h"

struct seen {
	char names[256]; /* "a b " */
	uint64_t cpu_ns; /* of the last */
	bool own_network;
	size_t ninterfaces;
	uint64_t rx_bytes;
	unsigned stop_after, calls;
};

static int
see(void *arg, const struct pot_stats *s)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->names);

	snprintf(seen->names + len, sizeof(seen->names) - len, "%s ", s->name);
	assert_true(s->started_ns > 0 && s->time_ns >= s->started_ns && s->clock_ns > 0);
	assert_int_equal(s->pids, 1);
	assert_true(s->swap == POT_UNKNOWN);
	seen->cpu_ns = s->cpu_ns;
	seen->own_network = s->own_network;
	seen->ninterfaces = s->ninterfaces;
	seen->rx_bytes = s->ninterfaces > 0 ? s->interfaces[0].rx_bytes : 0;
	return ++seen->calls == seen->stop_after ? 42 : 0;
}

static void
look(struct node *n, const char *const *names, unsigned flags, const char *want)
{
	struct seen seen = { "" };

	done(eng_stats(n->g, names, flags, see, &seen, &n->e));
	assert_string_equal(seen.names, want);
}

static void
test_who(void **state)
{
	static const char *const both[] = { "c", "a", NULL }, *const created[] = { "a", "b", NULL },
				 *const none[] = { "a", "nobody", NULL };
	struct seen seen = { "" };
	struct node *n = *state;
	uint64_t before;

	look(n, NULL, 0, "");
	node_pot(n, "c", "sleep 1000");
	node_pot(n, "a", "sleep 1000");
	node_pot(n, "b", "sleep 1000");
	look(n, NULL, 0, "");
	node_start(n, "c");
	node_start(n, "a");
	/* All in order of names, these as they were named. */
	look(n, NULL, 0, "a c ");
	look(n, both, 0, "c a ");
	look(n, both, POT_STATS_RUNNING, "c a ");
	fails(eng_stats(n->g, created, 0, see, &seen, &n->e), E_STATE, "pot b is not running");
	hint_is("pot start");
	fails(eng_stats(n->g, none, 0, see, &seen, &n->e), E_NOENT, "nobody");
	look(n, created, POT_STATS_RUNNING, "a ");
	look(n, none, POT_STATS_RUNNING, "a ");
	/* A paused pot runs. Each look is a new one. */
	done(eng_pause(n->g, "a", true, &n->e));
	look(n, created, POT_STATS_RUNNING, "a ");
	look(n, both, 0, "c a ");
	done(eng_stats(n->g, both, 0, see, &seen, &n->e));
	before = seen.cpu_ns;
	done(eng_stats(n->g, both, 0, see, &seen, &n->e));
	assert_true(seen.cpu_ns > before);
	done(eng_pause(n->g, "a", false, &n->e));
	/* The caller has seen enough. */
	seen = (struct seen){ .names = "", .stop_after = 1 };
	assert_int_equal(eng_stats(n->g, NULL, 0, see, &seen, &n->e), 42);
	assert_string_equal(seen.names, "a ");
	done(eng_stop(n->g, "a", 1000, &n->e));
	look(n, NULL, 0, "c ");
	fails(eng_stats(n->g, both, 0, see, &seen, &n->e), E_STATE, "pot a is stopped");
}

/* One whose shim was killed does not run; to look is not to repair. */
static void
test_killed(void **state)
{
	static const char *const named[] = { "p", NULL };
	struct seen seen = { "" };
	struct node *n = *state;
	struct state_rec r;

	node_pot(n, "p", "sleep 1000");
	node_start(n, "p");
	r = node_rec(n, "p");
	done(proc_id_kill(&r.shim, SIGKILL, &n->e));
	done(proc_id_wait(&r.shim, 60000, &n->e));
	look(n, NULL, 0, "");
	assert_int_equal(node_rec(n, "p").state, POT_RUNNING);
	/* Whoever names it is told how it ended, after the repair. */
	fails(eng_stats(n->g, named, 0, see, &seen, &n->e), E_STATE, "pot p is ");
	assert_int_not_equal(node_rec(n, "p").state, POT_RUNNING);
}

static void
test_network(void **state)
{
	static const char *const kinds[] = { "public-bridge", "none", "inherit" };
	struct node *n = *state;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *const named[] = { kinds[i], NULL };
		struct pot_create_args a = { .name = kinds[i],
			.base = "b",
			.level = -1,
			.command = "sleep 1000",
			.network = kinds[i] };
		struct seen seen = { "" };

		done(eng_create(n->g, &a, &n->e));
		node_start(n, kinds[i]);
		done(eng_stats(n->g, named, 0, see, &seen, &n->e));
		assert_int_equal(seen.own_network, i < 2);
		assert_int_equal(seen.ninterfaces, i == 0);
		assert_int_equal(seen.rx_bytes, i == 0);
	}
}

static int
tests(void)
{
	const struct CMUnitTest all[] = {
		node_test(test_who),
		node_test(test_killed),
		node_test(test_network),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}

int
main(int argc, char **argv)
{
	return node_main(argc, argv, tests);
}
