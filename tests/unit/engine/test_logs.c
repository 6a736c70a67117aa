/* Reading a pot's output: rotated files, the last lines, since a time, what is no record, following a writer. */
#include <signal.h>
#include <sys/wait.h>

#include "base/text.h"
#include "node.h"

/* What came out: "text\n" for whole lines, "text|" for the others. */
struct heard {
	struct buf b;
	size_t records;
	int stop_after; /* 0: never */
};

static int
hear(void *arg, const struct pot_log_line *l)
{
	struct heard *h = arg;

	buf_add(&h->b, l->text, l->len);
	buf_str(&h->b, l->whole ? "\n" : "|");
	h->records++;
	return h->stop_after > 0 && (int)h->records == h->stop_after ? 9 : 0;
}

static int
logs(struct node *n, const struct pot_logs_args *a, struct heard *h)
{
	buf_reset(&h->b);
	h->records = 0;
	return eng_logs(n->g, "p", a, hear, h, &n->e);
}

#define HEARD                                          \
	{                                              \
		.b = BUF_INIT(16 << 20), .records = 0, \
	}

static void
assert_heard(struct node *n, const struct pot_logs_args *a, const char *text)
{
	struct heard h = HEARD;

	done(logs(n, a, &h));
	assert_string_equal(buf_cstr(&h.b), text);
	buf_fini(&h.b);
}

static void
put_log(struct node *n, const char *file, const char *text)
{
	char path[32];

	snprintf(path, sizeof(path), "p/%s", file);
	put(n->g->pots_fd, path, text);
}

#define R(s, text) "1790000" s ".000000000 oF " text "\n"
#define P(s, text) "1790000" s ".000000000 oP " text "\n"

static const struct pot_logs_args all = { .lines = -1 };

static void
test_empty(void **state)
{
	struct node *n = *state;
	struct heard h = HEARD;

	node_pot(n, "p", "true");
	assert_heard(n, &all, "");
	assert_heard(n, &(struct pot_logs_args){ .lines = 0 }, "");
	/* Of a pot that does not run there is nothing to wait for. */
	assert_heard(n, &(struct pot_logs_args){ .lines = -1, .follow = true }, "");
	put_log(n, "log", "");
	assert_heard(n, &all, "");
	fails(eng_logs(n->g, "nobody", &all, hear, &h, &n->e), E_NOENT, "nobody");
}

static void
test_rotated(void **state)
{
	struct node *n = *state;
	struct heard h = HEARD;

	node_pot(n, "p", "true");
	put_log(n, "log.2", R("001", "a") R("002", "b"));
	put_log(n, "log.1", R("003", "c") R("004", "d"));
	put_log(n, "log", R("005", "e"));
	assert_heard(n, &all, "a\nb\nc\nd\ne\n");
	assert_heard(n, &(struct pot_logs_args){ .lines = 0 }, "");
	assert_heard(n, &(struct pot_logs_args){ .lines = 1 }, "e\n");
	assert_heard(n, &(struct pot_logs_args){ .lines = 4 }, "b\nc\nd\ne\n");
	assert_heard(n, &(struct pot_logs_args){ .lines = 5 }, "a\nb\nc\nd\ne\n");
	assert_heard(n, &(struct pot_logs_args){ .lines = 99 }, "a\nb\nc\nd\ne\n");
	/* While files rotate "log" is absent for a moment. */
	assert_sys(unlinkat(n->g->pots_fd, "p/log", 0));
	assert_heard(n, &all, "a\nb\nc\nd\n");
	/* What is not in the row is not of the log. */
	put_log(n, "log.5", R("000", "stranger"));
	assert_heard(n, &all, "a\nb\nc\nd\n");
	/* One number may be missing: whoever renamed was killed there. */
	assert_sys(renameat(n->g->pots_fd, "p/log.2", n->g->pots_fd, "p/log.3"));
	assert_sys(unlinkat(n->g->pots_fd, "p/log.5", 0));
	put_log(n, "log", R("005", "e"));
	assert_heard(n, &all, "a\nb\nc\nd\ne\n");
	h.stop_after = 2;
	assert_int_equal(logs(n, &all, &h), 9);
	assert_string_equal(buf_cstr(&h.b), "a\nb\n");
	buf_fini(&h.b);
}

static void
test_since(void **state)
{
	struct node *n = *state;
	struct pot_logs_args a = { .lines = -1, .since_ns = INT64_C(1790000003000000000) };

	node_pot(n, "p", "true");
	put_log(n, "log.1", R("001", "a") R("002", "b"));
	put_log(n, "log", R("003", "c") R("004", "d") R("005", "e"));
	assert_heard(n, &a, "c\nd\ne\n");
	/* The last ones of those. */
	a.lines = 2;
	assert_heard(n, &a, "d\ne\n");
	a.lines = 9;
	assert_heard(n, &a, "c\nd\ne\n");
	a.since_ns += INT64_C(5000000000);
	assert_heard(n, &a, "");
}

/* The parts of a line count as one, and are not torn apart. */
static void
test_parts(void **state)
{
	struct node *n = *state;

	node_pot(n, "p", "true");
	put_log(n, "log.1", R("001", "a") P("002", "b1") P("002", "b2"));
	put_log(n, "log", R("002", "b3") R("003", "c"));
	assert_heard(n, &all, "a\nb1|b2|b3\nc\n");
	assert_heard(n, &(struct pot_logs_args){ .lines = 2 }, "b1|b2|b3\nc\n");
	assert_heard(n, &(struct pot_logs_args){ .lines = 1 }, "c\n");
	/* A line that has no end yet comes with those that have. */
	put_log(n, "log", R("002", "b3") R("003", "c") P("004", "prompt"));
	assert_heard(n, &(struct pot_logs_args){ .lines = 1 }, "c\nprompt|");
}

/* Whatever stands there, the records among it are read and nothing else. */
static void
test_hostile(void **state)
{
	struct node *n = *state;
	AUTO_FINI(buf) struct buf text = BUF_INIT(1 << 20);

	node_pot(n, "p", "true");
	put_log(n, "log",
	    "\n\n junk\n" R("001", "a") "1790000002 oF no fraction\n" R(
		"002", "b") "-1.000000000 oF x\n"
			    "99999999999999999999.000000000 oF late\n"
			    "1790000003.000000000 oF cut off");
	assert_heard(n, &all, "a\nb\n");
	buf_str(&text, R("001", "a"));
	/* Longer than any record, and than what is read at once. */
	buf_str(&text, "1790000001.000000000 oF ");
	for (int i = 0; i < 200000; i++)
		buf_str(&text, "x");
	buf_str(&text, "\n" R("002", "b"));
	put_log(n, "log", buf_cstr(&text));
	{
		struct heard h = HEARD;

		done(logs(n, &all, &h));
		assert_int_equal(strncmp(buf_cstr(&h.b), "a\n", 2), 0);
		assert_string_equal(buf_cstr(&h.b) + h.b.len - 3, "\nb\n");
		buf_fini(&h.b);
	}
	/* A directory or a link in its place is no log. */
	assert_sys(unlinkat(n->g->pots_fd, "p/log", 0));
	assert_sys(symlinkat("/etc/passwd", n->g->pots_fd, "p/log"));
	assert_heard(n, &all, "");
	assert_sys(unlinkat(n->g->pots_fd, "p/log", 0));
	assert_sys(mkfifoat(n->g->pots_fd, "p/log", 0600));
	assert_heard(n, &all, "");
}

static void
assert_numbers(const struct buf *b, unsigned from, unsigned to)
{
	const char *at = b->data;

	for (unsigned i = from; i <= to; i++) {
		char want[16];
		size_t len = (size_t)snprintf(want, sizeof(want), "%u\n", i);

		if (strncmp(at, want, len) != 0)
			print_error("line %u is %.20s\n", i, at);
		assert_int_equal(strncmp(at, want, len), 0);
		at += len;
	}
	assert_int_equal(*at, '\0');
}

/* The real writer: the shim, with files so small that they rotate all the time while we follow. */
static void
test_follow_writer(void **state)
{
	struct node *n = *state;
	struct heard h = HEARD;
	struct pot_exit x;

	eng_close(n->g);
	n->g = NULL;
	{
		AUTO(fd) int root = open(n->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		put(root, "pot.conf", "log_max_size = 64k\nlog_files = 100\n");
	}
	done(eng_open(&n->g, &(struct pot_open_args){ .root = n->root }, &n->e));
	done(host_self_path(n->g->self, sizeof(n->g->self), &n->e));
	snprintf(n->g->shim, sizeof(n->g->shim), "%s", getenv("POT_SHIM"));
	node_pot(n, "p", "seq 1 30000");
	node_start(n, "p");
	done(logs(n, &(struct pot_logs_args){ .lines = -1, .follow = true }, &h));
	assert_numbers(&h.b, 1, 30000);
	assert_int_equal(node_rec(n, "p").state, POT_STOPPED);
	done(eng_wait(n->g, "p", &x, &n->e));
	assert_int_equal(x.status, 0);
	assert_true(is_there(n->g->pots_fd, "p/log.5"));
	/* And once more from the files, whole and the end of it. */
	done(logs(n, &all, &h));
	assert_numbers(&h.b, 1, 30000);
	done(logs(n, &(struct pot_logs_args){ .lines = 12345 }, &h));
	assert_numbers(&h.b, 30000 - 12345 + 1, 30000);
	buf_fini(&h.b);
}

/* What one writes by itself in little pieces is seen piece by piece. */
struct reply {
	struct heard heard;
	int gate;
};

static int
answer(void *arg, const struct pot_log_line *l)
{
	struct reply *r = arg;

	(void)hear(&r->heard, l);
	/* The next line is written only when this one was heard. */
	return write(r->gate, "x\n", 2) == 2 ? 0 : -E_SYS;
}

static void
test_follow_live(void **state)
{
	struct node *n = *state;
	struct reply r = { .heard = HEARD };
	char cmd[256];

	assert_sys(mkfifoat(n->fd, "gate", 0600));
	r.gate = openat(n->fd, "gate", O_RDWR | O_CLOEXEC);
	assert_sys(r.gate);
	snprintf(cmd, sizeof(cmd), "sh -c 'for i in 1 2 3 4 5; do echo $i; read x; done < %s/gate'", n->path);
	node_pot(n, "p", cmd);
	node_start(n, "p");
	done(eng_logs(n->g, "p", &(struct pot_logs_args){ .lines = -1, .follow = true }, answer, &r, &n->e));
	assert_numbers(&r.heard.b, 1, 5);
	close(r.gate);
	buf_fini(&r.heard.b);
}

static int
tests(void)
{
	const struct CMUnitTest list[] = {
		node_test(test_empty),
		node_test(test_rotated),
		node_test(test_since),
		node_test(test_parts),
		node_test(test_hostile),
		node_test(test_follow_writer),
		node_test(test_follow_live),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}

int
main(int argc, char **argv)
{
	return node_main(argc, argv, tests);
}
