/* The installation of a test: making it, looking at it from outside, taking it away. */
#include "node.h"

#include "base/text.h"

static void
note_event(void *arg, const struct pot_event *ev)
{
	struct node *n = arg;

	if (ev->kind == POT_EV_WARN)
		snprintf(n->warning, sizeof(n->warning), "%s", ev->text);
}

static int
make_base(struct node *n)
{
	char from[96];
	struct pot_base_args a = { .name = "b", .from = from };
	int dir = dir_make(n->fd, "from", 0755, &n->e), sub;

	if (dir < 0)
		return dir;
	sub = dir_make(dir, "etc", 0755, &n->e);
	put(sub, "os-release", "PRETTY_NAME=\"Test 1\"\n");
	put(sub, "passwd", "root:x:0:0::/root:/bin/sh\n");
	close(sub);
	sub = dir_make(dir, "data", 0755, &n->e);
	put(sub, "file", "from the base\n");
	close(sub);
	sub = dir_make(dir, "sbin", 0755, &n->e);
	close(sub);
	close(dir);
	snprintf(from, sizeof(from), "%s/from", n->path);
	return eng_base_create(n->g, &a, &n->e);
}

int
node_setup(void **state)
{
	struct node *n = calloc(1, sizeof(*n));
	const char *shim = getenv("POT_SHIM");
	struct pot_open_args open_args = { .root = n == NULL ? NULL : n->root };
	struct pot_init_args init_args = { .storage = "fake" };
	struct pot_init_report report;
	int rc;

	if (n == NULL || shim == NULL) {
		print_error("POT_SHIM does not name the shim\n");
		free(n);
		return -1;
	}
	unsetenv("POT_ROOT");
	unsetenv("POT_CONFIG");
	umask(022);
	snprintf(n->path, sizeof(n->path), "/tmp/pot-test-XXXXXX");
	if (mkdtemp(n->path) == NULL)
		return -1;
	n->fd = open(n->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(n->root, sizeof(n->root), "%s/node", n->path);
	open_args.events = (struct pot_events){ note_event, n };
	open_args.cancel = &n->cancel;
	*state = n;
	rc = n->fd < 0 ? -1 : eng_open(&n->g, &open_args, &n->e);
	if (rc == 0)
		rc = eng_init(n->g, &init_args, &report, &n->e);
	if (rc == 0)
		rc = make_base(n);
	if (rc == 0)
		rc = host_self_path(n->g->self, sizeof(n->g->self), &n->e);
	if (rc < 0) {
		print_error("%s (%s)\n", n->e.msg, n->e.hint);
		return -1;
	}
	snprintf(n->g->shim, sizeof(n->g->shim), "%s", shim);
	return 0;
}

static int
end_pot(void *arg, const char *name, struct err *e)
{
	struct node *n = arg;
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = epot_get(&p, n->g, name, EPOT_WRITE, NULL);

	(void)e;
	if (rc == 0 && state_is_active(&p.state.rec))
		return epot_end(&p, 0, &n->e);
	return 0;
}

int
node_teardown(void **state)
{
	struct node *n = *state;
	int rc;

	if (n->g != NULL && epot_each(n->g, end_pot, n, &n->e) < 0)
		print_error("%s\n", n->e.msg);
	eng_close(n->g);
	close(n->fd);
	rc = tree_remove(AT_FDCWD, n->path, &n->e);
	if (rc < 0)
		print_error("%s\n", n->e.msg);
	free(n);
	return rc;
}

/* argv: SELF --root ROOT [--config FILE] _cleanup NAME RUNID, as start.c makes it. */
static int
clean_up(const char *root, char **verb)
{
	struct pot_open_args a = { .root = root };
	struct err e = ERR_INIT;
	struct eng *g;

	if (eng_open(&g, &a, &e) < 0)
		return 1;
	int rc = eng_cleanup(g, verb[1], strtoull(verb[2], NULL, 16), &e);
	eng_close(g);
	return rc < 0;
}

int
node_main(int argc, char **argv, int (*tests)(void))
{
	return argc > 5 ? clean_up(argv[2], argv + argc - 3) : tests();
}

void
node_pot(struct node *n, const char *name, const char *command)
{
	struct pot_create_args a = { .name = name, .base = "b", .level = -1, .command = command };

	done(eng_create(n->g, &a, &n->e));
}

void
node_start(struct node *n, const char *name)
{
	struct pot_start_args a = { 0 };
	struct pot_process p;

	done(eng_start(n->g, name, &a, &p, &n->e));
}

const char *
node_script(struct node *n, const char *name, const char *text)
{
	static char path[128];
	char body[1024];

	snprintf(body, sizeof(body), "#!/bin/sh\n%s\n", text);
	put(n->fd, name, body);
	assert_sys(fchmodat(n->fd, name, 0755, 0));
	snprintf(path, sizeof(path), "%s/%s", n->path, name);
	return path;
}

void
node_hook(struct node *n, const char *pot, const char *point, const char *script)
{
	done(eng_set_hook(n->g, pot, point, node_script(n, "hook", script), &n->e));
}

struct state_rec
node_rec(struct node *n, const char *name)
{
	AUTO(fd) int dir = dir_open(n->g->pots_fd, name, &n->e);
	AUTO_FINI(state) struct state s = STATE_INIT;

	done(dir);
	done(state_open(&s, dir, &n->e));
	return s.rec;
}

bool
node_has_dir(struct node *n, const char *name)
{
	return is_there(n->g->pots_fd, name);
}

bool
node_has_storage(struct node *n, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "storage/fake/pot.%s", name);
	return is_there(n->g->root_fd, path);
}
