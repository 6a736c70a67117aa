/*
 * A real pot for tests: a root with busybox in a directory of its own, the
 * state file, the log directory, and short ways to start it and look at it.
 */
#ifndef TEST_ISOLATION_POT_H
#define TEST_ISOLATION_POT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "isolation/isolation.h"
#include "model/shimproto.h"

/* chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service sys_chroot setfcap */
#define POT_CAPS UINT64_C(0x800405fb)

struct pot {
	char dir[64]; /* root/, log/, state, cleaned */
	int state_fd, log_fd, root_fd;
	struct iso_spec spec;
	struct iso_child child;
	struct err e;
	char cgroup[ISO_CGROUP_MAX];
	char *argv[8];
	char *envp[4];
	char *cleanup[4];
	char cleanup_text[128];
};

int pot_setup(void **state); /* cmocka fixture: *state is a struct pot */
int pot_teardown(void **state);

/* sh -c script as the command. */
void pot_script(struct pot *, const char *script);
void pot_group(struct pot *); /* gives it a control group */
int pot_spawn(struct pot *);  /* iso_spawn with a fresh mount of the root */
void pot_start(struct pot *); /* and iso_release; must succeed */
/* Waits for the shim and its clean-up; asserts that the exit slot is right and gives the wait status. */
int pot_wait(struct pot *);
int pot_run(struct pot *, const char *script); /* script, start, wait */
bool pot_cleaned(struct pot *);                /* has the clean-up verb run? */
bool pot_slot(struct pot *, struct shim_exit *);
struct iso_ref pot_ref(struct pot *);

/* Text of "log" with times cut off: "oF text\n…". Static memory. */
const char *pot_log(struct pot *, const char *name);
/* The text alone, P records joined. */
const char *pot_text(struct pot *);
/* Blocks until the pot has written these words to its log. */
void pot_until(struct pot *, const char *words);
void root_file(struct pot *, const char *path, const char *text, unsigned mode);
void root_link(struct pot *, const char *path, const char *to);

#define assert_done(expr, p)                                          \
	do {                                                          \
		int r_ = (expr);                                      \
		if (r_ < 0)                                           \
			fail_msg("%s: %d %s", #expr, r_, (p)->e.msg); \
	} while (0)

#endif
