/*
 * Inside base only: how a program is started.  Everything is prepared by the
 * parent; the child shares its memory (vfork) and does nothing but system
 * calls.
 */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

/* Code that runs on borrowed memory: the sanitizers' bookkeeping must not see it. */
#define IN_CHILD __attribute__((no_sanitize("address", "undefined")))

struct spawn {
	const char *const *paths; /* tried one after the other */
	char *const *argv, *const *envp;
	const char *cwd;
	int fds[3];  /* become 0, 1, 2; all of them above 2 */
	int pass_fd; /* stays open, or -1 */
	int report;  /* pipe, closed by exec: gets a struct spawn_failure */
	bool dies_with_parent;
};

enum spawn_stage { SPAWN_NAMESPACE, SPAWN_SETUP, SPAWN_CWD, SPAWN_EXEC };
struct spawn_failure {
	enum spawn_stage stage;
	int sys;
};

/* The pid, or -1 with errno. All signals are blocked by the caller. */
pid_t spawn_plain(const struct spawn *);
/* In a child that is not going on: reports errno and ends. */
void spawn_fail(const struct spawn *, enum spawn_stage) __attribute__((noreturn));
/* Closes everything from 3 on but the report and what the program needs. */
int spawn_close_others(const struct spawn *);

/* Per system. */
/* In namespaces of its own, below a first process whose end is the end of all; plain where there are none. */
pid_t spawn_in_namespaces(const struct spawn *);
int spawn_die_with_parent(void);  /* in the child */
void spawn_default_signals(void); /* in the child: no signal is handled or ignored */
int spawn_exit_fd(pid_t); /* becomes readable when the child has ended; -1 with errno, ENOSYS: none tells */

#endif
