/*
 * An installation on the fakes for one test: storage of plain directories,
 * processes of the real pot-shim without namespaces.  The test program is also
 * the program that a shim has clean up (node_main).
 */
#ifndef TEST_NODE_H
#define TEST_NODE_H

#include "../base/scratch.h"
#include "../model/expect.h"
#include "engine/epot.h"

struct node {
	char path[64]; /* of the scratch directory */
	int fd;
	char root[96]; /* the installation */
	struct eng *g;
	struct err e;
	char warning[768]; /* the last one */
	volatile bool cancel;
};

#define node_test(f) cmocka_unit_test_setup_teardown(f, node_setup, node_teardown)

/* With the base "b", which has /etc/os-release, /sbin and /data/file. */
int node_setup(void **state);
int node_teardown(void **state);
/* main() of a test program: as "… _cleanup NAME RUNID" it cleans up, else it runs the tests. */
int node_main(int argc, char **argv, int (*tests)(void));

void node_pot(struct node *, const char *name, const char *command);
void node_start(struct node *, const char *name);
/* A shell script at the scratch directory's NAME; returns its path (of the node's next call only). */
const char *node_script(struct node *, const char *name, const char *text);
void node_hook(struct node *, const char *pot, const char *point, const char *script);
/* The pot's record as it is on the disk. */
struct state_rec node_rec(struct node *, const char *name);
/* Is there a directory, a storage or anything else of this pot? */
bool node_has_dir(struct node *, const char *name);
bool node_has_storage(struct node *, const char *name);

#define done(call)                                                                         \
	do {                                                                               \
		int rc_ = (call);                                                          \
		if (rc_ < 0)                                                               \
			print_error("%s: %d: %s (%s)\n", #call, rc_, n->e.msg, n->e.hint); \
		assert_true(rc_ >= 0);                                                     \
	} while (0)
#define fails(call, want, fragment) \
	expect_err_at((call), &n->e, (want), (fragment), #call, __FILE__, __LINE__)
#define hint_is(fragment) expect_text(n->e.hint, (fragment), __FILE__, __LINE__)

#endif
