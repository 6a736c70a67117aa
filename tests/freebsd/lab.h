/*
 * What the conformance programs share: TAP, and a pot's root made of what the
 * running system has. Each program is whole: copied to a machine with a
 * FreeBSD kernel and pot-shim beside it, run as root, it prints TAP, cleans up
 * and exits 0 when all holds. What it executes inside of jails is itself.
 */
#ifndef TESTS_FREEBSD_LAB_H
#define TESTS_FREEBSD_LAB_H

#include "isolation/isolation.h"

/* One fact: counted, printed, and why it does not hold. */
bool tap_ok(bool holds, const char *fmt, ...) PRINTF(2, 3);
void tap_skip(const char *why, const char *fmt, ...) PRINTF(2, 3);
void tap_note(const char *fmt, ...) PRINTF(1, 2);
int tap_done(void); /* the plan; exit status */
/* rc is no failure; else the message is shown. */
bool tap_fine(int rc, const struct err *, const char *fmt, ...) PRINTF(3, 4);

struct lab {
	char dir[64], root[80], program[256], shim[256], name[32], cgroup[ISO_CGROUP_MAX];
	int root_fd, log_fd, state_fd;
	struct iso_mount mounts[16];
	size_t nmounts;
	struct iso_attr attrs[24];
	size_t nattrs;
	struct iso_spec spec;
	struct iso_child child;
	struct iso_ref ref;
	char *argv[8], *envp[3], *cleanup[4];
};

/* A fresh root below /tmp, with /lib, /libexec and this program (/t) mounted into it once it starts. */
void lab_init(struct lab *, const char *argv0, const char *name);
/* The command: this program with these words. NULL-terminated. */
void lab_command(struct lab *, const char *word, ...);
void lab_attr(struct lab *, const char *name, const char *value);
void lab_mount(struct lab *, int fd, const char *target, bool dir);
int lab_spawn(struct lab *, struct err *);
int lab_start(struct lab *, struct err *); /* spawned and released */
/* Waits for the shim; the command's wait status, or -1 when none was recorded. */
int lab_wait(struct lab *);
/* All that was printed, without the log's own words. */
const char *lab_log(struct lab *);
/* Takes the pot down as the engine would, and checks that nothing is left. */
void lab_end(struct lab *);
void lab_nothing_left(const struct lab *, const char *when);
void lab_fini(struct lab *);
/* Runs this program with a word in the pot by iso_exec: its exit status, or a negative code. */
int lab_exec(struct lab *, const char *word, const char *arg, struct err *);

/* In the jail: `program inside WORD [ARG]`. Each program has its table. */
struct inside {
	const char *word;
	int (*run)(const char *arg);
};
/* Runs the word when main was called so; does not return then. */
void inside_main(int argc, char **argv, const struct inside *);

#endif
